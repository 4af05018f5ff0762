// What an ONNX file refers to outside itself, found without loading it.
#pragma once

#include <set>
#include <string>

#include "affectrt/pack/file.h"

namespace affectrt {

// The `location` of every tensor whose data lies outside the file, as it is written there. Reads the structure of the protobuf and skips
// the data. Throws PackError if the file is no protobuf of a model.
std::set<std::string> external_data_of(const File& file);

// The domains of operators that the model and its functions say they use; "" is ONNX's own. Reads a few hundred bytes, and skips the graph.
// Throws PackError as above.
std::set<std::string> operator_domains_of(const File& file);

}  // namespace affectrt
