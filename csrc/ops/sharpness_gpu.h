// What sharpness.cu is launched with.
#pragma once

namespace affectrt::gpu {

// One block of kSharpnessThreads a slot, slots in x. The kernels are sharpness_f32, _f16 and _s8, by what a tensor element is: neither the
// scale nor the zero point of int8 changes the result.
struct SharpnessArgs {
  const void* tensor;      // the batch that image_to_tensor wrote
  const int* count;        // slots in use, in device memory: the others are left as they are. Null: all of the grid
  float* sharpness;        // one a slot
  long long slot_step;     // elements between slots of the batch
  long long channel_step;  // elements between channels; 1: interleaved
  int width_px, height_px;
  int channels;          // 1, or 3, of which the middle one is read
  float least_variance;  // of the tensor's values: a flatter region counts as blurred, 0
};
static_assert(sizeof(void*) == 8 && sizeof(SharpnessArgs) == 56, "host and device read one layout");

constexpr int kSharpnessThreads = 256;

}  // namespace affectrt::gpu
