// Crop or warp, resample, convert colours, normalise, lay out and quantise, of all regions of a picture at once. The same arithmetic as
// image_to_tensor_cpu.cc. A thread computes one tensor pixel, so that neighbours read neighbouring bytes of the picture; a block then
// passes its pixels through shared memory, so that whichever the layout and the element, it writes 16 bytes a thread, one after another.
#include "affectrt/ops/image_to_tensor_gpu.h"
#include "affectrt/ops/kernel_tools.cuh"

namespace affectrt::gpu {
namespace {

struct Components {
  float c[3];  // R, G, B or Y, U, V
};

// Where a tensor pixel lies in the picture: its four taps and the fractions between them.
struct Place {
  int x0, x1, y0, y1;
  float fx, fy;
};

__device__ inline Components tap(const ImageToTensorArgs& a, int x, int y) {
  const unsigned char* row = a.data + y * a.row_bytes;
  if (a.source == kNv12Pixels) {
    const unsigned char* uv = a.uv + (y / 2) * a.uv_row_bytes + (x & ~1);
    return {{static_cast<float>(__ldg(row + x)), static_cast<float>(__ldg(uv)), static_cast<float>(__ldg(uv + 1))}};
  }
  if (a.source == kYuy2Pixels) {
    const unsigned char* pair = row + 2 * (x & ~1);
    return {{static_cast<float>(__ldg(row + 2 * x)), static_cast<float>(__ldg(pair + 1)), static_cast<float>(__ldg(pair + 3))}};
  }
  const unsigned char* pixel = row + x * a.pixel_bytes;
  const float red = static_cast<float>(__ldg(pixel + a.red));
  if (a.pixel_bytes == 1) return {{red, red, red}};
  return {{red, static_cast<float>(__ldg(pixel + a.green)), static_cast<float>(__ldg(pixel + a.blue))}};
}

__device__ inline Components interpolate(const ImageToTensorArgs& a, const Place& p) {
  const Components top_left = tap(a, p.x0, p.y0), top_right = tap(a, p.x1, p.y0);
  const Components bottom_left = tap(a, p.x0, p.y1), bottom_right = tap(a, p.x1, p.y1);
  Components mix;
  for (int i = 0; i < 3; ++i) {
    const float top = top_left.c[i] + p.fx * (top_right.c[i] - top_left.c[i]);
    const float bottom = bottom_left.c[i] + p.fx * (bottom_right.c[i] - bottom_left.c[i]);
    mix.c[i] = top + p.fy * (bottom - top);
  }
  return mix;
}

// BT.601, limited range.
__device__ inline Components yuv_to_rgb(const Components& yuv) {
  const float luma = 1.164383f * (yuv.c[0] - 16.0f), u = yuv.c[1] - 128.0f, v = yuv.c[2] - 128.0f;
  const auto clamp = [](float value) { return fminf(fmaxf(value, 0.0f), 255.0f); };
  return {{clamp(luma + 1.596027f * v), clamp(luma - 0.391762f * u - 0.812968f * v), clamp(luma + 2.017232f * u)}};
}

// Pixel values of a tensor pixel, in the order of its channels; false where the picture has none. Half a pixel beyond the outermost centres
// still belongs to the picture; comparisons are such that NaN does not.
__device__ inline bool sample(const ImageToTensorArgs& a, const float* map, int x, int y, float value[3]) {
  const float sx = map[0] * static_cast<float>(x) + (map[1] * static_cast<float>(y) + map[2]);
  const float sy = map[3] * static_cast<float>(x) + (map[4] * static_cast<float>(y) + map[5]);
  const float right = static_cast<float>(a.width_px) - 0.5f, bottom = static_cast<float>(a.height_px) - 0.5f;
  if (!(sx >= -0.5f && sx <= right && sy >= -0.5f && sy <= bottom)) return false;
  Place p;
  p.x0 = min(max(static_cast<int>(floorf(sx)), 0), a.width_px - 1);
  p.y0 = min(max(static_cast<int>(floorf(sy)), 0), a.height_px - 1);
  p.x1 = min(p.x0 + 1, a.width_px - 1);
  p.y1 = min(p.y0 + 1, a.height_px - 1);
  p.fx = fminf(fmaxf(sx - static_cast<float>(p.x0), 0.0f), 1.0f);
  p.fy = fminf(fmaxf(sy - static_cast<float>(p.y0), 0.0f), 1.0f);
  Components mix = interpolate(a, p);
  if (a.source != kPackedPixels) mix = yuv_to_rgb(mix);
  if (a.channels == 1) {
    value[0] = 0.299f * mix.c[0] + 0.587f * mix.c[1] + 0.114f * mix.c[2];
  } else {
    // Written out: an index that is only known at run time would put the three in local memory.
    for (int c = 0; c < 3; ++c) value[c] = a.order[c] == 0 ? mix.c[0] : a.order[c] == 1 ? mix.c[1] : mix.c[2];
  }
  return true;
}

template <class T>
__device__ inline T element(const ImageToTensorArgs&, float value) {
  return from_float<T>(value);
}
template <>
__device__ inline signed char element<signed char>(const ImageToTensorArgs& a, float value) {
  // Divided, not multiplied by the inverse, as ONNX's QuantizeLinear does: at ties the two differ.
  const int level = __float2int_rn(value / a.quant_scale) + a.zero_point;
  return static_cast<signed char>(min(max(level, -128), 127));
}

// `count` elements that lie one after another, from shared memory to `to`, by the whole block.
template <class T>
__device__ inline void write_out(const T* from, T* to, int count) {
  constexpr int kVector = 16 / sizeof(T);
  if (reinterpret_cast<unsigned long long>(to) % 16 == 0) {
    for (int i = threadIdx.x; i < count / kVector; i += kImageToTensorThreads)
      reinterpret_cast<uint4*>(to)[i] = reinterpret_cast<const uint4*>(from)[i];
    for (int i = count / kVector * kVector + threadIdx.x; i < count; i += kImageToTensorThreads) to[i] = from[i];
  } else {
    for (int i = threadIdx.x; i < count; i += kImageToTensorThreads) to[i] = from[i];
  }
}

template <class T>
__device__ inline void image_to_tensor(const ImageToTensorArgs& a) {
  __shared__ __align__(16) T staged[3 * kImageToTensorThreads];
  const int slot = blockIdx.z;
  if (a.count != nullptr && slot >= *a.count) return;  // the whole block, before any barrier
  const int pixels = a.out_width_px * a.out_height_px;
  const int first = blockIdx.x * kImageToTensorThreads, pixel = first + threadIdx.x;
  const bool planar = a.channels == 1 || a.channel_step != 1;
  if (pixel < pixels) {
    const int y = pixel / a.out_width_px, x = pixel - y * a.out_width_px;
    float value[3];
    const bool inside = sample(a, a.regions + 6 * slot, x, y, value);
#pragma unroll
    for (int c = 0; c < 3; ++c) {
      if (c >= a.channels) break;
      const int at = planar ? c * kImageToTensorThreads + threadIdx.x : threadIdx.x * 3 + c;
      staged[at] = element<T>(a, ((inside ? value[c] : a.pad_value[c]) - a.mean[c]) * a.scale[c]);
    }
  }
  __syncthreads();
  const int here = min(kImageToTensorThreads, pixels - first);
  T* out = static_cast<T*>(a.out) + slot * a.slot_step;
  if (planar) {
    for (int c = 0; c < a.channels; ++c) write_out(staged + c * kImageToTensorThreads, out + c * a.channel_step + first, here);
  } else {
    write_out(staged, out + 3LL * first, 3 * here);
  }
}

}  // namespace
}  // namespace affectrt::gpu

extern "C" __global__ void __launch_bounds__(256) image_to_tensor_f32(affectrt::gpu::ImageToTensorArgs args) {
  affectrt::gpu::image_to_tensor<float>(args);
}

extern "C" __global__ void __launch_bounds__(256) image_to_tensor_f16(affectrt::gpu::ImageToTensorArgs args) {
  affectrt::gpu::image_to_tensor<affectrt::gpu::Half>(args);
}

extern "C" __global__ void __launch_bounds__(256) image_to_tensor_s8(affectrt::gpu::ImageToTensorArgs args) {
  affectrt::gpu::image_to_tensor<signed char>(args);
}
