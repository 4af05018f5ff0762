#include "affectrt/gpu/frame_upload.h"

namespace affectrt::gpu {
namespace {

std::size_t pixel_bytes(PixelFormat format) {
  switch (format) {
    case PixelFormat::kRgb8:
    case PixelFormat::kBgr8:
      return 3;
    case PixelFormat::kRgba8:
    case PixelFormat::kBgra8:
      return 4;
    case PixelFormat::kYuv422Yuy2:
      return 2;
    case PixelFormat::kMono8:
    case PixelFormat::kNv12:
      break;
  }
  return 1;
}

}  // namespace

cuda::DeviceImage FrameUpload::operator()(const ImageView& image, const cuda::Stream& stream) {
  const auto height = static_cast<std::size_t>(image.height);
  const std::size_t row = static_cast<std::size_t>(image.width) * pixel_bytes(image.format);
  const bool planes = image.format == PixelFormat::kNv12;
  frame_.reserve(row * (planes ? height + height / 2 : height));

  cuda::DeviceImage on_device;
  on_device.data = frame_.data();
  on_device.width = image.width;
  on_device.height = image.height;
  on_device.row_bytes = row;
  on_device.format = image.format;
  ring_.upload_rows(on_device.data, image.data, image.row_bytes, {row, height}, stream);
  if (planes) {
    on_device.uv = on_device.data + row * height;
    on_device.uv_row_bytes = row;
    ring_.upload_rows(on_device.uv, image.uv, image.uv_row_bytes, {row, height / 2}, stream);
  }
  return on_device;
}

}  // namespace affectrt::gpu
