// Two kernels of one meaning: a portable one, vectorised over the channels of a pixel, and one for AVX2 over eight pixels, chosen at run
// time. Both interpolate in the source's own components (RGB, gray or YUV) and convert once per output pixel; chroma is not interpolated
// between its own samples but belongs to the pixels it covers. Float32 throughout; AVX2 rounds horizontal weights to 14 bits.

#include "affectrt/ops/image_to_tensor_cpu.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace affectrt::kernels {
namespace {

typedef float Float4 __attribute__((vector_size(16)));

constexpr bool is_yuv(PixelFormat f) { return f == PixelFormat::kNv12 || f == PixelFormat::kYuv422Yuy2; }

// One source pixel's components: R, G, B (gray: thrice the same) or Y, U, V.
template <PixelFormat F>
inline Float4 tap(const WarpSource& s, int x, int y) {
  const std::uint8_t* row = s.data + static_cast<std::size_t>(y) * s.row_bytes;
  const auto at = [](std::uint8_t a, std::uint8_t b, std::uint8_t c) {
    return Float4{static_cast<float>(a), static_cast<float>(b), static_cast<float>(c), 0.0f};
  };
  if constexpr (F == PixelFormat::kMono8) {
    return at(row[x], row[x], row[x]);
  } else if constexpr (F == PixelFormat::kNv12) {
    const std::uint8_t* uv = s.uv + static_cast<std::size_t>(y / 2) * s.uv_row_bytes + (x & ~1);
    return at(row[x], uv[0], uv[1]);
  } else if constexpr (F == PixelFormat::kYuv422Yuy2) {
    const std::uint8_t* pair = row + 2 * (x & ~1);
    return at(pair[(x & 1) ? 2 : 0], pair[1], pair[3]);
  } else {
    const std::uint8_t* p = row + x * bytes_per_pixel(F);
    if constexpr (F == PixelFormat::kBgr8 || F == PixelFormat::kBgra8) return at(p[2], p[1], p[0]);
    return at(p[0], p[1], p[2]);
  }
}

// BT.601, limited range.
inline void yuv_to_rgb(float y, float u, float v, float rgb[3]) {
  const float luma = 1.164383f * (y - 16.0f);
  const auto clamp = [](float value) { return std::min(std::max(value, 0.0f), 255.0f); };
  rgb[0] = clamp(luma + 1.596027f * (v - 128.0f));
  rgb[1] = clamp(luma - 0.391762f * (u - 128.0f) - 0.812968f * (v - 128.0f));
  rgb[2] = clamp(luma + 2.017232f * (u - 128.0f));
}

inline float luminance(const float rgb[3]) { return 0.299f * rgb[0] + 0.587f * rgb[1] + 0.114f * rgb[2]; }

inline void store(const WarpTarget& t, float* pixel, const float rgb[3]) {
  if (t.channels == 1) {
    pixel[0] = (luminance(rgb) - t.mean[0]) * t.scale[0];
    return;
  }
  for (int c = 0; c < 3; ++c) pixel[static_cast<std::size_t>(c) * t.channel_step] = (rgb[t.order[c]] - t.mean[c]) * t.scale[c];
}

inline void store_pad(const WarpTarget& t, float* pixel) {
  for (int c = 0; c < t.channels; ++c) pixel[static_cast<std::size_t>(c) * t.channel_step] = (t.pad_value[c] - t.mean[c]) * t.scale[c];
}

template <PixelFormat F>
inline void one_pixel(const WarpSource& s, const WarpTarget& t, float sx, float sy, float* pixel) {
  const float right = static_cast<float>(s.width) - 0.5f, bottom = static_cast<float>(s.height) - 0.5f;
  if (!(sx >= -0.5f && sx <= right && sy >= -0.5f && sy <= bottom)) return store_pad(t, pixel);
  const int x0 = std::clamp(static_cast<int>(std::floor(sx)), 0, s.width - 1), x1 = std::min(x0 + 1, s.width - 1);
  const int y0 = std::clamp(static_cast<int>(std::floor(sy)), 0, s.height - 1), y1 = std::min(y0 + 1, s.height - 1);
  const float fx = std::clamp(sx - static_cast<float>(x0), 0.0f, 1.0f), fy = std::clamp(sy - static_cast<float>(y0), 0.0f, 1.0f);
  const Float4 top_left = tap<F>(s, x0, y0), bottom_left = tap<F>(s, x0, y1);
  const Float4 top = top_left + fx * (tap<F>(s, x1, y0) - top_left);
  const Float4 mix = top + fy * (bottom_left + fx * (tap<F>(s, x1, y1) - bottom_left) - top);
  float rgb[3] = {mix[0], mix[1], mix[2]};
  if constexpr (is_yuv(F)) yuv_to_rgb(mix[0], mix[1], mix[2], rgb);
  store(t, pixel, rgb);
}

template <PixelFormat F>
void warp_rows(const WarpSource& s, const Affine& m, const WarpTarget& t) {
  for (int y = 0; y < t.height; ++y) {
    float* row = t.out + static_cast<std::size_t>(y) * t.row_step;
    const float bx = m.b * static_cast<float>(y) + m.c, by = m.e * static_cast<float>(y) + m.f;
    for (int x = 0; x < t.width; ++x, row += t.pixel_step)
      one_pixel<F>(s, t, m.a * static_cast<float>(x) + bx, m.d * static_cast<float>(x) + by, row);
  }
}

#if defined(__x86_64__)
#define AFFECTRT_AVX2 __attribute__((target("avx2,fma")))

// Eight pixels' components after interpolation.
struct Components {
  __m256 c[3];
};

// Where eight pixels lie in the source: upper left tap, fractions, and which are inside.
struct Taps {
  __m256i x0, y0;
  __m256 fx, fy;
  int inside;  // one bit a pixel
};

AFFECTRT_AVX2 inline Taps locate(const WarpSource& s, __m256 sx, __m256 sy) {
  const __m256 edge = _mm256_set1_ps(-0.5f);
  const __m256 right = _mm256_set1_ps(static_cast<float>(s.width) - 0.5f), bottom = _mm256_set1_ps(static_cast<float>(s.height) - 0.5f);
  const __m256 in_x = _mm256_and_ps(_mm256_cmp_ps(sx, edge, _CMP_GE_OQ), _mm256_cmp_ps(sx, right, _CMP_LE_OQ));
  const __m256 in_y = _mm256_and_ps(_mm256_cmp_ps(sy, edge, _CMP_GE_OQ), _mm256_cmp_ps(sy, bottom, _CMP_LE_OQ));
  const __m256 zero = _mm256_setzero_ps(), one = _mm256_set1_ps(1.0f);
  // Floats are clamped before they become integers, so that no lane, even of NaN, points outside. The last tap of a row is reached as the
  // right neighbour of the one before it.
  const __m256 fx0 = _mm256_max_ps(_mm256_min_ps(_mm256_floor_ps(sx), _mm256_set1_ps(static_cast<float>(s.width - 2))), zero);
  const __m256 fy0 = _mm256_max_ps(_mm256_min_ps(_mm256_floor_ps(sy), _mm256_set1_ps(static_cast<float>(s.height - 2))), zero);
  Taps taps;
  taps.x0 = _mm256_cvttps_epi32(fx0);
  taps.y0 = _mm256_cvttps_epi32(fy0);
  taps.fx = _mm256_min_ps(_mm256_max_ps(_mm256_sub_ps(sx, fx0), zero), one);
  taps.fy = _mm256_min_ps(_mm256_max_ps(_mm256_sub_ps(sy, fy0), zero), one);
  taps.inside = _mm256_movemask_ps(_mm256_and_ps(in_x, in_y));
  return taps;
}

// Byte shuffles that take, from the eight bytes that hold two neighbouring pixels, the pairs (left, right) of two components as 16-bit
// numbers; `odd` differs from `even` only in YUY2, where a pixel's place in its pair decides.
struct Shuffles {
  char even_ab[8], even_c[8], odd_ab[8], odd_c[8];
};
constexpr char Z = -1;

template <PixelFormat F>
constexpr Shuffles shuffles() {
  if constexpr (F == PixelFormat::kRgb8) return {{0, Z, 3, Z, 1, Z, 4, Z}, {2, Z, 5, Z, Z, Z, Z, Z}, {}, {}};
  if constexpr (F == PixelFormat::kBgr8) return {{2, Z, 5, Z, 1, Z, 4, Z}, {0, Z, 3, Z, Z, Z, Z, Z}, {}, {}};
  if constexpr (F == PixelFormat::kRgba8) return {{0, Z, 4, Z, 1, Z, 5, Z}, {2, Z, 6, Z, Z, Z, Z, Z}, {}, {}};
  if constexpr (F == PixelFormat::kBgra8) return {{2, Z, 6, Z, 1, Z, 5, Z}, {0, Z, 4, Z, Z, Z, Z, Z}, {}, {}};
  if constexpr (F == PixelFormat::kYuv422Yuy2)
    return {{0, Z, 2, Z, 1, Z, 1, Z}, {3, Z, 3, Z, Z, Z, Z, Z}, {2, Z, 4, Z, 1, Z, 5, Z}, {3, Z, 7, Z, Z, Z, Z, Z}};
  return {{0, Z, 1, Z, 0, Z, 1, Z}, {0, Z, 1, Z, Z, Z, Z, Z}, {}, {}};  // one byte a pixel
}

// The shuffle for all four pixels of a register: within each 128-bit lane the second pixel's bytes start at 8.
AFFECTRT_AVX2 inline __m256i everywhere(const char bytes[8]) {
  long long one;
  std::memcpy(&one, bytes, 8);
  const __m256i base = _mm256_set1_epi64x(one);
  const __m256i offset = _mm256_setr_epi64x(0, 0x0808080808080808LL, 0, 0x0808080808080808LL);
  // Z plus 8 would select byte 7: keep the sign bit, which means zero.
  return _mm256_or_si256(_mm256_add_epi8(base, offset), _mm256_cmpgt_epi8(_mm256_setzero_si256(), base));
}

AFFECTRT_AVX2 inline __m256 horizontal(__m256i bytes, __m256i take, __m256i weights) {
  return _mm256_cvtepi32_ps(_mm256_madd_epi16(_mm256_shuffle_epi8(bytes, take), weights));
}

// Interpolates four pixels (eight bytes each in `upper` and `lower`): (c0, c1) pairs in ab, (c2, 0) in c.
AFFECTRT_AVX2 inline void blend4(__m256i upper, __m256i lower, __m256i take_ab, __m256i take_c, __m256i weights_ab, __m256i weights_c,
                                 __m256 fy, __m256& ab, __m256& c) {
  const __m256 top_ab = horizontal(upper, take_ab, weights_ab), top_c = horizontal(upper, take_c, weights_c);
  ab = _mm256_fmadd_ps(fy, _mm256_sub_ps(horizontal(lower, take_ab, weights_ab), top_ab), top_ab);
  c = _mm256_fmadd_ps(fy, _mm256_sub_ps(horizontal(lower, take_c, weights_c), top_c), top_c);
}

AFFECTRT_AVX2 inline __m256 in_order(__m256 low, __m256 high, bool second) {
  const __m256 mixed = second ? _mm256_shuffle_ps(low, high, 0xDD) : _mm256_shuffle_ps(low, high, 0x88);
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), 0xD8));
}

