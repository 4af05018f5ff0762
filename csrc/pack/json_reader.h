// JSON read strictly: what nlohmann-json accepts, less duplicate keys, deep nesting and giant texts; then values taken out one by one, each
// with its type and range, so that an error names the place ("files[2].sha256"), what was expected and what came.
#pragma once

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace affectrt {

inline constexpr std::size_t kMaxManifestBytes = 1 << 20;
inline constexpr int kMaxJsonDepth = 16;

// Throws PackError.
nlohmann::json parse_strict_json(std::string_view text);

[[noreturn]] void fail_manifest(const std::string& where, const std::string& expected, const std::string& got);

// One value and where it stands.
class JsonValue {
 public:
  JsonValue(const nlohmann::json& value, std::string where) : value_(&value), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  // The value as an error message shows it.
  std::string shown() const;
  [[noreturn]] void fail(const std::string& expected) const { fail_manifest(where_, expected, shown()); }

  bool boolean() const;
  std::int64_t integer(std::int64_t least, std::int64_t most) const;
  double number(double least, double most) const;
  float real(double least, double most) const { return static_cast<float>(number(least, most)); }
  // Not empty; no control characters (`multi_line`: but for line breaks and tabs); at most 16 KiB.
  std::string text(bool multi_line = false) const;
  std::string path() const;
  std::string sha256() const;
  // One of `names`; returns its index.
  std::size_t one_of(const std::vector<std::string_view>& names) const;
  std::vector<JsonValue> array(std::size_t least, std::size_t most) const;
  bool is_object() const { return value_->is_object(); }
  const nlohmann::json& raw() const { return *value_; }

 private:
  const nlohmann::json* value_;
  std::string where_;
};

// An object whose every key must be asked for: `done` fails on one that was not.
class JsonObject {
 public:
  explicit JsonObject(const JsonValue& value);

  bool has(const std::string& key);
  JsonValue at(const std::string& key);  // fails if missing
  void done() const;

 private:
  const nlohmann::json* object_;
  std::string where_;
  std::set<std::string> known_;
};

}  // namespace affectrt
