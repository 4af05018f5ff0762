#include "affectrt/custom_ops/operator.h"

namespace affectrt::custom_ops {
namespace {

enum : std::size_t { kQuery, kKeySame, kKeyOther, kValue, kSpeakers, kMask };
constexpr Input kInputs[] = {{"query", 4},           {"key_same", 4}, {"key_other", 4}, {"value", 4}, {"speakers", 2, ort::kInt64},
                             {"mask", 2, ort::kBool}};

void compute(Call& call) {
  const MaskedAttention sizes{call.extent(kQuery, 0), call.extent(kQuery, 1), call.extent(kQuery, 2),
                              call.extent(kQuery, 3), call.extent(kValue, 3), call.attribute()};
  for (const std::size_t keys : {kKeySame, kKeyOther}) call.expect(keys, {sizes.batch, sizes.heads, sizes.tokens, sizes.key_width});
  call.expect(kValue, {sizes.batch, sizes.heads, sizes.tokens, sizes.value_width});
  call.expect(kSpeakers, {sizes.batch, sizes.tokens});
  call.expect(kMask, {sizes.batch, sizes.tokens});
  if (!call.make_output()) return;
  if (const GpuKernels* gpu = call.gpu()) {
    const gpu::MaskedAttentionArrays arrays{call.address(kQuery),    call.address(kKeySame), call.address(kKeyOther), call.address(kValue),
                                            call.address(kSpeakers), call.address(kMask),    call.address(call.out())};
    gpu->masked_attention(sizes, arrays, call.half(), call.stream());
    return;
  }
  masked_attention(sizes, call.floats(kQuery), call.floats(kKeySame), call.floats(kKeyOther), call.floats(kValue),
                   {static_cast<const std::int64_t*>(call.data(kSpeakers)), call.count(kSpeakers)},
                   {static_cast<const std::uint8_t*>(call.data(kMask)), call.count(kMask)}, call.result());
  call.finish();
}

}  // namespace

const Signature kMaskedAttention{"MaskedAttention", kInputs, kValue, "scale", 1.0f, &compute};

}  // namespace affectrt::custom_ops
