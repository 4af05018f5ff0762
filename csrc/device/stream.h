// A stream: work that is put on it runs in order, beside the CPU and beside other streams.
#pragma once

#include "affectrt/device/event.h"
#include "affectrt/device/handle.h"

namespace affectrt::cuda {

class Stream {
 public:
  // Never waits for the legacy default stream. A lower number is a higher priority; the driver clamps it.
  explicit Stream(const Device& device, int priority = 0);

  void synchronize() const;
  // True once all work is done; does not wait.
  bool done() const;
  // Work that is put on this stream from now on starts after the event, or after what `other` has been given until now. A foreign handle
  // may be another library's stream, kLegacyStream or kPerThreadStream.
  void wait(const Event& event) const;
  void wait(const Stream& other) const;
  void wait_foreign(StreamHandle other) const;
  // The other way about: what a foreign stream gets from now on starts after all that this stream has been given.
  void release_to_foreign(StreamHandle other) const;

  // What ONNX Runtime takes as user_compute_stream.
  StreamHandle handle() const { return owned_.get(); }
  const std::shared_ptr<const Context>& context() const { return owned_.shared_context(); }
  const Driver& driver() const { return owned_.driver(); }

 private:
  Owned<StreamHandle, &Driver::cuStreamDestroy_v2> owned_;
};

static_assert(kMoveOnly<Stream>);

}  // namespace affectrt::cuda
