// What the library adds to a session, beside its providers, before it opens. The engine knows no operator: the function is declared here,
// where sessions open, and defined in csrc/custom_ops, which may include what the engine may not.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "affectrt/engine/engine.h"

namespace affectrt {

struct SessionToOpen {
  const ort::Runtime& runtime;
  ort::SessionOptions* session;
  const std::filesystem::path& model;
  const EngineOptions& options;
  const std::vector<std::string>& providers;  // those that the session really has, in order
};

struct AddedOperators {
  std::shared_ptr<const void> owner;   // to outlive the session; null: nothing was added
  std::vector<std::string> fallbacks;  // what could not be had, and why
};

// Registers our own operators of domain "affectrt" with a session whose network uses it, so that they run in place of their bodies. Throws
// EngineError.
AddedOperators add_operators(const SessionToOpen& opening);

}  // namespace affectrt
