// The operations between a camera frame and a network, and between a network and an observation. Each has a file of its own.
// To add one: declare it here with its contract, write <op>.cc (checks) and <op>_cpu.cc (kernel on raw pointers, if there is one),
// bind it in bindings/bind_ops.cc and test it against a plain NumPy reference in tests/ops.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "affectrt/core/image.h"
#include "affectrt/pack/manifest.h"

namespace affectrt {

// ---- image_to_tensor.cc -------------------------------------------------------------------------------------------------------------

// Where an image goes: one float32 picture of a batch, values (pixel - mean) * scale per channel.
struct TensorTarget {
  int width_px = 0;
  int height_px = 0;
  Layout layout = Layout::kNchw;
  ColorOrder color = ColorOrder::kRgb;
  std::array<float, 3> mean{};
  std::array<float, 3> scale{1, 1, 1};
  std::array<float, 3> pad_value{};  // pixel value where the source has none

  int channels() const { return color == ColorOrder::kGray ? 1 : 3; }
  std::size_t size() const {
    return static_cast<std::size_t>(width_px) * static_cast<std::size_t>(height_px) * static_cast<std::size_t>(channels());
  }

  static TensorTarget from(const ImageInput& input);
};

// Throws std::invalid_argument naming what is wrong with the picture: null, empty, over 16384 px a side, rows too short, odd NV12 sizes.
void check_image(const ImageView& image);

// Crop or warp, resample, convert colours, normalise and lay out, in one pass: out[y][x] = image at to_source(x, y), bilinear between pixel
// centres, the border pixel repeated within half a pixel of the edge, pad_value beyond it. Accumulates in float32.
void image_to_tensor(const ImageView& image, const Affine& to_source, const TensorTarget& target, float* out);

// ---- align.cc -----------------------------------------------------------------------------------------------------------------------

struct Point {
  float x = 0, y = 0;
};

struct Detection {
  float score = 0;
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // pixels
  std::vector<Point> key_points;         // pixels

  float width() const { return x1 - x0; }
  float height() const { return y1 - y0; }
};

// The whole picture onto the tensor: stretched, or centred with its shape kept.
Affine fit_whole(int source_width, int source_height, int tensor_width, int tensor_height, Fit fit);

// The region that a BoxCrop cuts. `right_eye` and `left_eye` are positions in detection.key_points, or -1 where the crop does not rotate.
Affine align_box(const Detection& detection, const BoxCrop& crop, int tensor_width, int tensor_height, int right_eye, int left_eye);

// The least-squares similarity (Umeyama, 1991, without reflection) that takes `to` (tensor pixels) to `from` (source pixels). Throws
// std::invalid_argument if there are fewer than two pairs, or all points of `to` coincide.
Affine align_points(std::span<const Point> from, std::span<const Point> to);

inline Point apply(const Affine& m, Point p) { return {m.a * p.x + m.b * p.y + m.c, m.d * p.x + m.e * p.y + m.f}; }

// ---- detection.cc -------------------------------------------------------------------------------------------------------------------

// Centres of the anchors in tensor pixels, in the order of the network's outputs.
std::vector<Point> make_anchors(const SsdDecode& decode, int width_px, int height_px);

// SSD outputs to detections in tensor pixels, best first, before suppression. scores: (N) logits; boxes: (N, 4 + 2K), of which one unit is
// `unit_px` tensor pixels. What is not finite is passed over.
std::vector<Detection> decode_detections(std::span<const float> scores, std::span<const float> boxes, std::span<const Point> anchors,
                                         float unit_px, const SsdDecode& decode);

// Weighted non-maximum suppression (Zhou et al., 2017; used by BlazeFace): of boxes that overlap the best by more than the threshold, the
// score-weighted mean is kept, with the best score. `detections` come best first and so do the results.
std::vector<Detection> weighted_nms(std::vector<Detection> detections, float iou_threshold);

float intersection_over_union(const Detection& a, const Detection& b);

// ---- smoothing.cc -------------------------------------------------------------------------------------------------------------------

// One step of an exponential filter whose weight follows the time between samples: state += (1 - exp(-dt / tau)) (sample - state).
// tau_ms <= 0 copies the sample.
void smooth(std::span<float> state, std::span<const float> sample, float dt_ms, float tau_ms);

}  // namespace affectrt
