// LayerNorm(token + mix of the emotions' vectors): the first step of the emotion-aware encoder (Goel et al., 2021). A block mixes the
// emotions once, then normalises some tokens of that text, a warp each. Float32 between load and store.
#include "affectrt/ops/emotion_layernorm_gpu.h"
#include "affectrt/ops/kernel_tools.cuh"

namespace affectrt::gpu {
namespace {

template <class T, int V>
__device__ inline void normalise(const EmotionLayerNormArgs& a, const float* mix, const T* x, T* out, int lane) {
  const T* gamma = static_cast<const T*>(a.gamma);
  const T* beta = static_cast<const T*>(a.beta);
  const float n = static_cast<float>(a.width);
  float v[V], g[V], b[V];
  // Two at a time: more would be in flight than registers are there.
  float sum = 0;
#pragma unroll 2
  for (int i = lane * V; i < a.width; i += 32 * V) {
    load<V>(x + i, v);
    for (int k = 0; k < V; ++k) sum += v[k] + mix[i + k];
  }
  const float mean = warp_sum(sum) / n;
  float squares = 0;  // the row is in the cache by now
#pragma unroll 2
  for (int i = lane * V; i < a.width; i += 32 * V) {
    load<V>(x + i, v);
    for (int k = 0; k < V; ++k) {
      const float centred = v[k] + mix[i + k] - mean;
      squares += centred * centred;
    }
  }
  const float scale = 1.0f / sqrtf(warp_sum(squares) / n + a.epsilon);
#pragma unroll 2
  for (int i = lane * V; i < a.width; i += 32 * V) {
    load<V>(x + i, v);
    load<V>(gamma + i, g);
    load<V>(beta + i, b);
    for (int k = 0; k < V; ++k) v[k] = (v[k] + mix[i + k] - mean) * scale * g[k] + b[k];
    store<V>(out + i, v);
  }
}

template <class T>
__device__ inline void emotion_layernorm(const EmotionLayerNormArgs& a) {
  extern __shared__ float mix[];
  const int item = blockIdx.y, lane = threadIdx.x % 32;
  const T* probs = static_cast<const T*>(a.probs) + static_cast<long long>(item) * a.emotions;
  const T* table = static_cast<const T*>(a.table);
  for (int i = threadIdx.x; i < a.width; i += kEmotionLayerNormThreads) {
    float sum = 0;
    for (int k = 0; k < a.emotions; ++k) {
      const float p = to_float(probs[k]);
      if (p != 0) sum += p * to_float(table[static_cast<long long>(k) * a.width + i]);  // all threads of the block alike
    }
    mix[i] = sum;
  }
  __syncthreads();
  const T* x = static_cast<const T*>(a.x) + item * a.item_step;
  T* out = static_cast<T*>(a.out) + item * a.out_item_step;
  const unsigned long long addresses = reinterpret_cast<unsigned long long>(x) | reinterpret_cast<unsigned long long>(out) |
                                       reinterpret_cast<unsigned long long>(a.gamma) | reinterpret_cast<unsigned long long>(a.beta);
  const bool by_four = addresses % (4 * sizeof(T)) == 0 && (a.row_step | a.out_row_step | a.width) % 4 == 0;
  const int end = min((blockIdx.x + 1) * kEmotionLayerNormRows, a.tokens);
  for (int row = blockIdx.x * kEmotionLayerNormRows + threadIdx.x / 32; row < end; row += kEmotionLayerNormThreads / 32) {
    if (by_four)
      normalise<T, 4>(a, mix, x + row * a.row_step, out + row * a.out_row_step, lane);
    else
      normalise<T, 1>(a, mix, x + row * a.row_step, out + row * a.out_row_step, lane);
  }
}

}  // namespace
}  // namespace affectrt::gpu

extern "C" __global__ void __launch_bounds__(256, 3) emotion_layernorm_f32(affectrt::gpu::EmotionLayerNormArgs args) {
  affectrt::gpu::emotion_layernorm<float>(args);
}

extern "C" __global__ void __launch_bounds__(256, 3) emotion_layernorm_f16(affectrt::gpu::EmotionLayerNormArgs args) {
  affectrt::gpu::emotion_layernorm<affectrt::gpu::Half>(args);
}
