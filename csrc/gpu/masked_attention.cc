#include "affectrt/gpu/masked_attention.h"

#include <stdexcept>
#include <string>

#include "affectrt/gpu/pointer.h"
#include "affectrt/ops/masked_attention_gpu.h"

namespace affectrt::gpu {

MaskedAttentionKernels::MaskedAttentionKernels(const cuda::Device& device)
    : f32_(cuda::Module(device, "masked_attention").kernel("masked_attention_f32")),
      f16_(cuda::Module(device, "masked_attention").kernel("masked_attention_f16")) {}

void MaskedAttentionKernels::operator()(const MaskedAttention& sizes, const MaskedAttentionArrays& arrays, bool half,
                                        cuda::StreamHandle stream) const {
  if (sizes.batch < 1 || sizes.heads < 1 || sizes.tokens < 1 || sizes.key_width < 1 || sizes.value_width < 1)
    throw std::invalid_argument("masked_attention: expected sizes of at least 1");
  if (sizes.value_width > kMaxValueWidth)
    throw std::invalid_argument("masked_attention: expected values of at most " + std::to_string(kMaxValueWidth) +
                                " columns on a GPU, got " + std::to_string(sizes.value_width));
  MaskedAttentionArgs args{};
  args.query = pointer<const void>(arrays.query);
  args.key_same = pointer<const void>(arrays.key_same);
  args.key_other = pointer<const void>(arrays.key_other);
  args.value = pointer<const void>(arrays.value);
  args.speakers = pointer<const long long>(arrays.speakers);
  args.mask = pointer<const unsigned char>(arrays.mask);
  args.out = pointer<void>(arrays.out);
  args.row_step = sizes.key_width;
  args.head_step = args.row_step * sizes.tokens;
  args.item_step = args.head_step * sizes.heads;
  args.value_row_step = sizes.value_width;
  args.value_head_step = args.value_row_step * sizes.tokens;
  args.value_item_step = args.value_head_step * sizes.heads;
  args.tokens = sizes.tokens;
  args.key_width = sizes.key_width;
  args.value_width = sizes.value_width;
  args.scale = sizes.scale;
  cuda::LaunchShape shape;
  shape.grid = {cuda::blocks_for(static_cast<std::size_t>(sizes.tokens), kMaskedAttentionQueries), static_cast<unsigned>(sizes.heads),
                static_cast<unsigned>(sizes.batch)};
  shape.block = {kMaskedAttentionThreads};
  cuda::launch(half ? f16_ : f32_, shape, stream, args);
}

}  // namespace affectrt::gpu
