// The ring of page-locked slots, modules and launches, graphs.
#include <cstring>
#include <numeric>

#include "affectrt/device/graph.h"
#include "affectrt/device/launch.h"
#include "affectrt/device/pinned_ring.h"
#include "harness.h"

using namespace affectrt::cuda;
using harness::count_of;
using harness::expect;
using harness::fake;

namespace {

constexpr const char* kImage = "any image";

std::span<const std::byte> image() { return {reinterpret_cast<const std::byte*>(kImage), std::strlen(kImage) + 1}; }

struct Parameters {
  DevicePtr to;
  std::uint32_t count;
  std::uint32_t value;
};

// The kernel of these tests: to[i] = value.
int set_bytes(const char*, const unsigned* grid, const unsigned* block, unsigned, const void* parameters, std::size_t bytes, void* user) {
  Parameters p{};
  if (bytes != sizeof p) return kLaunchFailed;
  std::memcpy(&p, parameters, sizeof p);
  if (grid[0] * block[0] < p.count) return kLaunchFailed;
  std::memset(fake().shadow(p.to, p.count), static_cast<int>(p.value), p.count);
  fake().touch(p.to, p.count, 1);
  if (user) ++*static_cast<int*>(user);
  return kSuccess;
}

unsigned char first_byte(const Buffer& buffer) { return *static_cast<unsigned char*>(fake().shadow(buffer.data(), 1)); }

}  // namespace

SCENARIO(ring_uses_a_slot_again_only_after_its_copy) {
  const Device device(0);
  const Stream stream(device);
  const Buffer target(device, 5 * 32);
  PinnedRing ring(device, 3);
  std::vector<unsigned char> frame(32);
  for (unsigned char i = 0; i < 5; ++i) {
    std::fill(frame.begin(), frame.end(), i);
    ring.upload(target.data() + 32u * i, frame.data(), 32, stream);
    CHECK(ring.slots() == std::min<std::size_t>(i + 1u, 3));
    CHECK(ring.waits() == (i < 3 ? 0u : i - 2u));
  }
  CHECK(count_of("cuEventSynchronize") == 2 && count_of("cuStreamSynchronize") == 0);
  stream.synchronize();
  for (unsigned i = 0; i < 5; ++i) CHECK(*static_cast<unsigned char*>(fake().shadow(target.data() + 32u * i + 31, 1)) == i);
}

SCENARIO(ring_does_not_grow_while_slots_come_free) {
  const Device device(0);
  const Stream stream(device);
  const Buffer target(device, 32);
  PinnedRing ring(device, 4);
  const std::vector<unsigned char> frame(32, 9);
  for (int i = 0; i < 6; ++i) {
    ring.upload(target.data(), frame.data(), 32, stream);
    fake().run_all();  // time passes between two frames
  }
  CHECK(ring.slots() == 1 && ring.waits() == 0 && ring.bytes() == 32 && count_of("cuMemHostAlloc") == 1);
}

SCENARIO(ring_waits_for_the_oldest_only) {
  const Device device(0);
  const Stream stream(device);
  const Buffer target(device, 64);
  PinnedRing ring(device, 2);
  const std::vector<unsigned char> frame(32, 9);
  ring.upload(target.data(), frame.data(), 32, stream);
  ring.upload(target.data(), frame.data(), 32, stream);
  CHECK(fake().pending() == 4);  // two copies, two events
  ring.upload(target.data(), frame.data(), 32, stream);
  CHECK(fake().pending() == 4 && ring.waits() == 1);  // the first pair is done, the second is not
  stream.synchronize();
}

SCENARIO(ring_takes_the_slot_that_is_free_whichever_it_is) {
  const Device device(0);
  const Stream slow(device), quick(device);
  const Buffer one(device, 32), two(device, 32);
  PinnedRing ring(device, 2);
  const std::vector<unsigned char> frame(32, 9);
  ring.upload(one.data(), frame.data(), 32, slow);
  ring.upload(two.data(), frame.data(), 32, quick);
  fake().run(quick.handle(), 2);
  ring.upload(two.data(), frame.data(), 32, quick);  // into the second slot, though the first is older
  CHECK(ring.slots() == 2 && ring.waits() == 0);
  slow.synchronize();
  quick.synchronize();
}

