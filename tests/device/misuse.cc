// The fake finds what is wrong: each scenario does one thing that it must catch. Without these, a silent fake would prove nothing.
#include <cstring>

#include "affectrt/device/graph.h"
#include "affectrt/device/launch.h"
#include "affectrt/device/pinned_ring.h"
#include "harness.h"

using namespace affectrt::cuda;
using harness::expect_violation;
using harness::fake;

namespace {

struct Parameters {
  DevicePtr data;
};

Kernel some_kernel(const Device& device, const char* name) {
  const std::string_view image = "any image";
  return Module(device, "setting", {reinterpret_cast<const std::byte*>(image.data()), image.size()}).kernel(name);
}

const Driver& driver() { return Driver::get(); }

}  // namespace

SCENARIO_OF_MISUSE(race_of_two_streams) {
  const Device device(0);
  const Stream one(device), two(device);
  const Buffer buffer(device, 64);
  fill(buffer.data(), 1, 32, one);
  fill(buffer.data() + 32, 1, 32, two);  // another part: no race
  one.synchronize();
  two.synchronize();
  CHECK(*fake().violations() == 0);
  fill(buffer.data(), 1, 33, one);
  fill(buffer.data() + 32, 1, 32, two);
  one.synchronize();
  two.synchronize();
  expect_violation({"race: fill on stream 2 and fill on stream 1 touch the same memory"});
}

SCENARIO_OF_MISUSE(reads_do_not_race_but_a_write_does) {
  const Device device(0);
  const Stream one(device), two(device);
  const Buffer from(device, 64), a(device, 64), b(device, 64);
  copy_on_device(a.data(), from.data(), 64, one);
  copy_on_device(b.data(), from.data(), 64, two);
  fake().run_all();
  CHECK(*fake().violations() == 0);
  fill(from.data(), 1, 64, one);
  fake().run_all();
  expect_violation({"race: fill on stream 1 and copy on the device on stream 2"});
}

SCENARIO_OF_MISUSE(time_that_passes_is_no_order) {
  const Device device(0);
  const Stream one(device), two(device);
  const Buffer buffer(device, 64);
  fill(buffer.data(), 1, 64, one);
  fake().run_all();
  fill(buffer.data(), 1, 64, two);
  fake().run_all();
  expect_violation({"race"});
}

SCENARIO_OF_MISUSE(an_event_recorded_too_early_orders_nothing) {
  const Device device(0);
  const Stream one(device), two(device);
  const Buffer buffer(device, 64);
  Event event(device);
  event.record(one);
  fill(buffer.data(), 1, 64, one);
  two.wait(event);
  fill(buffer.data(), 2, 64, two);
  two.synchronize();
  one.synchronize();
  expect_violation({"race"});
}

SCENARIO_OF_MISUSE(launches_race_by_their_pointers) {
  const Device device(0);
  const Stream one(device), two(device);
  const Buffer buffer(device, 64);
  const Kernel kernel = some_kernel(device, "k");
  launch(kernel, {{1}, {1}}, one, Parameters{buffer.data() + 8});
  fill(buffer.data(), 1, 64, two);
  one.synchronize();
  two.synchronize();
  expect_violation({"race", "launch of k"});
}

SCENARIO_OF_MISUSE(host_memory_changed_too_early) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 64);
  PinnedBuffer pinned(device, 64);
  copy_to_device(buffer.data(), pinned.data(), 64, stream);
  std::memset(pinned.data(), 1, 64);
  stream.synchronize();
  expect_violation({"copy to the device: the host changed 64 bytes before they had been copied"});
}

SCENARIO_OF_MISUSE(host_memory_freed_too_early) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 64);
  const ContextGuard guard(device);
  void* pinned = nullptr;
  CHECK(driver().cuMemHostAlloc(&pinned, 64, 0) == kSuccess);
  copy_to_device(buffer.data(), pinned, 64, stream);
  CHECK(driver().cuMemFreeHost(pinned) == kSuccess);
  expect_violation({"cuMemFreeHost: copy to the device on stream 1 still needs the memory"});
}

SCENARIO_OF_MISUSE(memory_freed_twice_and_used_after) {
  const Device device(0);
  const Stream stream(device);
  const ContextGuard guard(device);
  DevicePtr data = 0;
  CHECK(driver().cuMemAlloc_v2(&data, 64) == kSuccess);
  CHECK(driver().cuMemFree_v2(data) == kSuccess);
  CHECK(driver().cuMemFree_v2(data) == kInvalidValue);
  expect_violation({"is freed twice"});
  CHECK(driver().cuMemsetD8Async(data, 0, 8, stream.handle()) == kInvalidValue);
  expect_violation({"is used after it was freed"});
  const Kernel kernel = some_kernel(device, "k");
  launch(kernel, {{1}, {1}}, stream, Parameters{data});
  CHECK(driver().cuStreamSynchronize(stream.handle()) == 700);
  expect_violation({"launch of k, parameter at byte 0", "is used after it was freed"});
}

