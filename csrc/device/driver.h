// The part of NVIDIA's driver API that affectrt calls, declared by ourselves and opened at run time, so that neither building nor running
// needs CUDA: one binary serves machines with and without a GPU.
//
// To use another function of the API, add a row to the table: nothing else. tests/device/abi compares every row with an official cuda.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "affectrt/core/error.h"

namespace affectrt::cuda {

// Opaque handles of the driver.
struct ContextObject;
struct StreamObject;
struct EventObject;
struct ModuleObject;
struct FunctionObject;
struct GraphObject;
struct GraphExecObject;
struct ExternalMemoryObject;
using ContextHandle = ContextObject*;
using StreamHandle = StreamObject*;
using EventHandle = EventObject*;
using ModuleHandle = ModuleObject*;
using FunctionHandle = FunctionObject*;
using GraphHandle = GraphObject*;
using GraphExecHandle = GraphExecObject*;
using ExternalMemoryHandle = ExternalMemoryObject*;

using DevicePtr = std::uint64_t;  // an address that only the GPU can follow; 0: none
using Result = int;               // CUresult

inline constexpr Result kSuccess = 0;
inline constexpr Result kInvalidValue = 1;
inline constexpr Result kOutOfMemory = 2;
inline constexpr Result kNotInitialized = 3;
inline constexpr Result kDeinitialized = 4;
inline constexpr Result kNoDevice = 100;
inline constexpr Result kInvalidDevice = 101;
inline constexpr Result kInvalidImage = 200;
inline constexpr Result kInvalidContext = 201;
inline constexpr Result kNoBinaryForGpu = 209;
inline constexpr Result kInvalidHandle = 400;
inline constexpr Result kNotFound = 500;
inline constexpr Result kNotReady = 600;
inline constexpr Result kLaunchFailed = 719;
inline constexpr Result kCaptureUnsupported = 900;
inline constexpr Result kCaptureInvalidated = 901;

// Values of the API's enumerations, as far as they are used.
inline constexpr int kAttributeMultiprocessors = 16;
inline constexpr int kAttributeIntegrated = 18;
inline constexpr int kAttributeComputeMajor = 75;
inline constexpr int kAttributeComputeMinor = 76;
inline constexpr int kFunctionMaxThreads = 0;
inline constexpr int kPointerMemoryType = 2;
inline constexpr int kPointerDeviceOrdinal = 9;
inline constexpr unsigned kMemoryHost = 1;
inline constexpr unsigned kMemoryDevice = 2;
inline constexpr unsigned kStreamNonBlocking = 1;
inline constexpr unsigned kEventBlockingSync = 1;
inline constexpr unsigned kEventDisableTiming = 2;
inline constexpr unsigned kHostAllocPortable = 1;
inline constexpr unsigned kHostRegisterPortable = 1;
inline constexpr int kCaptureThreadLocal = 1;
inline constexpr int kCaptureRelaxed = 2;
inline constexpr std::uintptr_t kLaunchParamEnd = 0;
inline constexpr std::uintptr_t kLaunchParamBufferPointer = 1;
inline constexpr std::uintptr_t kLaunchParamBufferSize = 2;
inline constexpr int kExternalOpaqueFd = 1;
inline constexpr int kExternalDmaBufFd = 9;  // since CUDA 13.0
inline constexpr std::uintptr_t kLegacyStream = 1;
inline constexpr std::uintptr_t kPerThreadStream = 2;

// CUDA_MEMCPY2D_v2.
struct Copy2d {
  std::size_t from_x_bytes = 0, from_y = 0;
  unsigned from_type = 0;
  const void* from_host = nullptr;
  DevicePtr from_device = 0;
  void* from_array = nullptr;
  std::size_t from_pitch = 0;
  std::size_t to_x_bytes = 0, to_y = 0;
  unsigned to_type = 0;
  void* to_host = nullptr;
  DevicePtr to_device = 0;
  void* to_array = nullptr;
  std::size_t to_pitch = 0;
  std::size_t width_bytes = 0, height = 0;
};

// CUDA_EXTERNAL_MEMORY_HANDLE_DESC; the union of the original, of which only the file descriptor is used here, is two pointers long.
struct ExternalMemoryDesc {
  int type = 0;
  union {
    int fd;
    void* pair[2];
  } handle{};
  unsigned long long size = 0;
  unsigned flags = 0;
  unsigned reserved[16] = {};
};

// CUDA_EXTERNAL_MEMORY_BUFFER_DESC.
struct ExternalBufferDesc {
  unsigned long long offset = 0, size = 0;
  unsigned flags = 0;
  unsigned reserved[16] = {};
};

// Name of the exported symbol, arguments. Every one returns a Result.
// clang-format off
#define AFFECTRT_CUDA_FUNCTIONS(X)                                                                                                        \
  X(cuInit, (unsigned flags))                                                                                                             \
  X(cuDriverGetVersion, (int* version))                                                                                                   \
  X(cuGetErrorName, (Result, const char**))                                                                                               \
  X(cuGetErrorString, (Result, const char**))                                                                                             \
  X(cuDeviceGet, (int* device, int ordinal))                                                                                              \
  X(cuDeviceGetCount, (int*))                                                                                                             \
  X(cuDeviceGetName, (char*, int bytes, int device))                                                                                      \
  X(cuDeviceGetAttribute, (int*, int attribute, int device))                                                                              \
  X(cuDeviceTotalMem_v2, (std::size_t*, int device))                                                                                      \
  X(cuDevicePrimaryCtxRetain, (ContextHandle*, int device))                                                                               \
  X(cuDevicePrimaryCtxRelease_v2, (int device))                                                                                           \
  X(cuCtxPushCurrent_v2, (ContextHandle))                                                                                                 \
  X(cuCtxPopCurrent_v2, (ContextHandle*))                                                                                                 \
  X(cuCtxGetCurrent, (ContextHandle*))                                                                                                    \
  X(cuCtxSynchronize, ())                                                                                                                 \
  X(cuStreamCreateWithPriority, (StreamHandle*, unsigned flags, int priority))                                                            \
  X(cuStreamDestroy_v2, (StreamHandle))                                                                                                   \
  X(cuStreamSynchronize, (StreamHandle))                                                                                                  \
  X(cuStreamQuery, (StreamHandle))                                                                                                        \
  X(cuStreamWaitEvent, (StreamHandle, EventHandle, unsigned flags))                                                                       \
  X(cuEventCreate, (EventHandle*, unsigned flags))                                                                                        \
  X(cuEventRecord, (EventHandle, StreamHandle))                                                                                           \
  X(cuEventQuery, (EventHandle))                                                                                                          \
  X(cuEventSynchronize, (EventHandle))                                                                                                    \
  X(cuEventElapsedTime, (float* ms, EventHandle from, EventHandle to))                                                                    \
  X(cuEventDestroy_v2, (EventHandle))                                                                                                     \
  X(cuMemAlloc_v2, (DevicePtr*, std::size_t bytes))                                                                                       \
  X(cuMemFree_v2, (DevicePtr))                                                                                                            \
  X(cuMemHostAlloc, (void**, std::size_t bytes, unsigned flags))                                                                          \
  X(cuMemFreeHost, (void*))                                                                                                               \
  X(cuMemHostRegister_v2, (void*, std::size_t bytes, unsigned flags))                                                                     \
  X(cuMemHostUnregister, (void*))                                                                                                         \
  X(cuMemcpyHtoDAsync_v2, (DevicePtr to, const void* from, std::size_t bytes, StreamHandle))                                              \
  X(cuMemcpyDtoHAsync_v2, (void* to, DevicePtr from, std::size_t bytes, StreamHandle))                                                    \
  X(cuMemcpyDtoDAsync_v2, (DevicePtr to, DevicePtr from, std::size_t bytes, StreamHandle))                                                \
  X(cuMemcpy2DAsync_v2, (const Copy2d*, StreamHandle))                                                                                    \
  X(cuMemsetD8Async, (DevicePtr, unsigned char value, std::size_t bytes, StreamHandle))                                                   \
  X(cuPointerGetAttribute, (void* value, int attribute, DevicePtr))                                                                       \
  X(cuModuleLoadData, (ModuleHandle*, const void* image))                                                                                 \
  X(cuModuleUnload, (ModuleHandle))                                                                                                       \
  X(cuModuleGetFunction, (FunctionHandle*, ModuleHandle, const char* name))                                                               \
  X(cuFuncGetAttribute, (int*, int attribute, FunctionHandle))                                                                            \
  X(cuLaunchKernel, (FunctionHandle, unsigned grid_x, unsigned grid_y, unsigned grid_z, unsigned block_x, unsigned block_y,               \
    unsigned block_z, unsigned shared_bytes, StreamHandle, void** parameters, void** extra))                                              \
  X(cuThreadExchangeStreamCaptureMode, (int* mode))                                                                                       \
  X(cuStreamBeginCapture_v2, (StreamHandle, int mode))                                                                                    \
  X(cuStreamEndCapture, (StreamHandle, GraphHandle*))                                                                                     \
  X(cuGraphInstantiateWithFlags, (GraphExecHandle*, GraphHandle, unsigned long long flags))                                               \
  X(cuGraphLaunch, (GraphExecHandle, StreamHandle))                                                                                       \
  X(cuGraphExecDestroy, (GraphExecHandle))                                                                                                \
  X(cuGraphDestroy, (GraphHandle))                                                                                                        \
  X(cuImportExternalMemory, (ExternalMemoryHandle*, const ExternalMemoryDesc*))                                                           \
  X(cuExternalMemoryGetMappedBuffer, (DevicePtr*, ExternalMemoryHandle, const ExternalBufferDesc*))                                       \
  X(cuDestroyExternalMemory, (ExternalMemoryHandle))
// clang-format on

inline constexpr int kMinDriverVersion = 12060;  // CUDA 12.6: JetPack 6.1

// A call that the driver refused. what() holds the purpose, the function, the code's name and its text.
class CudaError : public DeviceError {
 public:
  CudaError(const std::string& text, Result code) : DeviceError(text), code_(code) {}
  Result code() const { return code_; }

