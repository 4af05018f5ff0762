// An event: a point in the work of a stream.
#pragma once

#include "affectrt/device/handle.h"

namespace affectrt::cuda {

class Stream;

class Event {
 public:
  // A timed event costs more to record. A thread that waits for it sleeps in either case.
  explicit Event(const Device& device, bool timed = false);
  explicit Event(const std::shared_ptr<const Context>& context, bool timed = false);

  // Marks the end of what the stream has been given until now.
  void record(const Stream& stream);
  // True once the marked work is done, and before the first record.
  bool done() const;
  void synchronize() const;
  // Milliseconds from `from` to this event. Both must be timed, recorded and done.
  float ms_since(const Event& from) const;

  EventHandle handle() const { return owned_.get(); }

 private:
  Owned<EventHandle, &Driver::cuEventDestroy_v2> owned_;
};

static_assert(kMoveOnly<Event>);

}  // namespace affectrt::cuda
