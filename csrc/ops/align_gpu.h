// What align.cu is launched with.
#pragma once

namespace affectrt::gpu {

constexpr int kAlignThreads = 64;  // one detection each
constexpr int kMaxTemplatePoints = 16;

// Both kernels, align_box and align_points: from the rows that detection.cu wrote to the maps that image_to_tensor.cu reads. Detections
// beyond `count` leave theirs as they are.
struct AlignBoxArgs {
  const float* rows;  // (max_count, row_values): score, x0, y0, x1, y1, key points
  const int* count;   // in device memory
  float* regions;     // (max_count, 6)
  int row_values;
  int max_count;
  int right_eye, left_eye;  // key points that turn the crop, or -1
  int square;               // 1: the longer side counts for both
  float scale, shift_x, shift_y;
  int tensor_width_px, tensor_height_px;
};
static_assert(sizeof(void*) == 8 && sizeof(AlignBoxArgs) == 64, "host and device read one layout");

struct AlignPointsArgs {
  const float* rows;
  const int* count;
  float* regions;
  int row_values;
  int max_count;
  int points;                            // 2 to kMaxTemplatePoints, not all at one place
  int index[kMaxTemplatePoints];         // which key points of the detection
  float template_x[kMaxTemplatePoints];  // where they belong in the tensor, in edge coordinates
  float template_y[kMaxTemplatePoints];
};
static_assert(sizeof(AlignPointsArgs) == 232, "host and device read one layout");

}  // namespace affectrt::gpu
