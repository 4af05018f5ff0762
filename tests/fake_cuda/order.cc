// Streams as queues that run as late as they may, and a vector clock on every operation: two that touch the same bytes, one of them
// writing, must be ordered by a stream, an event, or the host that waited. All host threads count as one, which orders their calls as they
// came.
#include <algorithm>

#include "call.h"
#include "state.h"

namespace fake {
namespace {

constexpr double kOperationMs = 0.001;

bool overlap(const Access& a, const Access& b) { return a.begin < b.begin + b.bytes && b.begin < a.begin + a.bytes; }

bool before(const PastAccess& past, const Operation& operation) {
  const auto known = operation.clock.find(past.stream);
  return known != operation.clock.end() && known->second >= past.number;
}

StreamObject* default_stream(std::uintptr_t which) {
  static StreamObject* streams[2] = {new StreamObject, new StreamObject};
  StreamObject* stream = streams[which == kPerThreadStream];
  if (!stream->number) {
    stream->number = static_cast<int>(state().streams.size()) + 1;
    state().streams.push_back(stream);
  }
  return stream;
}

void execute(Operation operation) {
  State& s = state();
  if (operation.waits && !operation.waits->reached) run_until(operation.waits->stream, operation.waits->number);
  s.now_ms += kOperationMs;
  for (const HostRange& range : operation.host)
    if (!s.dead && !range.write && range.digest != digest(range.begin, range.bytes))
      violation(operation.what + ": the host changed " + std::to_string(range.bytes) + " bytes before they had been copied");
  Operation* outer = s.running;
  s.running = &operation;
  s.touched = false;
  // After an error on the device nothing runs any more, but events are still reached.
  if (operation.run && !s.dead)
    if (const Result result = operation.run(); result != kSuccess) s.dead = result;
  if (!(operation.scan && s.touched))
    for (const Access& access : operation.accesses) touch(operation, access);
  s.running = outer;
  if (operation.marks) {
    operation.marks->reached = true;
    operation.marks->at_ms = s.now_ms;
  }
}

}  // namespace

void join(Clock& clock, const Clock& other) {
  for (const auto& [stream, number] : other) clock[stream] = std::max(clock[stream], number);
}

void touch(const Operation& operation, const Access& access) {
  if (access.bytes == 0) return;
  Allocation* memory = allocation_at(access.begin);
  if (!memory) return;  // told by resolve()
  for (const PastAccess& past : memory->past)
    if ((past.access.write || access.write) && overlap(past.access, access) && past.stream != operation.stream && !before(past, operation))
      violation("race: " + operation.what + " on stream " + std::to_string(operation.stream) + " and " + past.what + " on stream " +
                std::to_string(past.stream) + " touch the same memory at " + hex(std::max(access.begin, past.access.begin)) +
                " with nothing to order them");
  const auto covered = [&](const PastAccess& past) {
    return (access.write || !past.access.write) && before(past, operation) && past.access.begin >= access.begin &&
           past.access.begin + past.access.bytes <= access.begin + access.bytes;
  };
  memory->past.erase(std::remove_if(memory->past.begin(), memory->past.end(), covered), memory->past.end());
  memory->past.push_back({operation.stream, operation.number, access, operation.what});
}

StreamObject* stream_of(const std::string& what, StreamHandle handle) {
  const auto value = reinterpret_cast<std::uintptr_t>(handle);
  if (value <= kPerThreadStream) return default_stream(value);
  return check_live(state(), what.c_str(), handle) == kSuccess ? handle : nullptr;
}

Result enqueue(StreamObject* stream, Operation operation) {
  State& s = state();
  if (stream->capturing) {
    stream->captured.push_back(std::move(operation));
    return kSuccess;
  }
  operation.stream = stream->number;
  operation.number = ++stream->issued;
  join(stream->clock, s.host_clock);
  if (operation.waits) join(stream->clock, operation.waits->clock);
  stream->clock[stream->number] = operation.number;
  operation.clock = stream->clock;
  if (operation.marks) {
    operation.marks->stream = stream;
    operation.marks->number = operation.number;
    operation.marks->clock = stream->clock;
  }
  for (HostRange& range : operation.host) range.digest = range.write ? 0 : digest(range.begin, range.bytes);
  stream->queue.push_back(std::move(operation));
  if (s.eager) run_until(stream, stream->issued);
  return kSuccess;
}

void run_until(StreamObject* stream, std::uint64_t number) {
  while (!stream->queue.empty() && stream->queue.front().number <= number) {
    Operation operation = std::move(stream->queue.front());
    stream->queue.pop_front();
    execute(std::move(operation));
  }
}

void run_all() {
  for (std::size_t i = 0; i < state().streams.size(); ++i) run_until(state().streams[i], state().streams[i]->issued);
}

Result unless_capturing() {
  for (StreamObject* stream : state().streams)
    if (stream->capturing && stream->capture_thread == std::this_thread::get_id()) {
      stream->broken = true;
      return kCaptureUnsupported;
    }
  return kSuccess;
}

Result unless_captured_globally() {
  Result result = kSuccess;
  for (StreamObject* stream : state().streams)
    if (stream->capturing && stream->global) {
      stream->broken = true;
      result = kCaptureUnsupported;
    }
  return result;
}

}  // namespace fake
