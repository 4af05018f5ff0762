#include "affectrt/engine/providers.h"

#include <algorithm>
#include <initializer_list>
#include <stdexcept>
#include <utility>

#include "affectrt/core/capture.h"
#include "affectrt/core/error.h"
#include "affectrt/engine/plugin.h"

namespace affectrt {
namespace {

using ort::Runtime;
using Options = std::vector<std::pair<std::string, std::string>>;

struct Lists {
  explicit Lists(const Options& options) {
    for (const auto& [key, value] : options) {
      keys.push_back(key.c_str());
      values.push_back(value.c_str());
    }
  }
  std::vector<const char*> keys, values;
};

constexpr const char* kStream = "user_compute_stream";
constexpr const char* kHasStream = "has_user_compute_stream";

std::string number(const void* stream) { return std::to_string(reinterpret_cast<std::uintptr_t>(stream)); }

const std::string* find(const Options& options, const std::string& key) {
  for (const auto& [name, value] : options)
    if (name == key) return &value;
  return nullptr;
}

// What a caller's own options say comes last, and so wins over ours.
Options with(Options ours, const Options& theirs) {
  for (const auto& option : theirs) {
    const auto same = std::find_if(ours.begin(), ours.end(), [&](const auto& o) { return o.first == option.first; });
    if (same == ours.end())
      ours.push_back(option);
    else
      same->second = option.second;
  }
  return ours;
}

Options without(Options options, std::initializer_list<const char*> keys) {
  std::erase_if(options, [&](const auto& option) { return std::find(keys.begin(), keys.end(), option.first) != keys.end(); });
  return options;
}

// The device and the stream are not the caller's to change where the engine has them: its tensors lie there, and its work is ordered there.
void refuse_contradictions(const Provider& provider, const GpuStream& gpu) {
  const auto expect = [&](const char* key, const std::string& wanted) {
    const std::string* given = find(provider.options, key);
    if (given && *given != wanted)
      throw std::invalid_argument(provider.name + ": option " + key + ": expected " + wanted + ", as the engine's own stream has it, got " +
                                  *given);
  };
  expect("device_id", std::to_string(gpu.ordinal));
  if (gpu.stream) {
    expect(kHasStream, "1");
    expect(kStream, number(gpu.stream));
  }
}

// Options of a provider that has a handle for them.
template <class T>
void update(const Runtime& rt, const char* call, ort::Status* (*set)(T*, const char* const*, const char* const*, std::size_t), T* handle,
            const Options& options) {
  const Lists lists(options);
  if (!options.empty()) rt.check(set(handle, lists.keys.data(), lists.values.data(), lists.keys.size()), call);
}

// A stream goes in as a pointer: as text, not every version of these providers takes it.
template <class T>
void update_stream(const Runtime& rt, const char* call, ort::Status* (*set)(T*, const char*, void*), T* handle,
                   const std::optional<GpuStream>& gpu) {
  if (gpu && gpu->stream) rt.check(set(handle, kStream, gpu->stream), call);
}

Options options_of(const Provider& provider, const std::optional<GpuStream>& gpu, const char* graphs) {
  Options ours;
  if (gpu) ours = {{"device_id", std::to_string(gpu->ordinal)}, {graphs, gpu->graphs ? "1" : "0"}};
  const Options all = with(std::move(ours), provider.options);
  return gpu && gpu->stream ? without(all, {kStream, kHasStream}) : all;
}

void append_cuda(const Runtime& rt, ort::SessionOptions* session, const Provider& provider, const std::optional<GpuStream>& gpu) {
  const auto& api = rt.api();
  ort::CudaOptions* raw = nullptr;
  rt.check(api.CreateCUDAProviderOptions(&raw), "CreateCUDAProviderOptions");
  ort::OwnedCudaOptions options(raw);
  update(rt, "UpdateCUDAProviderOptions", api.UpdateCUDAProviderOptions, raw, options_of(provider, gpu, "enable_cuda_graph"));
  update_stream(rt, "UpdateCUDAProviderOptionsWithValue", api.UpdateCUDAProviderOptionsWithValue, raw, gpu);
  rt.check(api.SessionOptionsAppendExecutionProvider_CUDA_V2(session, raw), "SessionOptionsAppendExecutionProvider_CUDA_V2");
}

void append_tensorrt(const Runtime& rt, ort::SessionOptions* session, const Provider& provider, const std::optional<GpuStream>& gpu) {
  const auto& api = rt.api();
  ort::TensorRtOptions* raw = nullptr;
  rt.check(api.CreateTensorRTProviderOptions(&raw), "CreateTensorRTProviderOptions");
  ort::OwnedTensorRtOptions options(raw);
  update(rt, "UpdateTensorRTProviderOptions", api.UpdateTensorRTProviderOptions, raw, options_of(provider, gpu, "trt_cuda_graph_enable"));
  update_stream(rt, "UpdateTensorRTProviderOptionsWithValue", api.UpdateTensorRTProviderOptionsWithValue, raw, gpu);
  rt.check(api.SessionOptionsAppendExecutionProvider_TensorRT_V2(session, raw), "SessionOptionsAppendExecutionProvider_TensorRT_V2");
}

// Options of a provider that takes them as text alone.
Options text_options(const std::optional<GpuStream>& gpu, bool with_device) {
  Options ours;
  if (!gpu) return ours;
  if (with_device) ours.emplace_back("device_id", std::to_string(gpu->ordinal));
  ours.emplace_back("enable_cuda_graph", gpu->graphs ? "1" : "0");
  if (gpu->stream) {
    ours.emplace_back(kHasStream, "1");
    ours.emplace_back(kStream, number(gpu->stream));
  }
  return ours;
}

void append_named(const Runtime& rt, ort::SessionOptions* session, const Provider& provider, const std::optional<GpuStream>& gpu) {
  // Other providers are known to this call by their name without the suffix, but this one by its whole name or another short one.
  std::string name = provider.name;
  const std::string suffix = "ExecutionProvider";
  if (name.ends_with(suffix) && name != kTensorRtRtxProvider) name.resize(name.size() - suffix.size());
  const Options options = with(text_options(is_gpu_provider(provider.name) ? gpu : std::nullopt, true), provider.options);
  const Lists lists(options);
  rt.check(rt.api().SessionOptionsAppendExecutionProvider(session, name.c_str(), lists.keys.data(), lists.values.data(), lists.keys.size()),
           "SessionOptionsAppendExecutionProvider");
}

std::string text_of(const std::vector<ProviderDevice>& devices) {
  std::string text;
  for (const auto& device : devices) {
    text += " " + device.provider + (device.gpu ? " on GPU " + std::to_string(device.ordinal) : "");
    if (&device != &devices.back()) text += ",";
  }
  return text;
}

// The device is chosen by its handle, so the provider is not told a number.
void append_plugin(const Runtime& rt, ort::SessionOptions* session, const Provider& provider, const std::optional<GpuStream>& gpu,
                   const std::vector<ProviderDevice>& devices) {
  const std::string* asked = find(provider.options, "device_id");
  const std::string wanted = gpu ? std::to_string(gpu->ordinal) : asked ? *asked : "";
  const auto fits = [&](const ProviderDevice& device) {
    return device.provider == provider.name && (device.gpu || !gpu) && (wanted.empty() || std::to_string(device.ordinal) == wanted);
  };
  const auto chosen = std::find_if(devices.begin(), devices.end(), fits);
  if (chosen == devices.end()) throw EngineError("GetEpDevices: expected GPU " + wanted + ", found" + text_of(devices));
  const Options options = with(text_options(gpu, false), without(provider.options, {"device_id"}));
  const Lists lists(options);
  // Const as the runtime hands it out; the call only looks registered libraries up.
  auto* env = const_cast<ort::Env*>(rt.env());
  rt.check(ort::plugin_api(rt).SessionOptionsAppendExecutionProvider_V2(session, env, &chosen->handle, 1, lists.keys.data(),
                                                                        lists.values.data(), lists.keys.size()),
           "SessionOptionsAppendExecutionProvider_V2");
}

bool offers(const std::vector<ProviderDevice>& devices, const std::string& name) {
  return std::any_of(devices.begin(), devices.end(), [&](const ProviderDevice& device) { return device.provider == name; });
}

// Throws EngineError with the call that failed and the library's reason.
void append(const Runtime& rt, ort::SessionOptions* session, const Provider& provider, const std::optional<GpuStream>& gpu) {
  const auto& known = rt.providers();
  if (std::find(known.begin(), known.end(), provider.name) != known.end()) {
    if (provider.name == kCudaProvider) return append_cuda(rt, session, provider, gpu);
    if (provider.name == kTensorRtProvider) return append_tensorrt(rt, session, provider, gpu);
    return append_named(rt, session, provider, gpu);
  }
  auto devices = provider_devices();
  std::erase_if(devices, [&](const auto& device) { return std::find(known.begin(), known.end(), device.provider) != known.end(); });
  if (offers(devices, provider.name))
    return append_plugin(rt, session, provider, is_gpu_provider(provider.name) ? gpu : std::nullopt, devices);
  if (const auto library = provider_library(provider.name); !library.empty())
    throw EngineError("the library " + library.string() + " finds no device for it on this machine");
  std::string reason = "not in this ONNX Runtime " + rt.version() + " (it has:";
  for (const auto& name : known) reason += " " + name;
  if (!devices.empty()) reason += "; from libraries:" + text_of(devices);
  throw EngineError(reason + ")");
}

}  // namespace

bool is_gpu_provider(const std::string& name) { return name == kCudaProvider || name == kTensorRtProvider || name == kTensorRtRtxProvider; }

bool asks_for_device(const EngineOptions& options) {
  return std::any_of(options.providers.begin(), options.providers.end(), [](const Provider& one) { return one.name != kCpuProvider; });
}

TakenProviders take_providers(const Runtime& rt, ort::SessionOptions* session, const EngineOptions& options) {
  TakenProviders taken;
  for (const auto& provider : options.providers) {
    if (provider.name == kCpuProvider) {
      taken.names.push_back(kCpuProvider);
      break;  // the CPU can run everything, so what stands behind it is never reached
    }
    std::string reason;
    try {
      append(rt, session, provider, options.gpu);
      if (options.gpu && is_gpu_provider(provider.name)) refuse_contradictions(provider, *options.gpu);
      taken.names.push_back(provider.name);
      continue;
    } catch (const EngineError& error) {
      reason = error.what();
    }
    if (options.strict) throw DeviceError(provider.name + ": " + reason);
    taken.fallbacks.push_back(provider.name + ": " + reason);
  }
  if (taken.names.empty()) taken.names.push_back(kCpuProvider);
  return taken;
}

std::vector<std::string> providers_to_be_had(const EngineOptions& options) {
  const Runtime& rt = Runtime::get();
  std::optional<capture::Pause> pause;
  if (asks_for_device(options)) pause.emplace();
  ort::SessionOptions* session = nullptr;
  rt.check(rt.api().CreateSessionOptions(&session), "session options");
  ort::OwnedSessionOptions owned(session);
  return take_providers(rt, session, options).names;
}

}  // namespace affectrt
