// Each kernel is written once, for registers of a given width, and made twice: for what the compiler takes for granted (SSE2, NEON) and for
// AVX2, chosen at run time; 8-bit codes also for AVX-512, since there AVX2 computes longer than it waits for memory. The file is compiled
// with -ffp-contract=off, since a fused multiply-add rounds otherwise than its two halves.
#include "affectrt/ops/memory_top_k_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#define AFFECTRT_INLINE inline __attribute__((always_inline))

namespace affectrt::kernels {
namespace {

// Sums in the last halves go to the first, until one is left.
template <int N, class T>
AFFECTRT_INLINE T tree_sum(T (&lanes)[N]) {
  for (int half = N / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) lanes[i] += lanes[i + half];
  return lanes[0];
}

// Rows to come are asked for while this one is read: without, 8-bit codes take three times as long from memory. The distance is measured.
constexpr int kAheadBytes = 24576;

template <class T>
AFFECTRT_INLINE int rows_ahead(const SomeRows<T>& rows) {
  return std::clamp(kAheadBytes / static_cast<int>(sizeof(T)) / rows.width, 1, kMaxRowsAhead);
}

// The row that is `ahead` of number i, or the last that is known of.
template <class T>
AFFECTRT_INLINE const T* row_ahead(const SomeRows<T>& rows, int i, int ahead) {
  return rows.data + rows.which[std::min(i + ahead, rows.known - 1)] * rows.step;
}

template <int Floats>
AFFECTRT_INLINE void euclidean(const float* query, const SomeRows<float>& rows, float* out) {
  typedef float Register __attribute__((vector_size(Floats * sizeof(float))));
  constexpr int kRegisters = kDistanceLanes / Floats;
  const int ahead = rows_ahead(rows);
  for (int i = 0; i < rows.count; ++i) {
    const float* row = rows.data + rows.which[i] * rows.step;
    const float* next = row_ahead(rows, i, ahead);
    Register sums[kRegisters] = {};
    int at = 0;
    for (; at + kDistanceLanes <= rows.width; at += kDistanceLanes) {
      __builtin_prefetch(next + at);
      __builtin_prefetch(next + at + kDistanceLanes / 2);
      for (int r = 0; r < kRegisters; ++r) {
        Register q, x;
        std::memcpy(&q, query + at + r * Floats, sizeof q);
        std::memcpy(&x, row + at + r * Floats, sizeof x);
        const Register difference = q - x;
        sums[r] += difference * difference;
      }
    }
    float lanes[kDistanceLanes];
    std::memcpy(lanes, sums, sizeof lanes);
    for (int lane = 0; at + lane < rows.width; ++lane) {
      const float difference = query[at + lane] - row[at + lane];
      lanes[lane] += difference * difference;
    }
    out[i] = tree_sum(lanes);
  }
  for (int i = 0; i < rows.count; ++i) out[i] = std::sqrt(out[i]);
}

// From the triangle inequality, which is Cauchy and Schwarz's: |q - x| is within `residual` of the distance of what the codes say. What
// the arithmetic of `euclidean` adds is covered as well: its relative error, and what it loses where squares are below float32's range,
// also where the processor flushes them to zero. A square beyond its range makes the distance infinite.
AFFECTRT_INLINE void bound(const CodeQuery& query, const SomeRows<std::int8_t>& rows, const std::int32_t* products, const float* bounds,
                           float* __restrict lower, float* __restrict upper) {
  const float relative = static_cast<float>(rows.width / kDistanceLanes + 20) * 0x1p-23f;
  const float absolute = std::sqrt(static_cast<float>(rows.width)) * 0x1p-62f;
  float scales[kMaxRowsAtOnce], norms[kMaxRowsAtOnce], residuals[kMaxRowsAtOnce];
  for (int i = 0; i < rows.count; ++i) {
    const float* row = bounds + 3 * rows.which[i];
    scales[i] = row[0];
    norms[i] = row[1];
    residuals[i] = row[2];
  }
  const double query_square = query.square, twice_scale = 2 * query.scale;
  const float query_residual = static_cast<float>(query.residual) * (1 + 0x1p-22f);
  for (int i = 0; i < rows.count; ++i) {
    const double own = static_cast<double>(norms[i]) * norms[i];
    const double square = query_square + own - twice_scale * scales[i] * products[i];
    const double error = 0x1p-22 * own + 0x1p-45 * query_square;  // the norm has been rounded to float32
    const float least = static_cast<float>(std::min(std::max(square - error, 0.0), 1e38));
    const float most = static_cast<float>(std::min(std::max(square + error, 0.0), 3e38));
    const float residual = residuals[i] + query_residual;
    const float low = std::sqrt(least) * (1 - relative) - residual * (1 + relative) - absolute;
    const float high = (std::sqrt(most) + residual) * (1 + relative) + absolute;
    lower[i] = std::max(low, 0.0f);
    upper[i] = high < 1e19f ? high : std::numeric_limits<float>::infinity();
  }
}

void euclidean_portable(const float* query, const SomeRows<float>& rows, float* out) { euclidean<4>(query, rows, out); }

void cosine_portable(const float* query, double square, const SomeRows<float>& rows, float* out) {
  for (int i = 0; i < rows.count; ++i) {
    const float* row = rows.data + rows.which[i] * rows.step;
    double dot[kCosineLanes] = {}, own[kCosineLanes] = {};
    for (int at = 0; at < rows.width; at += kCosineLanes)
      for (int lane = 0; lane < std::min(kCosineLanes, rows.width - at); ++lane) {
        const double x = row[at + lane];
        dot[lane] += query[at + lane] * x;
        own[lane] += x * x;
      }
    const double dots = tree_sum(dot), squares = tree_sum(own);
    const auto cosine_square = static_cast<float>(squares == 0 ? 0.0 : dots * dots / (square * squares));
    out[i] = dots < 0 ? 1.0f + std::sqrt(cosine_square) : 1.0f - std::sqrt(cosine_square);
  }
}

void codes_portable(const CodeQuery& query, const SomeRows<std::int8_t>& rows, const float* bounds, float* __restrict lower,
                    float* __restrict upper) {
  std::int32_t products[kMaxRowsAtOnce];
  for (int i = 0; i < rows.count; ++i) {
    const std::int8_t* row = rows.data + rows.which[i] * rows.step;
    std::int32_t sum = 0;
    for (int at = 0; at < rows.width; ++at) sum += query.values[at] * static_cast<std::int16_t>(row[at]);
    products[i] = sum;
  }
  bound(query, rows, products, bounds, lower, upper);
}

#if defined(__x86_64__)
#define AFFECTRT_AVX2 __attribute__((target("avx2")))

AFFECTRT_AVX2 void euclidean_avx2(const float* query, const SomeRows<float>& rows, float* out) { euclidean<8>(query, rows, out); }

// Eight partial sums of q.x and of x.x.
struct CosineSums {
  __m256d dot[2] = {}, square[2] = {};
};

AFFECTRT_AVX2 inline void add_cosine(const __m256d (&q)[2], const float* row, CosineSums& sums) {
  for (int half = 0; half < 2; ++half) {
    const __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(row + 4 * half));
    sums.dot[half] = _mm256_add_pd(sums.dot[half], _mm256_mul_pd(q[half], x));
    sums.square[half] = _mm256_add_pd(sums.square[half], _mm256_mul_pd(x, x));
  }
}

// d_emo of four rows; `query` is padded with zeros to a multiple of eight, and zeros change no sum.
AFFECTRT_AVX2 inline __m128 cosine_of_four(const double* query, double square, const float* const (&row)[4], int width) {
  CosineSums sums[4];
  for (int at = 0; at < width; at += kCosineLanes) {
    const __m256d q[2] = {_mm256_loadu_pd(query + at), _mm256_loadu_pd(query + at + 4)};
    for (int r = 0; r < 4; ++r) {
      if (width - at >= kCosineLanes) {
        add_cosine(q, row[r] + at, sums[r]);
      } else {
        float rest[kCosineLanes] = {};
        std::copy_n(row[r] + at, width - at, rest);
        add_cosine(q, rest, sums[r]);
      }
    }
  }
  // Eight to four; four to two, as (q.x, q.x, x.x, x.x); two to one, of two rows at a time, as (q.x of one, of the other, x.x, x.x).
  __m256d two[4];
  for (int r = 0; r < 4; ++r) {
    const __m256d dot = _mm256_add_pd(sums[r].dot[0], sums[r].dot[1]), own = _mm256_add_pd(sums[r].square[0], sums[r].square[1]);
    two[r] = _mm256_add_pd(_mm256_permute2f128_pd(dot, own, 0x20), _mm256_permute2f128_pd(dot, own, 0x31));
  }
  const __m256d first = _mm256_hadd_pd(two[0], two[1]), second = _mm256_hadd_pd(two[2], two[3]);
  const __m256d dots = _mm256_permute2f128_pd(first, second, 0x20), squares = _mm256_permute2f128_pd(first, second, 0x31);
  // A row of zeros: 0 over 1.
  const __m256d zeros = _mm256_cmp_pd(squares, _mm256_setzero_pd(), _CMP_EQ_OQ);
  const __m256d under = _mm256_blendv_pd(_mm256_mul_pd(_mm256_set1_pd(square), squares), _mm256_set1_pd(1.0), zeros);
  const __m128 root = _mm_sqrt_ps(_mm256_cvtpd_ps(_mm256_div_pd(_mm256_mul_pd(dots, dots), under)));
  const __m128 sign = _mm_and_ps(_mm256_cvtpd_ps(dots), _mm_set1_ps(-0.0f));
  return _mm_sub_ps(_mm_set1_ps(1.0f), _mm_or_ps(root, sign));
}

AFFECTRT_AVX2 void cosine_avx2(const float* query, double square, const SomeRows<float>& rows, float* out) {
  constexpr int kMostOnStack = 64;
  if (rows.width > kMostOnStack) return cosine_portable(query, square, rows, out);
  double wide[kMostOnStack] = {};
  std::copy_n(query, rows.width, wide);
  const int ahead = rows_ahead(rows);
  for (int i = 0; i < rows.count; i += 4) {
    const int count = std::min(rows.count - i, 4);
    const float* row[4];
    __builtin_prefetch(row_ahead(rows, i, ahead));
    __builtin_prefetch(row_ahead(rows, i + 2, ahead));
    for (int r = 0; r < 4; ++r) row[r] = rows.data + rows.which[i + std::min(r, count - 1)] * rows.step;
    const __m128 four =
        rows.width == kCosineLanes ? cosine_of_four(wide, square, row, kCosineLanes) : cosine_of_four(wide, square, row, rows.width);
    if (count == 4) {
      _mm_storeu_ps(out + i, four);
    } else {
      float some[4];
      _mm_storeu_ps(some, four);
      std::copy_n(some, count, out + i);
    }
  }
}

AFFECTRT_AVX2 inline __m256i add_products(__m256i sums, const std::int16_t* query, const std::int8_t* row) {
  const __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(row)));
  return _mm256_add_epi32(sums, _mm256_madd_epi16(x, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query))));
}

