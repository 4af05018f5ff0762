// Compiles only if csrc/device/driver.h agrees with an official cuda.h: every function's name and type, the structs, the constants. Nothing
// runs: a difference is a compile error that names the function.
#define __CUDA_API_VERSION_INTERNAL  // the header's own switch: names with their versions, as the library exports them
#include <cuda.h>

#include <cstddef>
#include <type_traits>

#include "affectrt/device/driver.h"

namespace affectrt::cuda {
namespace {

// Our type of an argument, made of the header's: handles are pointers to structs of other names, enumerations and addresses are numbers.
template <class T>
struct Ours {
  using type = typename std::conditional_t<std::is_enum_v<T>, std::underlying_type<T>, std::type_identity<T>>::type;
};
#define SAME(theirs, ours) \
  template <>              \
  struct Ours<theirs> {    \
    using type = ours;     \
  }
SAME(CUctx_st, ContextObject);
SAME(CUstream_st, StreamObject);
SAME(CUevent_st, EventObject);
SAME(CUmod_st, ModuleObject);
SAME(CUfunc_st, FunctionObject);
SAME(CUgraph_st, GraphObject);
SAME(CUgraphExec_st, GraphExecObject);
SAME(CUextMemory_st, ExternalMemoryObject);
SAME(CUDA_MEMCPY2D, Copy2d);
SAME(CUDA_EXTERNAL_MEMORY_HANDLE_DESC, ExternalMemoryDesc);
SAME(CUDA_EXTERNAL_MEMORY_BUFFER_DESC, ExternalBufferDesc);
static_assert(sizeof(CUdeviceptr) == sizeof(DevicePtr) && std::is_unsigned_v<CUdeviceptr>);
#undef SAME
template <class T>
struct Ours<const T> {
  using type = const typename Ours<T>::type;
};
template <class T>
struct Ours<T*> {
  using type = typename Ours<T>::type*;
};

// Numbers agree by size: signedness of an enumeration, and long against long long, make no difference to a call.
template <class A, class B>
constexpr bool same() {
  if constexpr (std::is_pointer_v<A> && std::is_pointer_v<B>)
    return same<std::remove_cv_t<std::remove_pointer_t<A>>, std::remove_cv_t<std::remove_pointer_t<B>>>();
  else if constexpr (std::is_integral_v<A> && std::is_integral_v<B>)
    return sizeof(A) == sizeof(B);
  else
    return std::is_same_v<A, B>;
}

template <class F, class G>
struct Agrees : std::false_type {};
template <class... A, class... B>
struct Agrees<Result (*)(A...), CUresult(CUDAAPI*)(B...)> {
  static constexpr bool test() {
    if constexpr (sizeof...(A) != sizeof...(B))
      return false;
    else
      return (same<A, typename Ours<B>::type>() && ...);
  }
  static constexpr bool value = test();
};

#define CHECK_FUNCTION(name, arguments) \
  static_assert(Agrees<decltype(Driver::name), decltype(&::name)>::value, "csrc/device/driver.h and cuda.h differ in " #name);
AFFECTRT_CUDA_FUNCTIONS(CHECK_FUNCTION)

#define CHECK_FIELD(ours, our_field, theirs, their_field)                                       \
  static_assert(offsetof(ours, our_field) == offsetof(theirs, their_field) &&                   \
                    sizeof(decltype(ours::our_field)) == sizeof(decltype(theirs::their_field)), \
                "field " #our_field)
CHECK_FIELD(Copy2d, from_x_bytes, CUDA_MEMCPY2D, srcXInBytes);
CHECK_FIELD(Copy2d, from_y, CUDA_MEMCPY2D, srcY);
CHECK_FIELD(Copy2d, from_type, CUDA_MEMCPY2D, srcMemoryType);
CHECK_FIELD(Copy2d, from_host, CUDA_MEMCPY2D, srcHost);
CHECK_FIELD(Copy2d, from_device, CUDA_MEMCPY2D, srcDevice);
CHECK_FIELD(Copy2d, from_array, CUDA_MEMCPY2D, srcArray);
CHECK_FIELD(Copy2d, from_pitch, CUDA_MEMCPY2D, srcPitch);
CHECK_FIELD(Copy2d, to_x_bytes, CUDA_MEMCPY2D, dstXInBytes);
CHECK_FIELD(Copy2d, to_y, CUDA_MEMCPY2D, dstY);
CHECK_FIELD(Copy2d, to_type, CUDA_MEMCPY2D, dstMemoryType);
CHECK_FIELD(Copy2d, to_host, CUDA_MEMCPY2D, dstHost);
CHECK_FIELD(Copy2d, to_device, CUDA_MEMCPY2D, dstDevice);
CHECK_FIELD(Copy2d, to_array, CUDA_MEMCPY2D, dstArray);
CHECK_FIELD(Copy2d, to_pitch, CUDA_MEMCPY2D, dstPitch);
CHECK_FIELD(Copy2d, width_bytes, CUDA_MEMCPY2D, WidthInBytes);
CHECK_FIELD(Copy2d, height, CUDA_MEMCPY2D, Height);
static_assert(sizeof(Copy2d) == sizeof(CUDA_MEMCPY2D));
CHECK_FIELD(ExternalMemoryDesc, type, CUDA_EXTERNAL_MEMORY_HANDLE_DESC, type);
CHECK_FIELD(ExternalMemoryDesc, handle, CUDA_EXTERNAL_MEMORY_HANDLE_DESC, handle);
CHECK_FIELD(ExternalMemoryDesc, size, CUDA_EXTERNAL_MEMORY_HANDLE_DESC, size);
CHECK_FIELD(ExternalMemoryDesc, flags, CUDA_EXTERNAL_MEMORY_HANDLE_DESC, flags);
static_assert(sizeof(ExternalMemoryDesc) == sizeof(CUDA_EXTERNAL_MEMORY_HANDLE_DESC));
CHECK_FIELD(ExternalBufferDesc, offset, CUDA_EXTERNAL_MEMORY_BUFFER_DESC, offset);
CHECK_FIELD(ExternalBufferDesc, size, CUDA_EXTERNAL_MEMORY_BUFFER_DESC, size);
CHECK_FIELD(ExternalBufferDesc, flags, CUDA_EXTERNAL_MEMORY_BUFFER_DESC, flags);
static_assert(sizeof(ExternalBufferDesc) == sizeof(CUDA_EXTERNAL_MEMORY_BUFFER_DESC));

#define CHECK_VALUE(ours, theirs) static_assert(static_cast<long long>(ours) == static_cast<long long>(theirs), #ours)
CHECK_VALUE(kSuccess, CUDA_SUCCESS);
CHECK_VALUE(kInvalidValue, CUDA_ERROR_INVALID_VALUE);
CHECK_VALUE(kOutOfMemory, CUDA_ERROR_OUT_OF_MEMORY);
CHECK_VALUE(kNotInitialized, CUDA_ERROR_NOT_INITIALIZED);
CHECK_VALUE(kDeinitialized, CUDA_ERROR_DEINITIALIZED);
CHECK_VALUE(kNoDevice, CUDA_ERROR_NO_DEVICE);
CHECK_VALUE(kInvalidDevice, CUDA_ERROR_INVALID_DEVICE);
CHECK_VALUE(kInvalidImage, CUDA_ERROR_INVALID_IMAGE);
CHECK_VALUE(kInvalidContext, CUDA_ERROR_INVALID_CONTEXT);
CHECK_VALUE(kNoBinaryForGpu, CUDA_ERROR_NO_BINARY_FOR_GPU);
CHECK_VALUE(kInvalidHandle, CUDA_ERROR_INVALID_HANDLE);
CHECK_VALUE(kNotFound, CUDA_ERROR_NOT_FOUND);
CHECK_VALUE(kNotReady, CUDA_ERROR_NOT_READY);
CHECK_VALUE(kLaunchFailed, CUDA_ERROR_LAUNCH_FAILED);
CHECK_VALUE(kCaptureUnsupported, CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED);
CHECK_VALUE(kCaptureInvalidated, CUDA_ERROR_STREAM_CAPTURE_INVALIDATED);
CHECK_VALUE(kAttributeMultiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT);
CHECK_VALUE(kAttributeIntegrated, CU_DEVICE_ATTRIBUTE_INTEGRATED);
CHECK_VALUE(kAttributeComputeMajor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR);
CHECK_VALUE(kAttributeComputeMinor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR);
CHECK_VALUE(kFunctionMaxThreads, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK);
CHECK_VALUE(kPointerMemoryType, CU_POINTER_ATTRIBUTE_MEMORY_TYPE);
CHECK_VALUE(kPointerDeviceOrdinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL);
CHECK_VALUE(kMemoryHost, CU_MEMORYTYPE_HOST);
CHECK_VALUE(kMemoryDevice, CU_MEMORYTYPE_DEVICE);
CHECK_VALUE(kStreamNonBlocking, CU_STREAM_NON_BLOCKING);
CHECK_VALUE(kEventBlockingSync, CU_EVENT_BLOCKING_SYNC);
CHECK_VALUE(kEventDisableTiming, CU_EVENT_DISABLE_TIMING);
CHECK_VALUE(kHostAllocPortable, CU_MEMHOSTALLOC_PORTABLE);
CHECK_VALUE(kHostRegisterPortable, CU_MEMHOSTREGISTER_PORTABLE);
CHECK_VALUE(kCaptureThreadLocal, CU_STREAM_CAPTURE_MODE_THREAD_LOCAL);
CHECK_VALUE(kCaptureRelaxed, CU_STREAM_CAPTURE_MODE_RELAXED);
CHECK_VALUE(kLaunchParamEnd, CU_LAUNCH_PARAM_END_AS_INT);
CHECK_VALUE(kLaunchParamBufferPointer, CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT);
CHECK_VALUE(kLaunchParamBufferSize, CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT);
CHECK_VALUE(kExternalOpaqueFd, CU_EXTERNAL_MEMORY_HANDLE_TYPE_OPAQUE_FD);
#if CUDA_VERSION >= 13000
CHECK_VALUE(kExternalDmaBufFd, CU_EXTERNAL_MEMORY_HANDLE_TYPE_DMABUF_FD);
#endif

}  // namespace
}  // namespace affectrt::cuda
