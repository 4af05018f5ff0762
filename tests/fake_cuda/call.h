// The wrapper of every entry point: lock, count, log, injected fault, context.
#pragma once

#include "state.h"

#define FAKE_EXPORT extern "C" __attribute__((visibility("default")))

namespace fake {

enum class Kind {
  kFree,          // needs no context
  kWork,          // needs a current context
  kReleases,      // needs one too, and gives something back: an injected failure is reported after it has done so, as a driver reports the
                  // failures of earlier work
  kReleasesFree,  // the same, without a context
};

// The arguments of a call, as JSON for the log.
class Line {
 public:
  Line& number(const char* name, std::uint64_t value) { return raw(name, std::to_string(value)); }
  Line& address(const char* name, const void* value) { return raw(name, std::to_string(reinterpret_cast<std::uintptr_t>(value))); }
  Line& text(const char* name, const std::string& value);
  Line& raw(const char* name, const std::string& value);
  const std::string& json() const { return json_; }

 private:
  std::string json_;
};

Result enter(const char* name, Kind kind, Line line, const std::function<Result(State&, Line&)>& body);

// What cuThreadExchangeStreamCaptureMode has set for this thread.
int& capture_mode();

// The context on top of this thread's stack, or null.
std::vector<ContextObject*>& context_stack();
ContextObject* current_context();

// kSuccess if the handle is live, else a violation and kInvalidHandle.
Result check_live(State& s, const char* what, const void* handle);

}  // namespace fake
