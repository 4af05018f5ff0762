// Launches of ops/emotion_layernorm.cu.
#pragma once

#include "affectrt/device/launch.h"
#include "affectrt/ops/ops.h"

namespace affectrt::gpu {

// What the CPU's op takes, on a GPU: contiguous, all float32 or all float16.
struct EmotionLayerNormArrays {
  cuda::DevicePtr x = 0, probs = 0, table = 0, gamma = 0, beta = 0, out = 0;
};

class EmotionLayerNormKernels {
 public:
  // Throws DeviceError where this build has none for the device.
  explicit EmotionLayerNormKernels(const cuda::Device& device);

  // Puts a launch on a stream of the device. Throws std::invalid_argument for sizes below 1 or a width that a block cannot hold, CudaError.
  void operator()(const EmotionLayerNorm& sizes, const EmotionLayerNormArrays& arrays, bool half, cuda::StreamHandle stream) const;

 private:
  cuda::Kernel f32_, f16_;
};

}  // namespace affectrt::gpu
