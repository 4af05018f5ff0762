// Pictures and tensors that another library has on the device, taken without a copy.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "affectrt/core/image.h"
#include "affectrt/device/stream.h"

namespace affectrt::cuda {

// ImageView on the device. Valid as long as `owner` lives, for work on the stream that it was imported for.
struct DeviceImage {
  DevicePtr data = 0;
  int width = 0;   // pixels
  int height = 0;  // pixels
  std::size_t row_bytes = 0;
  PixelFormat format = PixelFormat::kRgb8;
  DevicePtr uv = 0;              // Nv12 only
  std::size_t uv_row_bytes = 0;  // Nv12 only
  std::shared_ptr<const void> owner;
};

// What __cuda_array_interface__ and DLPack both say, in bytes.
struct DeviceArray {
  DevicePtr data = 0;
  std::string dtype;                                 // as NumPy writes it: "|u1", "<f4"
  std::vector<std::int64_t> shape;                   // elements
  std::optional<std::vector<std::int64_t>> strides;  // bytes; none: C-contiguous
  std::shared_ptr<const void> owner;
};

// __cuda_array_interface__'s `stream`: what must be done before the data may be read. Makes `stream` wait for it. Values: none (nothing to
// wait for), 1 (the legacy default stream), 2 (the per-thread one), a stream handle. Throws std::invalid_argument for 0, which the protocol
// forbids, and for what is negative.
void wait_for_producer(const Stream& stream, std::optional<std::int64_t> producer, const std::string& name);

// uint8 of the rank and channel count that `format` needs, rows apart or not, pixels of a row one after another, memory of the stream's
// device. Throws std::invalid_argument naming `name`, what was expected and what came.
DeviceImage device_image(const DeviceArray& array, PixelFormat format, const Stream& stream, const std::string& name = "image");

}  // namespace affectrt::cuda
