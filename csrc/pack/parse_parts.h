// The parts of parse_manifest. Each reads one section of pack.json and throws PackError.
#pragma once

#include "affectrt/pack/json_reader.h"
#include "affectrt/pack/manifest.h"

namespace affectrt {

// The names that the manifest uses for the enumerations, in the order of the enumerators.
extern const std::vector<std::string_view> kTaskNames, kLayoutNames, kColorOrderNames, kFitNames, kOutputKindNames, kActivationNames,
    kPoolingNames, kFrameColorNames, kKeyPointNames, kFormatNames, kPrecisionNames;

// parse_contract.cc
Input parse_input(const JsonValue& value);
Output parse_output(const JsonValue& value);
Decode parse_decode(const JsonValue& value, Task task);
std::vector<Label> parse_labels(const JsonValue& value);

// check_manifest.cc: what must agree between sections (labels and output shape, files and everything that names one, ...).
void check_manifest(const Manifest& manifest);

}  // namespace affectrt
