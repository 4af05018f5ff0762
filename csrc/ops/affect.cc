#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "affectrt/ops/ops.h"

namespace affectrt {

void activate(std::span<float> values, Activation activation, float temperature) {
  switch (activation) {
    case Activation::kIdentity:
      return;
    case Activation::kSigmoid:
      for (auto& v : values) v = 1.0f / (1.0f + std::exp(-v / temperature));
      return;
    case Activation::kSoftmax: {
      if (values.empty()) return;
      const float top = *std::max_element(values.begin(), values.end());
      float sum = 0;
      for (auto& v : values) sum += v = std::exp((v - top) / temperature);
      for (auto& v : values) v /= sum;
      return;
    }
  }
}

Affect read_affect(std::span<const float> values, float height_px, float sharpness, std::int64_t stamp_ns, std::span<const Label> labels,
                   const AffectOptions& options, AffectTrack& track) {
  if (values.size() != labels.size() || labels.empty())
    throw std::invalid_argument("read_affect: expected as many values as labels, at least one, got " + std::to_string(values.size()) +
                                " and " + std::to_string(labels.size()));
  Affect result;
  result.raw_probs.assign(values.begin(), values.end());
  activate(result.raw_probs, options.activation, options.temperature);
  // A network that has lost its mind tells nothing about the face, and must not spoil the track.
  if (!std::all_of(result.raw_probs.begin(), result.raw_probs.end(), [](float p) { return std::isfinite(p); })) {
    result.probs = result.raw_probs;
    result.doubt = AffectDoubt::kUncertain;
    return result;
  }
  if (height_px < options.min_face_px)
    result.doubt = AffectDoubt::kTinyFace;
  else if (sharpness < options.min_sharpness)
    result.doubt = AffectDoubt::kBlurredFace;

  if (result.doubt == AffectDoubt::kNone) {
    if (track.probs.empty()) {
      track.probs = result.raw_probs;
    } else {
      const double elapsed_ns = static_cast<double>(stamp_ns) - static_cast<double>(track.stamp_ns);
      smooth(track.probs, result.raw_probs, static_cast<float>(elapsed_ns * 1e-6), options.smoothing_ms);
    }
    track.stamp_ns = stamp_ns;
  }
  // What is too small or too blurred adds nothing to the track, and the track says nothing in its place.
  result.probs = result.doubt == AffectDoubt::kNone ? track.probs : result.raw_probs;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    result.valence += result.probs[i] * labels[i].valence;
    result.arousal += result.probs[i] * labels[i].arousal;
    result.dominance += result.probs[i] * labels[i].dominance.value_or(0.0f);
  }
  if (result.doubt != AffectDoubt::kNone) return result;
  const auto top = std::max_element(result.probs.begin(), result.probs.end());
  result.confidence = *top * std::min(1.0f, height_px / options.full_height_px);
  if (*top < options.unknown_below)
    result.doubt = AffectDoubt::kUncertain;
  else
    result.label = static_cast<int>(top - result.probs.begin());
  return result;
}

}  // namespace affectrt
