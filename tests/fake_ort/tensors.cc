// Sessions, their options, and tensors on the device: a tensor there becomes one over the bytes that the fake driver keeps behind the
// address, or over the address itself where no fake driver is loaded.
#include <cstring>

#include "driver.h"
#include "state.h"

namespace fake_ort {
namespace {

template <class Map, class Key>
void forget(Map State::* map, const Key& key) {
  State& s = state();
  [[maybe_unused]] typename Map::mapped_type kept{};  // may end a session, which is done without the lock
  const std::lock_guard lock(s.mutex);
  const auto found = (s.*map).find(key);
  if (found == (s.*map).end()) return;
  kept = std::move(found->second);
  (s.*map).erase(found);
}

void release_session_options(SessionOptions* options) {
  if (!options) return;
  untrack(options, "SessionOptions");
  forget(&State::session_options, options);
  forget(&State::domains_of, options);
  real().api.ReleaseSessionOptions(options);
}

Status* add_config(SessionOptions* options, const char* key, const char* value) {
  if (Status* refused = enter("AddSessionConfigEntry", Line().text("key", key).text("value", value))) return refused;
  // The real session runs on the CPU alone, in place of the provider that was asked for.
  if (std::strcmp(key, "session.disable_cpu_ep_fallback") == 0) return nullptr;
  return real().api.AddSessionConfigEntry(options, key, value);
}

Status* create_session(const Env* env, const char* path, const SessionOptions* options, Session** out) {
  std::vector<Given> given;
  std::string why;
  std::vector<std::string> names;
  bool graphs = false;
  State& s = state();
  {
    const std::lock_guard lock(s.mutex);
    if (const auto found = s.session_options.find(options); found != s.session_options.end()) given = found->second;
    for (const Given& provider : given) {
      names.push_back(provider.name);
      graphs = graphs || provider.graphs;
      for (const Refusal& refusal : s.refusals)
        if (refusal.what == provider.name || (refusal.what == "graphs" && provider.graphs)) why = refusal.text;
    }
  }
  if (Status* refused = enter("CreateSession", Line().text("path", path).texts("providers", names).number("graphs", graphs)))
    return refused;
  if (!why.empty()) return refuse(why);
  if (!given.empty())
    if (Status* refused = unsafe("cudaDeviceSynchronize()")) return refused;
  std::string cache_file;
  if (Status* refused = take_engines(given, path, cache_file)) return refused;
  if (Status* status = real().api.CreateSession(env, path, options, out)) return status;
  track(*out, "Session");
  auto record = std::make_shared<SessionRecord>();
  record->session = *out;
  record->providers = std::move(given);
  record->cache_file = std::move(cache_file);
  const std::lock_guard lock(s.mutex);
  if (const auto found = s.domains_of.find(options); found != s.domains_of.end()) record->domains = found->second;
  s.sessions[*out] = std::move(record);
  return nullptr;
}

// Work that still stands on a stream keeps the real session.
void release_session(Session* session) {
  if (!session) return;
  untrack(session, "Session");
  bool on_device = false;
  {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    const auto found = s.sessions.find(session);
    on_device = found != s.sessions.end() && !found->second->providers.empty();
  }
  if (on_device)
    if (Status* refused = unsafe("cudaFree(p)")) real().api.ReleaseStatus(refused);  // a session that closes tells nobody
  drop_graphs(session);
  forget(&State::sessions, session);
}

Status* create_memory(const char* name, int allocator, int id, int memory, MemoryInfo** out) {
  if (Status* refused = enter("CreateMemoryInfo", Line().text("name", name).number("id", id))) return refused;
  const bool device = std::strcmp(name, "Cuda") == 0;
  Status* status = real().api.CreateMemoryInfo(device ? "Cpu" : name, allocator, device ? 0 : id, memory, out);
  if (status) return status;
  track(*out, "MemoryInfo");
  State& s = state();
  const std::lock_guard lock(s.mutex);
  if (device) s.device_memory[*out] = id;
  return nullptr;
}

void release_memory(MemoryInfo* memory) {
  if (!memory) return;
  untrack(memory, "MemoryInfo");
  forget(&State::device_memory, memory);
  real().api.ReleaseMemoryInfo(memory);
}

Status* create_tensor(const MemoryInfo* memory, void* data, std::size_t bytes, const std::int64_t* shape, std::size_t rank, int type,
                      Value** out) {
  ValueRecord record;
  State& s = state();
  {
    const std::lock_guard lock(s.mutex);
    record.device = s.device_memory.count(memory) != 0;
  }
  if (Status* refused = enter("CreateTensorWithDataAsOrtValue", Line()
                                                                    .number("device", record.device)
                                                                    .number("data", reinterpret_cast<long long>(data))
                                                                    .number("bytes", static_cast<long long>(bytes))))
    return refused;
  record.address = reinterpret_cast<std::uint64_t>(data);
  record.bytes = bytes;
  record.shadow = record.device ? shadow(record.address, bytes) : data;
  if (!record.shadow && bytes) return refuse("the address is no memory of the device");
  if (Status* status = real().api.CreateTensorWithDataAsOrtValue(memory, record.shadow, bytes, shape, rank, type, out)) return status;
  track(*out, "Value");
  const std::lock_guard lock(s.mutex);
  s.values[*out] = record;
  return nullptr;
}

void release_value(Value* value) {
  if (!value) return;
  untrack(value, "Value");
  forget(&State::values, value);
  real().api.ReleaseValue(value);
}

Status* bound_values(const IoBinding* binding, Allocator* allocator, Value*** out, std::size_t* count) {
  if (Status* refused = enter("GetBoundOutputValues")) return refused;
  if (Status* status = real().api.GetBoundOutputValues(binding, allocator, out, count)) return status;
  for (std::size_t i = 0; i < *count; ++i) track((*out)[i], "Value");
  return nullptr;
}

Status* add_run_config(RunOptions* options, const char* key, const char* value) {
  if (Status* refused = enter("AddRunConfigEntry", Line().text("key", key).text("value", value))) return refused;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.run_options[options].emplace_back(key, value);
  return nullptr;
}

void release_run_options(RunOptions* options) {
  if (!options) return;
  untrack(options, "RunOptions");
  forget(&State::run_options, options);
  real().api.ReleaseRunOptions(options);
}

}  // namespace

SessionRecord::~SessionRecord() {
  real().api.ReleaseSession(session);
  end_engines(cache_file);
}

void replace_tensors(const void** table) {
  FAKE_ORT_PUT(Api, ReleaseSessionOptions, release_session_options);
  FAKE_ORT_PUT(Api, AddSessionConfigEntry, add_config);
  FAKE_ORT_PUT(Api, CreateSession, create_session);
  FAKE_ORT_PUT(Api, ReleaseSession, release_session);
  FAKE_ORT_PUT(Api, CreateMemoryInfo, create_memory);
  FAKE_ORT_PUT(Api, ReleaseMemoryInfo, release_memory);
  FAKE_ORT_PUT(Api, CreateTensorWithDataAsOrtValue, create_tensor);
  FAKE_ORT_PUT(Api, ReleaseValue, release_value);
  FAKE_ORT_PUT(Api, GetBoundOutputValues, bound_values);
  FAKE_ORT_PUT(Api, AddRunConfigEntry, add_run_config);
  FAKE_ORT_PUT(Api, ReleaseRunOptions, release_run_options);
}

}  // namespace fake_ort
