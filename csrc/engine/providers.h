// ONNX Runtime's execution providers: which can be had, and with which options a session gets them.
#pragma once

#include <string>
#include <vector>

#include "affectrt/engine/engine.h"

namespace affectrt {

inline constexpr const char* kCpuProvider = "CPUExecutionProvider";
inline constexpr const char* kCudaProvider = "CUDAExecutionProvider";
inline constexpr const char* kTensorRtProvider = "TensorrtExecutionProvider";
inline constexpr const char* kTensorRtRtxProvider = "NvTensorRTRTXExecutionProvider";  // built in, or from a library of its own

// Whether a provider computes on an NVIDIA GPU, on the stream that it is given. Not so CudaPluginExecutionProvider: some of its versions
// pass over the stream without a word, and then nothing would order its work with ours. Its networks take tensors of the host.
bool is_gpu_provider(const std::string& name);

// Whether the options ask for anything but the CPU.
bool asks_for_device(const EngineOptions& options);

struct TakenProviders {
  std::vector<std::string> names;      // in the order in which they are offered the network; never empty
  std::vector<std::string> fallbacks;  // those that could not be had, each with the reason
};

// Hands the providers to a session to be opened. Throws DeviceError, which names the provider and the call that failed, if one cannot be
// had and the options are strict; std::invalid_argument if a provider's own options name another device or stream than the engine's.
TakenProviders take_providers(const ort::Runtime& runtime, ort::SessionOptions* session, const EngineOptions& options);

}  // namespace affectrt
