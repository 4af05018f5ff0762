#include "affectrt/engine/plugin.h"

#include <dlfcn.h>

#include <charconv>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "affectrt/core/error.h"
#include "affectrt/pack/text.h"

namespace affectrt {
namespace {

using ort::PluginApi;
using ort::Runtime;

struct State {
  std::mutex mutex;
  std::unique_ptr<const PluginApi> api;
  std::map<std::string, std::string> libraries;  // by the name they were registered under
};

State& state() {
  static auto* instance = new State;  // sessions on other threads may outlive static objects
  return *instance;
}

// The opened library's own list of tables.
const ort::ApiBase* base_of(const Runtime& rt) {
  void* handle = dlopen(rt.library().c_str(), RTLD_NOW | RTLD_NOLOAD);
  if (!handle) return nullptr;
  const auto get_base = reinterpret_cast<const ort::ApiBase* (*)()>(dlsym(handle, "OrtGetApiBase"));
  const ort::ApiBase* base = get_base ? get_base() : nullptr;
  dlclose(handle);  // gives back what this dlopen took; the runtime's own handle stays
  return base;
}

const PluginApi& api_locked(State& s, const Runtime& rt) {
  if (!s.api) {
    const ort::ApiBase* base = base_of(rt);
    const void* const* table = base ? base->GetApi(ort::kPluginApiVersion) : nullptr;
    if (!table)
      throw DeviceError("providers that come as a library need ONNX Runtime 1.22 or newer, found " + rt.version() + " at " + rt.library());
    s.api = std::make_unique<const PluginApi>(table);
  }
  return *s.api;
}

std::string text(const char* of) { return of ? printable(of) : std::string(); }

std::optional<int> number(const PluginApi& api, const ort::KeyValuePairs* pairs, const char* key) {
  const char* value = pairs ? api.GetKeyValue(pairs, key) : nullptr;
  if (!value) return std::nullopt;
  const std::string_view digits(value);
  int result = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), result);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return result;
}

}  // namespace

void register_provider_library(const std::string& name, const std::filesystem::path& library) {
  const Runtime& rt = Runtime::get();
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto there = s.libraries.find(name);
  if (there != s.libraries.end()) {
    if (there->second == library.string()) return;
    throw DeviceError(printable(name) + ": registered already with " + printable(there->second) + "; cannot change to " +
                      printable(library.string()));
  }
  const PluginApi& api = api_locked(s, rt);
  try {
    // The runtime hands its environment out as const; registering is the one call that changes it, and it locks for itself.
    rt.check(api.RegisterExecutionProviderLibrary(const_cast<ort::Env*>(rt.env()), name.c_str(), library.c_str()),
             "RegisterExecutionProviderLibrary");
  } catch (const EngineError& error) {
    throw DeviceError(printable(name) + ": " + error.what());
  }
  s.libraries.emplace(name, library.string());
}

std::filesystem::path provider_library(const std::string& name) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const auto found = s.libraries.find(name);
  return found == s.libraries.end() ? std::filesystem::path() : std::filesystem::path(found->second);
}

std::vector<ProviderDevice> provider_devices() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  std::vector<ProviderDevice> devices;
  if (s.libraries.empty()) return devices;
  const Runtime& rt = Runtime::get();
  const PluginApi& api = api_locked(s, rt);
  const ort::EpDevice* const* handles = nullptr;
  std::size_t count = 0;
  rt.check(api.GetEpDevices(rt.env(), &handles, &count), "GetEpDevices");
  std::map<std::pair<std::string, bool>, int> seen;
  for (std::size_t i = 0; i < count; ++i) {
    ProviderDevice device;
    device.handle = handles[i];
    device.provider = text(api.EpDevice_EpName(handles[i]));
    device.vendor = text(api.EpDevice_EpVendor(handles[i]));
    const ort::HardwareDevice* hardware = api.EpDevice_Device(handles[i]);
    device.gpu = hardware && api.HardwareDevice_Type(hardware) == ort::kGpuHardware;
    const int place = seen[{device.provider, device.gpu}]++;
    const auto told = number(api, api.EpDevice_EpMetadata(handles[i]), "cuda_device_id");
    device.ordinal = told ? *told : number(api, api.EpDevice_EpOptions(handles[i]), "device_id").value_or(place);
    devices.push_back(std::move(device));
  }
  return devices;
}

namespace ort {

const PluginApi& plugin_api(const Runtime& runtime) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  return api_locked(s, runtime);
}

}  // namespace ort
}  // namespace affectrt
