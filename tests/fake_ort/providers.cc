// Providers that this machine does not have: what a session is given of them is checked as theirs would be, written down, and left out
// when the real session opens.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "state.h"

namespace fake_ort {
namespace {

constexpr const char* kCuda = "CUDAExecutionProvider";
constexpr const char* kTensorRt = "TensorrtExecutionProvider";
constexpr const char* kRtx = "NvTensorRTRTXExecutionProvider";

struct ProviderOptions {
  Pairs options;
  void* stream = nullptr;
};

// Keys beside those that start with `prefix`; an unknown one is refused, as the real providers do.
struct Keys {
  const char* provider;
  const char* prefix;
  const char* graphs;
  std::vector<std::string> keys;
};

const Keys& keys_of(const std::string& provider) {
  static const Keys all[] = {
      {kCuda,
       "?",
       "enable_cuda_graph",
       {"device_id", "has_user_compute_stream", "user_compute_stream", "gpu_mem_limit", "arena_extend_strategy", "cudnn_conv_algo_search",
        "do_copy_in_default_stream", "cudnn_conv_use_max_workspace", "enable_cuda_graph", "cudnn_conv1d_pad_to_nc1d", "use_tf32",
        "prefer_nhwc", "fuse_conv_bias", "tunable_op_enable", "tunable_op_tuning_enable"}},
      {kTensorRt, "trt_", "trt_cuda_graph_enable", {"device_id", "has_user_compute_stream", "user_compute_stream"}},
      {kRtx, "nv_", "enable_cuda_graph", {"device_id", "has_user_compute_stream", "user_compute_stream", "enable_cuda_graph"}},
      {"", "", "enable_cuda_graph", {}},
  };
  for (const Keys& keys : all)
    if (provider == keys.provider) return keys;
  return all[3];
}

}  // namespace

Pairs pairs_of(const char* const* keys, const char* const* values, std::size_t count) {
  Pairs pairs;
  for (std::size_t i = 0; i < count; ++i) pairs.emplace_back(keys[i], values[i]);
  return pairs;
}

static std::string value_of(const Pairs& pairs, const std::string& key) {
  for (const auto& [name, value] : pairs)
    if (name == key) return value;
  return "";
}

Status* check_keys(const std::string& provider, const Pairs& pairs, bool chosen_by_handle) {
  const Keys& known = keys_of(provider);
  for (const auto& [key, value] : pairs) {
    const bool listed = std::find(known.keys.begin(), known.keys.end(), key) != known.keys.end() || key.rfind(known.prefix, 0) == 0;
    if (!listed || (chosen_by_handle && key == "device_id")) return refuse("Unknown provider option: \"" + key + "\"");
  }
  return nullptr;
}

void give(SessionOptions* session, Given given) {
  given.graphs = value_of(given.options, keys_of(given.name).graphs) == "1";
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.session_options[session].push_back(std::move(given));
}

void* as_stream(const Pairs& options) {
  if (value_of(options, "has_user_compute_stream") != "1") return nullptr;
  return reinterpret_cast<void*>(std::strtoull(value_of(options, "user_compute_stream").c_str(), nullptr, 10));
}

namespace {

// ---- the two providers with handles for their options ----

Status* create(const char* call, void** out) {
  if (Status* refused = enter(call)) return refused;
  *out = new ProviderOptions;
  track(*out, "ProviderOptions");
  return nullptr;
}

Status* update(const char* call, const char* provider, void* handle, const char* const* keys, const char* const* values,
               std::size_t count) {
  const Pairs pairs = pairs_of(keys, values, count);
  if (Status* refused = enter(call, Line().pairs("options", pairs))) return refused;
  if (Status* refused = check_keys(provider, pairs, false)) return refused;
  static_cast<ProviderOptions*>(handle)->options = pairs;
  return nullptr;
}

Status* update_value(const char* call, void* handle, const char* key, void* value) {
  if (Status* refused = enter(call, Line().text("key", key).number("value", reinterpret_cast<long long>(value)))) return refused;
  if (std::strcmp(key, "user_compute_stream") != 0) return refuse(std::string("Unknown provider option: \"") + key + "\"");
  static_cast<ProviderOptions*>(handle)->stream = value;
  return nullptr;
}

Status* append(const char* call, const char* provider, SessionOptions* session, const void* handle) {
  const auto* options = static_cast<const ProviderOptions*>(handle);
  if (Status* refused =
          enter(call, Line().pairs("options", options->options).number("stream", reinterpret_cast<long long>(options->stream))))
    return refused;
  give(session, {provider, options->options, options->stream ? options->stream : as_stream(options->options), false});
  return nullptr;
}

void release(void* handle) {
  if (!handle) return;
  untrack(handle, "ProviderOptions");
  delete static_cast<ProviderOptions*>(handle);
}

#define HANDLED(Short, Type, Name)                                                                                       \
  Status* create_##Short(Type** out) { return create("Create" #Name "ProviderOptions", reinterpret_cast<void**>(out)); } \
  Status* update_##Short(Type* handle, const char* const* keys, const char* const* values, std::size_t count) {          \
    return update("Update" #Name "ProviderOptions", k##Short, handle, keys, values, count);                              \
  }                                                                                                                      \
  Status* value_##Short(Type* handle, const char* key, void* value) {                                                    \
    return update_value("Update" #Name "ProviderOptionsWithValue", handle, key, value);                                  \
  }                                                                                                                      \
  Status* append_##Short(SessionOptions* session, const Type* handle) {                                                  \
    return append("SessionOptionsAppendExecutionProvider_" #Name "_V2", k##Short, session, handle);                      \
  }                                                                                                                      \
  void release_##Short(Type* handle) { release(handle); }
HANDLED(Cuda, CudaOptions, CUDA)
HANDLED(TensorRt, TensorRtOptions, TensorRT)
#undef HANDLED

// ---- by name ----

Status* append_named(SessionOptions* session, const char* name, const char* const* keys, const char* const* values, std::size_t count) {
  const Pairs pairs = pairs_of(keys, values, count);
  if (Status* refused = enter("SessionOptionsAppendExecutionProvider", Line().text("name", name).pairs("options", pairs))) return refused;
  if (std::strcmp(name, kRtx) != 0 && std::strcmp(name, "NvTensorRtRtx") != 0)
    return real().api.SessionOptionsAppendExecutionProvider(session, name, keys, values, count);
  if (Status* refused = check_keys(kRtx, pairs, false)) return refused;
  give(session, {kRtx, pairs, as_stream(pairs), false});
  return nullptr;
}

Status* available(char*** out, int* count) {
  if (Status* refused = enter("GetAvailableProviders")) return refused;
  char** there = nullptr;
  int number = 0;
  if (Status* status = real().api.GetAvailableProviders(&there, &number)) return status;
  const std::vector<std::string> theirs(there, there + number);
  if (Status* status = real().api.ReleaseAvailableProviders(there, number)) return status;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  std::vector<std::string> all = s.extra_providers;
  all.insert(all.end(), theirs.begin(), theirs.end());
  *count = static_cast<int>(all.size());
  *out = static_cast<char**>(std::calloc(all.size(), sizeof(char*)));
  for (std::size_t i = 0; i < all.size(); ++i) (*out)[i] = strdup(all[i].c_str());
  s.live[*out] = "providers";
  return nullptr;
}

Status* release_available(char** names, int count) {
  if (Status* refused = enter("ReleaseAvailableProviders")) return refused;
  untrack(names, "providers");
  for (int i = 0; i < count; ++i) std::free(names[i]);
  std::free(names);
  return nullptr;
}

}  // namespace

void replace_providers(const void** table) {
  FAKE_ORT_PUT(Api, GetAvailableProviders, available);
  FAKE_ORT_PUT(Api, ReleaseAvailableProviders, release_available);
  FAKE_ORT_PUT(Api, CreateCUDAProviderOptions, create_Cuda);
  FAKE_ORT_PUT(Api, UpdateCUDAProviderOptions, update_Cuda);
  FAKE_ORT_PUT(Api, UpdateCUDAProviderOptionsWithValue, value_Cuda);
  FAKE_ORT_PUT(Api, SessionOptionsAppendExecutionProvider_CUDA_V2, append_Cuda);
  FAKE_ORT_PUT(Api, ReleaseCUDAProviderOptions, release_Cuda);
  FAKE_ORT_PUT(Api, CreateTensorRTProviderOptions, create_TensorRt);
  FAKE_ORT_PUT(Api, UpdateTensorRTProviderOptions, update_TensorRt);
  FAKE_ORT_PUT(Api, UpdateTensorRTProviderOptionsWithValue, value_TensorRt);
  FAKE_ORT_PUT(Api, SessionOptionsAppendExecutionProvider_TensorRT_V2, append_TensorRt);
  FAKE_ORT_PUT(Api, ReleaseTensorRTProviderOptions, release_TensorRt);
  FAKE_ORT_PUT(Api, SessionOptionsAppendExecutionProvider, append_named);
}

}  // namespace fake_ort
