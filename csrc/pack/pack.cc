#include "affectrt/pack/pack.h"

#include <algorithm>
#include <set>

#include "affectrt/core/error.h"
#include "affectrt/pack/file.h"
#include "affectrt/pack/json_reader.h"
#include "affectrt/pack/onnx_scan.h"
#include "affectrt/pack/text.h"

namespace affectrt {
namespace {

namespace fs = std::filesystem;

std::string name_in(const Manifest& manifest, const std::string& path) { return "pack " + manifest.name + ": " + printable(path); }

fs::path remote_folder(const fs::path& remote_files, const PackFile& file) { return remote_files / file.sha256; }

std::string read_manifest(const fs::path& folder) {
  const File file(folder, "pack.json", "pack.json in " + in_quotes(folder.string()));
  if (file.size() > kMaxManifestBytes) {
    throw PackError(file.shown() + ": expected at most " + std::to_string(kMaxManifestBytes) + " bytes, got " +
                    std::to_string(file.size()));
  }
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  text.resize(file.read(0, text.data(), text.size()));
  return text;
}

// Everything in the folder must be listed, or be a folder on the way to something listed.
void check_nothing_else(const Manifest& manifest, const fs::path& folder) {
  std::set<std::string> files = {"pack.json"}, folders;
  for (const PackFile& file : manifest.files) {
    files.insert(file.path);
    for (std::size_t slash = file.path.find('/'); slash != std::string::npos; slash = file.path.find('/', slash + 1)) {
      folders.insert(file.path.substr(0, slash));
    }
  }
  std::error_code error;
  fs::recursive_directory_iterator entry(folder, error);
  for (; !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    const std::string path = entry->path().lexically_relative(folder).generic_string();
    const fs::file_status status = entry->symlink_status(error);
    if (error) break;
    const std::string shown = name_in(manifest, path);
    if (fs::is_symlink(status)) throw PackError(shown + ": expected a regular file or folder, got a symbolic link");
    if (fs::is_directory(status) ? !folders.contains(path) : !files.contains(path)) {
      throw PackError(shown + ": expected only what pack.json lists under files, got this " +
                      (fs::is_directory(status) ? "folder" : "file") + " too");
    }
  }
  if (error) throw PackError("pack " + manifest.name + ": its folder cannot be read: " + error.message());
}

void check_external_data(const Manifest& manifest, const PackFile& model, const File& file) {
  for (const std::string& location : external_data_of(file)) {
    std::string why;
    // ONNX counts the location from the folder of the model.
    const std::string target = model.path.substr(0, model.path.size() - file_name(model.path).size()) + location;
    if (!is_pack_path(location, &why)) {
      throw PackError(file.shown() + ": expected external data inside the pack, got " + in_quotes(location) + ": " + why);
    }
    const auto listed = std::find_if(manifest.files.begin(), manifest.files.end(), [&](const PackFile& f) { return f.path == target; });
    if (listed == manifest.files.end()) {
      throw PackError(file.shown() + ": expected external data that is listed under files, got " + in_quotes(location));
    }
    if (model.remote || listed->remote) {
      throw PackError(file.shown() + ": expected no external data where one of the two files is remote, got " + in_quotes(location));
    }
  }
}

void check_content(const Manifest& manifest, const PackFile& listed, const File& file, Check check) {
  const auto wrong = [&](const std::string& what, const std::string& expected, const std::string& got) {
    throw PackError(file.shown() + ": expected " + what + " " + expected + ", got " + got +
                    (listed.remote ? "; run: affectrt packs pull " + manifest.name : ""));
  };
  if (file.size() != listed.size_bytes) wrong("a size in bytes of", std::to_string(listed.size_bytes), std::to_string(file.size()));
  if (check == Check::kFull) {
    if (const std::string hash = file.sha256(); hash != listed.sha256) wrong("SHA-256", listed.sha256, hash);
  }
  for (const Variant& variant : manifest.variants) {
    if (variant.file != listed.path) continue;
    if (variant.format == "onnx") {
      check_external_data(manifest, listed, file);
    } else {
      char magic[4] = {};
      file.read(0, magic, sizeof magic);
      if (std::string_view(magic, 4) != "GGUF")
        throw PackError(file.shown() + ": expected a GGUF file, got one that begins " + in_quotes({magic, 4}));
    }
    break;
  }
}

}  // namespace

Pack Pack::open(const fs::path& folder, Check check, const fs::path& remote_files) {
  std::error_code error;
  const fs::path real = fs::canonical(folder, error);  // links on the way to the pack are the user's own business; inside it there are none
  if (error) throw PackError("pack folder " + in_quotes(folder.string()) + ": " + error.message());
  if (!fs::is_directory(real, error)) throw PackError("pack folder " + in_quotes(folder.string()) + ": expected a folder, got a file");
  Pack pack;
  pack.folder_ = real;
  if (!remote_files.empty()) pack.remote_files_ = fs::absolute(remote_files, error);
  pack.manifest_ = parse_manifest(read_manifest(real));
  const Manifest& manifest = pack.manifest_;
  check_nothing_else(manifest, real);
  for (const PackFile& listed : manifest.files) {
    if (!listed.remote) {
      check_content(manifest, listed, File(real, listed.path, name_in(manifest, listed.path)), check);
      continue;
    }
    if (fs::exists(fs::symlink_status(real / listed.path, error))) {
      throw PackError(name_in(manifest, listed.path) + ": expected no file, as it is remote, got one in the folder of the pack");
    }
    if (pack.remote_files_.empty()) continue;
    const std::string name(file_name(listed.path));
    const fs::path pulled = remote_folder(pack.remote_files_, listed);
    if (!fs::exists(fs::symlink_status(pulled / name, error))) continue;  // not pulled yet: file() says how
    check_content(manifest, listed, File(pulled, name, "pack " + manifest.name + ": pulled file " + in_quotes((pulled / name).string())),
                  check);
  }
  return pack;
}

fs::path Pack::file(const std::string& path) const {
  const auto found = std::find_if(manifest_.files.begin(), manifest_.files.end(), [&](const PackFile& f) { return f.path == path; });
  if (found == manifest_.files.end()) {
    throw PackError("pack " + manifest_.name + ": expected a file listed in pack.json, got " + in_quotes(path));
  }
  if (!found->remote) return folder_ / path;
  const fs::path pulled = remote_files_.empty() ? fs::path() : remote_folder(remote_files_, *found) / file_name(path);
  std::error_code error;
  const auto size = pulled.empty() ? 0 : fs::file_size(pulled, error);
  if (pulled.empty() || error) {
    throw PackError(name_in(manifest_, path) + " is not carried in the pack and has not been pulled yet (" +
                    std::to_string(found->size_bytes >> 20) + " MiB from " + printable(*found->remote) + "); run: affectrt packs pull " +
                    manifest_.name);
  }
  if (size != found->size_bytes) {
    throw PackError(name_in(manifest_, path) + ": expected " + std::to_string(found->size_bytes) + " bytes, got " + std::to_string(size) +
                    "; remove " + in_quotes(pulled.string()) + " and run: affectrt packs pull " + manifest_.name);
  }
  return pulled;
}

const Variant& Pack::variant(const std::string& wanted) const {
  if (wanted == "auto") return manifest_.variants.front();
  for (const Variant& variant : manifest_.variants) {
    if (variant.name == wanted) return variant;
  }
  std::string all;
  for (const Variant& variant : manifest_.variants) {
    if (variant.precision == wanted) return variant;
    all += (all.empty() ? "" : ", ") + variant.name + " (" + variant.precision + ")";
  }
  throw PackError("pack " + manifest_.name + ": expected one of the variants " + all + ", got " + in_quotes(wanted));
}

}  // namespace affectrt
