#include "affectrt/engine/providers.h"

#include <algorithm>

#include "affectrt/core/error.h"

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

template <class T>
void apply(const Runtime& rt, const Provider& provider, const Options& options,
           ort::Status* (*update)(T*, const char* const*, const char* const*, std::size_t), T* handle) {
  const Lists lists(options);
  if (!options.empty()) rt.check(update(handle, lists.keys.data(), lists.values.data(), lists.keys.size()), provider.name.c_str());
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

void append_cuda(const Runtime& rt, ort::SessionOptions* session, const Provider& provider, const std::optional<GpuStream>& gpu) {
  const auto& api = rt.api();
  ort::CudaOptions* raw = nullptr;
  rt.check(api.CreateCUDAProviderOptions(&raw), "CUDA options");
  ort::OwnedCudaOptions options(raw);
  Options ours;
  if (gpu) ours = {{"device_id", std::to_string(gpu->ordinal)}, {"enable_cuda_graph", gpu->graphs ? "1" : "0"}};
  apply(rt, provider, with(ours, provider.options), api.UpdateCUDAProviderOptions, raw);
  // A stream has no form as text that this provider's options would take.
  if (gpu && gpu->stream) rt.check(api.UpdateCUDAProviderOptionsWithValue(raw, "user_compute_stream", gpu->stream), "CUDA stream");
  rt.check(api.SessionOptionsAppendExecutionProvider_CUDA_V2(session, raw), "CUDA provider");
}

void append_tensorrt(const Runtime& rt, ort::SessionOptions* session, const Provider& provider, const std::optional<GpuStream>& gpu) {
  const auto& api = rt.api();
  ort::TensorRtOptions* raw = nullptr;
  rt.check(api.CreateTensorRTProviderOptions(&raw), "TensorRT options");
  ort::OwnedTensorRtOptions options(raw);
  Options ours;
  if (gpu) ours = {{"device_id", std::to_string(gpu->ordinal)}, {"trt_cuda_graph_enable", gpu->graphs ? "1" : "0"}};
  apply(rt, provider, with(ours, provider.options), api.UpdateTensorRTProviderOptions, raw);
  if (gpu && gpu->stream) rt.check(api.UpdateTensorRTProviderOptionsWithValue(raw, "user_compute_stream", gpu->stream), "TensorRT stream");
  rt.check(api.SessionOptionsAppendExecutionProvider_TensorRT_V2(session, raw), "TensorRT provider");
}

void append_named(const Runtime& rt, ort::SessionOptions* session, const Provider& provider, const std::optional<GpuStream>& gpu) {
  // Other providers are known to this call by their name without the suffix, but this one by its whole name or another short one.
  std::string name = provider.name;
  const std::string suffix = "ExecutionProvider";
  if (name.ends_with(suffix) && name != kTensorRtRtxProvider) name.resize(name.size() - suffix.size());
  Options ours;
  if (gpu && is_gpu_provider(provider.name)) {
    ours = {{"device_id", std::to_string(gpu->ordinal)}, {"enable_cuda_graph", gpu->graphs ? "1" : "0"}};
    if (gpu->stream) {
      ours.emplace_back("has_user_compute_stream", "1");
      ours.emplace_back("user_compute_stream", std::to_string(reinterpret_cast<std::uintptr_t>(gpu->stream)));
    }
  }
  const Options options = with(ours, provider.options);
  const Lists lists(options);
  rt.check(rt.api().SessionOptionsAppendExecutionProvider(session, name.c_str(), lists.keys.data(), lists.values.data(), lists.keys.size()),
           provider.name.c_str());
}

// Throws EngineError with the library's reason.
void append(const Runtime& rt, ort::SessionOptions* session, const Provider& provider, const std::optional<GpuStream>& gpu) {
  if (provider.name == kCudaProvider)
    append_cuda(rt, session, provider, gpu);
  else if (provider.name == kTensorRtProvider)
    append_tensorrt(rt, session, provider, gpu);
  else
    append_named(rt, session, provider, gpu);
}

}  // namespace

bool is_gpu_provider(const std::string& name) { return name == kCudaProvider || name == kTensorRtProvider || name == kTensorRtRtxProvider; }

TakenProviders take_providers(const Runtime& rt, ort::SessionOptions* session, const EngineOptions& options) {
  TakenProviders taken;
  for (const auto& provider : options.providers) {
    if (provider.name == kCpuProvider) {
      taken.names.push_back(kCpuProvider);
      break;  // the CPU can run everything, so what stands behind it is never reached
    }
    const auto& known = rt.providers();
    std::string reason;
    if (std::find(known.begin(), known.end(), provider.name) == known.end()) {
      reason = "not in this ONNX Runtime " + rt.version() + " (it has:";
      for (const auto& name : known) reason += " " + name;
      reason += ")";
    } else {
      try {
        append(rt, session, provider, options.gpu);
        taken.names.push_back(provider.name);
        continue;
      } catch (const EngineError& error) {
        reason = error.what();
      }
    }
    if (options.strict) throw DeviceError(provider.name + ": " + reason);
    taken.fallbacks.push_back(provider.name + ": " + reason);
  }
  if (taken.names.empty()) taken.names.push_back(kCpuProvider);
  return taken;
}

std::vector<std::string> providers_to_be_had(const EngineOptions& options) {
  const Runtime& rt = Runtime::get();
  ort::SessionOptions* session = nullptr;
  rt.check(rt.api().CreateSessionOptions(&session), "session options");
  ort::OwnedSessionOptions owned(session);
  return take_providers(rt, session, options).names;
}

}  // namespace affectrt
