#include "affectrt/pack/text.h"

#include <algorithm>
#include <cstddef>

namespace affectrt {
namespace {

// Length of the UTF-8 sequence at the start of `text`, or 0 if it is none (overlong forms, surrogates and values over U+10FFFF included).
std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xc2 && first <= 0xdf   ? 2
                             : first >= 0xe0 && first <= 0xef ? 3
                             : first >= 0xf0 && first <= 0xf4 ? 4
                                                              : 0;
  if (length == 0 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool wrong = (first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f) || (first == 0xf0 && second < 0x90) ||
                     (first == 0xf4 && second > 0x8f);
  return wrong ? 0 : length;
}

bool is_control(unsigned char c) { return c < 0x20 || c == 0x7f; }

}  // namespace

std::string printable(std::string_view text, std::size_t most) {
  std::string out;
  std::size_t i = 0;
  while (i < text.size() && i < most) {
    const auto c = static_cast<unsigned char>(text[i]);
    const std::size_t length = is_control(c) ? 0 : utf8_length(text.substr(i));
    if (length == 0) {
      out += "\\x";
      out += "0123456789abcdef"[c >> 4];
      out += "0123456789abcdef"[c & 15];
      ++i;
    } else {
      out += text.substr(i, length);
      i += length;
    }
  }
  return i < text.size() ? out + "..." : out;
}

std::string in_quotes(std::string_view text) { return '"' + printable(text) + '"'; }

bool is_utf8(std::string_view text) {
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool is_pack_path(std::string_view path, std::string* why) {
  const auto wrong = [&](const char* reason) {
    if (why != nullptr) *why = reason;
    return false;
  };
  if (path.empty()) return wrong("it is empty");
  if (path.size() > 1024) return wrong("it is longer than 1024 bytes");
  if (path.front() == '/') return wrong("it is absolute");
  if (path.size() >= 2 && path[1] == ':') return wrong("it names a drive");
  if (!is_utf8(path)) return wrong("it is not UTF-8");
  for (const char c : path) {
    if (c == '\\') return wrong("it holds a backslash");
    if (is_control(static_cast<unsigned char>(c))) return wrong("it holds a control character");
  }
  while (true) {
    const std::size_t end = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, end);
    if (part.empty()) return wrong("it has an empty part");
    if (part == ".") return wrong("it has a part \".\"");
    if (part == "..") return wrong("it has a part \"..\"");
    if (part.size() > 255) return wrong("it has a part longer than 255 bytes");
    if (end == path.size()) return true;
    path.remove_prefix(end + 1);
  }
}

std::string_view file_name(std::string_view path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

bool is_lower_hex64(std::string_view text) {
  return text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

}  // namespace affectrt
