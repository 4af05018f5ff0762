// Engines that a TensorRT provider builds when a session opens, and the cache that it keeps them in: a file for each network, which says
// what it was built from. Environment variables make a build last or fail, so that a test has a hold on processes that it did not start.
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

#include "state.h"

namespace fake_ort {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRuntimeCache = "kernels";

std::string value_of(const Pairs& pairs, const std::string& key) {
  for (const auto& [name, value] : pairs)
    if (name == key) return value;
  return "";
}

std::string content_of(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::string hash_of(const std::string& content) {
  std::uint64_t hash = 14695981039346656037u;  // FNV-1a
  for (const char c : content) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
  std::ostringstream text;
  text << std::hex << hash;
  return text.str();
}

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value && *value ? value : nullptr;
}

bool write(const fs::path& path, const std::string& content) {
  std::ofstream out(path, std::ios::binary);
  out << content;
  return static_cast<bool>(out.flush());
}

// A new engine. The status that its session is refused with, or null.
Status* build(const Given& provider, const std::string& model) {
  if (const char* list = variable("AFFECTRT_FAKE_ORT_BUILDS")) {
    std::ofstream out(list, std::ios::app);
    out << "{"
        << Line().number("pid", getpid()).text("provider", provider.name).text("model", model).pairs("options", provider.options).json()
        << "}\n";
  }
  const char* hold = variable("AFFECTRT_FAKE_ORT_HOLD");
  while (hold && fs::exists(hold)) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  const char* fault = variable("AFFECTRT_FAKE_ORT_BUILD_FAULT");
  if (fault && std::string(fault) == "abort") std::abort();
  return fault ? refuse(fault) : nullptr;
}

}  // namespace

Status* take_engines(const std::vector<Given>& given, const std::string& model, std::string& written_at_the_end) {
  for (const Given& provider : given) {
    const std::string& name = provider.name;
    if (name != "TensorrtExecutionProvider" && name != "NvTensorRTRTXExecutionProvider") continue;
    const std::string prefix = name == "TensorrtExecutionProvider" ? "trt_" : "nv_";
    const std::string ranges = value_of(provider.options, prefix + "profile_min_shapes") + " " +
                               value_of(provider.options, prefix + "profile_opt_shapes") + " " +
                               value_of(provider.options, prefix + "profile_max_shapes");
    const std::string network = hash_of(content_of(model)), engine = "engine of " + network + " for " + ranges;
    if (prefix == "nv_") {
      const std::string folder = value_of(provider.options, "nv_runtime_cache_path");
      if (folder.empty()) continue;
      const fs::path file = fs::path(folder) / ("fake_" + network + ".cache");
      if (fs::exists(file)) {
        if (content_of(file) != kRuntimeCache) return refuse("could not deserialize runtime cache: " + file.string());
        continue;
      }
      if (Status* refused = build(provider, model)) return refused;
      written_at_the_end = file.string();  // as this provider does: with the session
      continue;
    }
    if (value_of(provider.options, "trt_engine_cache_enable") != "1") continue;
    const fs::path folder = value_of(provider.options, "trt_engine_cache_path");
    if (folder.empty()) continue;  // the real one writes to the working directory: no test wants that
    const fs::path file = folder / ("fake_" + network + ".engine");
    if (fs::exists(file)) {
      if (content_of(file) != engine) return refuse("could not deserialize engine from cache: " + file.string());
      continue;
    }
    if (Status* refused = build(provider, model)) return refused;
    if (!write(file, engine)) return refuse("cannot write engine: " + file.string());
    if (value_of(provider.options, "trt_timing_cache_enable") == "1")
      write(fs::path(value_of(provider.options, "trt_timing_cache_path")) / "fake.timing", "timings");
  }
  return nullptr;
}

void end_engines(const std::string& path) {
  if (!path.empty()) write(path, kRuntimeCache);
}

}  // namespace fake_ort
