// image_to_tensor on the device: regions of a picture into the slots of a batch, in one launch whatever their number.
#pragma once

#include "affectrt/device/import.h"
#include "affectrt/device/launch.h"
#include "affectrt/ops/ops.h"

namespace affectrt::gpu {

class ImageToTensor {
 public:
  // Throws DeviceError if this build carries no kernels for the device.
  explicit ImageToTensor(const cuda::Device& device);

  // out: `slots` float32 pictures of the target one after another. regions: 6 floats a slot, as Affine has them. count: how many slots are
  // in use, an int on the device that may be written by work before this on the stream; 0: all of them.
  void operator()(const cuda::DeviceImage& image, cuda::DevicePtr regions, cuda::DevicePtr count, int slots, const TensorTarget& target,
                  cuda::DevicePtr out, const cuda::Stream& stream) const;

 private:
  cuda::Kernel kernel_;
};

}  // namespace affectrt::gpu
