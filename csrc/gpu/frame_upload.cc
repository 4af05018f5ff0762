#include "affectrt/gpu/frame_upload.h"

namespace affectrt::gpu {

cuda::DeviceImage FrameUpload::operator()(const ImageView& image, const cuda::Stream& stream) {
  const auto height = static_cast<std::size_t>(image.height);
  const std::size_t row = static_cast<std::size_t>(image.width * bytes_per_pixel(image.format));
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
