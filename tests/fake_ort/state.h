// What the fake knows. One State for the process behind one lock, which is never held while ONNX Runtime or the fake driver is called.
// table.cc forwards every function of the API; providers.cc, plugins.cc, tensors.cc, run.cc and operators.cc replace those that need a GPU;
// control.cc is what tests call.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "slots.h"

namespace fake_ort {

using namespace affectrt::ort;
using Pairs = std::vector<std::pair<std::string, std::string>>;

// A provider as a session was given it.
struct Given {
  std::string name;
  Pairs options;
  void* stream = nullptr;  // null: none was given
  bool graphs = false;
};

struct SessionRecord {
  Session* session = nullptr;  // of the real runtime
  std::vector<Given> providers;
  std::string cache_file;  // "": the session writes none
  std::vector<const CustomOpDomain*> domains;
  ~SessionRecord();
};

struct ValueRecord {
  std::string name;  // where it is bound
  std::uint64_t address = 0;
  std::size_t bytes = 0;
  void* shadow = nullptr;  // where its bytes are for the host
  bool device = false;
};

struct BindingRecord {
  std::shared_ptr<SessionRecord> session;
  std::map<std::string, std::pair<const Value*, ValueRecord>> inputs, outputs;
};

// Work of a run that stands on a stream: the tensors as they were bound when it was put there.
struct Job {
  std::shared_ptr<SessionRecord> session;
  IoBinding* binding = nullptr;
  std::vector<ValueRecord> inputs, outputs;
  ~Job();
};

// Operators of a domain, and what the real runtime got in place of those for CUDA.
struct DomainRecord {
  std::vector<const CustomOp*> operators;
  std::vector<std::shared_ptr<CustomOp>> wrapped;
};

// The real provider keeps graphs for each thread that runs a session.
struct GraphKey {
  const SessionRecord* session;
  std::thread::id thread;
  std::string graph;
  auto operator<=>(const GraphKey&) const = default;
};

struct Refusal {
  std::string what, text;
};

struct State {
  std::mutex mutex;

  // What tests have asked for.
  std::vector<std::string> extra_providers;
  std::uint32_t api_version = 0;  // 0: the real one's
  long fail_at = 0;
  std::string fail_name;
  long fail_countdown = 0;
  int fail_code = 1;
  std::string fail_text;
  std::vector<Refusal> refusals;  // of sessions
  std::string driver;
  void (*on_capture)() = nullptr;  // called while a graph is being captured
  bool lose_stream = false;        // operators for CUDA are told another stream than the provider was given

  // What has happened.
  long calls = 0;
  bool fired = false;
  std::vector<std::string> log, violations;

  // What there is.
  std::map<const void*, std::string> live;
  std::map<const SessionOptions*, std::vector<Given>> session_options;
  std::map<const CustomOpDomain*, DomainRecord> domains;
  std::map<const SessionOptions*, std::vector<const CustomOpDomain*>> domains_of;
  std::map<const RunOptions*, Pairs> run_options;
  std::map<const Session*, std::shared_ptr<SessionRecord>> sessions;
  std::map<const MemoryInfo*, int> device_memory;
  std::map<const Value*, ValueRecord> values;
  std::map<const IoBinding*, BindingRecord> bindings;
  std::map<GraphKey, std::shared_ptr<Job>> graphs;
  std::map<std::thread::id, int> threads;  // that have run networks on a GPU, numbered from 1
  std::vector<const EpDevice*> ep_devices;
  std::set<std::string> libraries;
};

State& state();

// The real library, opened on first use.
struct Real {
  const void* const* table;
  const char* version;
  const void* const* (*get)(std::uint32_t);
  Api api;
  PluginApi plugins;
#define MEMBER(number, name, result, arguments) \
  result(*name) arguments = reinterpret_cast<result(*) arguments>(const_cast<void*>(table[number]));
  FAKE_ORT_PLUGIN_SLOTS(MEMBER)
#undef MEMBER
};
const Real& real();

// The arguments of a call, as JSON for the log.
class Line {
 public:
  Line& number(const char* name, long long value) { return raw(name, std::to_string(value)); }
  Line& text(const char* name, const std::string& value);
  Line& pairs(const char* name, const Pairs& value);
  Line& texts(const char* name, const std::vector<std::string>& value);
  const std::string& json() const { return json_; }

 private:
  Line& raw(const char* name, const std::string& value);
  std::string json_;
};

// Counts and logs a call that can fail; the status to answer with if a test wants it to.
Status* enter(const char* name, const Line& line = {});
Status* refuse(const std::string& text);
void violation(const std::string& text);
void track(const void* handle, const char* kind);
void untrack(const void* handle, const char* kind);

// What a session is given, for the functions that give it.
Pairs pairs_of(const char* const* keys, const char* const* values, std::size_t count);
Status* check_keys(const std::string& provider, const Pairs& pairs, bool chosen_by_handle);
void give(SessionOptions* session, Given given);
void* as_stream(const Pairs& options);

// The engines of a session for a network: out of a cache, or built into it (engines.cc). A status where one cannot be had.
Status* take_engines(const std::vector<Given>& given, const std::string& model, std::string& written_at_the_end);
void end_engines(const std::string& path);

// Put the replaced functions into the table.
void replace_providers(const void** table);
void replace_plugins(const void** table);
void replace_tensors(const void** table);
void replace_running(const void** table);
void replace_operators(const void** table);

namespace slot {
#define SLOT(number, name, result, arguments) name = number,
enum : int { AFFECTRT_ORT_SLOTS(SLOT) AFFECTRT_ORT_PLUGIN_SLOTS(SLOT) };
#undef SLOT
}  // namespace slot

#define FAKE_ORT_PUT(table_type, name, function)                                                                           \
  static_assert(std::is_same_v<decltype(&function), decltype(table_type::name)>, #name ": not the function of this slot"); \
  table[slot::name] = reinterpret_cast<const void*>(&function)

}  // namespace fake_ort
