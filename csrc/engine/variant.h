// Which variant of a pack runs with the providers that were asked for, and its network.
#pragma once

#include <memory>
#include <string>

#include "affectrt/engine/engine.h"
#include "affectrt/pack/pack.h"

namespace affectrt {

struct OpenedVariant {
  std::string name;
  std::unique_ptr<Engine> engine;
};

// `wanted` is the name of a variant or a precision, or "auto": the first variant that needs no provider, or one that was asked for and is
// to be had. A variant names several providers where each of them will do. Throws PackError (no such variant, a file that has not been
// pulled), DeviceError (the variant, or for "auto" every one, needs a provider that is not to be had; or strict and a provider absent),
// EngineError.
OpenedVariant open_variant(const Pack& pack, const std::string& wanted, const EngineOptions& options);

}  // namespace affectrt
