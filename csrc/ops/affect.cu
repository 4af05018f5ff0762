// From a network's values to what a face expresses, for all faces and their tracks at once, as affect.cc does it for one: probabilities,
// smoothing over the track by the time since its last clear face, valence, arousal, dominance, the label and the doubt about it.
#include "affectrt/ops/affect_gpu.h"
#include "affectrt/ops/kernel_tools.cuh"

namespace affectrt::gpu {
namespace {

struct Top {
  float value;
  int label;
};

// The greatest of all lanes; of equal ones the first.
__device__ inline Top warp_top(Top top) {
  for (int step = 16; step > 0; step /= 2) {
    const float value = __shfl_xor_sync(0xffffffffu, top.value, step);
    const int label = __shfl_xor_sync(0xffffffffu, top.label, step);
    if (value > top.value || (value == top.value && label < top.label)) top = {value, label};
  }
  return top;
}

// The network's values to probabilities, in place of `raw`; false if any is not finite. A lane reads what it has written itself.
__device__ inline bool activate(const AffectArgs& a, const float* values, float* raw, int lane) {
  bool finite = true;
  if (a.activation == kSoftmaxActivation) {
    float top = -infinity();
    for (int i = lane; i < a.labels; i += 32) top = fmaxf(top, values[i]);
    top = warp_max(top);
    float sum = 0;
    for (int i = lane; i < a.labels; i += 32) {
      raw[i] = expf((values[i] - top) / a.temperature);
      sum += raw[i];
    }
    sum = warp_sum(sum);
    for (int i = lane; i < a.labels; i += 32) {
      raw[i] = raw[i] / sum;
      finite = finite && is_finite(raw[i]);
    }
  } else {
    for (int i = lane; i < a.labels; i += 32) {
      raw[i] = a.activation == kSigmoidActivation ? 1.0f / (1.0f + expf(-values[i] / a.temperature)) : values[i];
      finite = finite && is_finite(raw[i]);
    }
  }
  return __all_sync(0xffffffffu, finite);
}

// What a track has after a clear face.
__device__ inline void smooth(const AffectArgs& a, const AffectFace& face, const float* raw, int lane) {
  float* state = a.track_probs + static_cast<long long>(face.track) * a.labels;
  AffectTrackState& track = a.tracks[face.track];
  float weight = 1;
  if (!face.fresh && track.filled && a.smoothing_ms > 0) {
    // A clock that stood still or ran back tells nothing about the weight; the sample then counts as simultaneous.
    const float dt_ms = static_cast<float>(face.stamp_ns - track.stamp_ns) * 1e-6f;
    weight = -expm1f(-fmaxf(dt_ms, 0.0f) / a.smoothing_ms);
  }
  for (int i = lane; i < a.labels; i += 32) state[i] = weight == 1 ? raw[i] : state[i] + weight * (raw[i] - state[i]);
  __syncwarp();  // all lanes have read the track
  if (lane == 0) track = {face.stamp_ns, 1, 0};
}

}  // namespace
}  // namespace affectrt::gpu

extern "C" __global__ void __launch_bounds__(128) affect(affectrt::gpu::AffectArgs a) {
  using namespace affectrt::gpu;
  const int lane = threadIdx.x % 32;
  const int i = blockIdx.x * kFacesPerBlock + threadIdx.x / 32;
  if (i >= a.max_count || (a.count != nullptr && i >= *a.count)) return;  // the whole warp
  const long long first = static_cast<long long>(i) * a.labels;
  float* raw = a.raw_probs + first;
  float* probs = a.probs + first;
  const AffectFace face = a.faces[i];
  const float height = a.rows[static_cast<long long>(i) * a.row_values + 4] - a.rows[static_cast<long long>(i) * a.row_values + 2];

  // Also where this face is in doubt and leaves nothing of its own; no other lane reads it.
  if (face.fresh && lane == 0) a.tracks[face.track].filled = 0;

  // A network that has lost its mind tells nothing about the face, and must not spoil the track.
  if (!activate(a, a.values + first, raw, lane)) {
    for (int k = lane; k < a.labels; k += 32) probs[k] = raw[k];
    if (lane == 0) a.readings[i] = {0, 0, 0, 0, -1, kUncertainDoubt};
    return;
  }
  int doubt = kNoDoubt;
  if (height < a.min_face_px)
    doubt = kTinyDoubt;
  else if (a.sharpness[i] < a.min_sharpness)
    doubt = kBlurredDoubt;
  if (doubt == kNoDoubt) smooth(a, face, raw, lane);

  // What is too small or too blurred adds nothing to the track, and the track says nothing in its place.
  const float* chosen = doubt == kNoDoubt ? a.track_probs + static_cast<long long>(face.track) * a.labels : raw;
  float valence = 0, arousal = 0, dominance = 0;
  Top top = {-infinity(), 0x7fffffff};
  for (int k = lane; k < a.labels; k += 32) {
    const float p = chosen[k];
    probs[k] = p;
    valence += p * a.ratings[k];
    arousal += p * a.ratings[a.labels + k];
    dominance += p * a.ratings[2 * a.labels + k];
    if (p > top.value) top = {p, k};
  }
  valence = warp_sum(valence);
  arousal = warp_sum(arousal);
  dominance = warp_sum(dominance);
  top = warp_top(top);
  float confidence = 0;
  int label = -1;
  if (doubt == kNoDoubt) {
    confidence = top.value * fminf(1.0f, height / a.full_height_px);
    if (top.value < a.unknown_below)
      doubt = kUncertainDoubt;
    else
      label = top.label;
  }
  if (lane == 0) a.readings[i] = {valence, arousal, dominance, confidence, label, doubt};
}