AFFECTRT_AVX2 inline std::int32_t lane_sum(__m256i eight) {
  const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
  const __m128i two = _mm_add_epi32(four, _mm_shuffle_epi32(four, 0x4E));
  return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 0xB1)));
}

AFFECTRT_AVX2 void codes_avx2(const CodeQuery& query, const SomeRows<std::int8_t>& rows, const float* bounds, float* __restrict lower,
                              float* __restrict upper) {
  constexpr int kStep = 64;
  std::int32_t products[kMaxRowsAtOnce];
  const int ahead = rows_ahead(rows);
  for (int i = 0; i < rows.count; ++i) {
    const std::int8_t* row = rows.data + rows.which[i] * rows.step;
    const std::int8_t* next = row_ahead(rows, i, ahead);
    __m256i low = _mm256_setzero_si256(), high = low;
    int at = 0;
    for (; at + kStep <= rows.width; at += kStep) {
      __builtin_prefetch(next + at);
      low = add_products(low, query.values + at, row + at);
      high = add_products(high, query.values + at + 16, row + at + 16);
      low = add_products(low, query.values + at + 32, row + at + 32);
      high = add_products(high, query.values + at + 48, row + at + 48);
    }
    std::int32_t sum = lane_sum(_mm256_add_epi32(low, high));
    for (; at < rows.width; ++at) sum += query.values[at] * row[at];
    products[i] = sum;
  }
  bound(query, rows, products, bounds, lower, upper);
}

