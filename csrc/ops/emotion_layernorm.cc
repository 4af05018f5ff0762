#include <cmath>
#include <stdexcept>
#include <string>
#include <vector>

#include "affectrt/ops/ops.h"

namespace affectrt {

void emotion_layernorm(const EmotionLayerNorm& sizes, std::span<const float> x, std::span<const float> probs, std::span<const float> table,
                       std::span<const float> gamma, std::span<const float> beta, std::span<float> out) {
  const auto batch = static_cast<std::size_t>(sizes.batch), tokens = static_cast<std::size_t>(sizes.tokens);
  const auto width = static_cast<std::size_t>(sizes.width), emotions = static_cast<std::size_t>(sizes.emotions);
  const auto expect = [](const char* name, std::size_t got, std::size_t wanted) {
    if (got != wanted)
      throw std::invalid_argument(std::string("emotion_layernorm: expected ") + std::to_string(wanted) + " values as " + name + ", got " +
                                  std::to_string(got));
  };
  if (sizes.batch < 1 || sizes.tokens < 1 || sizes.width < 1 || sizes.emotions < 1)
    throw std::invalid_argument("emotion_layernorm: expected sizes of at least 1");
  expect("x", x.size(), batch * tokens * width);
  expect("probs", probs.size(), batch * emotions);
  expect("table", table.size(), emotions * width);
  expect("gamma", gamma.size(), width);
  expect("beta", beta.size(), width);
  expect("out", out.size(), x.size());

  std::vector<float> mix(width);
  for (std::size_t item = 0; item < batch; ++item) {
    mix.assign(width, 0.0f);
    for (std::size_t k = 0; k < emotions; ++k) {
      const float p = probs[item * emotions + k];
      if (p == 0) continue;  // a plain lookup costs one row
      for (std::size_t i = 0; i < width; ++i) mix[i] += p * table[k * width + i];
    }
    for (std::size_t token = 0; token < tokens; ++token) {
      const float* from = x.data() + (item * tokens + token) * width;
      float* to = out.data() + (item * tokens + token) * width;
      const float n = static_cast<float>(width);
      float sum = 0, squares = 0;
      for (std::size_t i = 0; i < width; ++i) sum += from[i] + mix[i];
      const float mean = sum / n;
      for (std::size_t i = 0; i < width; ++i) {
        const float centred = from[i] + mix[i] - mean;
        squares += centred * centred;
      }
      const float scale = 1.0f / std::sqrt(squares / n + sizes.epsilon);
      for (std::size_t i = 0; i < width; ++i) to[i] = (from[i] + mix[i] - mean) * scale * gamma[i] + beta[i];
    }
  }
}

}  // namespace affectrt
