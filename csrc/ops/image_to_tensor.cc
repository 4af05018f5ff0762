#include <algorithm>
#include <stdexcept>
#include <string>

#include "affectrt/ops/image_to_tensor_cpu.h"
#include "affectrt/ops/ops.h"

namespace affectrt {

TensorTarget TensorTarget::from(const ImageInput& input) {
  TensorTarget target;
  target.width_px = input.width_px;
  target.height_px = input.height_px;
  target.layout = input.layout;
  target.color = input.color;
  for (std::size_t i = 0; i < static_cast<std::size_t>(target.channels()); ++i) {
    target.mean[i] = input.mean.at(i);
    target.scale[i] = input.scale.at(i);
    target.pad_value[i] = input.pad_value.at(i);
  }
  return target;
}

void check_image(const ImageView& image) {
  const auto fail = [](const std::string& text) { throw std::invalid_argument("image: " + text); };
  if (!image.data) fail("expected pixels, got a null pointer");
  if (image.width < 1 || image.height < 1)
    fail("expected at least 1x1 pixels, got " + std::to_string(image.width) + "x" + std::to_string(image.height));
  if (image.width > kMaxImageSide || image.height > kMaxImageSide)
    fail("expected at most " + std::to_string(kMaxImageSide) + " px a side, got " + std::to_string(image.width) + "x" +
         std::to_string(image.height));
  if (image.format == PixelFormat::kNv12) {
    if (image.width % 2 || image.height % 2)
      fail("expected even sides for nv12, got " + std::to_string(image.width) + "x" + std::to_string(image.height));
    if (!image.uv) fail("expected a plane of u and v for nv12, got a null pointer");
    if (image.uv_row_bytes < static_cast<std::size_t>(image.width))
      fail("expected rows of at least " + std::to_string(image.width) + " bytes for u and v, got " + std::to_string(image.uv_row_bytes));
  }
  if (image.format == PixelFormat::kYuv422Yuy2 && image.width % 2)
    fail("expected an even width for yuv422_yuy2, got " + std::to_string(image.width));
  const std::size_t least = static_cast<std::size_t>(image.width * bytes_per_pixel(image.format));
  if (image.row_bytes < least)
    fail("expected rows of at least " + std::to_string(least) + " bytes, got " + std::to_string(image.row_bytes));
}

void image_to_tensor(const ImageView& image, const Affine& to_source, const TensorTarget& target, float* out) {
  check_image(image);
  if (target.width_px < 1 || target.height_px < 1 || !out)
    throw std::invalid_argument("image_to_tensor: expected a tensor of at least 1x1, got " + std::to_string(target.width_px) + "x" +
                                std::to_string(target.height_px));
  const kernels::WarpSource source{image.data, image.uv, image.row_bytes, image.uv_row_bytes, image.width, image.height};
  kernels::WarpTarget warp{};
  const auto width = static_cast<std::size_t>(target.width_px), height = static_cast<std::size_t>(target.height_px);
  const auto channels = static_cast<std::size_t>(target.channels());
  const bool planar = target.layout == Layout::kNchw;
  warp.out = out;
  warp.width = target.width_px;
  warp.height = target.height_px;
  warp.pixel_step = planar ? 1 : channels;
  warp.row_step = planar ? width : width * channels;
  warp.channel_step = planar ? width * height : 1;
  warp.channels = target.channels();
  const bool bgr = target.color == ColorOrder::kBgr;
  for (int i = 0; i < 3; ++i) {
    const auto at = static_cast<std::size_t>(i);
    warp.order[i] = bgr ? 2 - i : i;
    warp.mean[i] = target.mean[at];
    warp.scale[i] = target.scale[at];
    warp.pad_value[i] = target.pad_value[at];
  }
  kernels::warp(image.format, source, to_source, warp);
}

}  // namespace affectrt