SCENARIO(ring_takes_larger_frames) {
  const Device device(0);
  const Stream stream(device);
  const Buffer target(device, 4096);
  PinnedRing ring(device, 1);
  std::vector<unsigned char> frame(4096);
  std::iota(frame.begin(), frame.end(), 0);
  ring.upload(target.data(), frame.data(), 100, stream);
  ring.upload(target.data(), frame.data(), 4096, stream);  // the only slot is busy, and too small
  CHECK(ring.slots() == 1 && ring.bytes() == 4096 && ring.waits() == 1);
  stream.synchronize();
  CHECK(std::memcmp(fake().shadow(target.data(), 4096), frame.data(), 4096) == 0);
  ring.upload(target.data(), frame.data(), 10, stream);
  CHECK(ring.bytes() == 4096);
  ring.upload(target.data(), frame.data(), 0, stream);
  stream.synchronize();
}

SCENARIO(ring_packs_rows) {
  const Device device(0);
  const Stream stream(device);
  const Buffer target(device, 6);
  PinnedRing ring(device);
  const unsigned char frame[] = {1, 2, 3, 99, 4, 5, 6, 99};
  ring.upload_rows(target.data(), frame, 4, {3, 2}, stream);
  stream.synchronize();
  const unsigned char wanted[] = {1, 2, 3, 4, 5, 6};
  CHECK(std::memcmp(fake().shadow(target.data(), 6), wanted, 6) == 0);
  CHECK(count_of("cuMemcpyHtoDAsync_v2") == 1);
  expect<std::invalid_argument>([&] { ring.upload_rows(target.data(), frame, 2, {3, 2}, stream); }, {"at least 3 bytes apart, got 2"});
  expect<std::invalid_argument>([&] { PinnedRing(device, 0); }, {"max_slots: expected at least 1, got 0"});
}

SCENARIO(ring_that_goes_waits_for_its_copies) {
  const Device device(0);
  const Stream stream(device);
  const Buffer target(device, 32);
  const std::vector<unsigned char> frame(32, 9);
  {
    PinnedRing ring(device);
    ring.upload(target.data(), frame.data(), 32, stream);
    ring.upload(target.data(), frame.data(), 32, stream);
  }
  CHECK(fake().pending() == 0 && first_byte(target) == 9);
}

SCENARIO(kernels_run_with_their_struct) {
  fake().add_kernel("set_bytes", sizeof(Parameters), 128);
  int runs = 0;
  fake().set_callback(set_bytes, &runs);
  const Device device(0);
  const Stream stream(device);
  const Buffer target(device, 300);
  const Kernel kernel = Module(device, "setting", image()).kernel("set_bytes");  // outlives its Module
  CHECK(kernel.op() == "setting" && kernel.name() == "set_bytes" && kernel.max_threads() == 128);
  launch(kernel, {{blocks_for(300, 128)}, {128}}, stream, Parameters{target.data(), 300, 8});
  CHECK(runs == 0);
  stream.synchronize();
  CHECK(runs == 1 && first_byte(target) == 8);
  static_assert(blocks_for(1, 128) == 1 && blocks_for(128, 128) == 1 && blocks_for(129, 128) == 2);
}

SCENARIO(launches_that_cannot_be_are_told) {
  fake().add_kernel("set_bytes", sizeof(Parameters), 128);
  fake().set_device(2, 87, 13000, std::uint64_t{1} << 30);
  const Device device(0), second(1);
  const Stream stream(device), elsewhere(second);
  const Buffer target(device, 300);
  const Module module(device, "setting", image());
  const Kernel kernel = module.kernel("set_bytes");
  const Parameters p{target.data(), 1, 8};
  expect<std::invalid_argument>([&] { launch(kernel, {{1}, {129}}, stream, p); },
                                {"setting: launch of set_bytes, grid (1, 1, 1), block (129, 1, 1)", "expected 1 to 128 threads"});
  expect<std::invalid_argument>([&] { launch(kernel, {{1}, {0}}, stream, p); }, {"got 0"});
  expect<std::invalid_argument>([&] { launch(kernel, {{0}, {1}}, stream, p); }, {"grid (0, 1, 1)", "expected a grid of 1"});
  expect<std::invalid_argument>([&] { launch(kernel, {{1, 65536}, {1}}, stream, p); }, {"grid (1, 65536, 1)"});
  expect<std::invalid_argument>([&] { launch(kernel, {{1}, {1}}, elsewhere, p); }, {"loaded on cuda:0, the stream is of cuda:1"});
  expect<CudaError>([&] { launch(kernel, {{1}, {1}, 1 << 20}, stream, p); },
                    {"1048576 bytes of dynamic shared memory: cuLaunchKernel failed: CUDA_ERROR_INVALID_VALUE"});
  expect<CudaError>([&] { module.kernel("sett_bytes"); }, {"setting: kernel sett_bytes: cuModuleGetFunction failed: CUDA_ERROR_NOT_FOUND"});
  expect<std::invalid_argument>([&] { Module(device, "setting", {}); }, {"setting: expected a compiled image, got none"});
  const std::string_view bad = "no image";
  expect<CudaError>([&] { Module(device, "setting", {reinterpret_cast<const std::byte*>(bad.data()), bad.size()}); },
                    {"setting: kernels for SM 87: cuModuleLoadData failed: CUDA_ERROR_INVALID_IMAGE"});
  expect<affectrt::DeviceError>([&] { Module(device, "no_such_op"); },
                                {"no_such_op: this build has no kernel for SM 87 with a driver of CUDA 13.0"});
}

