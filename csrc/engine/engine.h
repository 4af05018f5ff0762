// Engine: one network, opened once, run from as many threads as you like. Binding: one caller's buffers for it.
#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
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

// A stream of a GPU, which providers for GPUs compute on and which orders their work with that of our own kernels.
struct GpuStream {
  int ordinal = 0;
  void* stream = nullptr;  // CUstream; outlives the engine. Null: the provider makes one of its own
  // Capture the work of each shape once and replay it, where the provider can. It keeps graphs, and handles of its libraries, for each
  // thread that runs the engine, until the engine goes: so let one thread run it.
  bool graphs = false;
};

struct EngineOptions {
  std::vector<Provider> providers;  // in order of preference; empty: the CPU
  bool strict = false;              // throw instead of falling back to another provider or to the CPU for single nodes
  int threads = 0;                  // 0: the shared pool; n: a pool of this engine's own (1: the calling thread alone)
  bool spinning = false;            // for a pool of its own
  std::optional<GpuStream> gpu;     // for providers that compute on a GPU
};

// Of the providers asked for, those that this library and this machine have, in order; the CPU where that leaves none. Throws DeviceError
// if the options are strict and one cannot be had.
std::vector<std::string> providers_to_be_had(const EngineOptions& options);

class Engine {
 public:
  // Throws EngineError (unreadable model, provider failure when strict) or DeviceError (strict and provider absent).
  explicit Engine(const std::filesystem::path& model, const EngineOptions& options = {});
  ~Engine();
  // Neither copied nor moved: bindings know where it is.
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  const std::vector<IoSpec>& inputs() const { return inputs_; }
  const std::vector<IoSpec>& outputs() const { return outputs_; }
  // The provider that the session was really opened with (the first that could be had).
  const std::string& provider() const { return provider_; }
  // Providers, and graphs, that were asked for and could not be had, each with the reason; empty when strict.
  std::vector<std::string> fallbacks() const;
  void add_fallback(std::string reason) const;
  bool strict() const { return strict_; }
  // Whether its work is a GPU's, or that of another accelerator, and so not to be done while a graph is captured.
  bool on_device() const;
  // Where tensors may lie on the device: the GPU of the options, if it really is one that runs the network.
  const std::optional<GpuStream>& gpu() const { return gpu_; }

  // Position of a tensor by name. Throws EngineError listing the names there are.
  std::size_t input(const std::string& name) const;
  std::size_t output(const std::string& name) const;

  ort::Session* session() const { return session_.get(); }
  const ort::MemoryInfo* gpu_memory() const { return gpu_memory_.get(); }

 private:
  void open(const std::filesystem::path& model, const EngineOptions& options);
  void close();

  std::vector<IoSpec> inputs_, outputs_;
  std::string provider_;
  bool strict_ = false;
  mutable std::mutex fallbacks_mutex_;  // a run may find that a graph cannot be had
  mutable std::vector<std::string> fallbacks_;
  std::optional<GpuStream> gpu_;
  ort::OwnedMemoryInfo gpu_memory_;
  std::shared_ptr<const void> operators_;  // of ours, which the session calls
  ort::OwnedSession session_;
};

// The result of a run where the network chose the shape. Owns its memory.
struct Tensor {
  ort::OwnedValue value;
  DataType type = DataType::kFloat32;
  std::vector<std::int64_t> shape;
  void* data = nullptr;
};

enum class Memory { kHost, kGpu };

// Inputs and outputs of one caller, bound once and run many times. Not for two threads at once; make one per thread.
class Binding {
 public:
  explicit Binding(const Engine& engine);

  // `data` stays the caller's and must live until the next bind of the same tensor; on a GPU it is an address of the engine's device.
  // Throws std::invalid_argument if the shape does not fit the network's, or the network does not run on a GPU; `bytes` guards against a
  // buffer that is too small.
  void bind_input(std::size_t index, void* data, std::size_t bytes, std::span<const std::int64_t> shape, Memory memory = Memory::kHost);
  void bind_output(std::size_t index, void* data, std::size_t bytes, std::span<const std::int64_t> shape, Memory memory = Memory::kHost);
  // The network allocates this output; take_outputs() hands it over.
  void bind_output(std::size_t index);

  // With a tensor on the GPU it returns when the work stands on the engine's stream; else when it is done. graph: a number from 0 for each
  // set of shapes and addresses, where the engine captures graphs; -1: run it as it is. It is also run as it is where other work on GPUs
  // leaves no turn to capture (core/capture.h), and for good where a capture fails: fallbacks() says why. Strict: EngineError.
  void run(int graph = -1);

  // One per output, in order. Only after run() with outputs that the network allocates.
  std::vector<Tensor> take_outputs();

 private:
  struct Slot {
    ort::OwnedValue value;
    void* data = nullptr;
    std::vector<std::int64_t> shape;
    Memory memory = Memory::kHost;
  };
  bool same(const Slot& slot, void* data, std::span<const std::int64_t> shape, Memory memory) const;
  ort::OwnedValue wrap(const IoSpec& spec, void* data, std::size_t bytes, std::span<const std::int64_t> shape, Memory memory) const;
  struct Run {
    int graph;
    bool synchronised;
    ort::OwnedRunOptions options;
    std::thread::id captured_by;  // the thread that has the graph; none: not captured
    bool refused = false;         // a capture has failed
  };
  Run& run_with(int graph, bool synchronised);
  void start(const ort::RunOptions* options);
  bool run_graph(Run& with);  // whether it has been run

  const Engine* engine_;
  ort::OwnedBinding binding_;
  std::vector<Slot> inputs_, outputs_;
  std::deque<Run> runs_;  // those that were needed, kept where they are
};

}  // namespace affectrt
