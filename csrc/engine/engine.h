// Engine: one network, opened once, run from as many threads as you like. Binding: one caller's buffers for it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "affectrt/engine/ort_api.h"

namespace affectrt {

enum class DataType { kFloat32, kFloat16, kFloat64, kUint8, kInt8, kUint16, kInt16, kInt32, kInt64, kBool };

const char* name_of(DataType type);
std::size_t size_of(DataType type);

struct IoSpec {
  std::string name;
  DataType type = DataType::kFloat32;
  std::vector<std::int64_t> shape;  // -1: free
};

struct Provider {
  std::string name;  // as ONNX Runtime calls it, e.g. "CPUExecutionProvider"
  std::vector<std::pair<std::string, std::string>> options;
};

struct EngineOptions {
  std::vector<Provider> providers;  // in order of preference; empty: the CPU
  bool strict = false;              // throw instead of falling back to another provider or to the CPU for single nodes
  int threads = 0;                  // 0: the shared pool; n: a pool of this engine's own (1: the calling thread alone)
  bool spinning = false;            // for a pool of its own
};

// Of the providers asked for, those that this library and this machine have, in order; the CPU where that leaves none. Throws DeviceError
// if the options are strict and one cannot be had.
std::vector<std::string> providers_to_be_had(const EngineOptions& options);

class Engine {
 public:
  // Throws EngineError (unreadable model, provider failure when strict) or DeviceError (strict and provider absent).
  explicit Engine(const std::filesystem::path& model, const EngineOptions& options = {});

  const std::vector<IoSpec>& inputs() const { return inputs_; }
  const std::vector<IoSpec>& outputs() const { return outputs_; }
  // The provider that the session was really opened with (the first that could be had).
  const std::string& provider() const { return provider_; }
  // Providers that were asked for and could not be had, each with the reason; empty when strict.
  const std::vector<std::string>& fallbacks() const { return fallbacks_; }

  // Position of a tensor by name. Throws EngineError listing the names there are.
  std::size_t input(const std::string& name) const;
  std::size_t output(const std::string& name) const;

  ort::Session* session() const { return session_.get(); }

 private:
  std::vector<IoSpec> inputs_, outputs_;
  std::string provider_;
  std::vector<std::string> fallbacks_;
  ort::OwnedSession session_;
};

// The result of a run where the network chose the shape. Owns its memory.
struct Tensor {
  ort::OwnedValue value;
  DataType type = DataType::kFloat32;
  std::vector<std::int64_t> shape;
  void* data = nullptr;
};

// Inputs and outputs of one caller, bound once and run many times. Not for two threads at once; make one per thread.
class Binding {
 public:
  explicit Binding(const Engine& engine);

  // `data` stays the caller's and must live until the next bind of the same tensor. Throws std::invalid_argument if the shape does not
  // fit the network's; `bytes` guards against a buffer that is too small.
  void bind_input(std::size_t index, void* data, std::size_t bytes, std::span<const std::int64_t> shape);
  void bind_output(std::size_t index, void* data, std::size_t bytes, std::span<const std::int64_t> shape);
  // The network allocates this output; take_outputs() hands it over.
  void bind_output(std::size_t index);

  void run();

  // One per output, in order. Only after run() with outputs that the network allocates.
  std::vector<Tensor> take_outputs();

 private:
  struct Slot {
    ort::OwnedValue value;
    void* data = nullptr;
    std::vector<std::int64_t> shape;
  };
  bool same(const Slot& slot, void* data, std::span<const std::int64_t> shape) const;
  ort::OwnedValue wrap(const IoSpec& spec, void* data, std::size_t bytes, std::span<const std::int64_t> shape) const;

  const Engine* engine_;
  ort::OwnedBinding binding_;
  std::vector<Slot> inputs_, outputs_;
};

}  // namespace affectrt
