// The best sequence of tags of each dialogue by a SkipCRF (EmotionIC, Liu et al., 2023), as skip_crf_cpu.cc finds it. The table has a row
// for each tag at the end of the run before, a column for each tag of the utterance: a warp takes a row, a lane a column. One barrier an
// utterance, since tables take turns. Ties fall as on the CPU, which makes the result independent of the order of threads.
#include "affectrt/ops/kernel_tools.cuh"
#include "affectrt/ops/skip_crf_gpu.h"

namespace affectrt::gpu {
namespace {

constexpr int kPitch = kMaxSkipCrfTags;
constexpr int kWarps = kSkipCrfThreads / 32;

struct Best {
  float value;
  int from;
};

// The greatest of values[r * step] + transitions[r * kPitch], over the tags r; of equal ones the lowest. Without transitions: of values.
__device__ inline Best greatest(const float* values, int step, const float* transitions, int tags) {
  Best best = {-infinity(), 0};
  for (int r = 0; r < tags; ++r) {
    const float sum = transitions == nullptr ? values[r * step] : values[r * step] + transitions[r * kPitch];
    if (sum > best.value) best = {sum, r};
  }
  return best;
}

}  // namespace
}  // namespace affectrt::gpu

extern "C" __global__ void __launch_bounds__(256) skip_crf(affectrt::gpu::SkipCrfArgs a) {
  using namespace affectrt::gpu;
  __shared__ float own[kPitch * kPitch], other[kPitch * kPitch];
  __shared__ float tables[2][kPitch * kPitch];
  __shared__ float tops[2][kWarps];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, tags = a.tags;
  const bool mine = lane < tags;
  const long long first = static_cast<long long>(blockIdx.x) * a.utterances;
  const float* emissions = a.emissions + blockIdx.x * a.item_step;
  const long long* speakers = a.speakers + first;
  unsigned char* back = a.back + first * tags * tags;
  int* out = a.tags_out + first;
  const int length = a.lengths == nullptr ? a.utterances : min(max(a.lengths[blockIdx.x], 0), a.utterances);

  for (int t = length + threadIdx.x; t < a.utterances; t += kSkipCrfThreads) out[t] = -1;
  if (length == 0) {
    if (threadIdx.x == 0) a.scores[blockIdx.x] = 0;
    return;
  }

  // The dialogue's first run has no run before it: its rows are all alike, and of equal ones the first is taken.
  float top = -infinity();
  for (int row = warp; row < tags; row += kWarps) {
    if (mine) {
      own[row * kPitch + lane] = a.self[row * tags + lane];
      other[row * kPitch + lane] = a.other[row * tags + lane];
      const float value = a.start[lane] + emissions[lane];
      tables[0][row * kPitch + lane] = value;
      top = fmaxf(top, value);
    }
  }
  top = warp_max(top);
  if (lane == 0) tops[0][warp] = top;
  __syncthreads();  // the first table is there

  bool changed = false;  // whether there was a run before the speaker's
  long long speaker = speakers[0], before = 0;
  double taken_off = 0;
  for (int t = 1; t < length; ++t) {
    const float* table = tables[(t - 1) % 2];
    float* next = tables[t % 2];
    const long long now = speakers[t];
    const bool same = now == speaker, returns = !same && changed && now == before;
    if (!same) {
      before = speaker;
      speaker = now;
      changed = true;
    }
    // Where all sequences are forbidden, -infinity less -infinity is NaN, which no comparison takes for anything else.
    float off = -infinity();
    for (int i = 0; i < kWarps; ++i) off = fmaxf(off, tops[(t - 1) % 2][i]);
    if (threadIdx.x == 0) taken_off += off;

    top = -infinity();
    for (int row = warp; row < tags; row += kWarps) {
      if (!mine) continue;
      // In a run the row stays; where one begins, the row is the tag that was the newest.
      Best best;
      if (same)
        best = greatest(table + row * kPitch, 1, own + lane, tags);
      else
        best = greatest(table + row, kPitch, returns ? own + lane : nullptr, tags);
      float value = best.value - off;
      if (!same) value += other[row * kPitch + lane];
      value += emissions[t * a.row_step + lane];
      next[row * kPitch + lane] = value;
      back[(static_cast<long long>(t) * tags + row) * tags + lane] = static_cast<unsigned char>(best.from);
      top = fmaxf(top, value);
    }
    top = warp_max(top);
    if (lane == 0) tops[t % 2][warp] = top;
    __syncthreads();  // the next table is there
  }

  // The end: of equal ones the lowest tag, then the lowest row.
  if (warp > 0) return;
  const float* table = tables[(length - 1) % 2];
  Best best = {-infinity(), 0};
  if (mine) {
    best = greatest(table + lane, kPitch, nullptr, tags);
    best.value += a.end[lane];
  }
  int tag = lane, row = best.from;
  for (int step = 16; step > 0; step /= 2) {
    const float value = __shfl_xor_sync(0xffffffffu, best.value, step);
    const int its_tag = __shfl_xor_sync(0xffffffffu, tag, step), its_row = __shfl_xor_sync(0xffffffffu, row, step);
    if (value > best.value || (value == best.value && its_tag < tag)) {
      best.value = value;
      tag = its_tag;
      row = its_row;
    }
  }
  if (lane > 0) return;
  const bool allowed = best.value > -infinity();
  a.scores[blockIdx.x] = allowed ? static_cast<float>(taken_off + best.value) : -infinity();
  for (int t = length - 1; t >= 0; --t) {
    out[t] = allowed ? tag : -1;
    if (t == 0 || !allowed) continue;
    const int from = back[(static_cast<long long>(t) * tags + row) * tags + tag];
    if (speakers[t] == speakers[t - 1]) {
      tag = from;
    } else {
      tag = row;
      row = from;
    }
  }
}
