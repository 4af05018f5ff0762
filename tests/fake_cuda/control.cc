#include "control.h"

#include <cstdio>
#include <cstdlib>

#include "call.h"

using namespace fake;

namespace {

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

std::string leaks(const State& s) {
  std::string text;
  for (const auto& [handle, name] : s.live) text += name + "\n";
  for (const auto& [begin, allocation] : s.device) text += std::to_string(allocation.bytes) + " bytes of device memory\n";
  for (const auto& [begin, allocation] : s.host)
    if (!allocation.freed)
      text += std::to_string(allocation.bytes) + " bytes of " + (allocation.registered ? "registered" : "page-locked") + " memory\n";
  return text;
}

const char* keep(std::string text) {
  static auto* kept = new std::string;
  *kept = std::move(text);
  return kept->c_str();
}

// For a process that cannot be asked any more: AFFECTRT_FAKE_CUDA_REPORT names a file for violations and leaks at its end.
__attribute__((destructor)) void report() {
  const char* path = std::getenv("AFFECTRT_FAKE_CUDA_REPORT");
  if (!path || !*path) return;
  const State& s = state();
  if (FILE* file = std::fopen(path, "w")) {
    std::fprintf(file, "calls %ld\n", s.calls);
    for (const auto& line : s.violations) std::fprintf(file, "violation %s\n", line.c_str());
    const std::string left = leaks(s);
    for (std::size_t at = 0; at < left.size();) {
      const std::size_t end = left.find('\n', at);
      std::fprintf(file, "leak %s\n", left.substr(at, end - at).c_str());
      at = end + 1;
    }
    std::fclose(file);
  }
}

}  // namespace

#define LOCKED        \
  State& s = state(); \
  const std::lock_guard lock(s.mutex)

FAKE_EXPORT void fake_cuda_reset() {
  LOCKED;
  run_all();
  apply_environment(s);
  s.memory_bytes = State{}.memory_bytes;
  s.fail_at = s.calls = 0;
  s.fail_later_too = s.fired = false;
  s.callback = nullptr;
  s.kernels.clear();
  s.dead = kSuccess;
  s.query_misses = 0;
  s.log.clear();
  s.violations.clear();
  for (auto& [begin, allocation] : s.device) allocation.past.clear();
}

FAKE_EXPORT void fake_cuda_set_device(int count, int sm, int driver_version, std::uint64_t memory_bytes) {
  LOCKED;
  s.device_count = count;
  s.sm = sm;
  s.driver_version = driver_version;
  s.memory_bytes = memory_bytes;
}

FAKE_EXPORT void fake_cuda_set_eager(int eager) {
  LOCKED;
  s.eager = eager != 0;
}

FAKE_EXPORT void fake_cuda_fail_at(long call, int code, int all_later) {
  LOCKED;
  s.fail_at = call;
  s.fail_code = code;
  s.fail_later_too = all_later != 0;
  s.fired = false;
}

FAKE_EXPORT int fake_cuda_fired() {
  LOCKED;
  return s.fired;
}

FAKE_EXPORT long fake_cuda_calls() {
  LOCKED;
  return s.calls;
}

FAKE_EXPORT void fake_cuda_run_all() {
  LOCKED;
  run_all();
}

FAKE_EXPORT void fake_cuda_run(void* handle, long count) {
  LOCKED;
  StreamObject* stream = stream_of("fake_cuda_run", static_cast<StreamHandle>(handle));
  for (; stream && count > 0 && !stream->queue.empty(); --count) run_until(stream, stream->queue.front().number);
}

FAKE_EXPORT long fake_cuda_pending() {
  LOCKED;
  long pending = 0;
  for (const StreamObject* stream : s.streams) pending += static_cast<long>(stream->queue.size());
  return pending;
}

FAKE_EXPORT void fake_cuda_set_callback(LaunchCallback callback, void* user) {
  LOCKED;
  s.callback = callback;
  s.callback_user = user;
}

FAKE_EXPORT void fake_cuda_add_kernel(const char* name, std::size_t parameter_bytes, int max_threads) {
  LOCKED;
  s.kernels[name] = {parameter_bytes, max_threads};
}

FAKE_EXPORT void* fake_cuda_shadow(std::uint64_t data, std::size_t bytes) {
  LOCKED;
  const Allocation* allocation = allocation_at(data);
  return allocation && allocation_at(data + bytes - 1) == allocation ? resolve("fake_cuda_shadow", data, bytes) : nullptr;
}

FAKE_EXPORT void fake_cuda_touch(std::uint64_t data, std::size_t bytes, int write) {
  LOCKED;
  s.touched = true;
  const std::string what = s.running ? s.running->what : "fake_cuda_touch";
  if (!s.running || !resolve(what, data, bytes)) return;
  touch(*s.running, {data, bytes, write != 0});
}

FAKE_EXPORT int fake_cuda_enqueue(void* handle, const char* what, int (*run)(void*), void (*drop)(void*), void* user) {
  const std::shared_ptr<void> held(user, drop);
  LOCKED;
  StreamObject* stream = stream_of("fake_cuda_enqueue", static_cast<StreamHandle>(handle));
  if (!stream) return kInvalidHandle;
  Operation operation;
  operation.what = what;
  operation.scan = true;
  operation.run = [run, held] { return static_cast<Result>(run(held.get())); };
  return enqueue(stream, std::move(operation));
}

FAKE_EXPORT int fake_cuda_begin_capture(void* handle) {
  LOCKED;
  StreamObject* stream = stream_of("fake_cuda_begin_capture", static_cast<StreamHandle>(handle));
  if (!stream) return kInvalidHandle;
  // Whoever captures waits for the stream first, which the capture of another forbids.
  if (const Result refused = unless_captured_globally()) return refused;
  run_until(stream, stream->issued);
  stream->capturing = stream->global = true;
  stream->broken = false;
  stream->capture_thread = std::this_thread::get_id();
  return kSuccess;
}

FAKE_EXPORT int fake_cuda_end_capture(void* handle) {
  LOCKED;
  StreamObject* stream = stream_of("fake_cuda_end_capture", static_cast<StreamHandle>(handle));
  if (!stream) return kInvalidHandle;
  stream->capturing = stream->global = false;
  stream->captured.clear();
  return stream->broken ? kCaptureInvalidated : kSuccess;
}

FAKE_EXPORT int fake_cuda_unsafe() {
  LOCKED;
  return unless_captured_globally();
}

FAKE_EXPORT const char* fake_cuda_log() {
  LOCKED;
  return keep(joined(s.log));
}

FAKE_EXPORT const char* fake_cuda_violations() {
  LOCKED;
  return keep(joined(s.violations));
}

FAKE_EXPORT const char* fake_cuda_leaks() {
  LOCKED;
  return keep(leaks(s));
}
