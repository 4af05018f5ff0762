// What masked_attention.cu is launched with.
#pragma once

namespace affectrt::gpu {

constexpr int kMaskedAttentionThreads = 256;
constexpr int kMaskedAttentionQueries = kMaskedAttentionThreads / 32;  // a block, a warp each
constexpr int kMaxValueWidth = 256;

// Grid (tokens / kMaskedAttentionQueries rounded up, heads, batch). The kernels are masked_attention_f32 and _f16, by the element of the
// arrays. Steps are in elements.
struct MaskedAttentionArgs {
  const void* query;                         // (batch, heads, tokens, key_width)
  const void* key_same;                      // the same: keys for queries of the same speaker
  const void* key_other;                     // and of another
  const void* value;                         // (batch, heads, tokens, value_width)
  const long long* speakers;                 // (batch, tokens)
  const unsigned char* mask;                 // (batch, tokens): 0 where a token is padding, which nothing attends to. Null: none is
  void* out;                                 // (batch, heads, tokens, value_width); zeros where all tokens are padding
  long long item_step, head_step, row_step;  // of query and keys
  long long value_item_step, value_head_step, value_row_step;  // of value and out
  int tokens;
  int key_width;
  int value_width;  // at most kMaxValueWidth
  float scale;      // of the logits
};
static_assert(sizeof(void*) == 8 && sizeof(MaskedAttentionArgs) == 120, "host and device read one layout");

}  // namespace affectrt::gpu
