// pack.json -> Manifest: identity, files, variants, golden vectors. The contract is read in parse_contract.cc; check_manifest.cc compares
// sections.
#include <algorithm>

#include "affectrt/core/error.h"
#include "affectrt/pack/pack.h"
#include "affectrt/pack/parse_parts.h"
#include "affectrt/pack/text.h"

namespace affectrt {

const std::vector<std::string_view> kTaskNames = {"face-detection", "face-landmarks", "face-blendshapes", "face-expression", "text-emotion",
                                                  "text-embedding", "text-span",      "text-pair",        "dialogue"};
const std::vector<std::string_view> kFormatNames = {"onnx", "gguf"};
const std::vector<std::string_view> kPrecisionNames = {"fp32", "fp16", "int8", "int4", "q8_0", "q6_k", "q5_k_m", "q4_k_m", "q4_0", "q4_1"};

namespace {

constexpr int kFormatVersion = 1;
constexpr std::int64_t kMaxFileBytes = std::int64_t{1} << 46;

std::string parse_name(const JsonValue& value) {
  const std::string name = value.text();
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good =
      name.size() <= 64 && alnum(name[0]) && std::all_of(name.begin(), name.end(), [&](char c) { return alnum(c) || c == '-'; });
  if (!good) value.fail("a name of lower-case letters, digits and -, at most 64, a letter or digit first");
  return name;
}

// Names of variants and golden vectors: as a pack name, but with _ and . too.
std::string parse_short_name(const JsonValue& value) {
  const std::string name = value.text();
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  if (name.size() > 64 || !std::all_of(name.begin(), name.end(), good)) value.fail("a name of letters, digits, -, _ and ., at most 64");
  return name;
}

std::string parse_version(const JsonValue& value) {
  const std::string version = value.text();
  int dots = 0, digits = 0;
  bool good = version.size() <= 32;
  for (std::size_t i = 0; i < version.size() && good; ++i) {
    if (version[i] == '.') {
      good = digits > 0;
      digits = 0, ++dots;
    } else {
      good = version[i] >= '0' && version[i] <= '9' && !(digits == 1 && version[i - 1] == '0');  // no leading zero
      ++digits;
    }
  }
  if (!good || dots != 2 || digits == 0) value.fail("MAJOR.MINOR.PATCH");
  return version;
}

// An SPDX id or expression. The two SPDX words for "nobody knows" are no licence.
std::string parse_license(const JsonValue& value) {
  const std::string license = value.text();
  const auto good = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view(" .-+()").find(c) != std::string_view::npos;
  };
  std::string upper = license;
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c); });
  if (license.size() > 200 || !std::all_of(license.begin(), license.end(), good) || upper == "NONE" || upper == "NOASSERTION" ||
      upper == "UNKNOWN") {
    value.fail("an SPDX licence id such as MIT or Apache-2.0");
  }
  return license;
}

std::vector<Source> parse_sources(const JsonValue& value) {
  std::vector<Source> sources;
  for (const JsonValue& element : value.array(1, 256)) {
    JsonObject object(element);
    Source& source = sources.emplace_back();
    source.what = object.at("what").text();
    source.origin = object.at("origin").text();
    source.license = parse_license(object.at("license"));
    if (object.has("sha256")) source.sha256 = object.at("sha256").sha256();
    object.done();
  }
  return sources;
}

std::vector<PackFile> parse_files(const JsonValue& value) {
  std::vector<PackFile> files;
  std::set<std::string> seen;
  for (const JsonValue& element : value.array(1, 4096)) {
    JsonObject object(element);
    PackFile& file = files.emplace_back();
    const JsonValue path = object.at("path");
    file.path = path.path();
    if (file.path == "pack.json") path.fail("a file other than pack.json");
    if (!seen.insert(file.path).second) path.fail("every path once");
    file.size_bytes = static_cast<std::uint64_t>(object.at("size_bytes").integer(0, kMaxFileBytes));
    file.sha256 = object.at("sha256").sha256();
    if (object.has("remote")) file.remote = object.at("remote").text();
    object.done();
  }
  return files;
}

Measurement parse_measurement(const JsonValue& value) {
  constexpr double kAny = 1e300;
  JsonObject object(value);
  Measurement measured;
  measured.metric = object.at("metric").text();
  measured.data = object.at("data").text();
  measured.value = object.at("value").number(-kAny, kAny);
  if (object.has("reference")) measured.reference = object.at("reference").number(-kAny, kAny);
  if (object.has("machine")) measured.machine = object.at("machine").text();
  if (object.has("command")) measured.command = object.at("command").text();
  object.done();
  return measured;
}

