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

// V elements at once, 1 or 4; four lie at a multiple of their own size. Stores are spelt out: given four floats, or an array of halves, the
// compilers write one after the other.
template <int V>
__device__ inline void load(const float* from, float (&to)[V]) {
  static_assert(V == 1 || V == 4);
  if constexpr (V == 1) {
    to[0] = *from;
  } else {
    const float4 four = *reinterpret_cast<const float4*>(from);
    to[0] = four.x;
    to[1] = four.y;
    to[2] = four.z;
    to[3] = four.w;
  }
}
template <int V>
__device__ inline void load(const Half* from, float (&to)[V]) {
  static_assert(V == 1 || V == 4);
  if constexpr (V == 1) {
    to[0] = to_float(*from);
  } else {
    const uint2 pairs = *reinterpret_cast<const uint2*>(from);
    to[0] = to_float(Half{static_cast<unsigned short>(pairs.x)});
    to[1] = to_float(Half{static_cast<unsigned short>(pairs.x >> 16)});
    to[2] = to_float(Half{static_cast<unsigned short>(pairs.y)});
    to[3] = to_float(Half{static_cast<unsigned short>(pairs.y >> 16)});
  }
}
template <int V>
__device__ inline void store(float* to, const float (&from)[V]) {
  static_assert(V == 1 || V == 4);
  if constexpr (V == 1)
    *to = from[0];
  else
    asm volatile("st.v4.f32 [%0], {%1, %2, %3, %4};" ::"l"(to), "f"(from[0]), "f"(from[1]), "f"(from[2]), "f"(from[3]) : "memory");
}
template <int V>
__device__ inline void store(Half* to, const float (&from)[V]) {
  static_assert(V == 1 || V == 4);
  if constexpr (V == 1) {
    *to = from_float<Half>(from[0]);
  } else {
    const auto pair = [](float low, float high) {
      return static_cast<unsigned>(from_float<Half>(high).bits) << 16 | from_float<Half>(low).bits;
    };
    asm volatile("st.v2.b32 [%0], {%1, %2};" ::"l"(to), "r"(pair(from[0], from[1])), "r"(pair(from[2], from[3])) : "memory");
  }
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
