// What a pack promises and what its network is, held against each other when a model opens, so that nothing is left to fail at the first
// face.
#pragma once

#include <memory>
#include <string>
#include <variant>

#include "affectrt/core/error.h"
#include "affectrt/engine/engine.h"
#include "affectrt/pack/pack.h"

namespace affectrt {

// Throws PackError if the pack's task is another.
void expect_task(const Manifest& manifest, Task task, const char* name);

// The single input of a pack, of the kind that a model class needs. Throws PackError.
template <class T>
const T& only_input(const Manifest& manifest, const char* kind) {
  if (manifest.inputs.size() == 1)
    if (const T* input = std::get_if<T>(&manifest.inputs[0])) return *input;
  throw PackError(manifest.name + ": expected one input of kind " + kind);
}

// The output of a kind. Throws PackError if there is none.
const Output& output_of(const Manifest& manifest, OutputKind kind, const char* name);

// The network of a variant, as open_variant chooses it. Throws what that throws, and PackError if any of the network's inputs or outputs is
// not float32.
std::unique_ptr<Engine> open_network(const Pack& pack, const std::string& precision, const EngineOptions& options);

// Position of a tensor that the manifest names. Throws PackError if the network has none of that name.
std::size_t input_index(const Engine& engine, const Manifest& manifest, const std::string& tensor);
std::size_t output_index(const Engine& engine, const Manifest& manifest, const std::string& tensor);

// Runs `bind`, which binds tensors of the sizes that the manifest states; a size that the network does not take is a PackError.
template <class Bind>
void expect_fits(const Manifest& manifest, Bind&& bind) {
  try {
    bind();
  } catch (const std::invalid_argument& error) {
    throw PackError(manifest.name + ": its manifest does not fit its network: " + error.what());
  }
}

}  // namespace affectrt
