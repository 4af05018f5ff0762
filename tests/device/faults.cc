// Each call of the driver fails in turn: the error names it, nothing is left alive, and the same work succeeds afterwards.
#include <cstring>
#include <set>

#include "affectrt/device/graph.h"
#include "affectrt/device/launch.h"
#include "affectrt/device/pinned_ring.h"
#include "harness.h"

using namespace affectrt::cuda;
using harness::expect;
using harness::Failure;
using harness::fake;

namespace {

constexpr const char* kImage = "any image";
constexpr int kIllegalAddress = 700;

struct Parameters {
  DevicePtr data;
};

// Name of call `number` in the log.
std::string called(long number) {
  const std::string log = fake().log(), mark = "{\"call\": " + std::to_string(number) + ", \"name\": \"";
  const std::size_t at = log.find(mark);
  if (at == std::string::npos) throw Failure("call " + std::to_string(number) + " is not in the log");
  return log.substr(at + mark.size(), log.find('"', at + mark.size()) - at - mark.size());
}

// What destructors call, whose failures have nobody to go to.
bool gives_back(const std::string& name) {
  for (const char* part : {"Destroy", "cuMemFree", "Unload", "Unregister", "Release", "PopCurrent", "ExchangeStreamCaptureMode"})
    if (name.find(part) != std::string::npos) return true;
  return false;
}

// `must` are functions whose failure must come out as an error at least once.
void each_call_fails(const std::function<void()>& work, const std::set<std::string>& must, int code, bool all_later) {
  Driver::get();  // opened before anything is counted
  fake().reset();
  work();
  const long calls = fake().calls();
  if (calls < 10) throw Failure("expected work of at least 10 calls, got " + std::to_string(calls));
  std::set<std::string> told;
  for (long n = 1; n <= calls; ++n) {
    fake().reset();
    fake().fail_at(n, code, all_later);
    std::string error;
    try {
      work();
    } catch (const CudaError& e) {
      error = e.what();
      if (e.code() != code) throw Failure("call " + std::to_string(n) + ": expected code " + std::to_string(code) + " in: " + error);
    }
    const std::string name = called(n), where = "call " + std::to_string(n) + ", " + name + ": ";
    if (!fake().fired()) throw Failure(where + "the fault was not injected");
    if (!error.empty()) {
      told.insert(name);
      // Where all later calls fail as well, a destructor's may be the first, and then the next one is told.
      bool named = false;
      for (long i = n; i <= (all_later ? fake().calls() : n); ++i)
        named = named || error.find(": " + called(i) + " failed: CUDA_ERROR_") != std::string::npos;
      if (!named) throw Failure(where + "is not named in: " + error);
    } else if (!gives_back(name) && name.find("cuCtx") == std::string::npos) {
      // The guard and the wait of a destructor swallow; everybody else must tell.
      throw Failure(where + "failed, and nobody was told");
    }
    const std::string left = fake().leaks(), wrong = fake().violations();
    if (!left.empty()) throw Failure(where + "left alive " + left);
    if (!wrong.empty()) throw Failure(where + "led to " + wrong);

    fake().reset();
    work();
    if (const std::string again = fake().violations(); !again.empty()) throw Failure(where + "then " + again);
  }
  for (const std::string& name : must)
    if (!all_later && !told.count(name)) throw Failure(name + ": expected an error when it fails");
}

void both_ways(const std::function<void()>& work, const std::set<std::string>& must) {
  each_call_fails(work, must, kOutOfMemory, false);
  each_call_fails(work, must, kIllegalAddress, true);
}

}  // namespace

SCENARIO(driver_opens_after_failures) {
  fake().fail_at(1, 999, 0);
  expect<affectrt::DeviceError>([] { Driver::get(); }, {"version of the NVIDIA driver: cuDriverGetVersion failed: error 999"});
  fake().reset();
  fake().fail_at(2, kNotInitialized, 0);
  expect<CudaError>([] { Driver::get(); },
                    {"starting the NVIDIA driver: cuInit failed: CUDA_ERROR_NOT_INITIALIZED 3 (initialization error)"});
  CHECK(Driver::find() == nullptr);
  fake().reset();
  fake().set_device(1, 87, 12040, 1);
  expect<affectrt::DeviceError>([] { Driver::get(); }, {"the NVIDIA driver is too old: expected CUDA 12.6 or newer, got CUDA 12.4"});
  fake().set_device(0, 87, 13000, 1);
  expect<CudaError>([] { Driver::get(); }, {"cuInit failed: CUDA_ERROR_NO_DEVICE 100 (no CUDA-capable device is detected)"});
  fake().reset();
  const Driver& driver = Driver::get();
  CHECK(&driver == Driver::find() && driver.version() == 13000 && version_text(12060) == "12.6");
  expect<CudaError>([&] { driver.check(4321, "cuThing", "doing it"); }, {"doing it: cuThing failed: an unknown error 4321"});
  driver.check(kSuccess, "cuThing", "doing it");
}

SCENARIO(faults_while_devices_are_asked) {
  both_ways(
      [] {
        devices();
        devices();
      },
      {"cuDeviceGetCount", "cuDeviceGet", "cuDeviceGetName", "cuDeviceGetAttribute", "cuDeviceTotalMem_v2"});
}

