// Initialisation, devices, contexts, names of errors.
#include <algorithm>
#include <cstring>

#include "call.h"

using namespace fake;

namespace {

struct Error {
  Result code;
  const char *name, *text;
};

constexpr Error kErrors[] = {
    {kSuccess, "CUDA_SUCCESS", "no error"},
    {kInvalidValue, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {kOutOfMemory, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {kNotInitialized, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {kDeinitialized, "CUDA_ERROR_DEINITIALIZED", "driver shutting down"},
    {kNoDevice, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {kInvalidDevice, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {kInvalidImage, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {kInvalidContext, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {kNoBinaryForGpu, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {kInvalidHandle, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {kNotFound, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {kNotReady, "CUDA_ERROR_NOT_READY", "device not ready"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {kLaunchFailed, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {kCaptureUnsupported, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {kCaptureInvalidated, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {905, "CUDA_ERROR_STREAM_CAPTURE_ISOLATION", "dependency created on uncaptured work in another stream"},
};

Result error_text(Result code, const char** out, const char* Error::* member) {
  for (const Error& error : kErrors)
    if (error.code == code) {
      *out = error.*member;
      return kSuccess;
    }
  *out = nullptr;
  return kInvalidValue;
}

bool has(const State& s, int device) { return device >= 0 && device < s.device_count; }

}  // namespace

FAKE_EXPORT Result cuInit(unsigned flags) {
  return enter("cuInit", Kind::kFree, Line().number("flags", flags), [&](State& s, Line&) {
    if (s.device_count == 0) return kNoDevice;
    s.initialised = true;
    return kSuccess;
  });
}

FAKE_EXPORT Result cuDriverGetVersion(int* version) {
  return enter("cuDriverGetVersion", Kind::kFree, Line(), [&](State& s, Line&) {
    *version = s.driver_version;
    return kSuccess;
  });
}

// Neither counted nor logged: they say what a failure was.
FAKE_EXPORT Result cuGetErrorName(Result code, const char** text) { return error_text(code, text, &Error::name); }
FAKE_EXPORT Result cuGetErrorString(Result code, const char** text) { return error_text(code, text, &Error::text); }

FAKE_EXPORT Result cuDeviceGet(int* device, int ordinal) {
  return enter("cuDeviceGet", Kind::kFree, Line().number("ordinal", static_cast<std::uint64_t>(ordinal)), [&](State& s, Line&) {
    *device = ordinal;
    return has(s, ordinal) ? kSuccess : kInvalidDevice;
  });
}

FAKE_EXPORT Result cuDeviceGetCount(int* count) {
  return enter("cuDeviceGetCount", Kind::kFree, Line(), [&](State& s, Line&) {
    *count = s.device_count;
    return kSuccess;
  });
}

FAKE_EXPORT Result cuDeviceGetName(char* name, int bytes, int device) {
  return enter("cuDeviceGetName", Kind::kFree, Line(), [&](State& s, Line&) {
    if (!has(s, device) || bytes < 1) return kInvalidDevice;
    const std::string text = "Fake GPU " + std::to_string(device);
    std::memset(name, 0, static_cast<std::size_t>(bytes));
    std::memcpy(name, text.data(), std::min(text.size(), static_cast<std::size_t>(bytes) - 1));
    return kSuccess;
  });
}

FAKE_EXPORT Result cuDeviceGetAttribute(int* value, int attribute, int device) {
  return enter("cuDeviceGetAttribute", Kind::kFree, Line().number("attribute", static_cast<std::uint64_t>(attribute)),
               [&](State& s, Line&) {
                 if (!has(s, device)) return kInvalidDevice;
                 switch (attribute) {
                   case kAttributeComputeMajor:
                     *value = s.sm / 10;
                     return kSuccess;
                   case kAttributeComputeMinor:
                     *value = s.sm % 10;
                     return kSuccess;
                   case kAttributeMultiprocessors:
                     *value = 8;
                     return kSuccess;
                   case kAttributeIntegrated:
                     *value = s.sm == 87;
                     return kSuccess;
                   default:
                     return kInvalidValue;
                 }
               });
}

FAKE_EXPORT Result cuDeviceTotalMem_v2(std::size_t* bytes, int device) {
  return enter("cuDeviceTotalMem_v2", Kind::kFree, Line(), [&](State& s, Line&) {
    *bytes = s.memory_bytes;
    return has(s, device) ? kSuccess : kInvalidDevice;
  });
}

FAKE_EXPORT Result cuDevicePrimaryCtxRetain(ContextHandle* context, int device) {
  return enter("cuDevicePrimaryCtxRetain", Kind::kFree, Line(), [&](State& s, Line&) {
    if (!has(s, device)) return kInvalidDevice;
    ContextObject*& primary = s.primary[device];
    if (!primary) {
      primary = s.make(ContextObject{device, 0});
      s.live[primary] = "primary context of device " + std::to_string(device);
    }
    ++primary->retained;
    *context = primary;
    return kSuccess;
  });
}

FAKE_EXPORT Result cuDevicePrimaryCtxRelease_v2(int device) {
  return enter("cuDevicePrimaryCtxRelease_v2", Kind::kReleasesFree, Line(), [&](State& s, Line&) {
    const auto found = s.primary.find(device);
    if (found == s.primary.end() || !found->second) {
      violation("cuDevicePrimaryCtxRelease_v2: the primary context is not retained");
      return kInvalidContext;
    }
    if (--found->second->retained > 0) return kSuccess;
    s.live.erase(found->second);
    std::string left;
    for (const auto& [handle, name] : s.live)
      if (name.find("primary context") == std::string::npos) left += (left.empty() ? "" : ", ") + name;
    if (!left.empty() && s.device_count == 1) violation("the primary context is released while there is still: " + left);
    found->second = nullptr;
    return kSuccess;
  });
}

FAKE_EXPORT Result cuCtxPushCurrent_v2(ContextHandle context) {
  return enter("cuCtxPushCurrent_v2", Kind::kFree, Line(), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuCtxPushCurrent_v2", context)) return result;
    context_stack().push_back(context);
    return kSuccess;
  });
}

FAKE_EXPORT Result cuCtxPopCurrent_v2(ContextHandle* context) {
  return enter("cuCtxPopCurrent_v2", Kind::kReleasesFree, Line(), [&](State&, Line&) {
    if (context_stack().empty()) {
      violation("cuCtxPopCurrent_v2: more pops than pushes");
      return kInvalidContext;
    }
    *context = context_stack().back();
    context_stack().pop_back();
    return kSuccess;
  });
}

FAKE_EXPORT Result cuCtxSynchronize() {
  return enter("cuCtxSynchronize", Kind::kWork, Line(), [&](State& s, Line&) {
    if (const Result result = unless_capturing()) return result;
    run_all();
    for (const StreamObject* stream : s.streams) join(s.host_clock, stream->clock);
    return s.dead;
  });
}

FAKE_EXPORT Result cuCtxGetCurrent(ContextHandle* context) {
  return enter("cuCtxGetCurrent", Kind::kFree, Line(), [&](State&, Line&) {
    *context = current_context();
    return kSuccess;
  });
}