SCENARIO_OF_MISUSE(graphs_keep_no_memory_alive) {
  const Device device(0);
  const Stream stream(device);
  auto buffer = std::make_unique<Buffer>(device, 64);
  const Graph graph = Graph::capture(stream, [&] { fill(buffer->data(), 1, 64, stream); });
  buffer.reset();
  graph.launch(stream);
  CHECK(driver().cuCtxPushCurrent_v2(device.context()->handle()) == kSuccess);
  CHECK(driver().cuStreamSynchronize(stream.handle()) == 700);
  ContextHandle popped = nullptr;
  CHECK(driver().cuCtxPopCurrent_v2(&popped) != 1);
  expect_violation({"fill", "is used after it was freed"});
}

SCENARIO_OF_MISUSE(copies_out_of_bounds) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 64);
  const PinnedBuffer pinned(device, 16);
  const std::vector<unsigned char> ours(256);
  const ContextGuard guard(device);
  CHECK(driver().cuMemcpyHtoDAsync_v2(buffer.data() + 8, ours.data(), 57, stream.handle()) == kInvalidValue);
  expect_violation({"57 bytes at offset 8 run past the end of a buffer of 64"});
  CHECK(driver().cuMemcpyHtoDAsync_v2(buffer.data(), pinned.data(), 17, stream.handle()) == kInvalidValue);
  expect_violation({"17 bytes at offset 0 run past the end of 16 page-locked bytes"});
  CHECK(driver().cuMemcpyHtoDAsync_v2(1234, ours.data(), 8, stream.handle()) == kInvalidValue);
  expect_violation({"0x4d2 is not device memory"});
  CHECK(driver().cuMemcpyHtoDAsync_v2(buffer.data(), reinterpret_cast<void*>(buffer.data()), 8, stream.handle()) == kInvalidValue);
  expect_violation({"a device address is given as host memory"});
}

SCENARIO_OF_MISUSE(handles_used_after_they_are_gone) {
  const Device device(0);
  const ContextGuard guard(device);
  StreamHandle stream = nullptr;
  EventHandle event = nullptr;
  CHECK(driver().cuStreamCreateWithPriority(&stream, kStreamNonBlocking, 0) == kSuccess);
  CHECK(driver().cuEventCreate(&event, 0) == kSuccess);
  CHECK(driver().cuStreamDestroy_v2(stream) == kSuccess && driver().cuEventDestroy_v2(event) == kSuccess);
  CHECK(driver().cuStreamDestroy_v2(stream) == kInvalidHandle);
  expect_violation({"cuStreamDestroy_v2: a handle that is destroyed"});
  const Kernel kernel = some_kernel(device, "k");
  void* parameters[] = {nullptr};
  CHECK(driver().cuLaunchKernel(kernel.handle(), 1, 1, 1, 1, 1, 1, 0, stream, parameters, nullptr) == kInvalidHandle);
  expect_violation({"launch of k: a handle that is destroyed"});
  CHECK(driver().cuEventSynchronize(event) == kInvalidHandle);
  expect_violation({"cuEventSynchronize: a handle that is destroyed"});
}

SCENARIO_OF_MISUSE(parameters_of_another_size) {
  fake().add_kernel("k", 16, 1024);
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 64);
  const Kernel kernel = some_kernel(device, "k");
  bool refused = false;
  try {
    launch(kernel, {{1}, {1}}, stream, Parameters{buffer.data()});
  } catch (const CudaError&) {
    refused = true;
  }
  CHECK(refused);
  expect_violation({"launch of k: expected 16 bytes of parameters, got 8"});
}

SCENARIO_OF_MISUSE(more_pops_than_pushes_and_contexts_released_early) {
  const Driver& d = driver();
  ContextHandle context = nullptr, popped = nullptr;
  CHECK(d.cuCtxPopCurrent_v2(&popped) == kInvalidContext);
  expect_violation({"more pops than pushes"});
  DevicePtr data = 0;
  CHECK(d.cuMemAlloc_v2(&data, 8) == kInvalidContext);  // none is current
  CHECK(d.cuDevicePrimaryCtxRetain(&context, 0) == kSuccess && d.cuCtxPushCurrent_v2(context) == kSuccess);
  EventHandle event = nullptr;
  CHECK(d.cuEventCreate(&event, 0) == kSuccess);
  CHECK(d.cuDevicePrimaryCtxRelease_v2(0) == kSuccess);
  expect_violation({"the primary context is released while there is still: event"});
  CHECK(d.cuEventDestroy_v2(event) == kSuccess && d.cuCtxPopCurrent_v2(&popped) == kSuccess);
  CHECK(d.cuDevicePrimaryCtxRelease_v2(0) == kInvalidContext);
  expect_violation({"the primary context is not retained"});
}

SCENARIO_OF_MISUSE(leaks_are_listed) {
  const Device device(0);
  const ContextGuard guard(device);
  DevicePtr data = 0;
  CHECK(driver().cuMemAlloc_v2(&data, 77) == kSuccess);
  CHECK(std::string(fake().leaks()).find("77 bytes of device memory") != std::string::npos);
  CHECK(driver().cuMemFree_v2(data) == kSuccess);
  CHECK(std::string(fake().leaks()).find("77 bytes") == std::string::npos);
}
