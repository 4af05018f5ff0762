// The scan for external data in ONNX files: whatever comes, a set of locations or a PackError.
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "affectrt/core/error.h"
#include "affectrt/pack/file.h"
#include "affectrt/pack/onnx_scan.h"
#include "affectrt/pack/text.h"
#include "fuzz.h"

namespace {

// One file in memory, written anew for each input.
class Scratch {
 public:
  Scratch() {
    const auto base = std::filesystem::exists("/dev/shm") ? std::filesystem::path("/dev/shm") : std::filesystem::temp_directory_path();
    std::string name = (base / "affectrt-fuzz-XXXXXX").string();
    require(::mkdtemp(name.data()) != nullptr, "a scratch folder can be made");
    folder_ = name;
  }
  ~Scratch() { std::filesystem::remove_all(folder_); }
  const std::filesystem::path& write(const std::uint8_t* data, std::size_t size) {
    std::ofstream out(folder_ / "model.onnx", std::ios::binary | std::ios::trunc);
    out.write(reinterpret_cast<const char*>(data), static_cast<std::streamsize>(size));
    return folder_;
  }

 private:
  std::filesystem::path folder_;
};

}  // namespace

bool run_target(const std::uint8_t* data, std::size_t size) {
  static Scratch scratch;
  const affectrt::File file(scratch.write(data, size), "model.onnx", "model.onnx");
  try {
    affectrt::operator_domains_of(file);
  } catch (const affectrt::PackError& error) {
    require(affectrt::is_utf8(error.what()), "an error is UTF-8");
  }
  try {
    affectrt::external_data_of(file);
  } catch (const affectrt::PackError& error) {
    require(affectrt::is_utf8(error.what()), "an error is UTF-8");
    return false;
  }
  return true;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  run_target(data, size);
  return 0;
}
