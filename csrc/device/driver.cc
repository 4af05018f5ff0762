#include "affectrt/device/driver.h"

#include <dlfcn.h>

#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>

namespace affectrt::cuda {
namespace {

constexpr const char* kDefaultLibrary = "libcuda.so.1";

struct Shared {
  std::mutex mutex;
  std::atomic<const Driver*> driver{nullptr};
};

Shared& shared() {
  static auto* instance = new Shared;  // never destroyed: destructors of other statics may still ask for the driver
  return *instance;
}

struct Close {
  void operator()(void* library) const { dlclose(library); }
};

void* find(void* library, const std::string& path, const char* name) {
  void* symbol = dlsym(library, name);
  if (!symbol) throw DeviceError("no usable NVIDIA driver: " + path + " lacks " + name + "; expected the driver of CUDA 12.6 or newer");
  return symbol;
}

}  // namespace

std::string version_text(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

const Driver& Driver::get() {
  auto& s = shared();
  if (const Driver* open_already = s.driver.load(std::memory_order_acquire)) return *open_already;
  const std::lock_guard lock(s.mutex);
  if (!s.driver.load()) s.driver.store(open(), std::memory_order_release);
  return *s.driver.load();
}

const Driver* Driver::find() noexcept { return shared().driver.load(std::memory_order_acquire); }

const Driver* Driver::open() {
  const char* asked = std::getenv("AFFECTRT_CUDA_LIBRARY");
  // A file that was asked for by name is the only one tried: opening another in its place would be a silent fallback.
  return new Driver(asked && *asked ? asked : kDefaultLibrary);
}

Driver::Driver(const std::string& library) : library_(library) {
  std::unique_ptr<void, Close> opened(dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL));
  if (!opened) {
    const char* why = dlerror();
    throw DeviceError("no NVIDIA driver: " + library + " could not be opened (" + (why ? why : "no reason given") +
                      "); install the driver, or set AFFECTRT_CUDA_LIBRARY to the path of its libcuda.so.1");
  }
  // Before the other functions, since an old driver may lack some, and its age is what the user can mend. Needs no cuInit.
  auto get_version = reinterpret_cast<Result (*)(int*)>(cuda::find(opened.get(), library, "cuDriverGetVersion"));
  if (const Result result = get_version(&version_); result != kSuccess)
    throw CudaError("version of the NVIDIA driver: cuDriverGetVersion failed: error " + std::to_string(result), result);
  if (version_ < kMinDriverVersion)
    throw DeviceError("the NVIDIA driver is too old: expected CUDA " + version_text(kMinDriverVersion) + " or newer, got CUDA " +
                      version_text(version_) + " from " + library + "; update the driver (a Jetson: JetPack 6.1 or newer)");
#define AFFECTRT_CUDA_LOAD(name, arguments) name = reinterpret_cast<Result(*) arguments>(cuda::find(opened.get(), library, #name));
  AFFECTRT_CUDA_FUNCTIONS(AFFECTRT_CUDA_LOAD)
#undef AFFECTRT_CUDA_LOAD
  // From here on it stays open: its threads and state outlive any safe moment to close it.
  static_cast<void>(opened.release());
  AFFECTRT_CUDA_CALL(*this, "starting the NVIDIA driver", cuInit, 0);
}

void Driver::check(Result result, const char* function, const std::string& purpose) const {
  if (result == kSuccess) return;
  const char *name = nullptr, *text = nullptr;
  if (cuGetErrorName(result, &name) != kSuccess || !name) name = "an unknown error";
  if (cuGetErrorString(result, &text) != kSuccess || !text) text = "the driver has no text for it";
  throw CudaError(purpose + ": " + function + " failed: " + name + " " + std::to_string(result) + " (" + text + ")", result);
}

}  // namespace affectrt::cuda
