// The manifest parser: whatever comes, a manifest that survives being written and read again, or a PackError of one line of UTF-8.
#include <string>
#include <string_view>

#include "affectrt/core/error.h"
#include "affectrt/pack/pack.h"
#include "affectrt/pack/text.h"
#include "affectrt/pack/to_json.h"
#include "fuzz.h"

bool run_target(const std::uint8_t* data, std::size_t size) {
  using namespace affectrt;
  std::string text;
  try {
    text = manifest_to_json(parse_manifest({reinterpret_cast<const char*>(data), size}));
  } catch (const PackError& error) {
    const std::string said = error.what();
    require(said.starts_with("pack.json: "), "an error names the file: " + said);
    require(is_utf8(said), "an error is UTF-8");
    require(said.find_first_of("\r\n") == std::string::npos && said.size() < 2000, "an error is one short line: " + said);
    return false;
  }
  require(manifest_to_json(parse_manifest(text)) == text, "a manifest is the same after being written and read again");
  return true;
}

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  run_target(data, size);
  return 0;
}
