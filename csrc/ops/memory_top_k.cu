// Recall as memory_top_k_cpu.cc does it, to the last bit: a warp's lanes are the 32 partial sums of d_sem, and a butterfly adds them as the
// tree does. A warp takes 32 rows at a time: a lane each for d_emo, all lanes for one row after another of d_sem. It keeps the nearest rows
// so far in order, one a lane, and few rows find a place among them, so that finding the nearest costs next to nothing beside reading the
// rows. Distance and row number are a total order: results do not depend on the order of threads.
#include "affectrt/ops/kernel_tools.cuh"
#include "affectrt/ops/memory_top_k_gpu.h"

namespace affectrt::gpu {
namespace {

constexpr int kWarps = kMemoryThreads / 32;
constexpr unsigned kAll = 0xffffffffu;
constexpr int kNoRow = 0x7fffffff;
constexpr int kRowsAtOnce = 4;  // of d_sem: more loads under way, and one of the query for all of them
constexpr int kMoodLanes = 8;

// A memory, or, as a lane's share, a list of 32 of them in order.
struct Near {
  float distance;
  int row;
};

__device__ inline bool nearer(const Near& a, const Near& b) {
  return a.distance < b.distance || (a.distance == b.distance && a.row < b.row);
}

__device__ inline Near none() { return {infinity(), kNoRow}; }

__device__ inline Near of_lane(const Near& mine, int lane) {
  return {__shfl_sync(kAll, mine.distance, lane), __shfl_sync(kAll, mine.row, lane)};
}

// Each lane offers one; those that are among the k nearest find their place.
__device__ inline void offer(Near& list, Near offered, int k) {
  const int lane = threadIdx.x % 32;
  for (;;) {
    const unsigned better = __ballot_sync(kAll, nearer(offered, of_lane(list, k - 1)));
    if (better == 0) return;
    const int from = __ffs(better) - 1;
    const Near taken = of_lane(offered, from);
    if (lane == from) offered = none();
    const int place = __popc(__ballot_sync(kAll, nearer(list, taken)));
    const Near before = {__shfl_up_sync(kAll, list.distance, 1), __shfl_up_sync(kAll, list.row, 1)};
    if (lane == place) list = taken;
    if (lane > place) list = before;
  }
}

// The lists of all warps in that of the first.
__device__ inline void merge_warps(Near& list, int k) {
  __shared__ Near lists[kWarps][32];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  lists[warp][lane] = list;
  __syncthreads();
  if (warp > 0) return;
  for (int other = 1; other < kWarps; ++other) offer(list, lane < k ? lists[other][lane] : none(), k);
}

// The inner product of two emotion vectors in partial sums, added as a tree. Float64: the products are exact.
__device__ inline double mood_product(const float* one, const float* other, int moods) {
  double sums[kMoodLanes] = {};
  for (int at = 0; at < moods; at += kMoodLanes)
#pragma unroll
    for (int i = 0; i < kMoodLanes; ++i)
      if (at + i < moods) sums[i] += static_cast<double>(one[at + i]) * other[at + i];
#pragma unroll
  for (int half = kMoodLanes / 2; half > 0; half /= 2)
#pragma unroll
    for (int i = 0; i < half; ++i) sums[i] += sums[i + half];
  return sums[0];
}

__device__ inline float mood_distance(const float* query, double query_square, const float* row, int moods) {
  const double square = mood_product(row, row, moods);
  if (square == 0) return 1.0f;
  const double dot = mood_product(query, row, moods);
  const float root = __fsqrt_rn(static_cast<float>(__ddiv_rn(dot * dot, query_square * square)));
  return dot < 0 ? 1.0f + root : 1.0f - root;
}

// d_sem of rows first to first + kRowsAtOnce of those that the lanes hold, each to its lane. Rows that do not count are not read.
__device__ inline void semantic_distances(const MemoryTopKArgs& a, const float* query, int row, unsigned counts, int first, float& mine) {
  const int lane = threadIdx.x % 32;
  const unsigned here = counts >> first & ((1u << kRowsAtOnce) - 1);
  if (here == 0) return;
  const float* rows[kRowsAtOnce];
  float sums[kRowsAtOnce] = {};
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) {
    const int source = first + ((here >> r & 1u) != 0 ? r : __ffs(here) - 1);
    rows[r] = a.semantics + __shfl_sync(kAll, row, source) * a.semantics_step;
  }
#pragma unroll 2
  for (int at = lane; at < a.width; at += 32) {
    const float q = query[at];
#pragma unroll
    for (int r = 0; r < kRowsAtOnce; ++r) {
      const float difference = q - rows[r][at];
      sums[r] = __fadd_rn(sums[r], __fmul_rn(difference, difference));  // never fused: that would round otherwise
    }
  }
#pragma unroll
  for (int r = 0; r < kRowsAtOnce; ++r) {
    const float distance = __fsqrt_rn(warp_sum(sums[r]));
    if (lane == first + r) mine = distance;
  }
}

// The distances of the lanes' rows by a combination of one step.
__device__ inline float distance_of(const MemoryTopKArgs& a, int query, double mood_square, int row, bool counts, int combination) {
  float semantic = 0, emotional = 0;
  if (combination != kMemorySemantic && counts)
    emotional =
        mood_distance(a.emotion + static_cast<long long>(query) * a.moods, mood_square, a.emotions + row * a.emotions_step, a.moods);
  if (combination != kMemoryEmotional) {
    const unsigned all = __ballot_sync(kAll, counts);
    for (int first = 0; first < 32; first += kRowsAtOnce)
      semantic_distances(a, a.semantic + static_cast<long long>(query) * a.width, row, all, first, semantic);
  }
  float distance = combination == kMemoryProduct ? __fmul_rn(semantic, emotional) : __fadd_rn(semantic, emotional);
  if (combination == kMemorySemantic) distance = semantic;
  if (combination == kMemoryEmotional) distance = emotional;
  return distance == distance ? distance : infinity();  // what is NaN lies at infinity
}

__device__ inline double mood_square(const MemoryTopKArgs& a, int query, int combination) {
  if (combination == kMemorySemantic) return 0;
  const float* mood = a.emotion + static_cast<long long>(query) * a.moods;
  return mood_product(mood, mood, a.moods);
}

}  // namespace
}  // namespace affectrt::gpu