#define AFFECTRT_AVX512 __attribute__((target("avx2,avx512f,avx512bw,avx512vl,avx512vnni")))

// The instruction multiplies bytes without a sign by bytes with one: codes are lifted by 128 and the query split into two bytes, so that
// sum(query * code) = 256 sum(high * lifted) + sum(low * lifted) - 128 sum(query). Overflow on the way undoes itself.
struct LiftedSums {
  __m512i high, low;
};

AFFECTRT_AVX512 inline LiftedSums add_lifted(LiftedSums sums, __m512i codes, __m512i q_high, __m512i q_low) {
  const __m512i lifted = _mm512_xor_si512(codes, _mm512_set1_epi8(-128));
  return {_mm512_dpbusd_epi32(sums.high, lifted, q_high), _mm512_dpbusd_epi32(sums.low, lifted, q_low)};
}

// The forms with masks of ones: of the others GCC 12 says that they read what is not initialised.
AFFECTRT_AVX512 inline std::int32_t lowered(const LiftedSums& sums, std::int32_t query_sum) {
  const __m512i sixteen = _mm512_add_epi32(_mm512_maskz_slli_epi32(0xffff, sums.high, 8), sums.low);
  const __m256i eight =
      _mm256_add_epi32(_mm512_maskz_extracti64x4_epi64(0xff, sixteen, 0), _mm512_maskz_extracti64x4_epi64(0xff, sixteen, 1));
  return static_cast<std::int32_t>(static_cast<std::uint32_t>(lane_sum(eight)) - 128u * static_cast<std::uint32_t>(query_sum));
}