SCENARIO(faults_of_memory_and_copies) {
  both_ways(
      [] {
        const Device device(0);
        const Stream stream(device);
        Buffer buffer(device, 64), other(device, 64);
        buffer.reserve(128);
        PinnedBuffer pinned(device, 64);
        std::vector<unsigned char> ours(64), far(64);
        const RegisteredMemory registered(device, ours.data(), ours.size());
        copy_to_device(buffer.data(), pinned.data(), 64, stream);
        copy_on_device(other.data(), buffer.data(), 64, stream);
        fill(buffer.data(), 1, 64, stream);
        copy_rows_to_device(buffer.data(), 8, far.data(), 8, {8, 8}, stream);
        copy_to_host(far.data(), other.data(), 64, stream);
        copy_to_host(ours.data(), other.data(), 64, stream);
        stream.synchronize();
      },
      {"cuDevicePrimaryCtxRetain", "cuCtxGetCurrent", "cuCtxPushCurrent_v2", "cuStreamCreateWithPriority", "cuMemAlloc_v2",
       "cuMemHostAlloc", "cuMemHostRegister_v2", "cuMemcpyHtoDAsync_v2", "cuMemcpyDtoDAsync_v2", "cuMemsetD8Async", "cuMemcpy2DAsync_v2",
       "cuMemcpyDtoHAsync_v2", "cuStreamSynchronize"});
}

SCENARIO(faults_of_streams_and_events) {
  both_ways(
      [] {
        const Device device(0);
        const Stream one(device), two(device);
        Event from(device, true), to(device, true);
        from.record(one);
        two.wait(from);
        two.wait(one);
        one.wait_foreign(reinterpret_cast<StreamHandle>(kLegacyStream));
        one.release_to_foreign(reinterpret_cast<StreamHandle>(kPerThreadStream));
        to.record(one);
        static_cast<void>(to.done());
        static_cast<void>(one.done());
        to.synchronize();
        to.ms_since(from);
        two.synchronize();
      },
      {"cuEventCreate", "cuEventRecord", "cuStreamWaitEvent", "cuEventQuery", "cuStreamQuery", "cuEventSynchronize", "cuEventElapsedTime",
       "cuThreadExchangeStreamCaptureMode"});
}

SCENARIO(faults_of_modules_and_launches) {
  both_ways(
      [] {
        const Device device(0);
        const Stream stream(device);
        const Buffer buffer(device, 64);
        const Module module(device, "setting", {reinterpret_cast<const std::byte*>(kImage), std::strlen(kImage) + 1});
        const Kernel kernel = module.kernel("set_bytes"), second = module.kernel("more");
        launch(kernel, {{1}, {32}}, stream, Parameters{buffer.data()});
        launch(second, {{1}, {32}}, stream, Parameters{buffer.data()});
        stream.synchronize();
      },
      {"cuModuleLoadData", "cuModuleGetFunction", "cuFuncGetAttribute", "cuLaunchKernel"});
}

SCENARIO(faults_of_graphs) {
  both_ways(
      [] {
        const Device device(0);
        const Stream stream(device);
        const Buffer buffer(device, 64);
        const Graph graph = Graph::capture(stream, [&] {
          fill(buffer.data(), 1, 64, stream);
          fill(buffer.data(), 2, 64, stream);
        });
        graph.launch(stream);
        graph.launch(stream);
        stream.synchronize();
      },
      {"cuStreamBeginCapture_v2", "cuMemsetD8Async", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphLaunch"});
}

SCENARIO(faults_of_the_ring) {
  both_ways(
      [] {
        const Device device(0);
        const Stream stream(device);
        const Buffer target(device, 256);
        PinnedRing ring(device, 2);
        const std::vector<unsigned char> frame(256, 3);
        for (const std::size_t bytes : {64, 64, 256, 128}) ring.upload(target.data(), frame.data(), bytes, stream);
        stream.synchronize();
      },
      {"cuMemHostAlloc", "cuEventCreate", "cuEventQuery", "cuEventSynchronize", "cuEventRecord", "cuMemcpyHtoDAsync_v2"});
}

// The ring itself, not only its owner, lives through a failure.
SCENARIO(ring_goes_on_after_each_fault) {
  const Device device(0);
  const Stream stream(device);
  const Buffer target(device, 256);
  std::vector<unsigned char> frame(256);
  for (long n = 1; n <= 40; ++n) {
    PinnedRing ring(device, 2);
    fake().reset();
    fake().fail_at(n, kOutOfMemory, 0);
    for (unsigned char i = 0; i < 6; ++i) {
      std::fill(frame.begin(), frame.end(), i);
      try {
        ring.upload(target.data(), frame.data(), i % 2 ? 64 : 256, stream);
      } catch (const CudaError&) {
      }
    }
    fake().fail_at(0, 0, 0);
    ring.upload(target.data(), frame.data(), 256, stream);
    stream.synchronize();
    CHECK(ring.slots() <= 2);
    CHECK(std::memcmp(fake().shadow(target.data(), 256), frame.data(), 256) == 0);
    const std::string wrong = fake().violations();
    if (!wrong.empty()) throw Failure("call " + std::to_string(n) + ": " + wrong);
  }
}

// A kernel that fails on the device is told where somebody waits, and everything can still be given back.
SCENARIO(failures_on_the_device_come_out_at_the_wait) {
  fake().set_callback(
      [](const char*, const unsigned*, const unsigned*, unsigned, const void*, std::size_t, void*) { return kLaunchFailed; }, nullptr);
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 64);
  const Kernel kernel = Module(device, "setting", {reinterpret_cast<const std::byte*>(kImage), 10}).kernel("set_bytes");
  launch(kernel, {{1}, {32}}, stream, Parameters{buffer.data()});
  expect<CudaError>([&] { stream.synchronize(); }, {"waiting for a stream: cuStreamSynchronize failed: CUDA_ERROR_LAUNCH_FAILED"});
  expect<CudaError>([&] { fill(buffer.data(), 0, 1, stream); }, {"CUDA_ERROR_LAUNCH_FAILED"});
}
