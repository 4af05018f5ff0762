// Float16 as ONNX Runtime's tensors hold it, for operators of the CPU, which compute in float32.
#pragma once

#include <bit>
#include <cstdint>

namespace affectrt::custom_ops {

using Half = std::uint16_t;

inline float to_float(Half half) {
  const std::uint32_t sign = std::uint32_t{half & 0x8000u} << 16, magnitude = half & 0x7fffu;
  if (magnitude >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);  // infinite, or no number
  // Exponents of 15 more bits, by a product: it makes subnormal halves normal too.
  return std::bit_cast<float>(std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude << 13) * 0x1p112f) | sign);
}

// To the nearest, ties to even.
inline Half to_half(float value) {
  const std::uint32_t bits = std::bit_cast<std::uint32_t>(value), magnitude = bits & 0x7fffffffu;
  const auto sign = static_cast<Half>(bits >> 16 & 0x8000u);
  if (magnitude > 0x7f800000u) return sign | 0x7e00u;   // no number
  if (magnitude >= 0x477ff000u) return sign | 0x7c00u;  // 65520 and more are infinite
  if (magnitude < 0x38800000u)                          // subnormal: adding 1/2 leaves the bits of the half at the end, rounded
    return sign | static_cast<Half>(std::bit_cast<std::uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - 0x3f000000u);
  const std::uint32_t rounded = magnitude + 0xfffu + (magnitude >> 13 & 1u);
  return sign | static_cast<Half>((rounded - 0x38000000u) >> 13);
}

}  // namespace affectrt::custom_ops
