// The kernels of image_to_tensor: raw pointers, sizes and strides only.
#pragma once

#include <cstddef>
#include <cstdint>

#include "affectrt/core/image.h"

namespace affectrt::kernels {

struct WarpSource {
  const std::uint8_t* data;
  const std::uint8_t* uv;  // Nv12 only
  std::size_t row_bytes;
  std::size_t uv_row_bytes;
  int width, height;
};

struct WarpTarget {
  float* out;
  int width, height;
  std::size_t pixel_step;    // floats between neighbours of a row
  std::size_t row_step;      // floats between rows
  std::size_t channel_step;  // floats between channels
  int channels;              // 1: gray; 3
  int order[3];              // which of R, G, B each channel holds
  float mean[3], scale[3], pad_value[3];
};

void warp(PixelFormat format, const WarpSource& source, const Affine& to_source, const WarpTarget& target);

// The same without any instruction set beyond the compiler's default; for tests, which compare the two.
void warp_portable(PixelFormat format, const WarpSource& source, const Affine& to_source, const WarpTarget& target);

}  // namespace affectrt::kernels
