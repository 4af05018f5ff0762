#include "affectrt/pack/json_reader.h"

#include <cmath>
#include <utility>

#include "affectrt/core/error.h"
#include "affectrt/pack/text.h"

namespace affectrt {
namespace {

using nlohmann::json;

// What nlohmann-json says, without its own name and made safe to show: it quotes the input as it came.
std::string library_reason(const json::exception& error) {
  std::string_view text = error.what();
  if (const std::size_t end = text.find("] "); end != std::string_view::npos) text.remove_prefix(end + 2);
  return printable(text);
}

std::string child(const std::string& where, const std::string& key) {
  return where.empty() ? printable(key) : where + "." + printable(key);
}

}  // namespace

void fail_manifest(const std::string& where, const std::string& expected, const std::string& got) {
  throw PackError("pack.json: " + (where.empty() ? std::string("top level") : where) + ": expected " + expected + ", got " + got);
}

json parse_strict_json(std::string_view text) {
  if (text.size() > kMaxManifestBytes) {
    throw PackError("pack.json: expected at most " + std::to_string(kMaxManifestBytes) + " bytes, got " + std::to_string(text.size()));
  }
  std::vector<std::set<std::string>> keys;  // of each object that is open
  const auto watch = [&](int depth, json::parse_event_t event, json& parsed) {
    switch (event) {
      case json::parse_event_t::object_start:
        keys.emplace_back();
        [[fallthrough]];
      case json::parse_event_t::array_start:
        if (depth >= kMaxJsonDepth) {
          throw PackError("pack.json: expected at most " + std::to_string(kMaxJsonDepth) + " levels of nesting, got more");
        }
        break;
      case json::parse_event_t::key:
        if (!keys.back().insert(parsed.get_ref<const std::string&>()).second) {
          throw PackError("pack.json: expected every key once, got " + in_quotes(parsed.get_ref<const std::string&>()) +
                          " twice in one object");
        }
        break;
      case json::parse_event_t::object_end:
        keys.pop_back();
        break;
      default:
        break;
    }
    return true;
  };
  try {
    return json::parse(text.begin(), text.end(), watch);
  } catch (const json::exception& error) {
    throw PackError("pack.json: expected UTF-8 JSON, got: " + library_reason(error));
  }
}

std::string JsonValue::shown() const {
  if (value_->is_string()) return in_quotes(value_->get_ref<const std::string&>());
  if (value_->is_object()) return "an object";
  if (value_->is_array()) return "an array of " + std::to_string(value_->size());
  return value_->dump();
}

bool JsonValue::boolean() const {
  if (!value_->is_boolean()) fail("true or false");
  return value_->get<bool>();
}

std::int64_t JsonValue::integer(std::int64_t least, std::int64_t most) const {
  const auto wrong = [&]() { fail("an integer in [" + std::to_string(least) + ", " + std::to_string(most) + "]"); };
  if (!value_->is_number_integer()) wrong();
  if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX)) wrong();
  const auto number = value_->get<std::int64_t>();
  if (number < least || number > most) wrong();
  return number;
}

double JsonValue::number(double least, double most) const {
  const auto wrong = [&]() { fail("a number in [" + json(least).dump() + ", " + json(most).dump() + "]"); };
  if (!value_->is_number()) wrong();
  const auto number = value_->get<double>();
  if (!std::isfinite(number) || number < least || number > most) wrong();
  return number;
}

std::string JsonValue::text(bool multi_line) const {
  if (!value_->is_string()) fail("a text");
  const auto& text = value_->get_ref<const std::string&>();
  if (text.empty() || text.find_first_not_of(" \t\r\n") == std::string::npos) fail("a text that is not empty");
  if (text.size() > 16384) fail("a text of at most 16384 bytes");
  for (const char c : text) {
    const bool line = c == '\n' || c == '\r' || c == '\t';
    if ((static_cast<unsigned char>(c) < 0x20 && !(multi_line && line)) || c == 0x7f) {
      fail(multi_line ? "a text without control characters" : "one line without control characters");
    }
  }
  return text;
}

std::string JsonValue::path() const {
  if (!value_->is_string()) fail("a path");
  const auto& text = value_->get_ref<const std::string&>();
  std::string why;
  if (!is_pack_path(text, &why)) fail_manifest(where_, "a relative path inside the pack", shown() + ": " + why);
  return text;
}

std::string JsonValue::sha256() const {
  if (!value_->is_string() || !is_lower_hex64(value_->get_ref<const std::string&>())) fail("64 lower-case hex digits");
  return value_->get<std::string>();
}

std::size_t JsonValue::one_of(const std::vector<std::string_view>& names) const {
  std::string all;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (value_->is_string() && value_->get_ref<const std::string&>() == names[i]) return i;
    all += (i == 0 ? "" : " | ") + std::string(names[i]);
  }
  fail(all);
}

std::vector<JsonValue> JsonValue::array(std::size_t least, std::size_t most) const {
  if (!value_->is_array()) fail("an array");
  if (value_->size() < least || value_->size() > most) {
    fail(least == most ? "an array of " + std::to_string(least)
                       : "an array of " + std::to_string(least) + " to " + std::to_string(most) + " elements");
  }
  std::vector<JsonValue> elements;
  elements.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i) elements.emplace_back((*value_)[i], where_ + "[" + std::to_string(i) + "]");
  return elements;
}

JsonObject::JsonObject(const JsonValue& value) : object_(&value.raw()), where_(value.where()) {
  if (!value.is_object()) value.fail("an object");
}

bool JsonObject::has(const std::string& key) {
  known_.insert(key);
  return object_->contains(key);
}

JsonValue JsonObject::at(const std::string& key) {
  if (!has(key)) fail_manifest(child(where_, key), "this key", "none");
  return {object_->at(key), child(where_, key)};
}

void JsonObject::done() const {
  for (const auto& [key, value] : object_->items()) {
    if (known_.contains(key)) continue;
    std::string all;
    for (const std::string& name : known_) all += (all.empty() ? "" : ", ") + name;
    fail_manifest(where_, "only the keys " + all, "the unknown key " + in_quotes(key));
  }
}

}  // namespace affectrt
