#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <vector>

#include "affectrt/ops/ops.h"

namespace affectrt {

void masked_attention(const MaskedAttention& sizes, std::span<const float> query, std::span<const float> key_same,
                      std::span<const float> key_other, std::span<const float> value, std::span<const std::int64_t> speakers,
                      std::span<const std::uint8_t> mask, std::span<float> out) {
  if (sizes.batch < 1 || sizes.heads < 1 || sizes.tokens < 1 || sizes.key_width < 1 || sizes.value_width < 1)
    throw std::invalid_argument("masked_attention: expected sizes of at least 1");
  const auto batch = static_cast<std::size_t>(sizes.batch), heads = static_cast<std::size_t>(sizes.heads);
  const auto tokens = static_cast<std::size_t>(sizes.tokens);
  const auto width = static_cast<std::size_t>(sizes.key_width), value_width = static_cast<std::size_t>(sizes.value_width);
  const auto expect = [](const char* name, std::size_t got, std::size_t wanted) {
    if (got != wanted)
      throw std::invalid_argument(std::string("masked_attention: expected ") + std::to_string(wanted) + " values as " + name + ", got " +
                                  std::to_string(got));
  };
  expect("query", query.size(), batch * heads * tokens * width);
  expect("key_same", key_same.size(), query.size());
  expect("key_other", key_other.size(), query.size());
  expect("value", value.size(), batch * heads * tokens * value_width);
  expect("out", out.size(), value.size());
  expect("speakers", speakers.size(), batch * tokens);
  if (!mask.empty()) expect("mask", mask.size(), batch * tokens);

  std::vector<float> weights(tokens);
  for (std::size_t item = 0; item < batch; ++item) {
    const std::int64_t* speaker = speakers.data() + item * tokens;
    for (std::size_t head = 0; head < heads; ++head) {
      const std::size_t first = (item * heads + head) * tokens;
      for (std::size_t i = 0; i < tokens; ++i) {
        const float* q = query.data() + (first + i) * width;
        float top = -std::numeric_limits<float>::infinity();
        for (std::size_t j = 0; j < tokens; ++j) {
          const float* k = (speaker[i] == speaker[j] ? key_same : key_other).data() + (first + j) * width;
          float logit = 0;
          for (std::size_t c = 0; c < width; ++c) logit += q[c] * k[c];
          weights[j] = sizes.scale * logit;
          if (mask.empty() || mask[item * tokens + j]) top = std::max(top, weights[j]);
        }
        float total = 0;
        float* to = out.data() + (first + i) * value_width;
        std::fill(to, to + value_width, 0.0f);
        for (std::size_t j = 0; j < tokens; ++j) {
          if (!mask.empty() && !mask[item * tokens + j]) continue;
          const float weight = std::exp(weights[j] - top);
          total += weight;
          const float* v = value.data() + (first + j) * value_width;
          for (std::size_t c = 0; c < value_width; ++c) to[c] += weight * v[c];
        }
        if (total > 0)
          for (std::size_t c = 0; c < value_width; ++c) to[c] /= total;
      }
    }
  }
}

}  // namespace affectrt
