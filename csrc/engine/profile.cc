#include "affectrt/engine/profile.h"

#include <algorithm>

#include "affectrt/engine/providers.h"

namespace affectrt {
namespace {

using Shape = std::vector<std::int64_t>;

std::string text_of(const std::vector<ShapeRange>& ranges, Shape ShapeRange::* shape) {
  std::string text;
  for (const auto& range : ranges) {
    if (!text.empty()) text += ',';
    text += range.tensor;
    char between = ':';
    for (const auto extent : range.*shape) {
      text += between;
      text += std::to_string(extent);
      between = 'x';
    }
  }
  return text;
}

Shape with_batch(Shape shape, std::int64_t batch) {
  shape.front() = batch;
  return shape;
}

// Whether the range is known.
bool add(const ImageInput& input, std::vector<ShapeRange>& ranges) {
  if (!input.dynamic_batch) return true;
  const std::int64_t channels = input.color == ColorOrder::kGray ? 1 : 3;
  const Shape one = input.layout == Layout::kNchw ? Shape{1, channels, input.height_px, input.width_px}
                                                  : Shape{1, input.height_px, input.width_px, channels};
  ranges.push_back({input.tensor, one, one, with_batch(one, kMostImages)});
  return true;
}

bool add(const TextInput& input, std::vector<ShapeRange>& ranges) {
  const std::int64_t tokens = input.max_tokens;
  std::vector<std::string> tensors{input.tensor, input.mask_tensor};
  if (input.type_tensor) tensors.push_back(*input.type_tensor);
  for (const auto& tensor : tensors) ranges.push_back({tensor, {1, 1}, {1, std::min(kUsualTokens, tokens)}, {kMostTexts, tokens}});
  return true;
}

bool add(const TensorInput& input, std::vector<ShapeRange>& ranges) {
  const auto free = std::count(input.shape.begin(), input.shape.end(), -1);
  if (free == 0) return true;
  if (free > 1 || input.shape.front() != -1) return false;
  ranges.push_back({input.tensor, with_batch(input.shape, 1), with_batch(input.shape, 1), with_batch(input.shape, kMostImages)});
  return true;
}

bool add(const ChatInput&, std::vector<ShapeRange>&) { return false; }

// What a provider calls the three shapes; null for one that takes none.
struct Keys {
  const char *least = nullptr, *usual = nullptr, *most = nullptr;
};

Keys keys_of(const std::string& provider) {
  if (provider == kTensorRtProvider) return {"trt_profile_min_shapes", "trt_profile_opt_shapes", "trt_profile_max_shapes"};
  if (provider == kTensorRtRtxProvider) return {"nv_profile_min_shapes", "nv_profile_opt_shapes", "nv_profile_max_shapes"};
  return {};
}

}  // namespace

std::vector<ShapeRange> shape_ranges(const Manifest& manifest) {
  std::vector<ShapeRange> ranges;
  for (const auto& input : manifest.inputs)
    if (!std::visit([&](const auto& one) { return add(one, ranges); }, input)) return {};
  return ranges;
}

EngineOptions with_shape_ranges(EngineOptions options, const Manifest& manifest) {
  const auto ranges = shape_ranges(manifest);
  if (ranges.empty()) return options;
  for (auto& provider : options.providers) {
    const Keys keys = keys_of(provider.name);
    if (!keys.least) continue;
    const bool given = std::any_of(provider.options.begin(), provider.options.end(), [&](const auto& option) {
      return option.first == keys.least || option.first == keys.usual || option.first == keys.most;
    });
    if (given) continue;
    provider.options.emplace_back(keys.least, text_of(ranges, &ShapeRange::least));
    provider.options.emplace_back(keys.usual, text_of(ranges, &ShapeRange::usual));
    provider.options.emplace_back(keys.most, text_of(ranges, &ShapeRange::most));
  }
  return options;
}

}  // namespace affectrt
