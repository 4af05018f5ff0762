// Modules, launches, graphs.
#include <algorithm>
#include <cstring>

#include "call.h"

using namespace fake;

namespace {

constexpr std::size_t kMaxParameterBytes = 4096;
constexpr unsigned kMaxSharedBytes = 48 * 1024;

// The block of parameters of a launch; null after a violation.
std::shared_ptr<std::vector<std::byte>> parameters_of(const State& s, const std::string& name, void** pointers, void** extra) {
  const void* data = nullptr;
  std::size_t bytes = 0;
  const auto entry = s.kernels.find(name);
  const std::size_t expected = entry == s.kernels.end() ? 0 : entry->second.parameter_bytes;
  if (extra) {
    for (void** at = extra; reinterpret_cast<std::uintptr_t>(*at) != kLaunchParamEnd; at += 2) {
      const auto key = reinterpret_cast<std::uintptr_t>(at[0]);
      if (key == kLaunchParamBufferPointer) data = at[1];
      if (key == kLaunchParamBufferSize) bytes = *static_cast<const std::size_t*>(at[1]);
    }
  } else if (pointers) {
    data = pointers[0];
    bytes = expected;
  }
  std::string wrong;
  if (!data || bytes == 0) wrong = "no parameters, or none whose size is known";
  if (expected && bytes != expected) wrong = "expected " + std::to_string(expected) + " bytes of parameters, got " + std::to_string(bytes);
  if (bytes > kMaxParameterBytes) wrong = std::to_string(bytes) + " bytes of parameters are more than a kernel takes";
  if (!wrong.empty()) {
    violation("launch of " + name + ": " + wrong);
    return nullptr;
  }
  const auto* first = static_cast<const std::byte*>(data);
  return std::make_shared<std::vector<std::byte>>(first, first + bytes);
}

// The device memory that a parameter block points at. Whether the kernel reads or writes it cannot be seen, so it counts as written.
std::vector<Access> pointed_at(const std::vector<std::byte>& parameters) {
  std::vector<Access> found;
  for (std::size_t at = 0; at + sizeof(DevicePtr) <= parameters.size(); at += sizeof(DevicePtr)) {
    DevicePtr value = 0;
    std::memcpy(&value, parameters.data() + at, sizeof value);
    if (!in_arena(value)) continue;
    const auto& device = state().device;
    auto after = device.upper_bound(value);
    if (after == device.begin()) continue;
    --after;
    if (value < after->first + after->second.bytes) found.push_back({after->first, after->second.bytes, true});
  }
  return found;
}

bool stale(const std::string& what, const std::vector<std::byte>& parameters) {
  bool wrong = false;
  for (std::size_t at = 0; at + sizeof(DevicePtr) <= parameters.size(); at += sizeof(DevicePtr)) {
    DevicePtr value = 0;
    std::memcpy(&value, parameters.data() + at, sizeof value);
    if (in_arena(value) && !resolve(what + ", parameter at byte " + std::to_string(at), value, 1)) wrong = true;
  }
  return wrong;
}

std::string list(unsigned x, unsigned y, unsigned z) {
  return "[" + std::to_string(x) + ", " + std::to_string(y) + ", " + std::to_string(z) + "]";
}

}  // namespace

FAKE_EXPORT Result cuModuleLoadData(ModuleHandle* out, const void* image) {
  return enter("cuModuleLoadData", Kind::kWork, Line(), [&](State& s, Line&) {
    if (!image) return kInvalidValue;
    if (const Result result = unless_capturing()) return result;
    const std::string kInvalid = "no image";  // what a test loads to see it refused
    if (std::strncmp(static_cast<const char*>(image), kInvalid.c_str(), kInvalid.size()) == 0) return kInvalidImage;
    auto* module = s.make(ModuleObject{current_context()});
    s.live[module] = "module";
    *out = module;
    return kSuccess;
  });
}

FAKE_EXPORT Result cuModuleUnload(ModuleHandle module) {
  return enter("cuModuleUnload", Kind::kReleases, Line(), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuModuleUnload", module)) return result;
    run_all();
    s.live.erase(module);
    return kSuccess;
  });
}

FAKE_EXPORT Result cuModuleGetFunction(FunctionHandle* out, ModuleHandle module, const char* name) {
  return enter("cuModuleGetFunction", Kind::kWork, Line().text("kernel", name), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuModuleGetFunction", module)) return result;
    if (!s.kernels.empty() && !s.kernels.count(name)) return kNotFound;
    *out = s.make(FunctionObject{name, module});
    return kSuccess;
  });
}

FAKE_EXPORT Result cuFuncGetAttribute(int* value, int attribute, FunctionHandle function) {
  return enter("cuFuncGetAttribute", Kind::kWork, Line().raw("attribute", std::to_string(attribute)), [&](State& s, Line&) {
    if (check_live(s, "cuFuncGetAttribute", function->module)) return kInvalidHandle;
    if (attribute != kFunctionMaxThreads) return kInvalidValue;
    const auto entry = s.kernels.find(function->name);
    *value = entry == s.kernels.end() ? KernelEntry{}.max_threads : entry->second.max_threads;
    return kSuccess;
  });
}