// Eight bytes at each of four offsets. Single loads: the gather instruction took twice as long on a cold picture (AMD EPYC).
AFFECTRT_AVX2 inline __m256i gather8bytes(const std::uint8_t* base, __m128i offsets) {
  alignas(16) std::int32_t at[4];
  _mm_store_si128(reinterpret_cast<__m128i*>(at), offsets);
  const auto one = [base](std::int32_t offset) { return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(base + offset)); };
  const __m128i low = _mm_unpacklo_epi64(one(at[0]), one(at[1])), high = _mm_unpacklo_epi64(one(at[2]), one(at[3]));
  return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

AFFECTRT_AVX2 inline __m128i four(__m256i all, int half) { return half ? _mm256_extracti128_si256(all, 1) : _mm256_castsi256_si128(all); }

// Lanes 0 to 3, or 4 to 7, each twice: once for either half of a pixel's eight bytes.
AFFECTRT_AVX2 inline __m256i twice(int half) {
  return half ? _mm256_setr_epi32(4, 4, 5, 5, 6, 6, 7, 7) : _mm256_setr_epi32(0, 0, 1, 1, 2, 2, 3, 3);
}

constexpr float kWeightOne = 16384.0f;

// The next row of the tensor reads another row of the picture, which the network that ran before has driven from the cache: asked for now,
// it is there in time. `ahead` is the way there in bytes. An address outside the picture is never read, only asked for.
AFFECTRT_AVX2 inline void prefetch(const WarpSource& s, __m128i offsets, std::ptrdiff_t ahead) {
  const auto next = reinterpret_cast<std::uintptr_t>(s.data) + static_cast<std::uintptr_t>(_mm_cvtsi128_si32(offsets) + ahead);
  __builtin_prefetch(reinterpret_cast<const void*>(next));
  __builtin_prefetch(reinterpret_cast<const void*>(next - s.row_bytes));
}

