#include "call.h"

#include <cstring>

namespace fake {

Line& Line::raw(const char* name, const std::string& value) {
  json_ += (json_.empty() ? "\"" : ", \"") + std::string(name) + "\": " + value;
  return *this;
}

Line& Line::text(const char* name, const std::string& value) {
  std::string quoted = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 32 ? '?' : c;
  }
  return raw(name, quoted + "\"");
}

std::vector<ContextObject*>& context_stack() {
  thread_local std::vector<ContextObject*> stack;
  return stack;
}

int& capture_mode() {
  thread_local int mode = 0;  // global, the default
  return mode;
}

// What CUDA forbids to all threads while one captures in global mode, unless their own mode is relaxed; it says of few calls that they are
// among these, so all are that might wait or look. Waiting for a whole device is forbidden in any mode.
static bool is_unsafe(const char* name) {
  static const std::set<std::string> all = {"cuMemAlloc_v2",        "cuMemFree_v2",        "cuMemHostAlloc",   "cuMemFreeHost",
                                            "cuMemHostRegister_v2", "cuMemHostUnregister", "cuModuleLoadData", "cuModuleUnload",
                                            "cuEventQuery",         "cuEventSynchronize",  "cuStreamQuery",    "cuStreamSynchronize"};
  return std::strcmp(name, "cuCtxSynchronize") == 0 || (capture_mode() != kCaptureRelaxed && all.count(name));
}

ContextObject* current_context() { return context_stack().empty() ? nullptr : context_stack().back(); }

Result check_live(State& s, const char* what, const void* handle) {
  if (handle && s.live.count(handle)) return kSuccess;
  violation(std::string(what) + ": a handle that is destroyed or was never one, " + hex(reinterpret_cast<std::uintptr_t>(handle)));
  return kInvalidHandle;
}

Result enter(const char* name, Kind kind, Line line, const std::function<Result(State&, Line&)>& body) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const long number = ++s.calls;
  const bool fails = s.fail_at > 0 && (number == s.fail_at || (s.fail_later_too && number > s.fail_at));
  s.fired = s.fired || fails;
  if (fails && s.fail_later_too) s.dead = s.fail_code;
  const bool releases = kind == Kind::kReleases || kind == Kind::kReleasesFree;
  const bool bound = kind == Kind::kWork || kind == Kind::kReleases;
  const bool starts = std::strcmp(name, "cuInit") == 0 || std::strcmp(name, "cuDriverGetVersion") == 0;

  Result result = kSuccess;
  if (fails && !releases) {
    result = s.fail_code;
  } else if (!s.initialised && !starts) {
    result = kNotInitialized;
  } else if (bound && !current_context() && !(releases && s.fired)) {
    result = kInvalidContext;  // a destructor whose context could not be made current still gives back what it has
  } else if (s.dead && kind == Kind::kWork) {
    result = s.dead;
  } else {
    const Result refused = is_unsafe(name) ? unless_captured_globally() : kSuccess;
    result = refused && !releases ? refused : body(s, line);
    if (fails) result = s.fail_code;
    if (result == kSuccess && s.dead && releases) result = s.dead;
  }
  s.log.push_back("{\"call\": " + std::to_string(number) + ", \"name\": \"" + name + "\", \"args\": {" + line.json() +
                  "}, \"result\": " + std::to_string(result) + "}");
  return result;
}

}  // namespace fake