// From a row's line of the cache on: what lies before and behind the row is masked, neither read nor counted. One row after another, in the
// order of memory: with two at a time, which would share the query's loads, the processor's own prefetching loses the thread (a third
// slower).
AFFECTRT_AVX512 void codes_avx512(const CodeQuery& query, const SomeRows<std::int8_t>& rows, const float* bounds, float* __restrict lower,
                                  float* __restrict upper) {
  constexpr int kStep = 64;
  const int steps = (query.shift + rows.width + kStep - 1) / kStep, last = (steps - 1) * kStep;
  const __mmask64 ending = ~__mmask64{0} >> (steps * kStep - query.shift - rows.width);
  const __mmask64 beginning = (~__mmask64{0} << query.shift) & (steps == 1 ? ending : ~__mmask64{0});
  const std::int8_t *high = query.halves[0], *low = query.halves[1];
  std::int32_t products[kMaxRowsAtOnce];
  const int ahead = rows_ahead(rows);
  for (int i = 0; i < rows.count; ++i) {
    const std::int8_t* row = rows.data + (rows.which[i] * rows.step - query.shift);
    const std::int8_t* next = row_ahead(rows, i, ahead);
    LiftedSums sums{_mm512_setzero_si512(), _mm512_setzero_si512()};
    __builtin_prefetch(next);
    sums = add_lifted(sums, _mm512_maskz_loadu_epi8(beginning, row), _mm512_loadu_si512(high), _mm512_loadu_si512(low));
    for (int at = kStep; at < last; at += kStep) {
      __builtin_prefetch(next + at);
      sums = add_lifted(sums, _mm512_loadu_si512(row + at), _mm512_loadu_si512(high + at), _mm512_loadu_si512(low + at));
    }
    if (last > 0) {
      __builtin_prefetch(next + (rows.width - 1));
      const __m512i codes = _mm512_maskz_loadu_epi8(ending, row + last);
      sums = add_lifted(sums, codes, _mm512_loadu_si512(high + last), _mm512_loadu_si512(low + last));
    }
    products[i] = lowered(sums, query.sum);
  }
  bound(query, rows, products, bounds, lower, upper);
}
#endif

}  // namespace

double square_sum(const float* x, int width) {
  double lanes[kCosineLanes] = {};
  for (int at = 0; at < width; ++at) lanes[at % kCosineLanes] += static_cast<double>(x[at]) * x[at];
  return tree_sum(lanes);
}

const std::vector<MemoryKernels>& memory_kernels() {
  static const auto kernels = [] {
    std::vector<MemoryKernels> all;
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
    if (avx512) all.push_back({"avx512vnni", euclidean_avx2, cosine_avx2, codes_avx512});
    if (avx2) all.push_back({"avx2", euclidean_avx2, cosine_avx2, codes_avx2});
#endif
    all.push_back({"portable", euclidean_portable, cosine_portable, codes_portable});
    return all;
  }();
  return kernels;
}

}  // namespace affectrt::kernels
