#include <cmath>
#include <stdexcept>

#include "affectrt/ops/ops.h"

namespace affectrt {

void smooth(std::span<float> state, std::span<const float> sample, float dt_ms, float tau_ms) {
  if (state.size() != sample.size())
    throw std::invalid_argument("smooth: expected " + std::to_string(state.size()) + " values, got " + std::to_string(sample.size()));
  // A clock that stood still or ran back tells nothing about the weight; the sample then counts as simultaneous.
  const float weight = tau_ms > 0.0f ? -std::expm1(-(dt_ms > 0.0f ? dt_ms : 0.0f) / tau_ms) : 1.0f;
  for (std::size_t i = 0; i < state.size(); ++i) state[i] += weight * (sample[i] - state[i]);
}

}  // namespace affectrt
