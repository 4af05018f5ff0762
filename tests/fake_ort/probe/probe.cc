// affectrt's Engine and Binding for Python by ctypes, with what its own bindings do not pass: a GPU's stream, and tensors at raw device
// addresses. Linked with the sources of csrc/engine into a library of its own, so that it opens the fake runtime beside the real one.
#include <cstdint>
#include <memory>
#include <string>

#include "affectrt/core/error.h"
#include "affectrt/engine/engine.h"
#include "affectrt/engine/plugin.h"
#include "affectrt/engine/session_hook.h"

#define PROBE extern "C" __attribute__((visibility("default")))

using namespace affectrt;

// The engine alone: networks here use no operators of ours.
AddedOperators affectrt::add_operators(const SessionToOpen&) { return {}; }

namespace {

thread_local std::string said;

// "KIND: text" of what was thrown; the result of a call that fails is null or 0.
template <class F>
auto guarded(F function) -> decltype(function()) {
  said.clear();
  try {
    return function();
  } catch (const DeviceError& error) {
    said = std::string("DeviceError: ") + error.what();
  } catch (const EngineError& error) {
    said = std::string("EngineError: ") + error.what();
  } catch (const std::invalid_argument& error) {
    said = std::string("ValueError: ") + error.what();
  } catch (const std::exception& error) {
    said = std::string("exception: ") + error.what();
  }
  return {};
}

const char* keep(std::string text) {
  thread_local std::string kept;
  kept = std::move(text);
  return kept.c_str();
}

// Lines of "name", each with its options as "\tkey=value".
std::vector<Provider> providers_of(const std::string& lines) {
  std::vector<Provider> providers;
  for (std::size_t at = 0; at < lines.size();) {
    const std::size_t end = std::min(lines.find('\n', at), lines.size());
    const std::string line = lines.substr(at, end - at);
    Provider provider;
    for (std::size_t from = 0; from <= line.size();) {
      const std::size_t tab = std::min(line.find('\t', from), line.size());
      const std::string part = line.substr(from, tab - from);
      if (from == 0)
        provider.name = part;
      else
        provider.options.emplace_back(part.substr(0, part.find('=')), part.substr(part.find('=') + 1));
      from = tab + 1;
    }
    providers.push_back(std::move(provider));
    at = end + 1;
  }
  return providers;
}

EngineOptions options_of(const char* providers, int strict, int ordinal, void* stream, int graphs) {
  EngineOptions options;
  options.providers = providers_of(providers);
  options.strict = strict != 0;
  options.threads = 1;
  if (ordinal >= 0) options.gpu = GpuStream{ordinal, stream, graphs != 0};
  return options;
}

}  // namespace

PROBE const char* probe_error() { return said.c_str(); }

// ordinal -1: no GPU in the options.
PROBE Engine* probe_open(const char* model, const char* providers, int strict, int ordinal, void* stream, int graphs) {
  return guarded([&] { return new Engine(model, options_of(providers, strict, ordinal, stream, graphs)); });
}
PROBE void probe_close(Engine* engine) { delete engine; }
PROBE const char* probe_provider(const Engine* engine) { return engine->provider().c_str(); }
PROBE int probe_on_gpu(const Engine* engine) { return engine->gpu().has_value(); }
PROBE int probe_has_graphs(const Engine* engine) { return engine->gpu() && engine->gpu()->graphs; }
PROBE const char* probe_fallbacks(const Engine* engine) {
  std::string text;
  for (const auto& line : engine->fallbacks()) text += line + "\n";
  return keep(text);
}
PROBE const char* probe_to_be_had(const char* providers, int strict) {
  return keep(guarded([&] {
    std::string text;
    for (const auto& name : providers_to_be_had(options_of(providers, strict, -1, nullptr, 0))) text += name + "\n";
    return text;
  }));
}

PROBE Binding* probe_binding(const Engine* engine) {
  return guarded([&] { return new Binding(*engine); });
}
PROBE void probe_unbind(Binding* binding) { delete binding; }
// 1 if it went well.
PROBE int probe_bind(Binding* binding, int input, std::size_t index, void* data, std::size_t bytes, const std::int64_t* shape,
                     std::size_t rank, int gpu) {
  return guarded([&] {
    const std::span<const std::int64_t> extents(shape, rank);
    const Memory memory = gpu ? Memory::kGpu : Memory::kHost;
    if (input)
      binding->bind_input(index, data, bytes, extents, memory);
    else
      binding->bind_output(index, data, bytes, extents, memory);
    return 1;
  });
}
PROBE int probe_run(Binding* binding, int graph) {
  return guarded([&] {
    binding->run(graph);
    return 1;
  });
}

PROBE int probe_register(const char* name, const char* library) {
  return guarded([&] {
    register_provider_library(name, library);
    return 1;
  });
}
PROBE const char* probe_devices() {
  return keep(guarded([&] {
    std::string text;
    for (const auto& device : provider_devices())
      text += device.provider + "\t" + device.vendor + "\t" + (device.gpu ? "gpu" : "cpu") + "\t" + std::to_string(device.ordinal) + "\n";
    return text;
  }));
}
