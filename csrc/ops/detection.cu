// SSD decoding, score threshold, weighted non-maximum suppression and the way back into the frame, as detection.cc and face/detector.cc do
// them. One block: a picture has some thousand anchors and some ten candidates, and what more blocks would gain they would lose waiting for
// each other. Results do not depend on the order in which threads run: candidates are sorted by score and anchor, which is a total order,
// and sums run from the best candidate to the last.
#include "affectrt/ops/detection_gpu.h"
#include "affectrt/ops/kernel_tools.cuh"

namespace affectrt::gpu {
namespace {

struct Box {
  float x0, y0, x1, y1;
};

__device__ inline Box decode(const DetectionArgs& a, int anchor) {
  const float* box = a.boxes + static_cast<long long>(anchor) * (4 + 2 * a.key_points);
  const float x = a.anchors[2 * anchor], y = a.anchors[2 * anchor + 1];
  return {x + a.unit_px * (box[0] - 0.5f * box[2]), y + a.unit_px * (box[1] - 0.5f * box[3]), x + a.unit_px * (box[0] + 0.5f * box[2]),
          y + a.unit_px * (box[1] + 0.5f * box[3])};
}

__device__ inline float overlap(const Box& a, const Box& b) {
  const float width = fminf(a.x1, b.x1) - fmaxf(a.x0, b.x0), height = fminf(a.y1, b.y1) - fmaxf(a.y0, b.y0);
  if (width <= 0 || height <= 0) return 0;
  const float common = width * height;
  return common / ((a.x1 - a.x0) * (a.y1 - a.y0) + (b.x1 - b.x0) * (b.y1 - b.y0) - common);
}

// Whether an anchor holds a face. Comparisons are such that NaN does not.
__device__ inline bool holds(const DetectionArgs& a, int anchor) {
  if (!(a.scores[anchor] >= a.least_logit)) return false;
  const int values = 4 + 2 * a.key_points;
  const float* box = a.boxes + static_cast<long long>(anchor) * values;
  bool finite = true;
  for (int i = 0; i < values; ++i) finite = finite && is_finite(box[i]);
  return finite && box[2] > 0 && box[3] > 0;
}

__device__ inline float probability(const DetectionArgs& a, int anchor) {
  const float logit = fminf(fmaxf(a.scores[anchor], -a.score_clip), a.score_clip);
  return 1.0f / (1.0f + expf(-logit));
}

// Corner or key point number `pair` of a candidate, in tensor pixels.
__device__ inline void point_of(const DetectionArgs& a, int anchor, const Box& box, int pair, float& x, float& y) {
  if (pair == 0) {
    x = box.x0;
    y = box.y0;
  } else if (pair == 1) {
    x = box.x1;
    y = box.y1;
  } else {
    const float* values = a.boxes + static_cast<long long>(anchor) * (4 + 2 * a.key_points) + 2 * pair;
    x = a.anchors[2 * anchor] + a.unit_px * values[0];
    y = a.anchors[2 * anchor + 1] + a.unit_px * values[1];
  }
}

}  // namespace
}  // namespace affectrt::gpu

extern "C" __global__ void __launch_bounds__(512) detection(affectrt::gpu::DetectionArgs a) {
  using namespace affectrt::gpu;
  constexpr int kWarps = kMaxCandidates / 32;
  __shared__ int found;
  __shared__ int unsorted[kMaxCandidates];
  __shared__ float unsorted_score[kMaxCandidates];
  __shared__ int anchor[kMaxCandidates];
  __shared__ float score[kMaxCandidates];
  __shared__ Box box[kMaxCandidates];
  __shared__ unsigned alive[kWarps], group[kWarps];
  const int me = threadIdx.x, lane = me % 32, warp = me / 32;

  if (me == 0) found = 0;
  __syncthreads();
  for (int i = me; i < a.anchor_count; i += kDetectionThreads)
    if (holds(a, i)) {
      const int at = atomicAdd(&found, 1);
      if (at < kMaxCandidates) unsorted[at] = i;
    }
  __syncthreads();
  const int candidates = found;
  if (candidates > kMaxCandidates) {
    if (me == 0) {
      a.status[0] = 0;
      a.status[1] = candidates;
    }
    return;
  }

  const bool mine = me < candidates;
  if (mine) unsorted_score[me] = probability(a, unsorted[me]);
  __syncthreads();
  if (mine) {
    const float own = unsorted_score[me];
    int rank = 0;
    for (int i = 0; i < candidates; ++i) rank += unsorted_score[i] > own || (unsorted_score[i] == own && unsorted[i] < unsorted[me]);
    anchor[rank] = unsorted[me];
    score[rank] = own;
  }
  const unsigned filled = __ballot_sync(0xffffffffu, mine);
  if (lane == 0) alive[warp] = filled;
  __syncthreads();  // candidates are in order
  if (mine) box[me] = decode(a, anchor[me]);
  __syncthreads();  // and decoded

  int kept = 0;
  for (; kept < a.max_detections; ++kept) {
    int best = -1;
    for (int i = 0; i < kWarps && best < 0; ++i)
      if (alive[i] != 0) best = 32 * i + __ffs(alive[i]) - 1;
    if (best < 0) break;  // all threads see the same

    const bool joins = (alive[warp] >> lane & 1u) && (me == best || overlap(box[best], box[me]) > a.iou_threshold);
    const unsigned joined = __ballot_sync(0xffffffffu, joins);
    if (lane == 0) group[warp] = joined;
    __syncthreads();  // the group is known

    // One thread a point: the mean over the group, and the way into the frame. Boxes are in edge coordinates (the first pixel spans 0 to
    // 1), the map is between pixel centres: half a pixel lies between the two.
    if (me < 2 + a.key_points) {
      float weight = 0, x = 0, y = 0;
      for (int i = best / 32; i < kWarps; ++i)
        for (unsigned rest = group[i]; rest != 0; rest &= rest - 1) {
          const int member = 32 * i + __ffs(rest) - 1;
          float px, py;
          point_of(a, anchor[member], box[member], me, px, py);
          weight += score[member];
          x += score[member] * px;
          y += score[member] * py;
        }
      x = x / weight - 0.5f;
      y = y / weight - 0.5f;
      float* row = a.rows + kept * (5 + 2 * a.key_points);
      if (me == 0) row[0] = score[best];
      row[1 + 2 * me] = a.to_source[0] * x + a.to_source[1] * y + a.to_source[2] + 0.5f;
      row[2 + 2 * me] = a.to_source[3] * x + a.to_source[4] * y + a.to_source[5] + 0.5f;
    }
    if (lane == 0) alive[warp] &= ~joined;
    __syncthreads();  // the group is gone
  }
  if (me == 0) {
    a.status[0] = kept;
    a.status[1] = candidates;
  }
}
