#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "affectrt/ops/ops.h"

namespace affectrt {

std::vector<Point> make_anchors(const SsdDecode& decode, int width_px, int height_px) {
  std::vector<Point> anchors;
  for (std::size_t layer = 0; layer < decode.strides.size(); ++layer) {
    const int stride = decode.strides[layer];
    const int columns = (width_px + stride - 1) / stride, rows = (height_px + stride - 1) / stride;
    for (int row = 0; row < rows; ++row)
      for (int column = 0; column < columns; ++column)
        for (int k = 0; k < decode.anchors_per_cell[layer]; ++k)
          anchors.push_back({(static_cast<float>(column) + 0.5f) * static_cast<float>(stride),
                             (static_cast<float>(row) + 0.5f) * static_cast<float>(stride)});
  }
  return anchors;
}

std::vector<Detection> decode_detections(std::span<const float> scores, std::span<const float> boxes, std::span<const Point> anchors,
                                         float unit_px, const SsdDecode& decode) {
  const std::size_t values = 4 + 2 * decode.key_points.size();
  if (scores.size() != anchors.size() || boxes.size() != anchors.size() * values)
    throw std::invalid_argument("decode_detections: expected " + std::to_string(anchors.size()) + " scores and boxes of " +
                                std::to_string(values) + " values, got " + std::to_string(scores.size()) + " scores and " +
                                std::to_string(boxes.size()) + " values");
  // Compared as a logit, the threshold costs no exponential for the thousands of anchors that hold nothing.
  const float p = std::clamp(decode.score_threshold, 1e-6f, 1.0f - 1e-6f);
  const float least = std::log(p / (1.0f - p));
  std::vector<Detection> found;
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    if (!(scores[i] >= least)) continue;  // also drops NaN
    const float* box = boxes.data() + i * values;
    if (!std::all_of(box, box + values, [](float v) { return std::isfinite(v); })) continue;
    const float logit = std::clamp(scores[i], -decode.score_clip, decode.score_clip);
    Detection d;
    d.score = 1.0f / (1.0f + std::exp(-logit));
    if (box[2] <= 0 || box[3] <= 0) continue;
    const auto x = [&](float value) { return anchors[i].x + unit_px * value; };
    const auto y = [&](float value) { return anchors[i].y + unit_px * value; };
    d.x0 = x(box[0] - 0.5f * box[2]);
    d.x1 = x(box[0] + 0.5f * box[2]);
    d.y0 = y(box[1] - 0.5f * box[3]);
    d.y1 = y(box[1] + 0.5f * box[3]);
    d.key_points.resize(decode.key_points.size());
    for (std::size_t k = 0; k < d.key_points.size(); ++k) d.key_points[k] = {x(box[4 + 2 * k]), y(box[5 + 2 * k])};
    found.push_back(std::move(d));
  }
  std::stable_sort(found.begin(), found.end(), [](const Detection& a, const Detection& b) { return a.score > b.score; });
  return found;
}

float intersection_over_union(const Detection& a, const Detection& b) {
  const float width = std::min(a.x1, b.x1) - std::max(a.x0, b.x0);
  const float height = std::min(a.y1, b.y1) - std::max(a.y0, b.y0);
  if (width <= 0 || height <= 0) return 0;
  const float common = width * height;
  return common / (a.width() * a.height() + b.width() * b.height() - common);
}

std::vector<Detection> weighted_nms(std::vector<Detection> detections, float iou_threshold) {
  std::vector<Detection> kept;
  std::vector<bool> taken(detections.size(), false);
  for (std::size_t i = 0; i < detections.size(); ++i) {
    if (taken[i]) continue;
    const Detection best = detections[i];
    Detection mean = best;
    mean.x0 = mean.y0 = mean.x1 = mean.y1 = 0;
    for (auto& point : mean.key_points) point = {};
    float weight = 0;
    for (std::size_t j = i; j < detections.size(); ++j) {
      if (taken[j] || (j != i && intersection_over_union(best, detections[j]) <= iou_threshold)) continue;
      taken[j] = true;
      const Detection& d = detections[j];
      weight += d.score;
      mean.x0 += d.score * d.x0;
      mean.y0 += d.score * d.y0;
      mean.x1 += d.score * d.x1;
      mean.y1 += d.score * d.y1;
      for (std::size_t k = 0; k < mean.key_points.size(); ++k) {
        mean.key_points[k].x += d.score * d.key_points[k].x;
        mean.key_points[k].y += d.score * d.key_points[k].y;
      }
    }
    mean.x0 /= weight;
    mean.y0 /= weight;
    mean.x1 /= weight;
    mean.y1 /= weight;
    for (auto& point : mean.key_points) point = {point.x / weight, point.y / weight};
    kept.push_back(std::move(mean));
  }
  return kept;
}

}  // namespace affectrt
