// How Python passes the options of an engine.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "affectrt/engine/engine.h"

namespace affectrt::bindings {

using ProviderList = std::vector<std::pair<std::string, std::map<std::string, std::string>>>;

EngineOptions engine_options(const ProviderList& providers, bool strict, int threads, bool spinning);

}  // namespace affectrt::bindings