template <PixelFormat F>
AFFECTRT_AVX2 inline Components interpolate(const WarpSource& s, const Taps& taps, std::ptrdiff_t ahead) {
  const Shuffles take = shuffles<F>();
  const __m256i even_ab = everywhere(take.even_ab), even_c = everywhere(take.even_c);
  const __m256i right = _mm256_cvtps_epi32(_mm256_mul_ps(taps.fx, _mm256_set1_ps(kWeightOne)));
  const __m256i left = _mm256_sub_epi32(_mm256_set1_epi32(static_cast<int>(kWeightOne)), right);
  const __m256i weights = _mm256_or_si256(left, _mm256_slli_epi32(right, 16));
  const __m256i odd = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_and_si256(taps.x0, _mm256_set1_epi32(1)));

  __m256i column;  // bytes from the start of the row to the eight bytes that hold both pixels
  if constexpr (F == PixelFormat::kYuv422Yuy2)
    column = _mm256_slli_epi32(_mm256_andnot_si256(_mm256_set1_epi32(1), taps.x0), 1);
  else
    column = _mm256_mullo_epi32(taps.x0, _mm256_set1_epi32(bytes_per_pixel(F)));
  const __m256i pitch = _mm256_set1_epi32(static_cast<int>(s.row_bytes));
  const __m256i upper = _mm256_add_epi32(_mm256_mullo_epi32(taps.y0, pitch), column);
  const __m256i lower = _mm256_add_epi32(upper, pitch);

  __m256 ab[2], c[2];
  for (int half = 0; half < 2; ++half) {
    const __m256i spread = twice(half);
    __m256i take_ab = even_ab, take_c = even_c;
    if constexpr (F == PixelFormat::kYuv422Yuy2) {
      const __m256i is_odd = _mm256_permutevar8x32_epi32(odd, spread);
      take_ab = _mm256_blendv_epi8(even_ab, everywhere(take.odd_ab), is_odd);
      take_c = _mm256_blendv_epi8(even_c, everywhere(take.odd_c), is_odd);
    }
    const __m256i w = _mm256_permutevar8x32_epi32(weights, spread);
    const __m256 fy = _mm256_permutevar8x32_ps(taps.fy, spread);
    prefetch(s, four(upper, half), ahead);
    blend4(gather8bytes(s.data, four(upper, half)), gather8bytes(s.data, four(lower, half)), take_ab, take_c, w, w, fy, ab[half], c[half]);
  }
  const __m256 unit = _mm256_set1_ps(1.0f / kWeightOne);
  Components out;
  out.c[0] = _mm256_mul_ps(in_order(ab[0], ab[1], false), unit);
  out.c[1] = _mm256_mul_ps(in_order(ab[0], ab[1], true), unit);
  out.c[2] = _mm256_mul_ps(in_order(c[0], c[1], false), unit);
  if constexpr (F == PixelFormat::kNv12) {
    // Chroma rows and columns are halves of the luma's. Where both luma pixels share a sample, the right weight falls on it twice.
    const __m256i uv_column = _mm256_andnot_si256(_mm256_set1_epi32(1), taps.x0);
    const __m256i uv_pitch = _mm256_set1_epi32(static_cast<int>(s.uv_row_bytes));
    const __m256i row0 = _mm256_srli_epi32(taps.y0, 1);
    const __m256i row1 = _mm256_srli_epi32(_mm256_add_epi32(taps.y0, _mm256_set1_epi32(1)), 1);
    const __m256i uv_upper = _mm256_add_epi32(_mm256_mullo_epi32(row0, uv_pitch), uv_column);
    const __m256i uv_lower = _mm256_add_epi32(_mm256_mullo_epi32(row1, uv_pitch), uv_column);
    const char pick[8] = {0, Z, 2, Z, 1, Z, 3, Z}, none[8] = {Z, Z, Z, Z, Z, Z, Z, Z};
    const __m256i take_uv = everywhere(pick), take_none = everywhere(none);
    const __m256i shared = _mm256_set1_epi32(static_cast<int>(kWeightOne));
    const __m256i uv_weights = _mm256_blendv_epi8(shared, weights, odd);
    __m256 uv[2], unused;
    for (int half = 0; half < 2; ++half) {
      const __m256i spread = twice(half);
      const __m256i w = _mm256_permutevar8x32_epi32(uv_weights, spread);
      blend4(gather8bytes(s.uv, four(uv_upper, half)), gather8bytes(s.uv, four(uv_lower, half)), take_uv, take_none, w, w,
             _mm256_permutevar8x32_ps(taps.fy, spread), uv[half], unused);
    }
    out.c[1] = _mm256_mul_ps(in_order(uv[0], uv[1], false), unit);
    out.c[2] = _mm256_mul_ps(in_order(uv[0], uv[1], true), unit);
  }
  return out;
}