extern "C" __global__ void __launch_bounds__(256, 3) memory_top_k(affectrt::gpu::MemoryTopKArgs a) {
  using namespace affectrt::gpu;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, query = blockIdx.y;
  const bool two_steps = a.combination == kMemorySemanticFirst || a.combination == kMemoryEmotionalFirst;
  const int combination = a.combination == kMemorySemanticFirst    ? kMemorySemantic
                          : a.combination == kMemoryEmotionalFirst ? kMemoryEmotional
                                                                   : a.combination;
  const int k = two_steps ? a.candidates : a.k;
  const double square = mood_square(a, query, combination);
  Near list = none();
  const long long step = 32LL * kWarps * a.blocks;
  for (long long first = 32LL * (blockIdx.x * kWarps + warp); first < a.count; first += step) {
    const int row = static_cast<int>(first) + lane;
    const bool counts = first + lane < a.count && (a.allowed == nullptr || a.allowed[query * a.allowed_step + row] != 0);
    const float distance = distance_of(a, query, square, row, counts, combination);
    offer(list, counts ? Near{distance, row} : none(), k);
  }
  merge_warps(list, k);
  if (warp > 0) return;
  const long long at = (static_cast<long long>(query) * a.blocks + blockIdx.x) * kMaxMemoryTopK + lane;
  a.block_distances[at] = lane < k ? list.distance : infinity();
  a.block_rows[at] = lane < k ? list.row : kNoRow;
}

extern "C" __global__ void __launch_bounds__(256, 3) memory_top_k_merge(affectrt::gpu::MemoryTopKArgs a) {
  using namespace affectrt::gpu;
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, query = blockIdx.x;
  const bool two_steps = a.combination == kMemorySemanticFirst || a.combination == kMemoryEmotionalFirst;
  const int k = two_steps ? a.candidates : a.k;
  Near list = none();
  for (int block = warp; block < a.blocks; block += kWarps) {
    const long long at = (static_cast<long long>(query) * a.blocks + block) * kMaxMemoryTopK + lane;
    offer(list, {a.block_distances[at], a.block_rows[at]}, k);
  }
  merge_warps(list, k);
  if (warp > 0) return;
  if (two_steps) {
    const int combination = a.combination == kMemorySemanticFirst ? kMemoryEmotional : kMemorySemantic;
    const bool counts = lane < k && list.row != kNoRow;
    const float distance = distance_of(a, query, mood_square(a, query, combination), list.row, counts, combination);
    const Near again = counts ? Near{distance, list.row} : none();
    list = none();
    offer(list, again, a.k);
  }
  if (lane >= a.k) return;
  a.distances[query * a.k + lane] = list.distance;
  a.rows[query * a.k + lane] = list.row == kNoRow ? -1 : list.row;
}
