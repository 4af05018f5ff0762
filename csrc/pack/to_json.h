// A manifest back as JSON: the same keys in the order of docs/pack-format.md, nothing in it that the parser has not checked.
#pragma once

#include <string>

#include "affectrt/pack/manifest.h"

namespace affectrt {

std::string manifest_to_json(const Manifest& manifest);

}  // namespace affectrt
