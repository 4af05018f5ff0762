#include "harness.h"

#include <dlfcn.h>

#include <cstring>
#include <sstream>

namespace harness {
namespace {

std::vector<Scenario>& scenarios() {
  static std::vector<Scenario> all;
  return all;
}

template <class F>
void load(void* library, const char* name, F& function) {
  function = reinterpret_cast<F>(dlsym(library, (std::string("fake_cuda_") + name).c_str()));
  if (!function) throw Failure(std::string("the fake driver lacks fake_cuda_") + name);
}

Fake load_fake() {
  const char* path = std::getenv("AFFECTRT_CUDA_LIBRARY");
  void* library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  if (!library) throw Failure("expected AFFECTRT_CUDA_LIBRARY to name the fake driver");
  Fake f{};
  load(library, "reset", f.reset);
  load(library, "set_device", f.set_device);
  load(library, "set_eager", f.set_eager);
  load(library, "fail_at", f.fail_at);
  load(library, "fired", f.fired);
  load(library, "calls", f.calls);
  load(library, "run_all", f.run_all);
  load(library, "run", f.run);
  load(library, "pending", f.pending);
  load(library, "set_callback", f.set_callback);
  load(library, "add_kernel", f.add_kernel);
  load(library, "shadow", f.shadow);
  load(library, "touch", f.touch);
  load(library, "begin_capture", f.begin_capture);
  load(library, "end_capture", f.end_capture);
  load(library, "log", f.log);
  load(library, "violations", f.violations);
  load(library, "leaks", f.leaks);
  return f;
}

std::string violations_wanted_none() {
  const std::string text = fake().violations();
  return text.empty() ? "" : "violations:\n" + text;
}

}  // namespace

const Fake& fake() {
  static const Fake instance = load_fake();
  return instance;
}

void check(bool good, const std::string& what, const char* file, int line) {
  if (!good) throw Failure(std::string(file) + ":" + std::to_string(line) + ": " + what);
}

std::size_t count_of(const std::string& function) {
  const std::string log = fake().log(), wanted = "\"name\": \"" + function + "\"";
  std::size_t count = 0;
  for (std::size_t at = log.find(wanted); at != std::string::npos; at = log.find(wanted, at + 1)) ++count;
  return count;
}

std::string order() {
  std::istringstream lines(fake().log());
  std::string text, line;
  while (std::getline(lines, line)) {
    const std::size_t at = line.find("\"name\": \"") + 9;
    const std::string name = line.substr(at, line.find('"', at) - at);
    if (name.find("Ctx") != std::string::npos || name.find("DeviceGet") != std::string::npos) continue;
    text += (text.empty() ? "" : " ") + name;
  }
  return text;
}

void add(const Scenario& scenario) { scenarios().push_back(scenario); }

void expect_violation(const std::vector<std::string>& parts) {
  std::istringstream lines(fake().violations());
  std::string line;
  while (std::getline(lines, line)) {
    bool all = true;
    for (const auto& part : parts) all = all && line.find(part) != std::string::npos;
    if (all) return;
  }
  throw Failure("expected a violation with \"" + parts.front() + "\", got:\n" + fake().violations());
}

}  // namespace harness

// With no argument: the names, one a line. With names: runs them; says "ok NAME" or "FAILED NAME: why" of each.
int main(int argc, char** argv) {
  using namespace harness;
  int failed = 0;
  for (const Scenario& scenario : scenarios()) {
    if (argc < 2) std::printf("%s\n", scenario.name);
    for (int i = 1; i < argc; ++i) {
      if (std::strcmp(argv[i], scenario.name) != 0) continue;
      std::string why;
      try {
        fake().reset();
        scenario.run();
        if (!scenario.leaves_violations) why = violations_wanted_none();
        if (const std::string left = fake().leaks(); why.empty() && !left.empty()) why = "left alive:\n" + left;
      } catch (const std::exception& error) {
        why = error.what();
      }
      std::printf("%s %s%s%s\n", why.empty() ? "ok" : "FAILED", scenario.name, why.empty() ? "" : ": ", why.c_str());
      failed += !why.empty();
    }
  }
  return failed ? 1 : 0;
}
