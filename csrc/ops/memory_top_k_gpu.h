// What memory_top_k.cu is launched with.
#pragma once

namespace affectrt::gpu {

constexpr int kMemoryThreads = 256;
constexpr int kMaxMemoryTopK = 32;  // k and candidates: a lane each; more are for the CPU

// In the order of Combination in ops.h.
enum MemoryCombination : int { kMemorySemantic, kMemoryEmotional, kMemorySum, kMemoryProduct, kMemorySemanticFirst, kMemoryEmotionalFirst };

// The k nearest memories of each query, as memory_top_k gives them, to the last bit. Two launches of blocks of kMemoryThreads:
// `memory_top_k`, a grid of (blocks, queries), finds the nearest of each block's rows; `memory_top_k_merge`, a grid of (queries), the
// nearest of all. Results do not depend on the number of blocks. Steps are in elements. What a combination does not ask for is not read,
// and may be null.
//
// The host sees to it that queries are finite, that no emotion query is all zeros where one is needed, and that 1 <= k, candidates <=
// kMaxMemoryTopK.
struct MemoryTopKArgs {
  const float* semantic;         // (queries, width)
  const float* emotion;          // (queries, moods)
  const float* semantics;        // (count, width)
  const float* emotions;         // (count, moods)
  const unsigned char* allowed;  // (queries, count): 0 as if the row were not there. Null: all are
  float* block_distances;        // (queries, blocks, kMaxMemoryTopK): scratch
  int* block_rows;               // (queries, blocks, kMaxMemoryTopK): scratch
  float* distances;              // (queries, k), nearest first; infinity where fewer are allowed
  int* rows;                     // (queries, k); -1 where fewer are allowed
  long long semantics_step, emotions_step;
  long long allowed_step;  // between queries; 0: one mask for all
  int count, width, moods;
  int combination;
  int k, candidates;
  int blocks;  // of the first launch
};
static_assert(sizeof(void*) == 8 && sizeof(MemoryTopKArgs) == 128, "host and device read one layout");

}  // namespace affectrt::gpu
