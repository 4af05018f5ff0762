#include "affectrt/custom_ops/operator.h"

namespace affectrt::custom_ops {
namespace {

enum : std::size_t { kX, kProbs, kTable, kGamma, kBeta };
constexpr Input kInputs[] = {{"x", 3}, {"probs", 2}, {"table", 2}, {"gamma", 1}, {"beta", 1}};

void compute(Call& call) {
  const EmotionLayerNorm sizes{call.extent(kX, 0), call.extent(kX, 1), call.extent(kX, 2), call.extent(kProbs, 1), call.attribute()};
  call.expect(kProbs, {sizes.batch, sizes.emotions});
  call.expect(kTable, {sizes.emotions, sizes.width});
  call.expect(kGamma, {sizes.width});
  call.expect(kBeta, {sizes.width});
  if (!call.make_output()) return;
  if (const GpuKernels* gpu = call.gpu()) {
    const gpu::EmotionLayerNormArrays arrays{call.address(kX),     call.address(kProbs), call.address(kTable),
                                             call.address(kGamma), call.address(kBeta),  call.address(call.out())};
    gpu->emotion_layernorm(sizes, arrays, call.half(), call.stream());
    return;
  }
  emotion_layernorm(sizes, call.floats(kX), call.floats(kProbs), call.floats(kTable), call.floats(kGamma), call.floats(kBeta),
                    call.result());
  call.finish();
}

}  // namespace

const Signature kEmotionLayerNorm{"EmotionLayerNorm", kInputs, kX, "epsilon", 1e-5f, &compute};

}  // namespace affectrt::custom_ops
