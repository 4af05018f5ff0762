#include "affectrt/engine/engine.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "affectrt/core/capture.h"
#include "affectrt/core/error.h"
#include "affectrt/engine/providers.h"
#include "affectrt/engine/session_hook.h"
#include "affectrt/pack/text.h"

namespace affectrt {
namespace {

using ort::Runtime;

constexpr int kAllOptimizations = 99;
constexpr int kSeverityError = 3;
constexpr int kDeviceAllocator = 0;
constexpr int kDefaultMemory = 0;

struct TypeRow {
  DataType type;
  int ort;
  std::size_t size;
  const char* name;
};

constexpr TypeRow kTypes[] = {
    {DataType::kFloat32, ort::kFloat32, 4, "float32"}, {DataType::kFloat16, ort::kFloat16, 2, "float16"},
    {DataType::kFloat64, ort::kFloat64, 8, "float64"}, {DataType::kUint8, ort::kUint8, 1, "uint8"},
    {DataType::kInt8, ort::kInt8, 1, "int8"},          {DataType::kUint16, ort::kUint16, 2, "uint16"},
    {DataType::kInt16, ort::kInt16, 2, "int16"},       {DataType::kInt32, ort::kInt32, 4, "int32"},
    {DataType::kInt64, ort::kInt64, 8, "int64"},       {DataType::kBool, ort::kBool, 1, "bool"},
};

const TypeRow& row_of(DataType type) {
  return *std::find_if(std::begin(kTypes), std::end(kTypes), [type](const TypeRow& row) { return row.type == type; });
}

DataType from_ort(int type, const std::string& tensor) {
  for (const auto& row : kTypes)
    if (row.ort == type) return row.type;
  throw EngineError("tensor '" + tensor + "' has ONNX element type " + std::to_string(type) + ", which affectrt does not pass");
}

std::string text_of(std::span<const std::int64_t> shape) {
  std::string text = "(";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + (shape[i] < 0 ? std::string("*") : std::to_string(shape[i]));
  return text + ")";
}

std::pair<DataType, std::vector<std::int64_t>> describe(const Runtime& rt, const ort::TensorInfo* info, const std::string& name) {
  int type = 0;
  std::size_t rank = 0;
  rt.check(rt.api().GetTensorElementType(info, &type), "element type");
  rt.check(rt.api().GetDimensionsCount(info, &rank), "rank");
  std::vector<std::int64_t> shape(rank);
  rt.check(rt.api().GetDimensions(info, shape.data(), rank), "shape");
  return {from_ort(type, name), std::move(shape)};
}

std::vector<IoSpec> read_specs(const Runtime& rt, const ort::Session* session, bool input) {
  const auto& api = rt.api();
  std::size_t count = 0;
  rt.check(input ? api.SessionGetInputCount(session, &count) : api.SessionGetOutputCount(session, &count), "tensor count");
  std::vector<IoSpec> specs;
  for (std::size_t i = 0; i < count; ++i) {
    char* raw = nullptr;
    rt.check(input ? api.SessionGetInputName(session, i, rt.allocator(), &raw) : api.SessionGetOutputName(session, i, rt.allocator(), &raw),
             "tensor name");
    IoSpec spec;
    spec.name = raw;
    rt.check(api.AllocatorFree(rt.allocator(), raw), "tensor name");
    if (!is_utf8(spec.name)) throw EngineError("a tensor has a name that is not UTF-8: " + printable(spec.name));
    ort::TypeInfo* type = nullptr;
    rt.check(input ? api.SessionGetInputTypeInfo(session, i, &type) : api.SessionGetOutputTypeInfo(session, i, &type), "tensor type");
    ort::OwnedTypeInfo owned(type);
    const ort::TensorInfo* info = nullptr;
    rt.check(api.CastTypeInfoToTensorInfo(type, &info), "tensor type");
    if (!info) throw EngineError("'" + spec.name + "' is a sequence or a map, expected a tensor");
    std::tie(spec.type, spec.shape) = describe(rt, info, spec.name);
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::size_t find(const std::vector<IoSpec>& specs, const std::string& name, const char* kind) {
  for (std::size_t i = 0; i < specs.size(); ++i)
    if (specs[i].name == name) return i;
  std::string there;
  for (const auto& spec : specs) there += (there.empty() ? "" : ", ") + spec.name;
  throw EngineError(std::string("the network has no ") + kind + " '" + name + "'; it has: " + there);
}

}  // namespace

const char* name_of(DataType type) { return row_of(type).name; }
std::size_t size_of(DataType type) { return row_of(type).size; }

Engine::Engine(const std::filesystem::path& model, const EngineOptions& options) : strict_(options.strict) {
  if (options.threads < 0) throw std::invalid_argument("threads: expected 0 (shared pool) or more, got " + std::to_string(options.threads));
  Runtime::get();  // without one there is nothing to fall back to
  EngineOptions tried = options;
  std::vector<std::string> given_up;
  for (;;) {
    try {
      open(model, tried);
      break;
    } catch (const EngineError& error) {
      if (options.strict) throw;
      if (tried.gpu && tried.gpu->graphs) {
        // A network of which single nodes stay on the CPU cannot be captured; it can still run.
        tried.gpu->graphs = false;
        given_up.push_back(std::string("CUDA graphs: ") + error.what());
      } else if (!provider_.empty() && provider_ != kCpuProvider) {
        // Many a provider finds only now that its device is not there. What is wrong with the file itself is thrown by the last try.
        if (std::erase_if(tried.providers, [&](const Provider& provider) { return provider.name == provider_; }) == 0) throw;
        given_up.push_back(provider_ + ": CreateSession: " + error.what());
      } else {
        throw;
      }
    }
  }
  fallbacks_.insert(fallbacks_.end(), given_up.begin(), given_up.end());
}

Engine::~Engine() { close(); }

void Engine::close() {
  std::optional<capture::Pause> pause;
  if (session_ && on_device()) pause.emplace();
  session_.reset();
}

std::vector<std::string> Engine::fallbacks() const {
  const std::lock_guard lock(fallbacks_mutex_);
  return fallbacks_;
}

void Engine::add_fallback(std::string reason) const {
  const std::lock_guard lock(fallbacks_mutex_);
  if (std::find(fallbacks_.begin(), fallbacks_.end(), reason) == fallbacks_.end()) fallbacks_.push_back(std::move(reason));
}

bool Engine::on_device() const { return provider_ != kCpuProvider; }

void Engine::open(const std::filesystem::path& model, const EngineOptions& options) {
  close();  // of a try before this: it calls operators_ when it goes
  std::optional<capture::Pause> pause;
  if (asks_for_device(options)) pause.emplace();
  const Runtime& rt = Runtime::get();
  const auto& api = rt.api();

  ort::SessionOptions* raw_options = nullptr;
  rt.check(api.CreateSessionOptions(&raw_options), "session options");
  ort::OwnedSessionOptions owned(raw_options);
  rt.check(api.SetSessionLogSeverityLevel(raw_options, kSeverityError), "session options");
  rt.check(api.SetSessionGraphOptimizationLevel(raw_options, kAllOptimizations), "session options");
  if (options.threads == 0 && rt.has_shared_pool()) {
    rt.check(api.DisablePerSessionThreads(raw_options), "session options");
  } else {
    rt.check(api.SetIntraOpNumThreads(raw_options, options.threads), "session options");
    rt.check(api.SetInterOpNumThreads(raw_options, 1), "session options");
    rt.check(api.AddSessionConfigEntry(raw_options, "session.intra_op.allow_spinning", options.spinning ? "1" : "0"), "session options");
  }

  provider_ = kCpuProvider;
  TakenProviders taken = take_providers(rt, raw_options, options);
  provider_ = taken.names.front();
  fallbacks_ = std::move(taken.fallbacks);
  AddedOperators added = add_operators({rt, raw_options, model, options, taken.names});
  operators_ = std::move(added.owner);
  fallbacks_.insert(fallbacks_.end(), added.fallbacks.begin(), added.fallbacks.end());
  if (options.strict && provider_ != kCpuProvider)
    rt.check(api.AddSessionConfigEntry(raw_options, "session.disable_cpu_ep_fallback", "1"), "session options");

  ort::Session* session = nullptr;
  try {
    rt.check(api.CreateSession(rt.env(), model.c_str(), raw_options, &session), model.string().c_str());
  } catch (const EngineError& error) {
    const std::string said = error.what();
    if (said.find("EPContext") == std::string::npos) throw;
    throw EngineError(said + " The file holds a finished engine, which only the provider that made it can run: ask for that provider, or " +
                      "open the ONNX model that the engine was made from.");
  }
  session_.reset(session);
  inputs_ = read_specs(rt, session, true);
  outputs_ = read_specs(rt, session, false);
  gpu_.reset();
  if (options.gpu && is_gpu_provider(provider_)) {
    ort::MemoryInfo* memory = nullptr;
    rt.check(api.CreateMemoryInfo("Cuda", kDeviceAllocator, options.gpu->ordinal, kDefaultMemory, &memory), "GPU memory");
    gpu_memory_.reset(memory);
    gpu_ = options.gpu;
  }
}

std::size_t Engine::input(const std::string& name) const { return find(inputs_, name, "input"); }
std::size_t Engine::output(const std::string& name) const { return find(outputs_, name, "output"); }

Binding::Binding(const Engine& engine) : engine_(&engine), inputs_(engine.inputs().size()), outputs_(engine.outputs().size()) {
  const Runtime& rt = Runtime::get();
  ort::IoBinding* binding = nullptr;
  rt.check(rt.api().CreateIoBinding(engine.session(), &binding), "binding");
  binding_.reset(binding);
}

bool Binding::same(const Slot& slot, void* data, std::span<const std::int64_t> shape, Memory memory) const {
  return slot.value && slot.data == data && slot.memory == memory &&
         std::equal(shape.begin(), shape.end(), slot.shape.begin(), slot.shape.end());
}

ort::OwnedValue Binding::wrap(const IoSpec& spec, void* data, std::size_t bytes, std::span<const std::int64_t> shape, Memory memory) const {
  bool fits = shape.size() == spec.shape.size();
  for (std::size_t i = 0; fits && i < shape.size(); ++i) fits = shape[i] >= 0 && (spec.shape[i] < 0 || spec.shape[i] == shape[i]);
  if (!fits) throw std::invalid_argument("'" + spec.name + "': expected shape " + text_of(spec.shape) + ", got " + text_of(shape));
  std::size_t needed = size_of(spec.type);
  for (auto extent : shape) needed *= static_cast<std::size_t>(extent);
  if (bytes < needed)
    throw std::invalid_argument("'" + spec.name + "': expected " + std::to_string(needed) + " bytes, got " + std::to_string(bytes));
  if (memory == Memory::kGpu && !engine_->gpu())
    throw std::invalid_argument("'" + spec.name + "': expected host memory, since the network runs with " + engine_->provider());
  const Runtime& rt = Runtime::get();
  const ort::MemoryInfo* info = memory == Memory::kGpu ? engine_->gpu_memory() : rt.cpu_memory();
  ort::Value* value = nullptr;
  rt.check(rt.api().CreateTensorWithDataAsOrtValue(info, data, needed, shape.data(), shape.size(), row_of(spec.type).ort, &value),
           spec.name.c_str());
  return ort::OwnedValue(value);
}

void Binding::bind_input(std::size_t index, void* data, std::size_t bytes, std::span<const std::int64_t> shape, Memory memory) {
  Slot& slot = inputs_.at(index);
  if (same(slot, data, shape, memory)) return;
  const IoSpec& spec = engine_->inputs()[index];
  auto value = wrap(spec, data, bytes, shape, memory);
  const Runtime& rt = Runtime::get();
  rt.check(rt.api().BindInput(binding_.get(), spec.name.c_str(), value.get()), spec.name.c_str());
  slot = {std::move(value), data, {shape.begin(), shape.end()}, memory};
}

void Binding::bind_output(std::size_t index, void* data, std::size_t bytes, std::span<const std::int64_t> shape, Memory memory) {
  Slot& slot = outputs_.at(index);
  if (same(slot, data, shape, memory)) return;
  const IoSpec& spec = engine_->outputs()[index];
  auto value = wrap(spec, data, bytes, shape, memory);
  const Runtime& rt = Runtime::get();
  rt.check(rt.api().BindOutput(binding_.get(), spec.name.c_str(), value.get()), spec.name.c_str());
  slot = {std::move(value), data, {shape.begin(), shape.end()}, memory};
}

void Binding::bind_output(std::size_t index) {
  const IoSpec& spec = engine_->outputs().at(index);
  const Runtime& rt = Runtime::get();
  rt.check(rt.api().BindOutputToDevice(binding_.get(), spec.name.c_str(), rt.cpu_memory()), spec.name.c_str());
  outputs_[index] = {};
}

Binding::Run& Binding::run_with(int graph, bool synchronised) {
  for (Run& run : runs_)
    if (run.graph == graph && run.synchronised == synchronised) return run;
  const Runtime& rt = Runtime::get();
  ort::RunOptions* raw = nullptr;
  rt.check(rt.api().CreateRunOptions(&raw), "run options");
  ort::OwnedRunOptions options(raw);
  if (!synchronised) rt.check(rt.api().AddRunConfigEntry(raw, "disable_synchronize_execution_providers", "1"), "run options");
  if (engine_->gpu()->graphs) {
    // 0 is the runtime's own. Providers from libraries know the number by another name than those built in.
    const std::string id = std::to_string(graph < 0 ? -1 : graph + 1);
    for (const char* key : {"gpu_graph_id", "cuda_graph_annotation_id"})
      rt.check(rt.api().AddRunConfigEntry(raw, key, id.c_str()), "run options");
  }
  return runs_.emplace_back(Run{graph, synchronised, std::move(options), {}, false});
}

void Binding::start(const ort::RunOptions* options) {
  const Runtime& rt = Runtime::get();
  rt.check(rt.api().RunWithBinding(engine_->session(), options, binding_.get()), "run");
}

void Binding::run(int graph) {
  const auto on_gpu = [](const Slot& slot) { return slot.memory == Memory::kGpu; };
  const bool synchronised = std::none_of(inputs_.begin(), inputs_.end(), on_gpu) && std::none_of(outputs_.begin(), outputs_.end(), on_gpu);
  if (!engine_->on_device()) return start(nullptr);
  const auto& gpu = engine_->gpu();
  // A graph has addresses of the device in it: what comes from the host is run as it is.
  if (gpu && gpu->graphs && graph >= 0 && !synchronised && run_graph(run_with(graph, false))) return;
  const ort::RunOptions* options = gpu ? run_with(-1, synchronised).options.get() : nullptr;
  const capture::Pause pause;
  start(options);
}

bool Binding::run_graph(Run& with) {
  const auto here = std::this_thread::get_id();
  if (with.refused) return false;
  if (with.captured_by == here) {
    const capture::Pause pause;
    start(with.options.get());
    return true;
  }
  const capture::Turn turn;
  if (!turn.taken()) return false;
  try {
    start(with.options.get());
  } catch (const EngineError& error) {
    // A library that knows nothing of turns may have broken it.
    if (engine_->strict()) throw;
    with.refused = true;
    engine_->add_fallback(std::string("CUDA graphs: ") + error.what());
    return false;
  }
  with.captured_by = here;
  return true;
}

std::vector<Tensor> Binding::take_outputs() {
  const Runtime& rt = Runtime::get();
  ort::Value** values = nullptr;
  std::size_t count = 0;
  rt.check(rt.api().GetBoundOutputValues(binding_.get(), rt.allocator(), &values, &count), "outputs");
  std::vector<Tensor> tensors(count);
  for (std::size_t i = 0; i < count; ++i) tensors[i].value.reset(values[i]);
  rt.check(rt.api().AllocatorFree(rt.allocator(), values), "outputs");
  for (std::size_t i = 0; i < count; ++i) {
    ort::TensorInfo* info = nullptr;
    rt.check(rt.api().GetTensorTypeAndShape(tensors[i].value.get(), &info), "outputs");
    ort::OwnedTensorInfo owned(info);
    std::tie(tensors[i].type, tensors[i].shape) = describe(rt, info, engine_->outputs()[i].name);
    rt.check(rt.api().GetTensorMutableData(tensors[i].value.get(), &tensors[i].data), "outputs");
  }
  return tensors;
}

}  // namespace affectrt
