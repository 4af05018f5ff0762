#include "control.h"

#include <cstdio>

#include "state.h"

#define FAKE_EXPORT extern "C" __attribute__((visibility("default")))
#define LOCKED        \
  State& s = state(); \
  const std::lock_guard lock(s.mutex)

namespace fake_ort {
namespace {

std::vector<std::string> split(const std::string& names) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at < names.size();) {
    const std::size_t comma = std::min(names.find(',', at), names.size());
    parts.push_back(names.substr(at, comma - at));
    at = comma + 1;
  }
  return parts;
}

std::string quoted(const std::string& value) {
  std::string text = "\"";
  for (const char c : value) {
    if (c == '"' || c == '\\') text += '\\';
    if (static_cast<unsigned char>(c) < ' ') {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", c);
      text += escaped;
    } else {
      text += c;
    }
  }
  return text + "\"";
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const auto& line : lines) text += line + "\n";
  return text;
}

const char* keep(std::string text) {
  static auto* kept = new std::string;
  *kept = std::move(text);
  return kept->c_str();
}

void defaults(State& s) {
  s.extra_providers = {"NvTensorRTRTXExecutionProvider", "TensorrtExecutionProvider", "CUDAExecutionProvider"};
  s.api_version = 0;
  s.fail_at = s.fail_countdown = 0;
  s.fail_name.clear();
  s.refusals.clear();
  s.lose_stream = false;
  s.on_capture = nullptr;
  s.fired = false;
}

}  // namespace

State& state() {
  static auto* instance = [] {
    auto* made = new State;  // never destroyed: threads of the runtime may outlive static objects
    defaults(*made);
    return made;
  }();
  return *instance;
}

Line& Line::raw(const char* name, const std::string& value) {
  json_ += (json_.empty() ? "" : ", ") + quoted(name) + ": " + value;
  return *this;
}

Line& Line::text(const char* name, const std::string& value) { return raw(name, quoted(value)); }

Line& Line::pairs(const char* name, const Pairs& value) {
  std::string text;
  for (const auto& [key, of] : value) text += (text.empty() ? "" : ", ") + quoted(key) + ": " + quoted(of);
  return raw(name, "{" + text + "}");
}

Line& Line::texts(const char* name, const std::vector<std::string>& value) {
  std::string text;
  for (const auto& one : value) text += (text.empty() ? "" : ", ") + quoted(one);
  return raw(name, "[" + text + "]");
}

Status* refuse(const std::string& text) { return real().api.CreateStatus(1, text.c_str()); }

Status* enter(const char* name, const Line& line) {
  int code = 0;
  std::string text;
  {
    LOCKED;
    ++s.calls;
    const bool named = s.fail_countdown > 0 && s.fail_name == name && --s.fail_countdown == 0;
    const bool fails = named || s.calls == s.fail_at;
    s.log.push_back("{\"call\": " + std::to_string(s.calls) + ", \"name\": " + quoted(name) + ", \"args\": {" + line.json() +
                    "}, \"failed\": " + (fails ? "1" : "0") + "}");
    if (!fails) return nullptr;
    s.fired = true;
    code = s.fail_code;
    text = s.fail_text;
  }
  return real().api.CreateStatus(code, text.c_str());
}

void violation(const std::string& text) {
  LOCKED;
  s.violations.push_back(text);
}

void track(const void* handle, const char* kind) {
  LOCKED;
  s.live[handle] = kind;
}

void untrack(const void* handle, const char* kind) {
  LOCKED;
  if (!s.live.erase(handle)) s.violations.push_back(std::string("released twice, or never created: ") + kind);
}

}  // namespace fake_ort

using namespace fake_ort;

FAKE_EXPORT void fake_ort_reset() {
  LOCKED;
  defaults(s);
  s.calls = 0;
  s.log.clear();
  s.violations.clear();
}

FAKE_EXPORT void fake_ort_set_providers(const char* names) {
  LOCKED;
  s.extra_providers = split(names);
}

FAKE_EXPORT void fake_ort_set_api_version(std::uint32_t version) {
  LOCKED;
  s.api_version = version;
}

FAKE_EXPORT void fake_ort_use_driver(const char* path) {
  LOCKED;
  s.driver = path;
}

FAKE_EXPORT void fake_ort_lose_stream(int lose) {
  LOCKED;
  s.lose_stream = lose != 0;
}

FAKE_EXPORT void fake_ort_on_capture(void (*function)()) {
  LOCKED;
  s.on_capture = function;
}

FAKE_EXPORT void fake_ort_fail_at(long call, int code, const char* text) {
  LOCKED;
  s.fail_at = call;
  s.fail_code = code;
  s.fail_text = text;
  s.fired = false;
}

FAKE_EXPORT void fake_ort_fail(const char* name, long nth, int code, const char* text) {
  LOCKED;
  s.fail_name = name;
  s.fail_countdown = nth;
  s.fail_code = code;
  s.fail_text = text;
  s.fired = false;
}

FAKE_EXPORT int fake_ort_fired() {
  LOCKED;
  return s.fired;
}

FAKE_EXPORT long fake_ort_calls() {
  LOCKED;
  return s.calls;
}

FAKE_EXPORT void fake_ort_refuse(const char* what, const char* text) {
  LOCKED;
  s.refusals.push_back({what, text});
}

FAKE_EXPORT const char* fake_ort_log() {
  LOCKED;
  return keep(joined(s.log));
}

FAKE_EXPORT const char* fake_ort_violations() {
  LOCKED;
  return keep(joined(s.violations));
}

FAKE_EXPORT const char* fake_ort_leaks() {
  LOCKED;
  std::string text;
  for (const auto& [handle, kind] : s.live) text += kind + "\n";
  return keep(text);
}
