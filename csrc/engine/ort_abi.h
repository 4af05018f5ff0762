// The part of ONNX Runtime's C API that affectrt calls, declared by ourselves so that building needs no header of it.
//
// The C API is a table of function pointers that only ever grows at its end, so a slot number holds for every later library. Each row
// below is (slot, name, result, arguments); tests/abi checks every one against an official header. To use another function of the API,
// add a row: nothing else.
#pragma once

#include <cstddef>
#include <cstdint>

namespace affectrt::ort {

// Opaque handles of the library.
struct Status;
struct Env;
struct Session;
struct SessionOptions;
struct RunOptions;
struct ThreadingOptions;
struct IoBinding;
struct Value;
struct MemoryInfo;
struct Allocator;
struct TypeInfo;
struct TensorInfo;
struct CudaOptions;
struct TensorRtOptions;
struct KeyValuePairs;
struct EpDevice;
struct HardwareDevice;
struct CustomOpDomain;
struct KernelInfo;
struct KernelContext;
struct ShapeInferContext;
struct RawApi;  // the library's own table, untyped
struct CustomOp;

// ONNXTensorElementDataType, as far as tensors here have it.
enum ElementType : int {
  kUndefined = 0,
  kFloat32 = 1,
  kUint8 = 2,
  kInt8 = 3,
  kUint16 = 4,
  kInt16 = 5,
  kInt32 = 6,
  kInt64 = 7,
  kString = 8,
  kBool = 9,
  kFloat16 = 10,
  kFloat64 = 11,
};

inline constexpr std::uint32_t kApiVersion = 21;  // the newest that the checked header describes; every library since 1.21 serves it

// The library's description of an operator that somebody else computes: after a version, functions that it calls. `version` says which of
// them are there: an operator that states version N has all that the header of API version N lists, so ours states kApiVersion.
// clang-format off
#define AFFECTRT_ORT_CUSTOM_OP(X)                                                                                                        \
  X(CreateKernel, void*, (const CustomOp*, const RawApi*, const KernelInfo*))                                                            \
  X(GetName, const char*, (const CustomOp*))                                                                                             \
  X(GetExecutionProviderType, const char*, (const CustomOp*))                                                                            \
  X(GetInputType, int, (const CustomOp*, std::size_t))                                                                                   \
  X(GetInputTypeCount, std::size_t, (const CustomOp*))                                                                                   \
  X(GetOutputType, int, (const CustomOp*, std::size_t))                                                                                  \
  X(GetOutputTypeCount, std::size_t, (const CustomOp*))                                                                                  \
  X(KernelCompute, void, (void* kernel, KernelContext*))                                                                                 \
  X(KernelDestroy, void, (void* kernel))                                                                                                 \
  X(GetInputCharacteristic, int, (const CustomOp*, std::size_t))                                                                         \
  X(GetOutputCharacteristic, int, (const CustomOp*, std::size_t))                                                                        \
  X(GetInputMemoryType, int, (const CustomOp*, std::size_t))                                                                             \
  X(GetVariadicInputMinArity, int, (const CustomOp*))                                                                                    \
  X(GetVariadicInputHomogeneity, int, (const CustomOp*))                                                                                 \
  X(GetVariadicOutputMinArity, int, (const CustomOp*))                                                                                   \
  X(GetVariadicOutputHomogeneity, int, (const CustomOp*))                                                                                \
  X(CreateKernelV2, Status*, (const CustomOp*, const RawApi*, const KernelInfo*, void** kernel))                                         \
  X(KernelComputeV2, Status*, (void* kernel, KernelContext*))                                                                            \
  X(InferOutputShapeFn, Status*, (const CustomOp*, ShapeInferContext*))                                                                  \
  X(GetStartVersion, int, (const CustomOp*))                                                                                             \
  X(GetEndVersion, int, (const CustomOp*))                                                                                               \
  X(GetMayInplace, std::size_t, (int** inputs, int** outputs))                                                                           \
  X(ReleaseMayInplace, void, (int* inputs, int* outputs))                                                                                \
  X(GetAliasMap, std::size_t, (int** inputs, int** outputs))                                                                             \
  X(ReleaseAliasMap, void, (int* inputs, int* outputs))
// clang-format on

struct CustomOp {
  std::uint32_t version = kApiVersion;
#define AFFECTRT_ORT_MEMBER(name, result, arguments) result(*name) arguments = nullptr;
  AFFECTRT_ORT_CUSTOM_OP(AFFECTRT_ORT_MEMBER)
#undef AFFECTRT_ORT_MEMBER
};

inline constexpr int kRequiredTensor = 0;  // characteristic of an input or output
inline constexpr int kProviderMemory = 0;  // where the operator's provider has its tensors

// clang-format off
#define AFFECTRT_ORT_SLOTS(X)                                                                                                             \
  X(0, CreateStatus, Status*, (int code, const char* text))                                                                               \
  X(2, GetErrorMessage, const char*, (const Status*))                                                                                    \
  X(3, CreateEnv, Status*, (int severity, const char* id, Env**))                                                                        \
  X(6, DisableTelemetryEvents, Status*, (const Env*))                                                                                    \
  X(7, CreateSession, Status*, (const Env*, const char* path, const SessionOptions*, Session**))                                         \
  X(10, CreateSessionOptions, Status*, (SessionOptions**))                                                                               \
  X(22, SetSessionLogSeverityLevel, Status*, (SessionOptions*, int))                                                                     \
  X(23, SetSessionGraphOptimizationLevel, Status*, (SessionOptions*, int))                                                               \
  X(24, SetIntraOpNumThreads, Status*, (SessionOptions*, int))                                                                           \
  X(25, SetInterOpNumThreads, Status*, (SessionOptions*, int))                                                                           \
  X(26, CreateCustomOpDomain, Status*, (const char* name, CustomOpDomain**))                                                              \
  X(27, CustomOpDomain_Add, Status*, (CustomOpDomain*, const CustomOp*))                                                                  \
  X(28, AddCustomOpDomain, Status*, (SessionOptions*, CustomOpDomain*))                                                                   \
  X(30, SessionGetInputCount, Status*, (const Session*, std::size_t*))                                                                   \
  X(31, SessionGetOutputCount, Status*, (const Session*, std::size_t*))                                                                  \
  X(33, SessionGetInputTypeInfo, Status*, (const Session*, std::size_t, TypeInfo**))                                                     \
  X(34, SessionGetOutputTypeInfo, Status*, (const Session*, std::size_t, TypeInfo**))                                                    \
  X(36, SessionGetInputName, Status*, (const Session*, std::size_t, Allocator*, char**))                                                 \
  X(37, SessionGetOutputName, Status*, (const Session*, std::size_t, Allocator*, char**))                                                \
  X(39, CreateRunOptions, Status*, (RunOptions**))                                                                                       \
  X(49, CreateTensorWithDataAsOrtValue, Status*, (const MemoryInfo*, void*, std::size_t, const std::int64_t*, std::size_t, int, Value**))\
  X(51, GetTensorMutableData, Status*, (Value*, void**))                                                                                 \
  X(55, CastTypeInfoToTensorInfo, Status*, (const TypeInfo*, const TensorInfo**))                                                        \
  X(60, GetTensorElementType, Status*, (const TensorInfo*, int*))                                                                        \
  X(61, GetDimensionsCount, Status*, (const TensorInfo*, std::size_t*))                                                                  \
  X(62, GetDimensions, Status*, (const TensorInfo*, std::int64_t*, std::size_t))                                                         \
  X(65, GetTensorTypeAndShape, Status*, (const Value*, TensorInfo**))                                                                    \
  X(68, CreateMemoryInfo, Status*, (const char* name, int allocator, int id, int memory, MemoryInfo**))                                  \
  X(69, CreateCpuMemoryInfo, Status*, (int allocator, int memory, MemoryInfo**))                                                         \
  X(76, AllocatorFree, Status*, (Allocator*, void*))                                                                                     \
  X(78, GetAllocatorWithDefaultOptions, Status*, (Allocator**))                                                                          \
  X(85, KernelInfoGetAttribute_float, Status*, (const KernelInfo*, const char* name, float*))                                             \
  X(90, KernelContext_GetInput, Status*, (const KernelContext*, std::size_t, const Value**))                                              \
  X(91, KernelContext_GetOutput, Status*, (KernelContext*, std::size_t, const std::int64_t* shape, std::size_t rank, Value**))            \
  X(92, ReleaseEnv, void, (Env*))                                                                                                        \
  X(93, ReleaseStatus, void, (Status*))                                                                                                  \
  X(94, ReleaseMemoryInfo, void, (MemoryInfo*))                                                                                          \
  X(95, ReleaseSession, void, (Session*))                                                                                                \
  X(96, ReleaseValue, void, (Value*))                                                                                                    \
  X(97, ReleaseRunOptions, void, (RunOptions*))                                                                                          \
  X(98, ReleaseTypeInfo, void, (TypeInfo*))                                                                                              \
  X(99, ReleaseTensorTypeAndShapeInfo, void, (TensorInfo*))                                                                              \
  X(100, ReleaseSessionOptions, void, (SessionOptions*))                                                                                 \
  X(101, ReleaseCustomOpDomain, void, (CustomOpDomain*))                                                                                  \
  X(119, CreateEnvWithGlobalThreadPools, Status*, (int severity, const char* id, const ThreadingOptions*, Env**))                        \
  X(120, DisablePerSessionThreads, Status*, (SessionOptions*))                                                                           \
  X(121, CreateThreadingOptions, Status*, (ThreadingOptions**))                                                                          \
  X(122, ReleaseThreadingOptions, void, (ThreadingOptions*))                                                                             \
  X(125, GetAvailableProviders, Status*, (char***, int*))                                                                                \
  X(126, ReleaseAvailableProviders, Status*, (char**, int))                                                                              \
  X(130, AddSessionConfigEntry, Status*, (SessionOptions*, const char* key, const char* value))                                          \
  X(133, RunWithBinding, Status*, (Session*, const RunOptions*, const IoBinding*))                                                       \
  X(134, CreateIoBinding, Status*, (Session*, IoBinding**))                                                                              \
  X(135, ReleaseIoBinding, void, (IoBinding*))                                                                                           \
  X(136, BindInput, Status*, (IoBinding*, const char*, const Value*))                                                                    \
  X(137, BindOutput, Status*, (IoBinding*, const char*, const Value*))                                                                   \
  X(138, BindOutputToDevice, Status*, (IoBinding*, const char*, const MemoryInfo*))                                                      \
  X(140, GetBoundOutputValues, Status*, (const IoBinding*, Allocator*, Value***, std::size_t*))                                          \
  X(147, SetGlobalIntraOpNumThreads, Status*, (ThreadingOptions*, int))                                                                  \
  X(148, SetGlobalInterOpNumThreads, Status*, (ThreadingOptions*, int))                                                                  \
  X(149, SetGlobalSpinControl, Status*, (ThreadingOptions*, int))                                                                        \
  X(165, AddRunConfigEntry, Status*, (RunOptions*, const char* key, const char* value))                                                  \
  X(170, SessionOptionsAppendExecutionProvider_TensorRT_V2, Status*, (SessionOptions*, const TensorRtOptions*))                          \
  X(171, CreateTensorRTProviderOptions, Status*, (TensorRtOptions**))                                                                    \
  X(172, UpdateTensorRTProviderOptions, Status*, (TensorRtOptions*, const char* const*, const char* const*, std::size_t))                \
  X(174, ReleaseTensorRTProviderOptions, void, (TensorRtOptions*))                                                                       \
  X(193, KernelContext_GetGPUComputeStream, Status*, (const KernelContext*, void**))                                                      \
  X(204, SessionOptionsAppendExecutionProvider_CUDA_V2, Status*, (SessionOptions*, const CudaOptions*))                                  \
  X(205, CreateCUDAProviderOptions, Status*, (CudaOptions**))                                                                            \
  X(206, UpdateCUDAProviderOptions, Status*, (CudaOptions*, const char* const*, const char* const*, std::size_t))                        \
  X(208, ReleaseCUDAProviderOptions, void, (CudaOptions*))                                                                               \
  X(216, SessionOptionsAppendExecutionProvider, Status*,                                                                                 \
    (SessionOptions*, const char* name, const char* const* keys, const char* const* values, std::size_t))                                \
  X(261, UpdateTensorRTProviderOptionsWithValue, Status*, (TensorRtOptions*, const char* key, void* value))                              \
  X(263, UpdateCUDAProviderOptionsWithValue, Status*, (CudaOptions*, const char* key, void* value))                                       \
  X(268, ShapeInferContext_GetInputTypeShape, Status*, (const ShapeInferContext*, std::size_t, TensorInfo**))                             \
  X(270, ShapeInferContext_SetOutputTypeShape, Status*, (const ShapeInferContext*, std::size_t, const TensorInfo*))
// clang-format on

// The library's table, typed.
struct Api {
#define AFFECTRT_ORT_MEMBER(slot, name, result, arguments) result(*name) arguments;
  AFFECTRT_ORT_SLOTS(AFFECTRT_ORT_MEMBER)
#undef AFFECTRT_ORT_MEMBER

