// Between which shapes an engine that is built ahead of time must serve: TensorRT asks for them where a network leaves dimensions free.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "affectrt/engine/engine.h"
#include "affectrt/pack/manifest.h"

namespace affectrt {

// The greatest batches that callers of packs run: faces of a frame, and texts where an engine was built for them.
inline constexpr std::int64_t kMostImages = 16;
inline constexpr std::int64_t kMostTexts = 8;
inline constexpr std::int64_t kUsualTokens = 32;

struct ShapeRange {
  std::string tensor;
  std::vector<std::int64_t> least, usual, most;
};

// One for each input of a pack's networks that has a free dimension; empty where all are fixed. Also empty where a tensor is free in
// another dimension than its first and nothing says how far: a provider wants all ranges or none.
std::vector<ShapeRange> shape_ranges(const Manifest& manifest);

// The options with the pack's ranges for the TensorRT providers among them, but for those whose own options name ranges already.
EngineOptions with_shape_ranges(EngineOptions options, const Manifest& manifest);

}  // namespace affectrt
