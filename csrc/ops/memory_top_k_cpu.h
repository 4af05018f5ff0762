// The kernels of memory_top_k: raw pointers, sizes and strides only.
//
// A distance is the same number, to the last bit, on every processor, and in the CUDA kernel:
//
//   d_sem  float32: (q - x)^2 of element j goes to partial sum j % 32, in order; the sums are added as a tree, i and i + 16, then i and
//          i + 8, ...; square root. No multiplication is fused with an addition.
//   d_emo  float64: products q x and x x of element j go to partial sum j % 8, in order, and a tree as above. The square of the cosine,
//          (q.x)(q.x) / ((q.q)(x.x)), is rounded to float32; 1 minus its root, or plus where q.x < 0. Neither large nor small vectors
//          lose anything, and parallel ones lie at exactly 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace affectrt::kernels {

inline constexpr int kDistanceLanes = 32, kCosineLanes = 8;

// `count` rows of a matrix, by number; `step` elements lie between the starts of two rows. The numbers up to `known` are those of rows that
// will be asked for next, and may be fetched early.
template <class T>
struct SomeRows {
  const T* data;
  std::ptrdiff_t step;
  int width;
  const std::int64_t* which;
  int count, known;
};

inline constexpr int kMaxRowsAtOnce = 32, kMaxRowsAhead = 64;

// x.x in the order of d_emo.
double square_sum(const float* x, int width);

inline constexpr int kCodePadding = 64;

// A query in 16 bits: |q - scale * values| <= residual, and |scale * values|^2 = square. The sum of |values * codes| of a row fits into 31
// bits. `halves` begin with `shift` zeros, and end with as many as make them a multiple of kCodePadding long.
struct CodeQuery {
  const std::int16_t* values;
  const std::int8_t* halves[2];  // values = 256 * halves[0] + halves[1]
  int shift;                     // 0 to kCodePadding - 1
  std::int32_t sum;              // of values
  double scale, square, residual;
};

struct MemoryKernels {
  const char* name;

  // d_sem of each row.
  void (*euclidean)(const float* query, const SomeRows<float>& rows, float* out);

  // d_emo of each row; `square` is square_sum(query).
  void (*cosine)(const float* query, double square, const SomeRows<float>& rows, float* out);

  // What the number that `euclidean` gives for a row cannot be below and above, from the row's codes: at most kMaxRowsAtOnce rows.
  // bounds: (scale, norm, residual) of all rows, see CodeBound in ops.h.
  void (*codes)(const CodeQuery& query, const SomeRows<std::int8_t>& rows, const float* bounds, float* lower, float* upper);
};

// Those that this processor runs, the fastest first; the last needs no instruction set beyond the compiler's default.
const std::vector<MemoryKernels>& memory_kernels();

}  // namespace affectrt::kernels
