#include "affectrt/face/contract.h"

#include <algorithm>

namespace affectrt {

void expect_task(const Manifest& manifest, Task task, const char* name) {
  if (manifest.task != task) throw PackError(manifest.name + ": expected a pack for " + name);
}

const Output& output_of(const Manifest& manifest, OutputKind kind, const char* name) {
  for (const auto& output : manifest.outputs)
    if (output.kind == kind) return output;
  throw PackError(manifest.name + ": expected an output of kind " + name);
}

std::unique_ptr<Engine> open_network(const Pack& pack, const std::string& precision, const EngineOptions& options) {
  const Variant& variant = pack.variant(precision);
  const auto& needed = variant.requires_providers;
  const auto asked_for = [&](const std::string& name) {
    if (options.providers.empty()) return name == "CPUExecutionProvider";
    return std::any_of(options.providers.begin(), options.providers.end(), [&](const Provider& p) { return p.name == name; });
  };
  if (!needed.empty() && std::none_of(needed.begin(), needed.end(), asked_for)) {
    std::string names;
    for (const auto& name : needed) names += (names.empty() ? "" : " or ") + name;
    throw DeviceError(pack.manifest().name + ": variant " + variant.name + " needs " + names +
                      ", which was not asked for; choose another precision");
  }
  auto engine = std::make_unique<Engine>(pack.file(variant.file), options);
  for (const auto* specs : {&engine->inputs(), &engine->outputs()})
    for (const auto& spec : *specs)
      if (spec.type != DataType::kFloat32)
        throw PackError(pack.manifest().name + ": tensor '" + spec.name + "' of its network is " + name_of(spec.type) +
                        ", expected float32");
  return engine;
}

std::size_t input_index(const Engine& engine, const Manifest& manifest, const std::string& tensor) {
  try {
    return engine.input(tensor);
  } catch (const EngineError& error) {
    throw PackError(manifest.name + ": " + error.what());
  }
}

std::size_t output_index(const Engine& engine, const Manifest& manifest, const std::string& tensor) {
  try {
    return engine.output(tensor);
  } catch (const EngineError& error) {
    throw PackError(manifest.name + ": " + error.what());
  }
}

}  // namespace affectrt
