// A picture that somebody else owns.
#pragma once

#include <cstddef>
#include <cstdint>

namespace affectrt {

// The ROS encodings. Nv12: a plane of Y, then a plane of interleaved U, V at half resolution. Yuv422Yuy2: Y0 U Y1 V.
// Both are BT.601 in limited range, as cameras and OpenCV have them.
enum class PixelFormat { kRgb8, kBgr8, kRgba8, kBgra8, kMono8, kNv12, kYuv422Yuy2 };

// A format by its ROS name, and the channel axis of an array that holds it.
struct PixelEncoding {
  const char* name;
  PixelFormat format;
  int channels;  // 0: no channel axis
};
inline constexpr PixelEncoding kPixelEncodings[] = {
    {"rgb8", PixelFormat::kRgb8, 3},
    {"bgr8", PixelFormat::kBgr8, 3},
    {"rgba8", PixelFormat::kRgba8, 4},
    {"bgra8", PixelFormat::kBgra8, 4},
    {"mono8", PixelFormat::kMono8, 0},
    {"nv12", PixelFormat::kNv12, 0},
    {"yuv422_yuy2", PixelFormat::kYuv422Yuy2, 2},
};

// Bytes from a pixel to the next one of its row; of Nv12 in the plane of Y.
constexpr int bytes_per_pixel(PixelFormat format) {
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

struct ImageView {
  const std::uint8_t* data = nullptr;
  int width = 0;   // pixels
  int height = 0;  // pixels
  std::size_t row_bytes = 0;
  PixelFormat format = PixelFormat::kRgb8;
  const std::uint8_t* uv = nullptr;  // Nv12 only
  std::size_t uv_row_bytes = 0;      // Nv12 only
};

inline constexpr int kMaxImageSide = 16384;

// Maps a point of the destination to one of the source: x' = a x + b y + c, y' = d x + e y + f. Coordinates of pixel i's centre are i.
struct Affine {
  float a = 1, b = 0, c = 0, d = 0, e = 1, f = 0;

  bool operator==(const Affine&) const = default;
};

}  // namespace affectrt
