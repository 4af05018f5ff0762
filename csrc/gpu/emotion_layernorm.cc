#include "affectrt/gpu/emotion_layernorm.h"

#include <stdexcept>
#include <string>

#include "affectrt/gpu/pointer.h"
#include "affectrt/ops/emotion_layernorm_gpu.h"

namespace affectrt::gpu {

EmotionLayerNormKernels::EmotionLayerNormKernels(const cuda::Device& device)
    : f32_(cuda::Module(device, "emotion_layernorm").kernel("emotion_layernorm_f32")),
      f16_(cuda::Module(device, "emotion_layernorm").kernel("emotion_layernorm_f16")) {}

void EmotionLayerNormKernels::operator()(const EmotionLayerNorm& sizes, const EmotionLayerNormArrays& arrays, bool half,
                                         cuda::StreamHandle stream) const {
  if (sizes.batch < 1 || sizes.tokens < 1 || sizes.width < 1 || sizes.emotions < 1)
    throw std::invalid_argument("emotion_layernorm: expected sizes of at least 1");
  if (sizes.width > kMaxEmotionLayerNormWidth)
    throw std::invalid_argument("emotion_layernorm: expected a width of at most " + std::to_string(kMaxEmotionLayerNormWidth) +
                                " on a GPU, got " + std::to_string(sizes.width));
  EmotionLayerNormArgs args{};
  args.x = pointer<const void>(arrays.x);
  args.probs = pointer<const void>(arrays.probs);
  args.table = pointer<const void>(arrays.table);
  args.gamma = pointer<const void>(arrays.gamma);
  args.beta = pointer<const void>(arrays.beta);
  args.out = pointer<void>(arrays.out);
  args.row_step = args.out_row_step = sizes.width;
  args.item_step = args.out_item_step = static_cast<long long>(sizes.tokens) * sizes.width;
  args.tokens = sizes.tokens;
  args.width = sizes.width;
  args.emotions = sizes.emotions;
  args.epsilon = sizes.epsilon;
  cuda::LaunchShape shape;
  shape.grid = {cuda::blocks_for(static_cast<std::size_t>(sizes.tokens), kEmotionLayerNormRows), static_cast<unsigned>(sizes.batch)};
  shape.block = {kEmotionLayerNormThreads};
  shape.shared_bytes = static_cast<unsigned>(sizes.width) * static_cast<unsigned>(sizeof(float));
  cuda::launch(half ? f16_ : f32_, shape, stream, args);
}

}  // namespace affectrt::gpu
