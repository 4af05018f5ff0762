// What emotion_layernorm.cu is launched with.
#pragma once

namespace affectrt::gpu {

constexpr int kEmotionLayerNormThreads = 256;
constexpr int kEmotionLayerNormRows = 32;             // tokens a block
constexpr int kMaxEmotionLayerNormWidth = 12 * 1024;  // the mix of a block lies in shared memory

// Grid (tokens / kEmotionLayerNormRows rounded up, batch), `width` floats of dynamic shared memory. The kernels are emotion_layernorm_f32
// and _f16, by the element of all arrays. Steps are in elements.
struct EmotionLayerNormArgs {
  const void* x;        // (batch, tokens, width)
  const void* probs;    // (batch, emotions): of each text; one 1 and else 0 is a plain lookup, and costs no more
  const void* table;    // (emotions, width)
  const void* gamma;    // (width)
  const void* beta;     // (width)
  void* out;            // (batch, tokens, width)
  long long item_step;  // of x
  long long row_step;
  long long out_item_step;
  long long out_row_step;
  int tokens, width, emotions;
  float epsilon;
};
static_assert(sizeof(void*) == 8 && sizeof(EmotionLayerNormArgs) == 96, "host and device read one layout");

}  // namespace affectrt::gpu