FAKE_EXPORT Result cuLaunchKernel(FunctionHandle function, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x,
                                  unsigned block_y, unsigned block_z, unsigned shared_bytes, StreamHandle handle, void** pointers,
                                  void** extra) {
  Line args;
  args.text("kernel", function->name).raw("grid", list(grid_x, grid_y, grid_z)).raw("block", list(block_x, block_y, block_z));
  args.number("shared_bytes", shared_bytes).address("stream", handle);
  return enter("cuLaunchKernel", Kind::kWork, args, [&](State& s, Line& line) {
    const std::string what = "launch of " + function->name;
    if (check_live(s, what.c_str(), function->module)) return kInvalidHandle;
    StreamObject* stream = stream_of(what, handle);
    if (!stream) return kInvalidHandle;
    const std::uint64_t threads = std::uint64_t{block_x} * block_y * block_z;
    const auto entry = s.kernels.find(function->name);
    const auto most = static_cast<std::uint64_t>(entry == s.kernels.end() ? KernelEntry{}.max_threads : entry->second.max_threads);
    if (!grid_x || !grid_y || !grid_z || !threads || threads > most || shared_bytes > kMaxSharedBytes) return kInvalidValue;
    const auto parameters = parameters_of(s, function->name, pointers, extra);
    if (!parameters) return kInvalidValue;
    line.number("parameter_bytes", parameters->size());

    Operation operation;
    operation.what = what;
    operation.scan = true;
    operation.accesses = pointed_at(*parameters);
    const std::string name = function->name;
    operation.run = [=] {
      if (stale(what, *parameters)) return Result{700};
      const State& now = state();
      if (!now.callback) return kSuccess;
      const unsigned grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
      return now.callback(name.c_str(), grid, block, shared_bytes, parameters->data(), parameters->size(), now.callback_user);
    };
    return enqueue(stream, std::move(operation));
  });
}

FAKE_EXPORT Result cuThreadExchangeStreamCaptureMode(int* mode) {
  return enter("cuThreadExchangeStreamCaptureMode", Kind::kFree, Line().raw("mode", std::to_string(*mode)), [&](State&, Line&) {
    std::swap(*mode, capture_mode());
    return kSuccess;
  });
}

FAKE_EXPORT Result cuStreamBeginCapture_v2(StreamHandle handle, int mode) {
  return enter("cuStreamBeginCapture_v2", Kind::kWork, Line().address("stream", handle).raw("mode", std::to_string(mode)),
               [&](State&, Line&) {
                 StreamObject* stream = stream_of("cuStreamBeginCapture_v2", handle);
                 if (!stream) return kInvalidHandle;
                 if (reinterpret_cast<std::uintptr_t>(handle) <= kLegacyStream || mode != kCaptureThreadLocal) return kCaptureUnsupported;
                 if (stream->capturing) return kInvalidValue;
                 stream->capturing = true;
                 stream->broken = false;
                 stream->capture_thread = std::this_thread::get_id();
                 stream->captured.clear();
                 return kSuccess;
               });
}

FAKE_EXPORT Result cuStreamEndCapture(StreamHandle handle, GraphHandle* out) {
  return enter("cuStreamEndCapture", Kind::kReleases, Line().address("stream", handle), [&](State& s, Line&) {
    *out = nullptr;
    StreamObject* stream = stream_of("cuStreamEndCapture", handle);
    if (!stream) return kInvalidHandle;
    if (!stream->capturing) return kInvalidValue;
    stream->capturing = false;
    if (stream->broken) return kCaptureInvalidated;
    auto* graph = s.make(GraphObject{std::move(stream->captured)});
    stream->captured.clear();
    s.live[graph] = "graph";
    *out = graph;
    return kSuccess;
  });
}

FAKE_EXPORT Result cuGraphInstantiateWithFlags(GraphExecHandle* out, GraphHandle graph, unsigned long long flags) {
  return enter("cuGraphInstantiateWithFlags", Kind::kWork, Line().number("flags", flags), [&](State& s, Line& line) {
    if (const Result result = check_live(s, "cuGraphInstantiateWithFlags", graph)) return result;
    auto* exec = s.make(GraphExecObject{graph->operations});
    s.live[exec] = "executable graph";
    line.number("nodes", exec->operations.size());
    *out = exec;
    return kSuccess;
  });
}

FAKE_EXPORT Result cuGraphLaunch(GraphExecHandle exec, StreamHandle handle) {
  return enter("cuGraphLaunch", Kind::kWork, Line().address("stream", handle), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuGraphLaunch", exec)) return result;
    StreamObject* stream = stream_of("cuGraphLaunch", handle);
    if (!stream) return kInvalidHandle;
    for (const Operation& operation : exec->operations)
      if (const Result result = enqueue(stream, operation)) return result;
    return kSuccess;
  });
}

FAKE_EXPORT Result cuGraphExecDestroy(GraphExecHandle exec) {
  return enter("cuGraphExecDestroy", Kind::kReleases, Line(), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuGraphExecDestroy", exec)) return result;
    s.live.erase(exec);
    return kSuccess;
  });
}

FAKE_EXPORT Result cuGraphDestroy(GraphHandle graph) {
  return enter("cuGraphDestroy", Kind::kReleases, Line(), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuGraphDestroy", graph)) return result;
    s.live.erase(graph);
    return kSuccess;
  });
}
