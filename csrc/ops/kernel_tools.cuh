// What several kernels need: element types without cuda_fp16.h (which NVRTC would have to be shown the way to), vector access, reductions.
// Float32 between load and store, whatever the element.
#pragma once

namespace affectrt::gpu {

// An IEEE half as it lies in memory.
struct Half {
  unsigned short bits;
};

__device__ inline float to_float(float value) { return value; }
__device__ inline float to_float(signed char value) { return static_cast<float>(value); }
__device__ inline float to_float(Half value) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(value.bits));
  return result;
}

template <class T>
__device__ inline T from_float(float value);
template <>
__device__ inline float from_float<float>(float value) {
  return value;
}
template <>
__device__ inline Half from_float<Half>(float value) {
  Half result;
  asm("cvt.rn.f16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}

// V elements at once, 1 or 4; four lie at a multiple of their own size.
template <int V, class T>
__device__ inline void load(const T* from, float (&to)[V]) {
  struct __align__(V * sizeof(T)) Pack {
    T item[V];
  };
  const Pack pack = *reinterpret_cast<const Pack*>(from);
  for (int i = 0; i < V; ++i) to[i] = to_float(pack.item[i]);
}
template <int V, class T>
__device__ inline void store(T* to, const float (&from)[V]) {
  struct __align__(V * sizeof(T)) Pack {
    T item[V];
  };
  Pack pack;
  for (int i = 0; i < V; ++i) pack.item[i] = from_float<T>(from[i]);
  *reinterpret_cast<Pack*>(to) = pack;
}

// NVRTC has no INFINITY.
__device__ inline float infinity() { return __int_as_float(0x7f800000); }
__device__ inline bool is_finite(float value) { return fabsf(value) <= 3.402823466e38f; }

// A butterfly gives every lane the same bits, in the same order of additions at each run.
__device__ inline float warp_sum(float value) {
  for (int step = 16; step > 0; step /= 2) value += __shfl_xor_sync(0xffffffffu, value, step);
  return value;
}
__device__ inline float warp_max(float value) {
  for (int step = 16; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(0xffffffffu, value, step));
  return value;
}

// The sum over a block of Warps * 32 threads, for all of them. `scratch` holds Warps floats; it may be used again after the next barrier.
template <int Warps>
__device__ inline float block_sum(float value, float* scratch) {
  value = warp_sum(value);
  if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
  __syncthreads();
  float total = 0;
  for (int warp = 0; warp < Warps; ++warp) total += scratch[warp];
  return total;
}

}  // namespace affectrt::gpu
