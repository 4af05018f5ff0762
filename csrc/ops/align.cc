#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "affectrt/ops/ops.h"

namespace affectrt {
namespace {

// A rectangle of the source, centre and axes given, onto a tensor. Tensor pixel i lies at (i + 0.5) / size of the side.
Affine from_rectangle(float cx, float cy, float width, float height, float cosine, float sine, int tensor_width, int tensor_height) {
  const float sx = width / static_cast<float>(tensor_width);
  const float sy = height / static_cast<float>(tensor_height);
  Affine m;
  m.a = cosine * sx;
  m.b = -sine * sy;
  m.d = sine * sx;
  m.e = cosine * sy;
  // The tensor's middle, in pixel-centre coordinates, goes to the rectangle's centre, which is given in edge coordinates.
  const float mx = 0.5f * static_cast<float>(tensor_width) - 0.5f;
  const float my = 0.5f * static_cast<float>(tensor_height) - 0.5f;
  m.c = cx - 0.5f - m.a * mx - m.b * my;
  m.f = cy - 0.5f - m.d * mx - m.e * my;
  return m;
}

}  // namespace

Affine fit_whole(int source_width, int source_height, int tensor_width, int tensor_height, Fit fit) {
  float width = static_cast<float>(source_width);
  float height = static_cast<float>(source_height);
  const float cx = 0.5f * width, cy = 0.5f * height;
  if (fit == Fit::kLetterbox) {
    const float scale = std::max(width / static_cast<float>(tensor_width), height / static_cast<float>(tensor_height));
    width = scale * static_cast<float>(tensor_width);
    height = scale * static_cast<float>(tensor_height);
  }
  return from_rectangle(cx, cy, width, height, 1, 0, tensor_width, tensor_height);
}

Affine align_box(const Detection& detection, const BoxCrop& crop, int tensor_width, int tensor_height, int right_eye, int left_eye) {
  float cosine = 1, sine = 0;
  if (crop.rotate && right_eye >= 0 && left_eye >= 0) {
    const Point from = detection.key_points.at(static_cast<std::size_t>(right_eye));
    const Point to = detection.key_points.at(static_cast<std::size_t>(left_eye));
    const float length = std::hypot(to.x - from.x, to.y - from.y);
    if (length > 0) {
      cosine = (to.x - from.x) / length;
      sine = (to.y - from.y) / length;
    }
  }
  float width = detection.width(), height = detection.height();
  const float shift_x = crop.shift_x * width, shift_y = crop.shift_y * height;
  const float cx = 0.5f * (detection.x0 + detection.x1) + cosine * shift_x - sine * shift_y;
  const float cy = 0.5f * (detection.y0 + detection.y1) + sine * shift_x + cosine * shift_y;
  if (crop.square) width = height = std::max(width, height);
  return from_rectangle(cx, cy, crop.scale * width, crop.scale * height, cosine, sine, tensor_width, tensor_height);
}

Affine align_points(std::span<const Point> from, std::span<const Point> to) {
  if (from.size() != to.size() || to.size() < 2)
    throw std::invalid_argument("align_points: expected at least 2 pairs of points, got " + std::to_string(from.size()) + " and " +
                                std::to_string(to.size()));
  const double n = static_cast<double>(to.size());
  double fx = 0, fy = 0, tx = 0, ty = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    fx += from[i].x / n;
    fy += from[i].y / n;
    tx += to[i].x / n;
    ty += to[i].y / n;
  }
  // In the plane the optimum has a closed form: with points as complex numbers, the factor is <t, f> / <t, t>.
  double real = 0, imaginary = 0, spread = 0;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const double px = to[i].x - tx, py = to[i].y - ty, qx = from[i].x - fx, qy = from[i].y - fy;
    real += px * qx + py * qy;
    imaginary += px * qy - py * qx;
    spread += px * px + py * py;
  }
  if (!(spread > 0)) throw std::invalid_argument("align_points: the target points coincide");
  const double a = real / spread, d = imaginary / spread;
  Affine m;
  m.a = static_cast<float>(a);
  m.b = static_cast<float>(-d);
  m.c = static_cast<float>(fx - a * tx + d * ty);
  m.d = static_cast<float>(d);
  m.e = static_cast<float>(a);
  m.f = static_cast<float>(fy - d * tx - a * ty);
  return m;
}

}  // namespace affectrt
