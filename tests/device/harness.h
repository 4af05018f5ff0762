// A small test program's frame: named scenarios, checks, and the control of the fake driver that AFFECTRT_CUDA_LIBRARY names.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "affectrt/device/driver.h"

namespace harness {

// tests/fake_cuda/control.h, from the library that is loaded at run time.
struct Fake {
  void (*reset)();
  void (*set_device)(int count, int sm, int driver_version, std::uint64_t memory_bytes);
  void (*set_eager)(int);
  void (*fail_at)(long call, int code, int all_later);
  int (*fired)();
  long (*calls)();
  void (*run_all)();
  void (*run)(void* stream, long count);
  long (*pending)();
  void (*set_callback)(int (*)(const char*, const unsigned*, const unsigned*, unsigned, const void*, std::size_t, void*), void*);
  void (*add_kernel)(const char* name, std::size_t parameter_bytes, int max_threads);
  void* (*shadow)(std::uint64_t data, std::size_t bytes);
  void (*touch)(std::uint64_t data, std::size_t bytes, int write);
  int (*begin_capture)(void* stream);
  int (*end_capture)(void* stream);
  const char* (*log)();
  const char* (*violations)();
  const char* (*leaks)();
};
const Fake& fake();

struct Failure : std::runtime_error {
  using std::runtime_error::runtime_error;
};

void check(bool good, const std::string& what, const char* file, int line);
#define CHECK(condition) ::harness::check(static_cast<bool>(condition), #condition, __FILE__, __LINE__)

// Runs `work`, which must throw an E whose text holds every one of `parts`.
template <class E>
void expect(const std::function<void()>& work, const std::vector<std::string>& parts) {
  try {
    work();
  } catch (const E& error) {
    for (const auto& part : parts)
      if (std::string(error.what()).find(part) == std::string::npos) throw Failure("expected \"" + part + "\" in: " + error.what());
    return;
  }
  throw Failure("expected an error with \"" + parts.front() + "\", got none");
}

// How often a function stands in the log.
std::size_t count_of(const std::string& function);
// Functions of the log in their order, without those that only ask or make the context current.
std::string order();

struct Scenario {
  const char* name;
  void (*run)();
  bool leaves_violations;  // it does wrong on purpose, and looks at the violations itself
};
void add(const Scenario& scenario);
struct Added {
  explicit Added(const Scenario& scenario) { add(scenario); }
};
#define SCENARIO(name)                                              \
  static void name();                                               \
  static const ::harness::Added added_##name({#name, name, false}); \
  static void name()
#define SCENARIO_OF_MISUSE(name)                                   \
  static void name();                                              \
  static const ::harness::Added added_##name({#name, name, true}); \
  static void name()

// Of the violations, one holds every part; forgets them.
void expect_violation(const std::vector<std::string>& parts);

}  // namespace harness