std::vector<Variant> parse_variants(const JsonValue& value) {
  std::vector<Variant> variants;
  std::set<std::string> seen;
  for (const JsonValue& element : value.array(1, 64)) {
    JsonObject object(element);
    Variant& variant = variants.emplace_back();
    const JsonValue name = object.at("name");
    variant.name = parse_short_name(name);
    if (variant.name == "auto") name.fail("a name other than auto, which means the first variant");
    if (!seen.insert(variant.name).second) name.fail("every variant name once");
    variant.file = object.at("file").path();
    variant.format = kFormatNames[object.at("format").one_of(kFormatNames)];
    variant.precision = kPrecisionNames[object.at("precision").one_of(kPrecisionNames)];
    variant.golden_tolerance_abs = object.at("golden_tolerance_abs").real(0.0, 1e6);
    for (const JsonValue& provider : object.at("requires").array(0, 16)) variant.requires_providers.push_back(parse_short_name(provider));
    for (const JsonValue& measured : object.at("measured").array(0, 256)) variant.measured.push_back(parse_measurement(measured));
    object.done();
  }
  return variants;
}

std::vector<Golden> parse_golden(const JsonValue& value) {
  std::vector<Golden> golden;
  std::set<std::string> seen;
  for (const JsonValue& element : value.array(1, 1024)) {
    JsonObject object(element);
    Golden& vector = golden.emplace_back();
    const JsonValue name = object.at("name");
    vector.name = parse_short_name(name);
    if (!seen.insert(vector.name).second) name.fail("every golden name once");
    JsonObject input(object.at("input"));
    if (input.has("image")) {
      vector.input["image"] = input.at("image").path();
      vector.input["color"] = kFrameColorNames[input.at("color").one_of(kFrameColorNames)];
    } else if (input.has("text")) {
      vector.input["text"] = input.at("text").text(true);
      if (input.has("question")) vector.input["question"] = input.at("question").text(true);
    } else {
      vector.input["points"] = input.at("points").path();
    }
    input.done();
    const JsonValue expected_value = object.at("expected");
    JsonObject expected(expected_value);
    for (const char* result : {"detections", "probs", "landmarks", "scores", "embedding", "logits", "tokens"}) {
      if (expected.has(result)) vector.expected[result] = expected.at(result).path();
    }
    expected.done();
    object.done();
  }
  return golden;
}

}  // namespace

Manifest parse_manifest(std::string_view text) {
  const nlohmann::json json = parse_strict_json(text);
  JsonObject object(JsonValue(json, ""));
  Manifest manifest;
  object.at("format").one_of({"affectrt-pack"});
  // Before anything else: a newer format may mean anything by its keys.
  const JsonValue version = object.at("format_version");
  manifest.format_version = static_cast<int>(version.integer(1, 1'000'000));
  if (manifest.format_version > kFormatVersion) {
    throw PackError("pack.json: format_version: expected " + std::to_string(kFormatVersion) + ", got " + version.shown() +
                    ": the pack was written for a newer affectrt; upgrade it (pip install --upgrade affectrt)");
  }
  manifest.name = parse_name(object.at("name"));
  manifest.version = parse_version(object.at("version"));
  manifest.task = static_cast<Task>(object.at("task").one_of(kTaskNames));
  manifest.description = object.at("description").text();
  JsonObject license(object.at("license"));
  manifest.license_code = parse_license(license.at("code"));
  manifest.license_weights = parse_license(license.at("weights"));
  license.done();
  manifest.source = parse_sources(object.at("source"));
  manifest.card = object.at("card").path();
  manifest.intended_use = object.at("intended_use").text(true);
  for (const JsonValue& limit : object.at("known_limits").array(1, 256)) manifest.known_limits.push_back(limit.text(true));
  if (object.has("recipe")) manifest.recipe = object.at("recipe").text();
  manifest.files = parse_files(object.at("files"));
  for (const JsonValue& input : object.at("inputs").array(1, 16)) manifest.inputs.push_back(parse_input(input));
  for (const JsonValue& output : object.at("outputs").array(0, 64)) manifest.outputs.push_back(parse_output(output));
  manifest.labels = parse_labels(object.at("labels"));
  manifest.decode = parse_decode(object.at("decode"), manifest.task);
  manifest.variants = parse_variants(object.at("variants"));
  manifest.golden = parse_golden(object.at("golden"));
  object.done();
  check_manifest(manifest);
  return manifest;
}

}  // namespace affectrt