AFFECTRT_AVX2 inline __m256 to_byte_range(__m256 x) { return _mm256_min_ps(_mm256_max_ps(x, _mm256_setzero_ps()), _mm256_set1_ps(255.0f)); }

AFFECTRT_AVX2 inline void yuv_to_rgb(Components& v) {
  const __m256 luma = _mm256_mul_ps(_mm256_sub_ps(v.c[0], _mm256_set1_ps(16.0f)), _mm256_set1_ps(1.164383f));
  const __m256 cb = _mm256_sub_ps(v.c[1], _mm256_set1_ps(128.0f)), cr = _mm256_sub_ps(v.c[2], _mm256_set1_ps(128.0f));
  v.c[0] = to_byte_range(_mm256_fmadd_ps(cr, _mm256_set1_ps(1.596027f), luma));
  v.c[1] = to_byte_range(_mm256_fnmadd_ps(cr, _mm256_set1_ps(0.812968f), _mm256_fnmadd_ps(cb, _mm256_set1_ps(0.391762f), luma)));
  v.c[2] = to_byte_range(_mm256_fmadd_ps(cb, _mm256_set1_ps(2.017232f), luma));
}

// True if the eight bytes that each tap of this row reads may pass the end of the picture's memory.
template <PixelFormat F>
AFFECTRT_AVX2 inline bool may_pass_end(const WarpSource& s, const Taps& taps) {
  const int last_row = s.height - 2;  // taps there read the last row
  const int last_safe = (s.width * bytes_per_pixel(F) - 8) / bytes_per_pixel(F) - (F == PixelFormat::kYuv422Yuy2 ? 1 : 0);
  const int chroma_safe = F == PixelFormat::kNv12 ? s.width - 8 : last_safe;
  const __m256i low = _mm256_cmpgt_epi32(taps.y0, _mm256_set1_epi32(last_row - (F == PixelFormat::kNv12 ? 2 : 1)));
  const __m256i far = _mm256_cmpgt_epi32(taps.x0, _mm256_set1_epi32(std::min(last_safe, chroma_safe)));
  return !_mm256_testz_si256(low, far);
}

