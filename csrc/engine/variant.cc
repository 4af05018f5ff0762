#include "affectrt/engine/variant.h"

#include <algorithm>

#include "affectrt/core/error.h"

namespace affectrt {
namespace {

constexpr const char* kCpu = "CPUExecutionProvider";

bool among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

bool any_among(const std::vector<std::string>& names, const std::vector<std::string>& wanted) {
  return std::any_of(wanted.begin(), wanted.end(), [&](const std::string& name) { return among(names, name); });
}

std::string joined(const std::vector<std::string>& names, const char* between) {
  std::string all;
  for (const auto& name : names) all += (all.empty() ? "" : between) + name;
  return all;
}

std::vector<std::string> asked_for(const EngineOptions& options) {
  std::vector<std::string> names;
  for (const auto& provider : options.providers) names.push_back(provider.name);
  if (names.empty()) names.push_back(kCpu);
  return names;
}

OpenedVariant open_first(const Pack& pack, const EngineOptions& options) {
  const auto there = providers_to_be_had(options);
  std::string lacking;
  for (const Variant& variant : pack.manifest().variants) {
    const auto& needed = variant.requires_providers;
    if (needed.empty() || any_among(there, needed)) return {variant.name, std::make_unique<Engine>(pack.file(variant.file), options)};
    lacking += "; variant " + variant.name + " needs " + joined(needed, " or ");
  }
  throw DeviceError(pack.manifest().name + ": no variant runs with " + joined(there, ", ") + lacking);
}

}  // namespace

OpenedVariant open_variant(const Pack& pack, const std::string& wanted, const EngineOptions& options) {
  if (wanted == "auto") return open_first(pack, options);
  const Variant& variant = pack.variant(wanted);
  const auto& needed = variant.requires_providers;
  if (!needed.empty() && !any_among(asked_for(options), needed)) {
    throw DeviceError(pack.manifest().name + ": variant " + variant.name + " needs " + joined(needed, " or ") +
                      ", which was not asked for; choose another precision");
  }
  return {variant.name, std::make_unique<Engine>(pack.file(variant.file), options)};
}

}  // namespace affectrt