SCENARIO(images_are_chosen_by_architecture_and_driver) {
  const char a = 'a', b = 'b', c = 'c', d = 'd';
  const KernelImage images[] = {
      {"op", &a, 1, 0, 13000, 0}, {"op", &b, 1, 87, 12060, 13000}, {"op", &c, 1, 0, 12060, 13000}, {"other", &d, 1}};
  const auto chosen = [&](const char* op, int sm, int driver) {
    const auto found = choose_image(images, op, sm, driver);
    return found.empty() ? '-' : static_cast<char>(found[0]);
  };
  CHECK(chosen("op", 87, 12060) == 'b' && chosen("op", 87, 12090) == 'b' && chosen("op", 89, 12060) == 'c');
  CHECK(chosen("op", 87, 13000) == 'a' && chosen("op", 120, 13010) == 'a');
  CHECK(chosen("op", 87, 12050) == '-' && chosen("none", 87, 13000) == '-' && chosen("other", 75, 12060) == 'd');
}

SCENARIO(graphs_are_captured_once_and_run_again) {
  int runs = 0;
  fake().set_callback(set_bytes, &runs);
  const Device device(0);
  const Stream stream(device), other(device);
  const Buffer target(device, 16), copy(device, 16);
  const Kernel kernel = Module(device, "setting", image()).kernel("set_bytes");
  const Graph graph = Graph::capture(stream, [&] {
    launch(kernel, {{1}, {32}}, stream, Parameters{target.data(), 16, 6});
    copy_on_device(copy.data(), target.data(), 16, stream);
  });
  stream.synchronize();
  CHECK(runs == 0);  // capturing runs nothing
  graph.launch(stream);
  graph.launch(stream);
  other.wait(stream);
  fill(target.data(), 1, 16, other);
  other.synchronize();
  CHECK(runs == 2 && first_byte(copy) == 6 && count_of("cuLaunchKernel") == 1 && count_of("cuGraphDestroy") == 1);
}

SCENARIO(a_capture_that_fails_leaves_the_stream_usable) {
  const Device device(0);
  const Stream stream(device);
  Buffer buffer(device, 16);
  expect<std::runtime_error>([&] { Graph::capture(stream, [] { throw std::runtime_error("work gave up"); }); }, {"work gave up"});
  // What must not be in a capture breaks it, and the first error is the one that is told.
  expect<CudaError>([&] { Graph::capture(stream, [&] { buffer.reserve(1000); }); },
                    {"device buffer of 1000 bytes: cuMemAlloc_v2 failed: CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"});
  expect<CudaError>([&] { Graph::capture(stream, [&] { stream.synchronize(); }); }, {"cuStreamSynchronize", "CAPTURE_UNSUPPORTED"});
  // Hidden by the work, it comes out at the end.
  expect<CudaError>(
      [&] {
        Graph::capture(stream, [&] {
          try {
            buffer.reserve(1000);
          } catch (const CudaError&) {
          }
        });
      },
      {"capture of a graph: cuStreamEndCapture failed: CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"});
  const Graph graph = Graph::capture(stream, [&] { fill(buffer.data(), 2, 16, stream); });
  graph.launch(stream);
  stream.synchronize();
  CHECK(first_byte(buffer) == 2);
}
