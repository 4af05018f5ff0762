#include "affectrt/engine/ort_api.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <mutex>

#include "affectrt/core/error.h"
#include "affectrt/pack/text.h"

namespace affectrt::ort {
namespace {

constexpr int kSeverityError = 3;
constexpr int kArenaAllocator = 1;
constexpr int kDefaultMemory = 0;
constexpr const char* kMend =
    "install ONNX Runtime 1.23 or newer (pip install \"affectrt[cpu]\"; on a Jetson the vendor's onnxruntime-gpu wheel), "
    "or set AFFECTRT_ORT_LIBRARY to the path of libonnxruntime.so";

struct Settings {
  std::mutex mutex;
  std::string library;
  PoolOptions pool;
  std::atomic<const Runtime*> runtime{nullptr};
};

Settings& settings() {
  static Settings instance;
  return instance;
}

const ApiBase* open_library(const std::string& path, std::string& tried) {
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) {
    const char* why = dlerror();
    tried += "\n  " + path + ": " + (why ? why : "cannot be opened");
    return nullptr;
  }
  using GetBase = const ApiBase* (*)();
  auto get_base = reinterpret_cast<GetBase>(dlsym(handle, "OrtGetApiBase"));
  if (!get_base) {
    tried += "\n  " + path + ": not ONNX Runtime (no symbol OrtGetApiBase)";
    dlclose(handle);
    return nullptr;
  }
  const ApiBase* base = get_base();
  // The library is never closed: its threads and static state outlive any safe moment to do so.
  if (!base->GetApi(kApiVersion)) {
    tried += "\n  " + path + ": ONNX Runtime " + base->GetVersionString() + ", expected 1.21 or newer";
    return nullptr;
  }
  return base;
}

}  // namespace

const Runtime& Runtime::get() {
  auto& s = settings();
  if (const Runtime* open_already = s.runtime.load(std::memory_order_acquire)) return *open_already;
  std::lock_guard lock(s.mutex);
  if (!s.runtime.load()) s.runtime.store(open(), std::memory_order_release);
  return *s.runtime.load();
}

bool Runtime::is_open() { return settings().runtime.load(std::memory_order_acquire) != nullptr; }

void Runtime::set_library(const std::string& path) {
  auto& s = settings();
  std::lock_guard lock(s.mutex);
  const Runtime* runtime = s.runtime.load();
  if (runtime && runtime->library() != path)
    throw EngineError("ONNX Runtime is open already from " + runtime->library() + "; cannot change to " + path);
  s.library = path;
}

void Runtime::set_pool(const PoolOptions& options) {
  if (options.threads < 0) throw std::invalid_argument("threads: expected 0 (all cores) or more, got " + std::to_string(options.threads));
  auto& s = settings();
  std::lock_guard lock(s.mutex);
  const bool same = s.pool.threads == options.threads && s.pool.spinning == options.spinning;
  if (s.runtime.load() && !same) throw EngineError("the shared thread pool is set before the first engine opens; one is open already");
  s.pool = options;
}

// Called with the settings locked.
const Runtime* Runtime::open() {
  auto& s = settings();
  // Official Linux builds since 1.29 report each session to their maker over the network unless told not to before they load. Nothing
  // leaves this device, so they are told, whatever the environment says.
  ::setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  std::string tried;
  const char* from_environment = std::getenv("AFFECTRT_ORT_LIBRARY");
  // A path that was asked for by name is the only one tried: opening another in its place would be a silent fallback.
  const std::string asked = from_environment && *from_environment ? from_environment : s.library;
  const std::string path = asked.empty() ? "libonnxruntime.so.1" : asked;
  const ApiBase* base = open_library(path, tried);
  if (!base) throw EngineError("ONNX Runtime not found: " + std::string(kMend) + ". Tried:" + tried);
  return new Runtime(path, base, s.pool);  // lives as long as the process, like the library
}

Runtime::Runtime(std::string library, const ApiBase* base, const PoolOptions& pool)
    : library_(std::move(library)), version_(base->GetVersionString()), api_(base->GetApi(kApiVersion)) {
  ThreadingOptions* threading = nullptr;
  check(api_.CreateThreadingOptions(&threading), "threading options");
  // The inter-op pool serves only parallel graph execution, which no engine here uses.
  Status* status = api_.SetGlobalIntraOpNumThreads(threading, pool.threads);
  if (!status) status = api_.SetGlobalInterOpNumThreads(threading, 1);
  if (!status) status = api_.SetGlobalSpinControl(threading, pool.spinning ? 1 : 0);
  if (!status) status = api_.CreateEnvWithGlobalThreadPools(kSeverityError, "affectrt", threading, &env_);
  api_.ReleaseThreadingOptions(threading);
  check(status, "environment");
  shared_pool_ = true;
  try {
    check(api_.DisableTelemetryEvents(env_), "telemetry");  // also where the library was in the process before us

    check(api_.CreateCpuMemoryInfo(kArenaAllocator, kDefaultMemory, &cpu_memory_), "CPU memory");
    check(api_.GetAllocatorWithDefaultOptions(&allocator_), "allocator");
    char** names = nullptr;
    int count = 0;
    check(api_.GetAvailableProviders(&names, &count), "providers");
    providers_.assign(names, names + count);
    check(api_.ReleaseAvailableProviders(names, count), "providers");
  } catch (...) {
    // Whoever tries again makes them anew.
    if (cpu_memory_) api_.ReleaseMemoryInfo(cpu_memory_);
    api_.ReleaseEnv(env_);
    throw;
  }
}

void Runtime::check(Status* status, const char* what) const {
  if (!status) return;
  // Both may quote the file, which may hold anything.
  std::string text = printable(what) + ": " + printable(api_.GetErrorMessage(status), 2000);
  api_.ReleaseStatus(status);
  throw EngineError(text);
}

}  // namespace affectrt::ort
