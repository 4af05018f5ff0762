#include <algorithm>

#include "affectrt/ops/ops.h"

namespace affectrt {

float sharpness_of(const float* tensor, const TensorTarget& target) {
  const bool planar = target.layout == Layout::kNchw;
  const int w = target.width_px, h = target.height_px;
  const std::size_t step = planar ? 1 : static_cast<std::size_t>(target.channels());
  // One channel is enough: green where there are three.
  const float* first = target.channels() == 1 ? tensor : tensor + (planar ? static_cast<std::size_t>(w) * static_cast<std::size_t>(h) : 1);
  const std::size_t row = static_cast<std::size_t>(w) * step;
  double sum = 0, squares = 0, laplace = 0;
  for (int y = 1; y + 1 < h; ++y) {
    const float* p = first + static_cast<std::size_t>(y) * row + step;
    float row_sum = 0, row_squares = 0, row_laplace = 0;
    for (int x = 1; x + 1 < w; ++x, p += step) {
      const float second = 4 * p[0] - p[step] - *(p - step) - p[row] - *(p - row);
      row_sum += p[0];
      row_squares += p[0] * p[0];
      row_laplace += second * second;
    }
    sum += row_sum;
    squares += row_squares;
    laplace += row_laplace;
  }
  const double n = std::max(1.0, static_cast<double>(w - 2) * static_cast<double>(h - 2));
  const double variance = squares / n - (sum / n) * (sum / n);
  const double size = static_cast<double>(w) * static_cast<double>(h) / (64.0 * 64.0);
  return variance > kLeastVariance ? static_cast<float>(laplace / n / variance * size * size) : 0.0f;
}

}  // namespace affectrt