AFFECTRT_AVX2 inline __m256 normalise(const WarpTarget& t, __m256 value, int channel) {
  return _mm256_mul_ps(_mm256_sub_ps(value, _mm256_set1_ps(t.mean[channel])), _mm256_set1_ps(t.scale[channel]));
}

template <PixelFormat F>
AFFECTRT_AVX2 void warp_rows_avx2(const WarpSource& s, const Affine& m, const WarpTarget& t) {
  const __m256 lane = _mm256_setr_ps(0, 1, 2, 3, 4, 5, 6, 7);
  // Clamped, since a map may hold anything, and a step beyond the picture need not be exact.
  const auto whole = [](float step) { return static_cast<std::ptrdiff_t>(std::ceil(std::clamp(step, -64.0f, 64.0f))); };
  const bool finite = std::isfinite(m.b) && std::isfinite(m.e);
  const std::ptrdiff_t ahead = finite ? whole(m.e) * static_cast<std::ptrdiff_t>(s.row_bytes) + whole(m.b) * bytes_per_pixel(F) : 0;
  const __m256 step_x = _mm256_set1_ps(m.a), step_y = _mm256_set1_ps(m.d);
  for (int y = 0; y < t.height; ++y) {
    float* row = t.out + static_cast<std::size_t>(y) * t.row_step;
    const float bx = m.b * static_cast<float>(y) + m.c, by = m.e * static_cast<float>(y) + m.f;
    int x = 0;
    for (; x + 8 <= t.width; x += 8) {
      float* pixel = row + static_cast<std::size_t>(x) * t.pixel_step;
      const __m256 at = _mm256_add_ps(_mm256_set1_ps(static_cast<float>(x)), lane);
      const Taps taps = locate(s, _mm256_fmadd_ps(step_x, at, _mm256_set1_ps(bx)), _mm256_fmadd_ps(step_y, at, _mm256_set1_ps(by)));
      if (taps.inside == 0) {
        for (int i = 0; i < 8; ++i) store_pad(t, pixel + static_cast<std::size_t>(i) * t.pixel_step);
        continue;
      }
      // Chunks at the border are rare; the portable kernel takes them.
      if (taps.inside != 0xFF || may_pass_end<F>(s, taps)) {
        for (int i = 0; i < 8; ++i)
          one_pixel<F>(s, t, m.a * static_cast<float>(x + i) + bx, m.d * static_cast<float>(x + i) + by,
                       pixel + static_cast<std::size_t>(i) * t.pixel_step);
        continue;
      }
      Components v = interpolate<F>(s, taps, ahead);
      if constexpr (is_yuv(F)) yuv_to_rgb(v);
      if (t.channels == 1) {
        const __m256 gray = _mm256_fmadd_ps(v.c[0], _mm256_set1_ps(0.299f),
                                            _mm256_fmadd_ps(v.c[1], _mm256_set1_ps(0.587f), _mm256_mul_ps(v.c[2], _mm256_set1_ps(0.114f))));
        _mm256_storeu_ps(pixel, normalise(t, gray, 0));
        continue;
      }
      for (int c = 0; c < 3; ++c) {
        const __m256 value = normalise(t, v.c[t.order[c]], c);
        float* channel = pixel + static_cast<std::size_t>(c) * t.channel_step;
        if (t.pixel_step == 1) {
          _mm256_storeu_ps(channel, value);
        } else {
          float eight[8];
          _mm256_storeu_ps(eight, value);
          for (int i = 0; i < 8; ++i) channel[static_cast<std::size_t>(i) * t.pixel_step] = eight[i];
        }
      }
    }
    for (; x < t.width; ++x)
      one_pixel<F>(s, t, m.a * static_cast<float>(x) + bx, m.d * static_cast<float>(x) + by,
                   row + static_cast<std::size_t>(x) * t.pixel_step);
  }
}

