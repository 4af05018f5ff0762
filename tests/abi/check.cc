// Compiles only if csrc/engine/ort_abi.h, and the slots that the tests' own provider library uses beside, agree with an official
// onnxruntime_c_api.h: every slot's number, the function's type, and the constants. Nothing runs: a difference is a compile error that
// names the slot. With PLUGINS defined, the rows of the newer API are checked too, for which the header must be new enough.
#include <onnxruntime_c_api.h>

#include <cstddef>
#include <type_traits>

#include "affectrt/engine/ort_abi.h"
#include "slots.h"

// Inside our namespace, so that the rows of the table find their own names.
namespace affectrt::ort {
namespace {

// Our name of an opaque handle, and the library's.
template <class T>
struct Official {
  using type = T;
};
#define SAME_HANDLE(mine, theirs) \
  template <>                     \
  struct Official<mine> {         \
    using type = theirs;          \
  }
SAME_HANDLE(Status, OrtStatus);
SAME_HANDLE(Env, OrtEnv);
SAME_HANDLE(Session, OrtSession);
SAME_HANDLE(SessionOptions, OrtSessionOptions);
SAME_HANDLE(RunOptions, OrtRunOptions);
SAME_HANDLE(ThreadingOptions, OrtThreadingOptions);
SAME_HANDLE(IoBinding, OrtIoBinding);
SAME_HANDLE(Value, OrtValue);
SAME_HANDLE(MemoryInfo, OrtMemoryInfo);
SAME_HANDLE(Allocator, OrtAllocator);
SAME_HANDLE(TypeInfo, OrtTypeInfo);
SAME_HANDLE(TensorInfo, OrtTensorTypeAndShapeInfo);
SAME_HANDLE(CudaOptions, OrtCUDAProviderOptionsV2);
SAME_HANDLE(TensorRtOptions, OrtTensorRTProviderOptionsV2);
SAME_HANDLE(CustomOpDomain, OrtCustomOpDomain);
SAME_HANDLE(CustomOp, OrtCustomOp);
SAME_HANDLE(KernelInfo, OrtKernelInfo);
SAME_HANDLE(KernelContext, OrtKernelContext);
SAME_HANDLE(ShapeInferContext, OrtShapeInferContext);
SAME_HANDLE(RawApi, OrtApi);
#ifdef PLUGINS
SAME_HANDLE(KeyValuePairs, OrtKeyValuePairs);
SAME_HANDLE(EpDevice, OrtEpDevice);
SAME_HANDLE(HardwareDevice, OrtHardwareDevice);
#endif
#undef SAME_HANDLE
template <class T>
struct Official<const T> {
  using type = const typename Official<T>::type;
};
template <class T>
struct Official<T*> {
  using type = typename Official<T>::type*;
};

// The library's enumerations are ints to us; behind pointers too.
template <class T>
struct Plain {
  using type = typename std::conditional_t<std::is_enum_v<T>, std::underlying_type<T>, std::type_identity<T>>::type;
};
template <class T>
struct Plain<const T> {
  using type = const typename Plain<T>::type;
};
template <class T>
struct Plain<T*> {
  using type = typename Plain<T>::type*;
};
// An enumeration without a fixed type is unsigned when it has no negative member: same size, same registers, same values.
template <class T>
struct Signed {
  using type = std::conditional_t<std::is_same_v<T, unsigned>, int, T>;
};
template <class T>
struct Signed<T*> {
  using type = typename Signed<T>::type*;
};

template <class T>
using TheirView = typename Signed<typename Plain<T>::type>::type;
template <class T>
using OurView = typename Official<T>::type;

template <class Ours, class Theirs>
struct SameFunction : std::false_type {};
template <class R, class... A, class S, class... B>
  requires(sizeof...(A) == sizeof...(B))
struct SameFunction<R (*)(A...), S (*)(B...) noexcept>
    : std::bool_constant<std::is_same_v<OurView<R>, TheirView<S>> && (std::is_same_v<OurView<A>, TheirView<B>> && ...)> {};
template <class R, class... A, class S, class... B>
  requires(sizeof...(A) == sizeof...(B))
struct SameFunction<R (*)(A...), S (*)(B...)> : SameFunction<R (*)(A...), S (*)(B...) noexcept> {};

#define CHECK_SLOT(slot, name, result, arguments)                                                    \
  static_assert(offsetof(OrtApi, name) == (slot) * sizeof(void*), #name ": another slot in OrtApi"); \
  static_assert(SameFunction<result(*) arguments, decltype(OrtApi::name)>::value, #name ": another type in OrtApi");
AFFECTRT_ORT_SLOTS(CHECK_SLOT)
#ifdef PLUGINS
AFFECTRT_ORT_PLUGIN_SLOTS(CHECK_SLOT)
FAKE_ORT_PLUGIN_SLOTS(CHECK_SLOT)
static_assert(kPluginApiVersion <= ORT_API_VERSION, "the header describes an older API than plugins need");
static_assert(int{kCpuHardware} == int{OrtHardwareDeviceType_CPU});
static_assert(int{kGpuHardware} == int{OrtHardwareDeviceType_GPU});
static_assert(int{kNpuHardware} == int{OrtHardwareDeviceType_NPU});
#endif
#undef CHECK_SLOT

// An operator's description: each function where the library looks for it, and none missing in the version that ours state.
#define CHECK_MEMBER(name, result, arguments)                                                                     \
  static_assert(offsetof(OrtCustomOp, name) == offsetof(CustomOp, name), #name ": another place in OrtCustomOp"); \
  static_assert(SameFunction<result(*) arguments, decltype(OrtCustomOp::name)>::value, #name ": another type in OrtCustomOp");
AFFECTRT_ORT_CUSTOM_OP(CHECK_MEMBER)
#undef CHECK_MEMBER
static_assert(offsetof(OrtCustomOp, version) == offsetof(CustomOp, version));
static_assert(CustomOp{}.version == kApiVersion, "an operator states the API version that we ask for");
static_assert(ORT_API_VERSION != kApiVersion || sizeof(OrtCustomOp) == sizeof(CustomOp), "OrtCustomOp has more functions in our version");
static_assert(sizeof(OrtCustomOp) >= sizeof(CustomOp), "OrtCustomOp has fewer functions");
static_assert(kRequiredTensor == int{INPUT_OUTPUT_REQUIRED});
static_assert(kProviderMemory == int{OrtMemTypeDefault});

static_assert(offsetof(OrtApiBase, GetApi) == offsetof(ApiBase, GetApi));
static_assert(offsetof(OrtApiBase, GetVersionString) == offsetof(ApiBase, GetVersionString));
static_assert(sizeof(OrtApiBase) == sizeof(ApiBase));
static_assert(kApiVersion <= ORT_API_VERSION, "the header describes an older API than we ask for");

static_assert(int{kUndefined} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED});
static_assert(int{kFloat32} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT});
static_assert(int{kUint8} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8});
static_assert(int{kInt8} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_INT8});
static_assert(int{kUint16} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT16});
static_assert(int{kInt16} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_INT16});
static_assert(int{kInt32} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32});
static_assert(int{kInt64} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64});
static_assert(int{kString} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING});
static_assert(int{kBool} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL});
static_assert(int{kFloat16} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16});
static_assert(int{kFloat64} == int{ONNX_TENSOR_ELEMENT_DATA_TYPE_DOUBLE});

}  // namespace
}  // namespace affectrt::ort
