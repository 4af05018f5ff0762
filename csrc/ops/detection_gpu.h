// What detection.cu is launched with.
#pragma once

namespace affectrt::gpu {

constexpr int kDetectionThreads = 512;
constexpr int kMaxCandidates = 512;  // anchors above the threshold; more are for the CPU
constexpr int kMaxDetections = 64;
constexpr int kMaxKeyPoints = 62;

// One block of kDetectionThreads: a detector's outputs to faces in pixels of the frame. The kernel is `detection`.
//
// status[0] is the number of rows written, best first, at most `max_detections`: what suppression would have kept after them is left out.
// status[1] is the number of anchors above the threshold. Where it is over kMaxCandidates, status[0] is 0 and no row is written: the host
// then decodes on the CPU.
struct DetectionArgs {
  const float* scores;     // (anchors) logits
  const float* boxes;      // (anchors, 4 + 2 key_points): centre, size and points, from the anchor, in units of unit_px
  const float* anchors;    // (anchors, 2): centres in tensor pixels
  const float* to_source;  // (6): the map with which image_to_tensor has read the frame
  float* rows;             // (max_detections, 5 + 2 key_points): score, x0, y0, x1, y1, points
  int* status;             // (2)
  int anchor_count;
  int key_points;      // 0 to kMaxKeyPoints
  int max_detections;  // 1 to kMaxDetections
  float least_logit;   // log(p / (1 - p)) of the score threshold p, which is first clamped to [1e-6, 1 - 1e-6]
  float score_clip;
  float iou_threshold;
  float unit_px;
};
static_assert(sizeof(void*) == 8 && sizeof(DetectionArgs) == 80, "host and device read one layout");

}  // namespace affectrt::gpu
