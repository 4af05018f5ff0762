// Providers that come as libraries of their own ("plugin execution providers", ONNX Runtime 1.22 and newer).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "affectrt/engine/ort_api.h"

namespace affectrt {

// A device that a registered library offers.
struct ProviderDevice {
  std::string provider;  // as sessions name it, e.g. "NvTensorRTRTXExecutionProvider"
  std::string vendor;
  bool gpu = false;
  int ordinal = 0;  // what the provider itself says, else its place among the provider's devices of this kind
  const ort::EpDevice* handle = nullptr;
};

// Loads a provider's library into the process, for good: from then on sessions find its providers by their names. `name` is what ONNX
// Runtime calls the library; by convention the provider's name. The same pair again changes nothing. Throws DeviceError if the library
// cannot be loaded, another has that name, or ONNX Runtime is older than 1.22; EngineError if there is no ONNX Runtime.
void register_provider_library(const std::string& name, const std::filesystem::path& library);

// The library that was registered under a name; empty if none was.
std::filesystem::path provider_library(const std::string& name);

// What the registered libraries offer, beside what the runtime has by itself; empty where none was registered. Throws EngineError.
std::vector<ProviderDevice> provider_devices();

namespace ort {

// The functions for plugins. Throws DeviceError if the library is too old to have them.
const PluginApi& plugin_api(const Runtime& runtime);

}  // namespace ort
}  // namespace affectrt