// Offsets are 32-bit, and a row must hold the eight bytes that a tap reads.
bool suits_avx2(const WarpSource& s, PixelFormat format) {
  static const bool has = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const std::size_t bytes = s.row_bytes * static_cast<std::size_t>(s.height);
  return has && s.width * bytes_per_pixel(format) >= 16 && s.height >= 4 && bytes < (std::size_t{1} << 31) &&
         s.uv_row_bytes * static_cast<std::size_t>(s.height) < (std::size_t{1} << 31);
}
#endif

// The one place where the run-time format becomes a template argument.
template <class Kernel>
void with_format(PixelFormat format, Kernel&& kernel) {
  switch (format) {
    case PixelFormat::kRgb8:
      return kernel.template operator()<PixelFormat::kRgb8>();
    case PixelFormat::kBgr8:
      return kernel.template operator()<PixelFormat::kBgr8>();
    case PixelFormat::kRgba8:
      return kernel.template operator()<PixelFormat::kRgba8>();
    case PixelFormat::kBgra8:
      return kernel.template operator()<PixelFormat::kBgra8>();
    case PixelFormat::kMono8:
      return kernel.template operator()<PixelFormat::kMono8>();
    case PixelFormat::kNv12:
      return kernel.template operator()<PixelFormat::kNv12>();
    case PixelFormat::kYuv422Yuy2:
      return kernel.template operator()<PixelFormat::kYuv422Yuy2>();
  }
}

}  // namespace

void warp_portable(PixelFormat format, const WarpSource& source, const Affine& to_source, const WarpTarget& target) {
  with_format(format, [&]<PixelFormat F>() { warp_rows<F>(source, to_source, target); });
}

void warp(PixelFormat format, const WarpSource& source, const Affine& to_source, const WarpTarget& target) {
#if defined(__x86_64__)
  if (suits_avx2(source, format)) {
    with_format(format, [&]<PixelFormat F>() { warp_rows_avx2<F>(source, to_source, target); });
    return;
  }
#endif
  warp_portable(format, source, to_source, target);
}

}  // namespace affectrt::kernels
