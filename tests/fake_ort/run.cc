// Bindings and runs. A run with tensors on the device that is not synchronised stands on the session's stream until the fake driver comes
// to it, as a GPU's work does; where the driver cannot do that, what stood before it on the stream is done first, and then the run.
#include <dlfcn.h>

#include <climits>
#include <cstdlib>

#include "driver.h"
#include "state.h"

namespace fake_ort {
namespace {

struct Driver {
  void* (*shadow)(std::uint64_t, std::size_t) = nullptr;
  void (*touch)(std::uint64_t, std::size_t, int) = nullptr;
  void (*run)(void*, long) = nullptr;
  void* library = nullptr;
  int (*begin_capture)(void*) = nullptr;
  int (*end_capture)(void*) = nullptr;
  int (*unsafe)() = nullptr;
  int (*enqueue)(void* stream, const char* what, int (*run)(void*), void (*drop)(void*), void* user) = nullptr;
};

// Looked for again as long as there is none: the process may load it after this library.
const Driver* driver() {
  static Driver found;
  static std::string found_at;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const char* given = std::getenv("AFFECTRT_CUDA_LIBRARY");
  const std::string path = !s.driver.empty() ? s.driver : given ? given : "";
  if (found.shadow && path == found_at) return &found;
  found = {};
  found_at = path;
  void* handle = path.empty() ? nullptr : dlopen(path.c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (!handle) return nullptr;
  found.library = handle;
  found.touch = reinterpret_cast<decltype(found.touch)>(dlsym(handle, "fake_cuda_touch"));
  found.run = reinterpret_cast<decltype(found.run)>(dlsym(handle, "fake_cuda_run"));
  found.enqueue = reinterpret_cast<decltype(found.enqueue)>(dlsym(handle, "fake_cuda_enqueue"));
  found.begin_capture = reinterpret_cast<decltype(found.begin_capture)>(dlsym(handle, "fake_cuda_begin_capture"));
  found.end_capture = reinterpret_cast<decltype(found.end_capture)>(dlsym(handle, "fake_cuda_end_capture"));
  found.unsafe = reinterpret_cast<decltype(found.unsafe)>(dlsym(handle, "fake_cuda_unsafe"));
  found.shadow = reinterpret_cast<decltype(found.shadow)>(dlsym(handle, "fake_cuda_shadow"));
  return found.shadow ? &found : nullptr;
}

std::string text_and_release(Status* status) {
  std::string text = real().api.GetErrorMessage(status);
  real().api.ReleaseStatus(status);
  return text;
}

Status* create_binding(Session* session, IoBinding** out) {
  if (Status* refused = enter("CreateIoBinding")) return refused;
  if (Status* status = real().api.CreateIoBinding(session, out)) return status;
  track(*out, "IoBinding");
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.bindings[*out].session = s.sessions[session];
  return nullptr;
}

void release_binding(IoBinding* binding) {
  if (!binding) return;
  untrack(binding, "IoBinding");
  {
    BindingRecord kept;
    State& s = state();
    const std::lock_guard lock(s.mutex);
    kept = std::move(s.bindings[binding]);
    s.bindings.erase(binding);
  }
  real().api.ReleaseIoBinding(binding);
}

void note(const IoBinding* binding, const char* name, const Value* value, bool input) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  BindingRecord& record = s.bindings[binding];
  auto& side = input ? record.inputs : record.outputs;
  ValueRecord bound = value ? s.values[value] : ValueRecord{};
  bound.name = name;
  side[name] = {value, bound};
}

Status* bind_input(IoBinding* binding, const char* name, const Value* value) {
  if (Status* refused = enter("BindInput", Line().text("name", name))) return refused;
  if (Status* status = real().api.BindInput(binding, name, value)) return status;
  note(binding, name, value, true);
  return nullptr;
}

Status* bind_output(IoBinding* binding, const char* name, const Value* value) {
  if (Status* refused = enter("BindOutput", Line().text("name", name))) return refused;
  if (Status* status = real().api.BindOutput(binding, name, value)) return status;
  note(binding, name, value, false);
  return nullptr;
}

Status* bind_output_to(IoBinding* binding, const char* name, const MemoryInfo* memory) {
  if (Status* refused = enter("BindOutputToDevice", Line().text("name", name))) return refused;
  if (Status* status = real().api.BindOutputToDevice(binding, name, memory)) return status;
  note(binding, name, nullptr, false);
  return nullptr;
}

// The tensors as they are bound now. A real binding of its own holds them, whatever becomes of the caller's.
Status* snapshot(const BindingRecord& record, std::shared_ptr<Job>& out) {
  auto job = std::make_shared<Job>();
  job->session = record.session;
  if (Status* status = real().api.CreateIoBinding(record.session->session, &job->binding)) return status;
  for (const auto& [name, bound] : record.inputs) {
    if (Status* status = real().api.BindInput(job->binding, name.c_str(), bound.first)) return status;
    job->inputs.push_back(bound.second);
  }
  for (const auto& [name, bound] : record.outputs) {
    if (Status* status = real().api.BindOutput(job->binding, name.c_str(), bound.first)) return status;
    job->outputs.push_back(bound.second);
  }
  out = std::move(job);
  return nullptr;
}

bool same(const std::vector<ValueRecord>& a, const std::vector<ValueRecord>& b) {
  bool equal = a.size() == b.size();
  for (std::size_t i = 0; equal && i < a.size(); ++i) equal = a[i].address == b[i].address && a[i].bytes == b[i].bytes;
  return equal;
}

// A graph that was captured replays with the addresses that it was captured with, whatever is bound.
Status* take_graph(const GraphKey& key, void* stream, std::shared_ptr<Job>& job) {
  State& s = state();
  std::shared_ptr<Job> first;
  void (*on_capture)() = nullptr;
  {
    const std::lock_guard lock(s.mutex);
    on_capture = s.on_capture;
    if (const auto found = s.graphs.find(key); found != s.graphs.end()) first = found->second;
  }
  if (!first) {
    if (Status* refused = begin_capture(stream)) return refused;
    if (on_capture) on_capture();
    if (Status* refused = end_capture(stream)) return refused;
    const std::lock_guard lock(s.mutex);
    s.graphs[key] = first = job;
  }
  if (!same(first->inputs, job->inputs) || !same(first->outputs, job->outputs))
    violation("graph " + key.graph + " was captured with other tensors than those bound now; it replays with the old ones");
  job = std::move(first);
  return nullptr;
}

struct Wanted {
  bool unsynchronised = false;
  std::string graph;  // "": none
};

Wanted wanted_of(const RunOptions* options) {
  Wanted wanted;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (const auto found = s.run_options.find(options); found != s.run_options.end())
    for (const auto& [key, value] : found->second) {
      if (key == "disable_synchronize_execution_providers") wanted.unsynchronised = value == "1";
      if (key == "gpu_graph_id") wanted.graph = value;
    }
  return wanted;
}

Status* run(Session* session, const RunOptions* options, const IoBinding* binding) {
  BindingRecord record;
  const Wanted wanted = wanted_of(options);
  int thread = 0;
  bool captures = false;
  GraphKey key{nullptr, std::this_thread::get_id(), wanted.graph};
  State& s = state();
  {
    const std::lock_guard lock(s.mutex);
    record = s.bindings[binding];
    key.session = record.session.get();
    if (record.session && !record.session->providers.empty()) {
      thread = s.threads.try_emplace(key.thread, static_cast<int>(s.threads.size()) + 1).first->second;
      captures = record.session->providers.front().graphs && wanted.unsynchronised && wanted.graph != "-1" && !s.graphs.count(key);
    }
  }
  const Given* provider = record.session && !record.session->providers.empty() ? &record.session->providers.front() : nullptr;
  std::vector<std::string> on_device;
  bool all_bound = true;
  for (const auto* side : {&record.inputs, &record.outputs})
    for (const auto& [name, bound] : *side) {
      if (bound.second.device) on_device.push_back(name);
      all_bound = all_bound && bound.first;
    }
  if (Status* refused = enter("RunWithBinding", Line()
                                                    .text("provider", provider ? provider->name : "")
                                                    .number("synchronised", !wanted.unsynchronised)
                                                    .text("graph", wanted.graph)
                                                    .number("captures", captures)
                                                    .number("thread", thread)
                                                    .number("stream", reinterpret_cast<long long>(provider ? provider->stream : nullptr))
                                                    .texts("on_device", on_device)))
    return refused;
  if (!on_device.empty() && !provider) return refuse("no provider of this session reads memory of a GPU");
  if (!provider) return real().api.RunWithBinding(session, options, binding);
  const bool by_graph = provider->graphs && wanted.graph != "-1";
  if (!by_graph)
    if (Status* refused = unsafe("cudaMalloc((void**)&p, size)")) return refused;
  const bool waits = !wanted.unsynchronised || !all_bound;
  if (waits) {
    run_stream(provider->stream);
    return real().api.RunWithBinding(session, nullptr, binding);
  }
  std::shared_ptr<Job> job;
  if (Status* status = snapshot(record, job)) return status;
  if (by_graph)
    if (Status* refused = take_graph(key, provider->stream, job)) return refused;
  if (put_on_stream(provider->stream, job)) return nullptr;
  run_stream(provider->stream);
  const std::string wrong = run_job(*job);
  return wrong.empty() ? nullptr : refuse(wrong);
}

}  // namespace

Job::~Job() {
  if (binding) real().api.ReleaseIoBinding(binding);
}

bool has_driver() { return driver() != nullptr; }
void* driver_function(const char* name) { return dlsym(driver()->library, name); }

void* shadow(std::uint64_t address, std::size_t bytes) {
  const Driver* there = driver();
  return there ? there->shadow(address, bytes) : reinterpret_cast<void*>(address);
}

void touch(const ValueRecord& value, bool write) {
  const Driver* there = driver();
  if (there && value.device) there->touch(value.address, value.bytes, write);
}

namespace {

Status* as_status(int result, const char* expression) {
  if (!result) return nullptr;
  const char* text =
      result == 900 ? "operation not permitted when stream is capturing" : "operation failed due to a previous error during capture";
  return refuse("CUDA failure " + std::to_string(result) + ": " + text + " ; GPU=0 ; expr=" + expression);
}

}  // namespace

Status* begin_capture(void* stream) {
  const Driver* there = driver();
  return there && there->begin_capture ? as_status(there->begin_capture(stream), "cudaStreamSynchronize(stream_)") : nullptr;
}

Status* end_capture(void* stream) {
  const Driver* there = driver();
  return there && there->end_capture ? as_status(there->end_capture(stream), "cudaStreamEndCapture(stream_, &graph_)") : nullptr;
}

Status* unsafe(const char* expression) {
  const Driver* there = driver();
  return there && there->unsafe ? as_status(there->unsafe(), expression) : nullptr;
}

void run_stream(void* stream) {
  if (const Driver* there = driver()) there->run(stream, LONG_MAX);
}

bool put_on_stream(void* stream, const std::shared_ptr<Job>& job) {
  const Driver* there = driver();
  if (!there || !there->enqueue || !stream) return false;
  using Held = std::shared_ptr<Job>;
  const auto work = [](void* user) {
    const std::string wrong = run_job(**static_cast<Held*>(user));
    if (!wrong.empty()) violation("work on the stream: " + wrong);
    return wrong.empty() ? 0 : 719;  // CUDA_ERROR_LAUNCH_FAILED
  };
  const auto drop = [](void* user) { delete static_cast<Held*>(user); };
  return there->enqueue(stream, "ONNX Runtime", work, drop, new Held(job)) == 0;
}

std::string run_job(const Job& job) {
  for (const auto* side : {&job.inputs, &job.outputs})
    for (const ValueRecord& value : *side) {
      touch(value, side == &job.outputs);
      if (value.device && shadow(value.address, value.bytes) != value.shadow)
        return "the memory of '" + value.name + "' has been freed before the network ran";
    }
  Status* status = real().api.RunWithBinding(job.session->session, nullptr, job.binding);
  return status ? text_and_release(status) : "";
}

void drop_graphs(const Session* session) {
  std::vector<std::shared_ptr<Job>> dropped;  // ended without the lock
  State& s = state();
  const std::lock_guard lock(s.mutex);
  for (auto graph = s.graphs.begin(); graph != s.graphs.end();) {
    if (graph->second->session->session == session) {
      dropped.push_back(graph->second);
      graph = s.graphs.erase(graph);
    } else {
      ++graph;
    }
  }
}

void replace_running(const void** table) {
  FAKE_ORT_PUT(Api, CreateIoBinding, create_binding);
  FAKE_ORT_PUT(Api, ReleaseIoBinding, release_binding);
  FAKE_ORT_PUT(Api, BindInput, bind_input);
  FAKE_ORT_PUT(Api, BindOutput, bind_output);
  FAKE_ORT_PUT(Api, BindOutputToDevice, bind_output_to);
  FAKE_ORT_PUT(Api, RunWithBinding, run);
}

}  // namespace fake_ort
