// What the fake driver knows. One State for the process, behind one lock; entry points are in entry_*.cc, each wrapped by enter() of
// call.h; order.cc runs queues and finds races; memory.cc keeps addresses; control.cc is what tests call.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "affectrt/device/driver.h"

namespace fake {

using namespace affectrt::cuda;

// For each stream the number of its last operation that is known to come before: a vector clock.
using Clock = std::map<int, std::uint64_t>;
void join(Clock& clock, const Clock& other);

struct Access {
  DevicePtr begin = 0;
  std::size_t bytes = 0;
  bool write = false;
};

// A stretch of page-locked host memory that an operation will read or write when it runs.
struct HostRange {
  const std::byte* begin = nullptr;
  std::size_t bytes = 0;
  bool write = false;
  std::size_t digest = 0;  // of what was there when the operation was queued, for reads
};

// A record of an event: reached when the stream has come so far.
struct Point {
  StreamObject* stream = nullptr;
  std::uint64_t number = 0;
  Clock clock;
  bool reached = false;
  double at_ms = 0;
};

// Something on a stream. `run` returns what the device makes of it; `accesses` is what it touches on the device.
struct Operation {
  std::string what;
  std::function<Result()> run;
  std::vector<Access> accesses;
  std::vector<HostRange> host;
  std::shared_ptr<Point> marks, waits;  // sets a point; runs only after a point
  bool scan = false;                    // a launch: it touches what its callback tells, else `accesses`
  int stream = 0;
  std::uint64_t number = 0;
  Clock clock;
};

struct PastAccess {
  int stream = 0;
  std::uint64_t number = 0;
  Access access;
  std::string what;
};

struct Allocation {
  std::size_t bytes = 0;
  std::byte* shadow = nullptr;  // where the content really is
  int ordinal = 0;
  bool external = false;
  std::vector<PastAccess> past;
};

struct HostAllocation {
  std::size_t bytes = 0;
  bool registered = false;
  bool freed = false;
};

struct KernelEntry {
  std::size_t parameter_bytes = 0;  // 0: any
  int max_threads = 1024;
};

using LaunchCallback = int (*)(const char* kernel, const unsigned* grid, const unsigned* block, unsigned shared_bytes,
                               const void* parameters, std::size_t bytes, void* user);

struct State {
  std::recursive_mutex mutex;

  // The machine, and what the tests have asked for.
  int device_count = 1, sm = 87, driver_version = 13000;
  std::size_t memory_bytes = std::size_t{8} << 30;
  bool eager = false;
  long fail_at = 0;
  Result fail_code = 0;
  bool fail_later_too = false;
  LaunchCallback callback = nullptr;
  void* callback_user = nullptr;
  std::map<std::string, KernelEntry> kernels;  // empty: any name is a kernel

  // What has happened.
  bool initialised = false;
  bool fired = false;  // a fault was injected
  long calls = 0;
  Result dead = 0;  // an error on the device, or one injected for good: nothing runs any more, and every later call answers with it
  double now_ms = 0;
  std::vector<std::string> log, violations;

  // What there is. Objects are never deleted, so that a stale handle is recognised; `live` tells which are.
  std::map<const void*, std::string> live;
  std::map<int, ContextObject*> primary;
  std::vector<StreamObject*> streams;
  std::map<DevicePtr, Allocation> device, freed;
  std::map<const std::byte*, HostAllocation> host;
  Clock host_clock;
  int query_misses = 0;
  bool touched = false;  // a callback has told what its kernel touches
  Operation* running = nullptr;
  std::vector<std::shared_ptr<void>> made;  // every object there ever was

  template <class T>
  T* make(T object) {
    auto held = std::make_shared<T>(std::move(object));
    made.push_back(held);
    return held.get();
  }
};

State& state();
// The machine as AFFECTRT_FAKE_CUDA_DEVICES, _SM, _VERSION and _EAGER say.
void apply_environment(State& s);

// ---- memory.cc ----
std::string hex(DevicePtr value);
void violation(const std::string& text);
DevicePtr new_range(std::size_t bytes);
bool in_arena(DevicePtr address);
// The content behind a device range, or null after a violation that says what is wrong with it.
std::byte* resolve(const std::string& what, DevicePtr begin, std::size_t bytes);
Allocation* allocation_at(DevicePtr address);
// Page-locked memory that holds the range; null if it is ordinary memory. `wrong` is set, after a violation, if it is freed or too short.
const HostAllocation* pinned_at(const std::string& what, const void* begin, std::size_t bytes, bool& wrong);
std::size_t digest(const std::byte* begin, std::size_t bytes);

// ---- order.cc ----
Result enqueue(StreamObject* stream, Operation operation);
void run_until(StreamObject* stream, std::uint64_t number);
void run_all();
void touch(const Operation& operation, const Access& access);
// The stream behind a handle, also the two default ones; null after a violation if it is destroyed or none.
StreamObject* stream_of(const std::string& what, StreamHandle handle);
// kSuccess, or kCaptureUnsupported after breaking the capture that this thread has open.
Result unless_capturing();
// The same for captures in global mode, whichever thread has them open.
Result unless_captured_globally();

}  // namespace fake

namespace affectrt::cuda {

struct ContextObject {
  int ordinal = 0;
  int retained = 0;
};

struct StreamObject {
  int number = 0;
  ContextObject* context = nullptr;
  std::deque<fake::Operation> queue;
  std::uint64_t issued = 0;
  fake::Clock clock;
  bool capturing = false, broken = false;
  bool global = false;  // captured by another library, in global mode: what any thread does may break it
  std::thread::id capture_thread;
  std::vector<fake::Operation> captured;
};

struct EventObject {
  ContextObject* context = nullptr;
  bool timed = false;
  StreamObject* captured_on = nullptr;
  std::shared_ptr<fake::Point> point;
};

struct FunctionObject {
  std::string name;
  ModuleObject* module = nullptr;
};

struct ModuleObject {
  ContextObject* context = nullptr;
};

struct GraphObject {
  std::vector<fake::Operation> operations;
};

struct GraphExecObject {
  std::vector<fake::Operation> operations;
};

struct ExternalMemoryObject {
  std::byte* content = nullptr;
  std::size_t bytes = 0;
  std::set<DevicePtr> mappings;
};

}  // namespace affectrt::cuda
