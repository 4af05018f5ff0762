// Opening a pack: parse, check every path, size and hash, and only then hand anything out.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "affectrt/pack/manifest.h"

namespace affectrt {

// Throws PackError naming the JSON path, what was expected and what came.
Manifest parse_manifest(std::string_view json);

enum class Check {
  kFull,       // paths, kinds, sizes and SHA-256 of every carried file
  kStructure,  // everything but the hashes: for listing
};

class Pack {
 public:
  // `folder` holds pack.json. Remote files are looked for under `remote_files`/<sha256>/<file name> (empty: not resolved).
  static Pack open(const std::filesystem::path& folder, Check check = Check::kFull, const std::filesystem::path& remote_files = {});

  const Manifest& manifest() const { return manifest_; }
  const std::filesystem::path& folder() const { return folder_; }

  // Absolute path of a listed file. Throws PackError if it is not listed, or remote and not pulled (the text says how to pull it).
  std::filesystem::path file(const std::string& path) const;

  // By name, or by precision ("fp32", "int8", ...), or the first for "auto". Throws PackError listing what there is.
  const Variant& variant(const std::string& wanted) const;

 private:
  Manifest manifest_;
  std::filesystem::path folder_;
  std::filesystem::path remote_files_;
};

}  // namespace affectrt
