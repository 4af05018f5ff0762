#include "affectrt/face/contract.h"

#include "affectrt/engine/variant.h"

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
  auto engine = open_variant(pack, precision, options).engine;
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
