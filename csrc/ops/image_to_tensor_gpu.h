// What image_to_tensor.cu is launched with. Read by device code and by the host: no header but this one, and 64-bit pointers on both sides.
#pragma once

namespace affectrt::gpu {

enum PixelSource : int { kPackedPixels = 0, kNv12Pixels = 1, kYuy2Pixels = 2 };

// Any number of regions of one picture into the slots of one batch, in one launch of blocks of kImageToTensorThreads: as many
// in x as cover the tensor's pixels, in z the slots.
// The kernels are image_to_tensor_f32, _f16 and _s8, by what a tensor element is.
struct ImageToTensorArgs {
  const unsigned char* data;
  const unsigned char* uv;  // Nv12 only
  const float* regions;     // 6 a slot (a, b, c, d, e, f): tensor pixel (x, y) reads the picture at (a x + b y + c, d x + e y + f)
  const int* count;         // slots in use, in device memory: the others are left as they are. Null: all of the grid
  void* out;                // any alignment of an element; written 16 bytes at a time where it and the steps allow
  long long row_bytes;      // of the picture
  long long uv_row_bytes;   // Nv12 only
  long long slot_step;      // elements between slots of the batch
  long long channel_step;   // elements between channels; 1: interleaved (NHWC). Pixels of a slot lie one after another, row by row
  int width_px, height_px;  // of the picture
  int out_width_px, out_height_px;
  int source;               // a PixelSource
  int pixel_bytes;          // packed: from one pixel to the next, 1 (gray), 3 or 4
  int red, green, blue;     // packed: bytes from a pixel's start
  int channels;             // of the tensor: 1 (luminance) or 3
  int order[3];             // which of R, G, B each channel holds
  float mean[3], scale[3];  // value = (pixel - mean) * scale
  float pad_value[3];       // pixel value beyond the picture
  float quant_scale;        // int8: stored = clamp(round to even(value / quant_scale) + zero_point, -128, 127)
  int zero_point;
};
static_assert(sizeof(void*) == 8 && sizeof(ImageToTensorArgs) == 168, "host and device read one layout");

constexpr int kImageToTensorThreads = 256;  // one tensor pixel each

}  // namespace affectrt::gpu
