#include "affectrt/device/stream.h"

namespace affectrt::cuda {
namespace {

// Work that `after` gets from now on starts when what `before` has been given is done. The event may go at once: the driver keeps what it
// stands for.
void order(const std::shared_ptr<const Context>& context, StreamHandle before, StreamHandle after) {
  const Driver& driver = context->driver();
  const ContextGuard guard(*context);
  const Event event(context);
  AFFECTRT_CUDA_CALL(driver, "order of two streams", cuEventRecord, event.handle(), before);
  AFFECTRT_CUDA_CALL(driver, "order of two streams", cuStreamWaitEvent, after, event.handle(), 0);
}

}  // namespace

Stream::Stream(const Device& device, int priority) {
  const ContextGuard guard(device);
  StreamHandle handle = nullptr;
  AFFECTRT_CUDA_CALL(device.context()->driver(), "stream on " + device.name(), cuStreamCreateWithPriority, &handle, kStreamNonBlocking,
                     priority);
  owned_ = {device.context(), handle};
}

void Stream::synchronize() const {
  const RelaxedCapture relaxed(driver());
  const ContextGuard guard(*context());
  AFFECTRT_CUDA_CALL(driver(), "waiting for a stream", cuStreamSynchronize, handle());
}

bool Stream::done() const {
  const RelaxedCapture relaxed(driver());
  const ContextGuard guard(*context());
  const Result result = driver().cuStreamQuery(handle());
  if (result == kNotReady) return false;
  driver().check(result, "cuStreamQuery", "state of a stream");
  return true;
}

void Stream::wait(const Event& event) const {
  const ContextGuard guard(*context());
  AFFECTRT_CUDA_CALL(driver(), "wait of a stream for an event", cuStreamWaitEvent, handle(), event.handle(), 0);
}

void Stream::wait(const Stream& other) const { order(context(), other.handle(), handle()); }
void Stream::wait_foreign(StreamHandle other) const { order(context(), other, handle()); }
void Stream::release_to_foreign(StreamHandle other) const { order(context(), handle(), other); }

Event::Event(const Device& device, bool timed) : Event(device.context(), timed) {}

Event::Event(const std::shared_ptr<const Context>& context, bool timed) {
  const ContextGuard guard(*context);
  EventHandle handle = nullptr;
  AFFECTRT_CUDA_CALL(context->driver(), "event", cuEventCreate, &handle, kEventBlockingSync | (timed ? 0 : kEventDisableTiming));
  owned_ = {context, handle};
}

void Event::record(const Stream& stream) {
  const ContextGuard guard(owned_.context());
  AFFECTRT_CUDA_CALL(owned_.driver(), "event on a stream", cuEventRecord, handle(), stream.handle());
}

bool Event::done() const {
  const RelaxedCapture relaxed(owned_.driver());
  const ContextGuard guard(owned_.context());
  const Result result = owned_.driver().cuEventQuery(handle());
  if (result == kNotReady) return false;
  owned_.driver().check(result, "cuEventQuery", "state of an event");
  return true;
}

void Event::synchronize() const {
  const RelaxedCapture relaxed(owned_.driver());
  const ContextGuard guard(owned_.context());
  AFFECTRT_CUDA_CALL(owned_.driver(), "waiting for an event", cuEventSynchronize, handle());
}

float Event::ms_since(const Event& from) const {
  const ContextGuard guard(owned_.context());
  float ms = 0;
  AFFECTRT_CUDA_CALL(owned_.driver(), "time between two events", cuEventElapsedTime, &ms, from.handle(), handle());
  return ms;
}

}  // namespace affectrt::cuda
