// The mean square of a region's second differences over its variance, as sharpness.cc. Two passes, since the difference of a mean square
// and a squared mean would leave float32 nothing of a flat region's variance; the second finds the tensor in the cache.
#include "affectrt/ops/kernel_tools.cuh"
#include "affectrt/ops/sharpness_gpu.h"

namespace affectrt::gpu {
namespace {

template <class T>
__device__ inline void sharpness(const SharpnessArgs& a) {
  constexpr int kWarps = kSharpnessThreads / 32;
  __shared__ float sums[3][kWarps];
  const int slot = blockIdx.x;
  if (a.count != nullptr && slot >= *a.count) return;  // the whole block, before any barrier
  const int step = a.channels == 3 && a.channel_step == 1 ? 3 : 1;
  const long long green = a.channels == 3 ? a.channel_step : 0;
  const T* tensor = static_cast<const T*>(a.tensor) + slot * a.slot_step + green;
  const int row = a.width_px * step;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const float n = fmaxf(static_cast<float>(a.width_px - 2) * static_cast<float>(a.height_px - 2), 1.0f);

  float sum = 0;
  for (int y = 1 + warp; y + 1 < a.height_px; y += kWarps)
    for (int x = 1 + lane; x + 1 < a.width_px; x += 32) sum += to_float(tensor[y * row + x * step]);
  const float mean = block_sum<kWarps>(sum, sums[0]) / n;

  float squares = 0, laplace = 0;
  for (int y = 1 + warp; y + 1 < a.height_px; y += kWarps)
    for (int x = 1 + lane; x + 1 < a.width_px; x += 32) {
      const T* p = tensor + y * row + x * step;
      const float here = to_float(*p);
      const float second = 4 * here - to_float(p[step]) - to_float(p[-step]) - to_float(p[row]) - to_float(p[-row]);
      squares += (here - mean) * (here - mean);
      laplace += second * second;
    }
  const float variance = block_sum<kWarps>(squares, sums[1]) / n;
  laplace = block_sum<kWarps>(laplace, sums[2]) / n;
  // Counted as in a tensor of 64x64: see sharpness.cc.
  const float size = static_cast<float>(a.width_px) * static_cast<float>(a.height_px) / (64.0f * 64.0f);
  if (threadIdx.x == 0) a.sharpness[slot] = variance > a.least_variance ? laplace / variance * size * size : 0.0f;
}

}  // namespace
}  // namespace affectrt::gpu

extern "C" __global__ void __launch_bounds__(256) sharpness_f32(affectrt::gpu::SharpnessArgs args) {
  affectrt::gpu::sharpness<float>(args);
}

extern "C" __global__ void __launch_bounds__(256) sharpness_f16(affectrt::gpu::SharpnessArgs args) {
  affectrt::gpu::sharpness<affectrt::gpu::Half>(args);
}

extern "C" __global__ void __launch_bounds__(256) sharpness_s8(affectrt::gpu::SharpnessArgs args) {
  affectrt::gpu::sharpness<signed char>(args);
}
