// Every owner of csrc/device, used as it is meant to be.
#include <cstring>
#include <numeric>
#include <thread>

#include "affectrt/device/graph.h"
#include "affectrt/device/launch.h"
#include "affectrt/device/pinned_ring.h"
#include "harness.h"

using namespace affectrt::cuda;
using harness::count_of;
using harness::expect;
using harness::fake;

namespace {

std::vector<unsigned char> counted(std::size_t bytes, unsigned char from = 0) {
  std::vector<unsigned char> values(bytes);
  std::iota(values.begin(), values.end(), from);
  return values;
}

std::vector<unsigned char> read(const Buffer& buffer, std::size_t bytes, const Stream& stream) {
  std::vector<unsigned char> values(bytes);
  copy_to_host(values.data(), buffer.data(), bytes, stream);
  stream.synchronize();
  return values;
}

}  // namespace

SCENARIO(devices_are_told) {
  fake().set_device(2, 110, 13020, std::uint64_t{1} << 30);
  const auto all = devices();
  CHECK(all.size() == 2);
  CHECK(all[1].ordinal == 1 && all[1].name == "Fake GPU 1" && all[1].sm == 110 && all[1].memory_bytes == std::size_t{1} << 30);
  CHECK(all[0].multiprocessors == 8 && !all[0].integrated);
  CHECK(count_of("cuDevicePrimaryCtxRetain") == 0);  // asking takes no memory on the GPU
}

SCENARIO(device_is_opened_by_name) {
  fake().set_device(2, 87, 13000, std::uint64_t{1} << 30);
  CHECK(Device::open("cuda").name() == "cuda:0");
  const Device second = Device::open("cuda:1");
  CHECK(second.info().ordinal == 1 && second.info().integrated);
  expect<affectrt::DeviceError>([] { Device::open("cuda:2"); }, {"cuda:2: no such GPU; the driver shows 2, cuda:0 to cuda:1"});
  for (const char* name : {"", "gpu", "cuda:", "cuda:-1", "cuda:1x", "cuda:99999999999999999999", "CUDA:0"})
    expect<std::invalid_argument>([&] { Device::open(name); }, {"device: expected \"cuda\" or \"cuda:N\"", name});
  fake().set_device(1, 87, 13000, std::uint64_t{1} << 30);
  expect<affectrt::DeviceError>([] { Device::open("cuda:1"); }, {"cuda:1: no such GPU; the driver shows one, cuda:0"});
}

SCENARIO(context_lives_as_long_as_what_needs_it) {
  auto device = std::make_unique<Device>(0);
  auto buffer = std::make_unique<Buffer>(*device, 100);
  device.reset();
  CHECK(count_of("cuDevicePrimaryCtxRelease_v2") == 0);
  buffer.reset();
  CHECK(count_of("cuDevicePrimaryCtxRelease_v2") == 1);
  CHECK(count_of("cuCtxPushCurrent_v2") == count_of("cuCtxPopCurrent_v2"));
}

SCENARIO(guard_makes_one_push) {
  const Device device(0);
  {
    const ContextGuard outer(device);
    const ContextGuard inner(device);  // current already
    const Stream stream(device);
    stream.synchronize();
  }
  CHECK(count_of("cuCtxPushCurrent_v2") == 1 && count_of("cuCtxPopCurrent_v2") == 1);
  ContextHandle current = nullptr;
  CHECK(Driver::get().cuCtxGetCurrent(&current) == kSuccess && current == nullptr);
}

SCENARIO(moves_leave_nothing_behind) {
  const Device device(0);
  Stream a(device), b(std::move(a));
  a = std::move(b);
  Buffer x(device, 10), y(device, 20);
  const DevicePtr was = y.data();
  x = std::move(y);
  CHECK(x.data() == was && x.bytes() == 20 && y.bytes() == 0);
  CHECK(count_of("cuMemFree_v2") == 1);
  Event e(device), f(device);
  e = std::move(f);
  e.record(a);
  e.synchronize();
  PinnedRing ring(device), other(device, 2);
  const std::vector<unsigned char> frame = counted(16);
  ring.upload(x.data(), frame.data(), 16, a);
  other = std::move(ring);
  other.upload(x.data(), frame.data(), 16, a);
}

SCENARIO(buffers_grow_and_keep_their_place) {
  const Device device(0);
  Buffer buffer(device);
  CHECK(buffer.data() == 0 && buffer.bytes() == 0);
  buffer.reserve(1000);
  const DevicePtr first = buffer.data();
  CHECK(first % 256 == 0);
  buffer.reserve(10);
  CHECK(buffer.data() == first && buffer.bytes() == 1000);
  buffer.reserve(1001);
  CHECK(buffer.data() != first && count_of("cuMemFree_v2") == 1);
  PinnedBuffer pinned(device, 64);
  std::memset(pinned.data(), 1, 64);
  pinned.reserve(32);
  CHECK(count_of("cuMemHostAlloc") == 1);
}

SCENARIO(a_full_device_is_told_and_the_old_buffer_stays) {
  fake().set_device(1, 87, 13000, 4096);
  const Device device(0);
  Buffer buffer(device, 3000);
  const DevicePtr was = buffer.data();
  expect<CudaError>([&] { buffer.reserve(8000); },
                    {"device buffer of 8000 bytes: cuMemAlloc_v2 failed: CUDA_ERROR_OUT_OF_MEMORY 2 (out of memory)"});
  CHECK(buffer.data() == was && buffer.bytes() == 3000);
}

