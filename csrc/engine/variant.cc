#include "affectrt/engine/variant.h"

#include <algorithm>

#include "affectrt/core/error.h"
#include "affectrt/engine/profile.h"
#include "affectrt/engine/providers.h"

namespace affectrt {
namespace {

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
  if (names.empty()) names.push_back(kCpuProvider);
  return names;
}

// The network of a variant with those providers that stand from `first` on in what was asked for.
OpenedVariant open_from(const Pack& pack, const Variant& variant, const EngineOptions& options, const std::string& first) {
  EngineOptions chosen = options;
  const auto at = std::find_if(chosen.providers.begin(), chosen.providers.end(), [&](const Provider& p) { return p.name == first; });
  if (at != chosen.providers.end()) chosen.providers.erase(chosen.providers.begin(), at);
  return {variant.name, std::make_unique<Engine>(pack.file(variant.file), chosen)};
}

OpenedVariant open_first(const Pack& pack, const EngineOptions& options) {
  const auto& variants = pack.manifest().variants;
  const auto there = providers_to_be_had(options);
  for (const std::string& provider : there)
    for (const Variant& variant : variants) {
      const auto& needed = variant.requires_providers;
      if (!needed.empty() && !among(needed, provider)) continue;
      if (provider == there.front()) return {variant.name, std::make_unique<Engine>(pack.file(variant.file), options)};
      if (options.strict) break;
      auto opened = open_from(pack, variant, options, provider);
      opened.engine->add_fallback(there.front() + ": no variant of " + pack.manifest().name + " runs with it");
      return opened;
    }
  std::string lacking;
  for (const Variant& variant : variants) lacking += "; variant " + variant.name + " needs " + joined(variant.requires_providers, " or ");
  throw DeviceError(pack.manifest().name + ": no variant runs with " + joined(there, ", ") + lacking);
}

}  // namespace

OpenedVariant open_variant(const Pack& pack, const std::string& wanted, const EngineOptions& given) {
  const EngineOptions options = with_shape_ranges(given, pack.manifest());
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
