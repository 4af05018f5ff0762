#include "affectrt/gpu/image_to_tensor.h"

#include "affectrt/gpu/pointer.h"
#include "affectrt/ops/image_to_tensor_gpu.h"

namespace affectrt::gpu {
namespace {

struct Packing {
  PixelSource source;
  int pixel_bytes, red, green, blue;
};

Packing packing_of(PixelFormat format) {
  switch (format) {
    case PixelFormat::kRgb8:
      return {kPackedPixels, 3, 0, 1, 2};
    case PixelFormat::kBgr8:
      return {kPackedPixels, 3, 2, 1, 0};
    case PixelFormat::kRgba8:
      return {kPackedPixels, 4, 0, 1, 2};
    case PixelFormat::kBgra8:
      return {kPackedPixels, 4, 2, 1, 0};
    case PixelFormat::kMono8:
      return {kPackedPixels, 1, 0, 0, 0};
    case PixelFormat::kNv12:
      return {kNv12Pixels, 1, 0, 0, 0};
    case PixelFormat::kYuv422Yuy2:
      return {kYuy2Pixels, 2, 0, 0, 0};
  }
  throw std::invalid_argument("image: unknown pixel format");
}

}  // namespace

ImageToTensor::ImageToTensor(const cuda::Device& device) : kernel_(cuda::Module(device, "image_to_tensor").kernel("image_to_tensor_f32")) {}

void ImageToTensor::operator()(const cuda::DeviceImage& image, cuda::DevicePtr regions, cuda::DevicePtr count, int slots,
                               const TensorTarget& target, cuda::DevicePtr out, const cuda::Stream& stream) const {
  const Packing packing = packing_of(image.format);
  const int pixels = target.width_px * target.height_px, channels = target.channels();
  ImageToTensorArgs args{};
  args.data = pointer<const unsigned char>(image.data);
  args.uv = pointer<const unsigned char>(image.uv);
  args.regions = pointer<const float>(regions);
  args.count = pointer<const int>(count);
  args.out = pointer<void>(out);
  args.row_bytes = static_cast<long long>(image.row_bytes);
  args.uv_row_bytes = static_cast<long long>(image.uv_row_bytes);
  args.slot_step = static_cast<long long>(target.size());
  args.channel_step = target.layout == Layout::kNchw ? pixels : 1;
  args.width_px = image.width;
  args.height_px = image.height;
  args.out_width_px = target.width_px;
  args.out_height_px = target.height_px;
  args.source = packing.source;
  args.pixel_bytes = packing.pixel_bytes;
  args.red = packing.red;
  args.green = packing.green;
  args.blue = packing.blue;
  args.channels = channels;
  const bool bgr = target.color == ColorOrder::kBgr;
  for (int i = 0; i < 3; ++i) {
    const auto at = static_cast<std::size_t>(i);
    args.order[i] = bgr ? 2 - i : i;
    args.mean[i] = target.mean[at];
    args.scale[i] = target.scale[at];
    args.pad_value[i] = target.pad_value[at];
  }
  args.quant_scale = 1;
  cuda::LaunchShape shape;
  shape.grid = {cuda::blocks_for(static_cast<std::size_t>(pixels), kImageToTensorThreads), 1, static_cast<unsigned>(slots)};
  shape.block = {kImageToTensorThreads};
  cuda::launch(kernel_, shape, stream, args);
}

}  // namespace affectrt::gpu