SCENARIO(copies_arrive) {
  const Device device(0);
  const Stream stream(device);
  const Buffer one(device, 64), two(device, 64);
  const auto values = counted(64);
  copy_to_device(one.data(), values.data(), 64, stream);
  copy_on_device(two.data(), one.data(), 64, stream);
  fill(one.data(), 7, 10, stream);
  CHECK(read(two, 64, stream) == values);
  CHECK(read(one, 11, stream) == std::vector<unsigned char>({7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 10}));
  copy_to_device(one.data(), nullptr, 0, stream);  // nothing to do
}

SCENARIO(rows_that_lie_apart_are_copied) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 3 * 8);
  const auto values = counted(3 * 16);
  fill(buffer.data(), 0, 24, stream);
  copy_rows_to_device(buffer.data(), 8, values.data(), 16, {5, 3}, stream);
  CHECK(read(buffer, 16, stream) == std::vector<unsigned char>({0, 1, 2, 3, 4, 0, 0, 0, 16, 17, 18, 19, 20, 0, 0, 0}));
  std::vector<unsigned char> back(15, 99);
  copy_rows_to_host(back.data(), 5, buffer.data(), 8, {5, 3}, stream);
  stream.synchronize();
  CHECK(back[5] == 16 && back[14] == 36);
  expect<std::invalid_argument>([&] { copy_rows_to_device(buffer.data(), 4, values.data(), 16, {5, 3}, stream); },
                                {"rows at least 5 bytes apart, got 16 at the source and 4 at the target"});
  copy_rows_to_device(buffer.data(), 8, values.data(), 16, {0, 3}, stream);
}

SCENARIO(page_locked_copies_return_before_they_are_done) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 4);
  PinnedBuffer pinned(device, 4);
  std::memset(pinned.data(), 5, 4);
  copy_to_device(buffer.data(), pinned.data(), 4, stream);
  CHECK(fake().pending() == 1 && !stream.done());
  stream.synchronize();
  CHECK(stream.done() && read(buffer, 4, stream)[3] == 5);
  std::vector<unsigned char> ours(128);
  const RegisteredMemory registered(device, ours.data(), ours.size());
  copy_to_host(ours.data(), buffer.data(), 4, stream);
  CHECK(ours[0] == 0 && fake().pending() == 1);
  stream.synchronize();
  CHECK(ours[0] == 5);
}

SCENARIO(page_locked_memory_that_goes_waits) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 8);
  {
    PinnedBuffer pinned(device, 4), second(device, 4);
    std::memset(pinned.data(), 5, 4);
    std::memset(second.data(), 6, 4);
    copy_to_device(buffer.data(), pinned.data(), 4, stream);
    pinned = std::move(second);
    CHECK(fake().pending() == 0);
    copy_to_device(buffer.data() + 4, pinned.data(), 4, stream);
  }
  CHECK(fake().pending() == 0 && read(buffer, 8, stream) == std::vector<unsigned char>({5, 5, 5, 5, 6, 6, 6, 6}));
  std::vector<unsigned char> one(4, 1), two(4, 2);
  RegisteredMemory a(device, one.data(), 4), b(device, two.data(), 4);
  copy_to_device(buffer.data(), one.data(), 4, stream);
  a = std::move(b);
  CHECK(fake().pending() == 0 && count_of("cuMemHostUnregister") == 1);
}

SCENARIO(events_tell_how_far_a_stream_is) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 8);
  Event from(device, true), to(device, true), plain(device);
  CHECK(plain.done());
  from.record(stream);
  fill(buffer.data(), 1, 8, stream);
  to.record(stream);
  plain.record(stream);
  CHECK(!to.done());
  expect<CudaError>([&] { to.ms_since(from); }, {"time between two events: cuEventElapsedTime failed: CUDA_ERROR_NOT_READY"});
  to.synchronize();
  CHECK(to.done() && !plain.done());
  CHECK(to.ms_since(from) > 0);
  expect<CudaError>([&] { plain.ms_since(from); }, {"cuEventElapsedTime"});
  stream.synchronize();
}

SCENARIO(streams_wait_for_each_other) {
  const Device device(0);
  const Stream one(device), two(device, -1);
  const Buffer a(device, 8), b(device, 8);
  fill(a.data(), 3, 8, one);
  two.wait(one);
  copy_on_device(b.data(), a.data(), 8, two);
  CHECK(read(b, 8, two)[7] == 3);
  Event event(device);
  copy_on_device(a.data(), b.data(), 8, two);
  event.record(two);
  one.wait(event);
  fill(a.data(), 4, 8, one);
  one.synchronize();
}

SCENARIO(foreign_streams_are_waited_for) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 8);
  for (const auto value : {kLegacyStream, kPerThreadStream}) {
    const auto foreign = reinterpret_cast<StreamHandle>(value);
    const ContextGuard guard(device);
    CHECK(Driver::get().cuMemsetD8Async(buffer.data(), 1, 8, foreign) == kSuccess);
    stream.wait_foreign(foreign);
    fill(buffer.data(), 2, 8, stream);
    stream.release_to_foreign(foreign);
    CHECK(Driver::get().cuMemsetD8Async(buffer.data(), 3, 8, foreign) == kSuccess);
    CHECK(Driver::get().cuStreamSynchronize(foreign) == kSuccess);
    CHECK(read(buffer, 8, stream)[0] == 3);
  }
}

SCENARIO(threads_need_no_guard) {
  const Device device(0);
  auto buffer = std::make_unique<Buffer>(device, 8);
  std::string error;
  std::thread([&] {
    try {
      const Stream stream(device);
      fill(buffer->data(), 1, 8, stream);
      stream.synchronize();
      buffer.reset();
    } catch (const std::exception& e) {
      error = e.what();
    }
  }).join();
  CHECK(error.empty() && !buffer);
}