 private:
  Result code_;
};

// The driver's functions, typed.
class Driver {
 public:
  // The process's one table, opened and initialised on first use: the file named by AFFECTRT_CUDA_LIBRARY, else libcuda.so.1. Throws
  // DeviceError that says what is missing: no driver, one that lacks a function, one older than CUDA 12.6, no GPU. A failure is not
  // remembered, so that a later call tries again.
  static const Driver& get();

  // The table if it is open already, else null. For destructors.
  static const Driver* find() noexcept;

#define AFFECTRT_CUDA_MEMBER(name, arguments) Result(*name) arguments = nullptr;
  AFFECTRT_CUDA_FUNCTIONS(AFFECTRT_CUDA_MEMBER)
#undef AFFECTRT_CUDA_MEMBER

  int version() const { return version_; }                 // 1000 * major + 10 * minor, the CUDA version that the driver serves
  const std::string& library() const { return library_; }  // what was opened

  // Throws CudaError: "PURPOSE: FUNCTION failed: CUDA_ERROR_X (text)".
  void check(Result result, const char* function, const std::string& purpose) const;

  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

 private:
  explicit Driver(const std::string& library);
  static const Driver* open();

  std::string library_;
  int version_ = 0;
};

// "12.6" of 12060.
std::string version_text(int version);

// Calls driver.FUNCTION(...) and throws CudaError, which names the function and `purpose`, unless it succeeds.
#define AFFECTRT_CUDA_CALL(driver, purpose, function, ...)                                                  \
  do {                                                                                                      \
    const ::affectrt::cuda::Result affectrt_result = (driver).function(__VA_ARGS__);                        \
    if (affectrt_result != ::affectrt::cuda::kSuccess) (driver).check(affectrt_result, #function, purpose); \
  } while (false)

}  // namespace affectrt::cuda
