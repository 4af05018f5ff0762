// ONNX Runtime opened at run time: the library, its environment with the one shared thread pool, and owners of its handles.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "affectrt/engine/ort_abi.h"

namespace affectrt::ort {

// Settings of the thread pool that all engines share. They count only before the first engine opens.
struct PoolOptions {
  int threads = 0;        // 0: as many as there are cores
  bool spinning = false;  // true: idle threads burn their core for lower latency
};

class Runtime {
 public:
  // The process's one runtime; opened on first use. Looks for, in this order: AFFECTRT_ORT_LIBRARY, the path of set_library(), and
  // libonnxruntime.so.1 on the loader's path. Throws EngineError naming what was tried and the command that mends it.
  static const Runtime& get();

  // Both throw EngineError if the runtime is open already and the setting differs.
  static void set_library(const std::string& path);
  static void set_pool(const PoolOptions& options);

  static bool is_open();

  const Api& api() const { return api_; }
  const Env* env() const { return env_; }
  const MemoryInfo* cpu_memory() const { return cpu_memory_; }
  Allocator* allocator() const { return allocator_; }
  bool has_shared_pool() const { return shared_pool_; }
  const std::string& version() const { return version_; }
  const std::string& library() const { return library_; }
  const std::vector<std::string>& providers() const { return providers_; }

  // Throws EngineError with `what` in front of the library's text.
  void check(Status* status, const char* what) const;

  Runtime(const Runtime&) = delete;
  Runtime& operator=(const Runtime&) = delete;

 private:
  Runtime(std::string library, const ApiBase* base, const PoolOptions& pool);
  static const Runtime* open();

  std::string library_, version_;
  Api api_;
  Env* env_ = nullptr;
  MemoryInfo* cpu_memory_ = nullptr;
  Allocator* allocator_ = nullptr;
  bool shared_pool_ = false;
  std::vector<std::string> providers_;
};

// Move-only owner of any handle that the library releases with `ReleaseX`.
template <class T, void (*Api::*Release)(T*)>
struct Deleter {
  void operator()(T* handle) const { (Runtime::get().api().*Release)(handle); }
};
template <class T, void (*Api::*Release)(T*)>
using Owned = std::unique_ptr<T, Deleter<T, Release>>;

using OwnedSession = Owned<Session, &Api::ReleaseSession>;
using OwnedSessionOptions = Owned<SessionOptions, &Api::ReleaseSessionOptions>;
using OwnedBinding = Owned<IoBinding, &Api::ReleaseIoBinding>;
using OwnedValue = Owned<Value, &Api::ReleaseValue>;
using OwnedTypeInfo = Owned<TypeInfo, &Api::ReleaseTypeInfo>;
using OwnedTensorInfo = Owned<TensorInfo, &Api::ReleaseTensorTypeAndShapeInfo>;
using OwnedMemoryInfo = Owned<MemoryInfo, &Api::ReleaseMemoryInfo>;
using OwnedRunOptions = Owned<RunOptions, &Api::ReleaseRunOptions>;
using OwnedCudaOptions = Owned<CudaOptions, &Api::ReleaseCUDAProviderOptions>;
using OwnedTensorRtOptions = Owned<TensorRtOptions, &Api::ReleaseTensorRTProviderOptions>;

}  // namespace affectrt::ort
