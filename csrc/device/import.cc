#include "affectrt/device/import.h"

#include <stdexcept>

namespace affectrt::cuda {
namespace {

const PixelEncoding& encoding_of(PixelFormat format) {
  for (const auto& e : kPixelEncodings)
    if (e.format == format) return e;
  throw std::invalid_argument("format: unknown pixel format " + std::to_string(static_cast<int>(format)));
}

std::string list_text(const std::vector<std::int64_t>& values) {
  std::string text = "(";
  for (std::size_t i = 0; i < values.size(); ++i) text += (i ? ", " : "") + std::to_string(values[i]);
  return text + ")";
}

std::string address(DevicePtr data) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (; data; data >>= 4) text.insert(text.begin(), kDigits[data & 15]);
  return std::string("0x").append(text.empty() ? "0" : text);
}

// Memory that the host shares with the GPU (managed, or page-locked and mapped) would work as well, but slowly and by surprise.
void check_memory(DevicePtr data, const Stream& stream, const std::string& name) {
  const Driver& driver = stream.driver();
  const int here = stream.context()->info().ordinal;
  const ContextGuard guard(*stream.context());
  unsigned type = 0;
  int ordinal = -1;
  const Result result = driver.cuPointerGetAttribute(&type, kPointerMemoryType, data);
  if (result == kInvalidValue || (result == kSuccess && type != kMemoryDevice))
    throw std::invalid_argument(name + ": expected memory of cuda:" + std::to_string(here) + ", got address " + address(data) +
                                (result == kSuccess ? ", which is not memory of a GPU" : ", which the driver does not know"));
  driver.check(result, "cuPointerGetAttribute", name + ": memory at " + address(data));
  AFFECTRT_CUDA_CALL(driver, name + ": memory at " + address(data), cuPointerGetAttribute, &ordinal, kPointerDeviceOrdinal, data);
  if (ordinal != here)
    throw std::invalid_argument(name + ": expected memory of cuda:" + std::to_string(here) +
                                ", got memory of cuda:" + std::to_string(ordinal));
}

}  // namespace

void wait_for_producer(const Stream& stream, std::optional<std::int64_t> producer, const std::string& name) {
  if (!producer) return;
  if (*producer <= 0)
    throw std::invalid_argument(name + ": stream: expected none, 1 (legacy default), 2 (per-thread default) or a stream's handle, got " +
                                std::to_string(*producer));
  const auto handle = reinterpret_cast<StreamHandle>(static_cast<std::uintptr_t>(*producer));
  if (handle != stream.handle()) stream.wait_foreign(handle);
}

DeviceImage device_image(const DeviceArray& array, PixelFormat format, const Stream& stream, const std::string& name) {
  const PixelEncoding& encoding = encoding_of(format);
  const auto& shape = array.shape;
  if (array.dtype != "|u1") throw std::invalid_argument(name + ": expected dtype |u1 (uint8), got " + array.dtype);
  const bool planar = encoding.channels == 0;
  const bool trailing_one = format == PixelFormat::kMono8 && shape.size() == 3 && shape[2] == 1;
  if (planar ? !(shape.size() == 2 || trailing_one) : !(shape.size() == 3 && shape[2] == encoding.channels)) {
    const std::string expected = format == PixelFormat::kNv12 ? "(height * 3/2, width)"
                                 : planar                     ? "(height, width)"
                                                              : "(height, width, " + std::to_string(encoding.channels) + ")";
    throw std::invalid_argument(name + ": expected shape " + expected + " for color='" + encoding.name + "', got " + list_text(shape));
  }
  std::int64_t height = shape[0];
  const std::int64_t width = shape[1], channels = planar ? 1 : encoding.channels;
  if (height < 1 || width < 1) throw std::invalid_argument(name + ": expected at least one pixel, got shape " + list_text(shape));
  if (format == PixelFormat::kNv12) {
    if (height % 3) throw std::invalid_argument(name + ": expected shape (height * 3/2, width) for color='nv12', got " + list_text(shape));
    height = height / 3 * 2;
  }
  if (height > kMaxImageSide || width > kMaxImageSide)
    throw std::invalid_argument(name + ": expected at most " + std::to_string(kMaxImageSide) + " px a side, got shape " + list_text(shape));
  if ((format == PixelFormat::kNv12 || format == PixelFormat::kYuv422Yuy2) && width % 2)
    throw std::invalid_argument(name + ": expected an even width for color='" + std::string(encoding.name) + "', got shape " +
                                list_text(shape));

  std::int64_t row_bytes = width * channels;
  if (array.strides) {
    const auto& strides = *array.strides;
    if (strides.size() != shape.size())
      throw std::invalid_argument(name + ": expected " + std::to_string(shape.size()) + " strides, got " + list_text(strides));
    const bool packed = (width == 1 || strides[1] == channels) && (shape.size() == 2 || shape[2] == 1 || strides[2] == 1);
    if (!packed || (shape[0] > 1 && strides[0] < row_bytes))
      throw std::invalid_argument(name + ": expected pixels that lie one after another in each row and rows of at least " +
                                  std::to_string(row_bytes) + " bytes, got strides " + list_text(strides) + " bytes");
    if (shape[0] > 1) row_bytes = strides[0];
  }
  check_memory(array.data, stream, name);

  DeviceImage image;
  image.data = array.data;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.row_bytes = static_cast<std::size_t>(row_bytes);
  image.format = format;
  if (format == PixelFormat::kNv12) {
    image.uv = array.data + static_cast<DevicePtr>(row_bytes) * static_cast<DevicePtr>(height);
    image.uv_row_bytes = image.row_bytes;
  }
  image.owner = array.owner;
  return image;
}

}  // namespace affectrt::cuda
