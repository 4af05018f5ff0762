// Attention whose keys depend on whether query and key are of the same speaker (the identity-masked attention of EmotionIC, Liu et al.,
// 2023): weights = softmax over j of scale * <q_i, same speaker ? k_same_j : k_other_j>. Positional terms come in as further columns of
// queries and keys. A warp holds a query, a lane a key of the tile of 32; the softmax is kept up from tile to tile. Float32 between load
// and store.
#include "affectrt/ops/kernel_tools.cuh"
#include "affectrt/ops/masked_attention_gpu.h"

namespace affectrt::gpu {
namespace {

constexpr int kTile = 32;
constexpr int kPitch = kTile + 1;  // so that the lanes' rows begin in banks of their own

template <class T>
__device__ inline void masked_attention(const MaskedAttentionArgs& a) {
  constexpr int kValues = kMaxValueWidth / 32;
  __shared__ float queries[kMaskedAttentionQueries][kPitch];
  __shared__ float same_keys[kTile][kPitch], other_keys[kTile][kPitch];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int query = blockIdx.x * kMaskedAttentionQueries + warp;
  const long long keys_at = blockIdx.z * a.item_step + blockIdx.y * a.head_step;
  const long long values_at = blockIdx.z * a.value_item_step + blockIdx.y * a.value_head_step;
  const T* q = static_cast<const T*>(a.query) + keys_at;
  const T* k_same = static_cast<const T*>(a.key_same) + keys_at;
  const T* k_other = static_cast<const T*>(a.key_other) + keys_at;
  const T* v = static_cast<const T*>(a.value) + values_at;
  const long long* speakers = a.speakers + static_cast<long long>(blockIdx.z) * a.tokens;
  const unsigned char* mask = a.mask == nullptr ? nullptr : a.mask + static_cast<long long>(blockIdx.z) * a.tokens;
  const long long speaker = query < a.tokens ? speakers[query] : 0;

  float greatest = -infinity(), total = 0;
  float sums[kValues];
#pragma unroll
  for (int r = 0; r < kValues; ++r) sums[r] = 0;

  for (int first = 0; first < a.tokens; first += kTile) {
    const int key = first + lane;
    const bool counts = key < a.tokens && (mask == nullptr || mask[key] != 0);
    const bool same = key < a.tokens && speakers[key] == speaker;
    float logit = 0;
    for (int column = 0; column < a.key_width; column += kTile) {
      const bool inside = column + lane < a.key_width;
      queries[warp][lane] = inside && query < a.tokens ? to_float(q[query * a.row_step + column + lane]) : 0.0f;
      for (int row = warp; row < kTile; row += kMaskedAttentionQueries) {
        const long long at = (first + row) * a.row_step + column + lane;
        const bool there = inside && first + row < a.tokens;
        same_keys[row][lane] = there ? to_float(k_same[at]) : 0.0f;
        other_keys[row][lane] = there ? to_float(k_other[at]) : 0.0f;
      }
      __syncthreads();  // the tile is there
      const float* mine = same ? same_keys[lane] : other_keys[lane];
#pragma unroll 8
      for (int i = 0; i < kTile; ++i) logit += queries[warp][i] * mine[i];
      __syncthreads();  // and has been read
    }
    logit = counts ? a.scale * logit : -infinity();
    const float top = fmaxf(greatest, warp_max(logit));
    if (top == -infinity()) continue;  // nothing but padding so far; the whole warp
    const float weight = counts ? expf(logit - top) : 0.0f;
    const float keep = expf(greatest - top);
    greatest = top;
    total = total * keep + warp_sum(weight);
#pragma unroll
    for (int r = 0; r < kValues; ++r) sums[r] *= keep;
    for (int i = 0; i < kTile; ++i) {
      const float w = __shfl_sync(0xffffffffu, weight, i);
      if (w == 0) continue;  // also beyond the last token; the whole warp
      const T* row = v + (first + i) * a.value_row_step;
#pragma unroll
      for (int r = 0; r < kValues; ++r)
        if (32 * r + lane < a.value_width) sums[r] += w * to_float(row[32 * r + lane]);
    }
  }
  if (query >= a.tokens) return;
  T* out = static_cast<T*>(a.out) + values_at + query * a.value_row_step;
#pragma unroll
  for (int r = 0; r < kValues; ++r)
    if (32 * r + lane < a.value_width) out[32 * r + lane] = from_float<T>(total > 0 ? sums[r] / total : 0.0f);
}

}  // namespace
}  // namespace affectrt::gpu

extern "C" __global__ void __launch_bounds__(256, 4) masked_attention_f32(affectrt::gpu::MaskedAttentionArgs args) {
  affectrt::gpu::masked_attention<float>(args);
}

extern "C" __global__ void __launch_bounds__(256, 4) masked_attention_f16(affectrt::gpu::MaskedAttentionArgs args) {
  affectrt::gpu::masked_attention<affectrt::gpu::Half>(args);
}