  explicit Api(const void* const* table) {
#define AFFECTRT_ORT_LOAD(slot, name, result, arguments) name = reinterpret_cast<result(*) arguments>(const_cast<void*>(table[slot]));
    AFFECTRT_ORT_SLOTS(AFFECTRT_ORT_LOAD)
#undef AFFECTRT_ORT_LOAD
  }
};

// Functions of a newer API, for providers that come as libraries of their own. A library that does not serve this version has a shorter
// table: ask for it before reading these rows.
inline constexpr std::uint32_t kPluginApiVersion = 22;

enum HardwareType : int { kCpuHardware = 0, kGpuHardware = 1, kNpuHardware = 2 };

// clang-format off
#define AFFECTRT_ORT_PLUGIN_SLOTS(X)                                                                                                      \
  X(297, GetKeyValue, const char*, (const KeyValuePairs*, const char* key))                                                              \
  X(301, RegisterExecutionProviderLibrary, Status*, (Env*, const char* name, const char* path))                                          \
  X(303, GetEpDevices, Status*, (const Env*, const EpDevice* const**, std::size_t*))                                                     \
  X(304, SessionOptionsAppendExecutionProvider_V2, Status*,                                                                              \
    (SessionOptions*, Env*, const EpDevice* const*, std::size_t, const char* const* keys, const char* const* values, std::size_t))       \
  X(307, HardwareDevice_Type, int, (const HardwareDevice*))                                                                              \
  X(312, EpDevice_EpName, const char*, (const EpDevice*))                                                                                \
  X(313, EpDevice_EpVendor, const char*, (const EpDevice*))                                                                              \
  X(314, EpDevice_EpMetadata, const KeyValuePairs*, (const EpDevice*))                                                                   \
  X(315, EpDevice_EpOptions, const KeyValuePairs*, (const EpDevice*))                                                                    \
  X(316, EpDevice_Device, const HardwareDevice*, (const EpDevice*))
// clang-format on

struct PluginApi {
#define AFFECTRT_ORT_MEMBER(slot, name, result, arguments) result(*name) arguments;
  AFFECTRT_ORT_PLUGIN_SLOTS(AFFECTRT_ORT_MEMBER)
#undef AFFECTRT_ORT_MEMBER

  explicit PluginApi(const void* const* table) {
#define AFFECTRT_ORT_LOAD(slot, name, result, arguments) name = reinterpret_cast<result(*) arguments>(const_cast<void*>(table[slot]));
    AFFECTRT_ORT_PLUGIN_SLOTS(AFFECTRT_ORT_LOAD)
#undef AFFECTRT_ORT_LOAD
  }
};

// What OrtGetApiBase() returns.
struct ApiBase {
  const void* const* (*GetApi)(std::uint32_t version);
  const char* (*GetVersionString)();
};

}  // namespace affectrt::ort
