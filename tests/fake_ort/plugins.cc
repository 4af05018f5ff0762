// Providers from libraries. A library whose name ends in .fake is a text file with a device a line: provider, vendor, "gpu" or "cpu", and
// key=value pairs of its options, apart by blanks; pairs that start with "meta:" are its metadata. Any other goes to the real runtime.
#include <algorithm>
#include <fstream>
#include <sstream>

#include "state.h"

namespace fake_ort {
namespace {

struct FakeDevice {
  std::string provider, vendor;
  bool gpu = false;
  KeyValuePairs* options = nullptr;
  KeyValuePairs* metadata = nullptr;
};

void add(KeyValuePairs* pairs, const std::string& text) {
  const std::size_t equals = text.find('=');
  real().AddKeyValuePair(pairs, text.substr(0, equals).c_str(), text.substr(equals + 1).c_str());
}

KeyValuePairs* new_pairs() {
  KeyValuePairs* pairs = nullptr;
  real().CreateKeyValuePairs(&pairs);
  return pairs;
}

// Never deleted: a device lives as long as the environment.
const EpDevice* read_device(const std::string& text) {
  auto* device = new FakeDevice{"", "", false, new_pairs(), new_pairs()};
  std::istringstream words(text);
  std::string kind;
  words >> device->provider >> device->vendor >> kind;
  device->gpu = kind == "gpu";
  for (std::string word; words >> word;) {
    if (word.rfind("meta:", 0) == 0)
      add(device->metadata, word.substr(5));
    else
      add(device->options, word);
  }
  return reinterpret_cast<const EpDevice*>(device);
}

const FakeDevice* ours(const void* handle) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const bool known = std::any_of(s.ep_devices.begin(), s.ep_devices.end(), [&](const EpDevice* device) { return device == handle; });
  return known ? static_cast<const FakeDevice*>(handle) : nullptr;
}

Status* register_library(Env* env, const char* name, const char* path) {
  if (Status* refused = enter("RegisterExecutionProviderLibrary", Line().text("name", name).text("path", path))) return refused;
  const std::string file = path;
  if (!file.ends_with(".fake")) return real().plugins.RegisterExecutionProviderLibrary(env, name, path);
  std::ifstream lines(file);
  if (!lines) return refuse(file + ": cannot open shared object file");
  State& s = state();
  {
    const std::lock_guard lock(s.mutex);
    if (!s.libraries.insert(name).second) return refuse(std::string("library is already registered under ") + name);
  }
  for (std::string line; std::getline(lines, line);) {
    const EpDevice* device = read_device(line);
    const std::lock_guard lock(s.mutex);
    s.ep_devices.push_back(device);
  }
  return nullptr;
}

Status* get_devices(const Env* env, const EpDevice* const** out, std::size_t* count) {
  if (Status* refused = enter("GetEpDevices")) return refused;
  const EpDevice* const* there = nullptr;
  std::size_t number = 0;
  if (Status* status = real().plugins.GetEpDevices(env, &there, &number)) return status;
  State& s = state();
  const std::lock_guard lock(s.mutex);
  // The runtime's array lives as long as its environment, so none of ours is given back either.
  auto* all = new std::vector<const EpDevice*>(there, there + number);
  all->insert(all->end(), s.ep_devices.begin(), s.ep_devices.end());
  *out = all->data();
  *count = all->size();
  return nullptr;
}

const char* ep_name(const EpDevice* device) {
  const FakeDevice* fake = ours(device);
  return fake ? fake->provider.c_str() : real().plugins.EpDevice_EpName(device);
}

const char* ep_vendor(const EpDevice* device) {
  const FakeDevice* fake = ours(device);
  return fake ? fake->vendor.c_str() : real().plugins.EpDevice_EpVendor(device);
}

const KeyValuePairs* ep_metadata(const EpDevice* device) {
  const FakeDevice* fake = ours(device);
  return fake ? fake->metadata : real().plugins.EpDevice_EpMetadata(device);
}

const KeyValuePairs* ep_options(const EpDevice* device) {
  const FakeDevice* fake = ours(device);
  return fake ? fake->options : real().plugins.EpDevice_EpOptions(device);
}

// A device of ours is its own hardware.
const HardwareDevice* ep_hardware(const EpDevice* device) {
  return ours(device) ? reinterpret_cast<const HardwareDevice*>(device) : real().plugins.EpDevice_Device(device);
}

int hardware_type(const HardwareDevice* device) {
  const FakeDevice* fake = ours(device);
  return fake ? (fake->gpu ? kGpuHardware : kCpuHardware) : real().plugins.HardwareDevice_Type(device);
}

Status* append(SessionOptions* session, Env* env, const EpDevice* const* devices, std::size_t count, const char* const* keys,
               const char* const* values, std::size_t pairs_count) {
  const Pairs pairs = pairs_of(keys, values, pairs_count);
  const std::string name = count ? ep_name(devices[0]) : "";
  const std::string ordinal = [&] {
    const char* told = count ? real().plugins.GetKeyValue(ep_options(devices[0]), "device_id") : nullptr;
    return std::string(told ? told : "");
  }();
  if (Status* refused =
          enter("SessionOptionsAppendExecutionProvider_V2", Line().text("name", name).text("device", ordinal).pairs("options", pairs)))
    return refused;
  if (!count || !ours(devices[0]))
    return real().plugins.SessionOptionsAppendExecutionProvider_V2(session, env, devices, count, keys, values, pairs_count);
  if (Status* refused = check_keys(name, pairs, true)) return refused;
  give(session, {name, pairs, as_stream(pairs), false});
  return nullptr;
}

}  // namespace

void replace_plugins(const void** table) {
  FAKE_ORT_PUT(PluginApi, RegisterExecutionProviderLibrary, register_library);
  FAKE_ORT_PUT(PluginApi, GetEpDevices, get_devices);
  FAKE_ORT_PUT(PluginApi, EpDevice_EpName, ep_name);
  FAKE_ORT_PUT(PluginApi, EpDevice_EpVendor, ep_vendor);
  FAKE_ORT_PUT(PluginApi, EpDevice_EpMetadata, ep_metadata);
  FAKE_ORT_PUT(PluginApi, EpDevice_EpOptions, ep_options);
  FAKE_ORT_PUT(PluginApi, EpDevice_Device, ep_hardware);
  FAKE_ORT_PUT(PluginApi, HardwareDevice_Type, hardware_type);
  FAKE_ORT_PUT(PluginApi, SessionOptionsAppendExecutionProvider_V2, append);
}

}  // namespace fake_ort
