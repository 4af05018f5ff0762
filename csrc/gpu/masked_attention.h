// Launches of ops/masked_attention.cu.
#pragma once

#include "affectrt/device/launch.h"
#include "affectrt/ops/ops.h"

namespace affectrt::gpu {

// What the CPU's op takes, on a GPU: contiguous; query, keys, value and out all float32 or all float16, speakers int64, mask bytes or 0.
struct MaskedAttentionArrays {
  cuda::DevicePtr query = 0, key_same = 0, key_other = 0, value = 0, speakers = 0, mask = 0, out = 0;
};

class MaskedAttentionKernels {
 public:
  // Throws DeviceError where this build has none for the device.
  explicit MaskedAttentionKernels(const cuda::Device& device);

  // Puts a launch on a stream of the device. Throws std::invalid_argument for sizes below 1 or values too wide for a warp, CudaError.
  void operator()(const MaskedAttention& sizes, const MaskedAttentionArrays& arrays, bool half, cuda::StreamHandle stream) const;

 private:
  cuda::Kernel f32_, f16_;
};

}  // namespace affectrt::gpu
