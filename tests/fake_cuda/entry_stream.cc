// Streams and events.
#include "call.h"

using namespace fake;

namespace {

constexpr int kPatience = 1000;  // queries in a row that find nothing done, until time is let pass

// What a query finds undone stays undone until somebody waits; but whoever only polls gets on in the end.
Result not_ready(State& s) {
  if (++s.query_misses < kPatience) return kNotReady;
  s.query_misses = 0;
  run_all();
  return kSuccess;
}

// The captured work of a stream can be neither waited for nor asked about.
bool breaks_capture(StreamObject* stream) {
  if (!stream || !stream->capturing) return false;
  stream->broken = true;
  return true;
}

}  // namespace

FAKE_EXPORT Result cuStreamCreateWithPriority(StreamHandle* out, unsigned flags, int priority) {
  return enter("cuStreamCreateWithPriority", Kind::kWork, Line().number("flags", flags).raw("priority", std::to_string(priority)),
               [&](State& s, Line& line) {
                 auto* stream = s.make(StreamObject{});
                 stream->number = static_cast<int>(s.streams.size()) + 1;
                 stream->context = current_context();
                 s.streams.push_back(stream);
                 s.live[stream] = "stream " + std::to_string(stream->number);
                 *out = stream;
                 line.address("stream", stream);
                 return kSuccess;
               });
}

FAKE_EXPORT Result cuStreamDestroy_v2(StreamHandle stream) {
  return enter("cuStreamDestroy_v2", Kind::kReleases, Line().address("stream", stream), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuStreamDestroy_v2", stream)) return result;
    if (stream->capturing) violation("cuStreamDestroy_v2: stream " + std::to_string(stream->number) + " is capturing");
    stream->capturing = false;
    run_until(stream, stream->issued);  // the real one lets pending work end by itself
    s.live.erase(stream);
    return kSuccess;
  });
}

FAKE_EXPORT Result cuStreamSynchronize(StreamHandle handle) {
  return enter("cuStreamSynchronize", Kind::kWork, Line().address("stream", handle), [&](State& s, Line&) {
    StreamObject* stream = stream_of("cuStreamSynchronize", handle);
    if (!stream) return kInvalidHandle;
    if (breaks_capture(stream)) return kCaptureUnsupported;
    run_until(stream, stream->issued);
    join(s.host_clock, stream->clock);
    return s.dead;
  });
}

FAKE_EXPORT Result cuStreamQuery(StreamHandle handle) {
  return enter("cuStreamQuery", Kind::kWork, Line().address("stream", handle), [&](State& s, Line&) {
    StreamObject* stream = stream_of("cuStreamQuery", handle);
    if (!stream) return kInvalidHandle;
    if (breaks_capture(stream)) return kCaptureUnsupported;
    if (!stream->queue.empty())
      if (const Result result = not_ready(s)) return result;
    join(s.host_clock, stream->clock);
    return s.dead;
  });
}

FAKE_EXPORT Result cuStreamWaitEvent(StreamHandle handle, EventHandle event, unsigned flags) {
  return enter("cuStreamWaitEvent", Kind::kWork, Line().address("stream", handle).address("event", event).number("flags", flags),
               [&](State& s, Line&) {
                 StreamObject* stream = stream_of("cuStreamWaitEvent", handle);
                 if (!stream || check_live(s, "cuStreamWaitEvent", event)) return kInvalidHandle;
                 if (event->captured_on || stream->capturing) {
                   if (event->captured_on == stream) return kSuccess;  // ordered by the stream itself
                   if (stream->capturing) stream->broken = true;
                   return stream->capturing ? Result{905} : kCaptureUnsupported;  // a capture of two streams is not imitated
                 }
                 if (!event->point) return kSuccess;  // never recorded: nothing to wait for
                 Operation operation;
                 operation.what = "wait for an event";
                 operation.waits = event->point;
                 return enqueue(stream, std::move(operation));
               });
}

FAKE_EXPORT Result cuEventCreate(EventHandle* out, unsigned flags) {
  return enter("cuEventCreate", Kind::kWork, Line().number("flags", flags), [&](State& s, Line& line) {
    auto* event = s.make(EventObject{});
    event->context = current_context();
    event->timed = !(flags & kEventDisableTiming);
    s.live[event] = "event";
    *out = event;
    line.address("event", event);
    return kSuccess;
  });
}

FAKE_EXPORT Result cuEventDestroy_v2(EventHandle event) {
  return enter("cuEventDestroy_v2", Kind::kReleases, Line().address("event", event), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuEventDestroy_v2", event)) return result;
    s.live.erase(event);
    return kSuccess;
  });
}

FAKE_EXPORT Result cuEventRecord(EventHandle event, StreamHandle handle) {
  return enter("cuEventRecord", Kind::kWork, Line().address("event", event).address("stream", handle), [&](State& s, Line&) {
    StreamObject* stream = stream_of("cuEventRecord", handle);
    if (!stream || check_live(s, "cuEventRecord", event)) return kInvalidHandle;
    event->captured_on = stream->capturing ? stream : nullptr;
    if (stream->capturing) return kSuccess;
    event->point = std::make_shared<Point>();
    Operation operation;
    operation.what = "event";
    operation.marks = event->point;
    return enqueue(stream, std::move(operation));
  });
}

FAKE_EXPORT Result cuEventQuery(EventHandle event) {
  return enter("cuEventQuery", Kind::kWork, Line().address("event", event), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuEventQuery", event)) return result;
    if (breaks_capture(event->captured_on)) return kCaptureUnsupported;
    if (!event->point) return kSuccess;
    if (!event->point->reached)
      if (const Result result = not_ready(s)) return result;
    join(s.host_clock, event->point->clock);
    return s.dead;
  });
}

FAKE_EXPORT Result cuEventSynchronize(EventHandle event) {
  return enter("cuEventSynchronize", Kind::kWork, Line().address("event", event), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuEventSynchronize", event)) return result;
    if (breaks_capture(event->captured_on)) return kCaptureUnsupported;
    if (!event->point) return kSuccess;
    run_until(event->point->stream, event->point->number);
    join(s.host_clock, event->point->clock);
    return s.dead;
  });
}

FAKE_EXPORT Result cuEventElapsedTime(float* ms, EventHandle from, EventHandle to) {
  return enter("cuEventElapsedTime", Kind::kWork, Line().address("from", from).address("to", to), [&](State& s, Line&) {
    if (check_live(s, "cuEventElapsedTime", from) || check_live(s, "cuEventElapsedTime", to)) return kInvalidHandle;
    if (!from->timed || !to->timed || !from->point || !to->point) return kInvalidHandle;
    if (!from->point->reached || !to->point->reached) return kNotReady;
    *ms = static_cast<float>(to->point->at_ms - from->point->at_ms);
    return kSuccess;
  });
}
