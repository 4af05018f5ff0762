// Frames of the host on the device: through a ring of page-locked memory, so that the camera's buffer is free again at once.
#pragma once

#include "affectrt/device/import.h"
#include "affectrt/device/pinned_ring.h"

namespace affectrt::gpu {

class FrameUpload {
 public:
  explicit FrameUpload(const cuda::Device& device) : ring_(device), frame_(device) {}

  // The picture on the device, its rows one after another; valid for work on the stream until the next upload. When this returns, `image`
  // is the caller's again.
  cuda::DeviceImage operator()(const ImageView& image, const cuda::Stream& stream);

  const cuda::PinnedRing& ring() const { return ring_; }

 private:
  cuda::PinnedRing ring_;
  cuda::Buffer frame_;
};

}  // namespace affectrt::gpu
