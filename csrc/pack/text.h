// Untrusted text on its way into an error message, and the checks of names and paths that packs may hold.
#pragma once

#include <string>
#include <string_view>

namespace affectrt {

// `text` cut after `most` bytes, with control characters and bytes that are not UTF-8 written as \xNN: an error message is always valid
// UTF-8 on one line, whatever a file contains.
std::string printable(std::string_view text, std::size_t most = 200);

// The same in double quotes.
std::string in_quotes(std::string_view text);

bool is_utf8(std::string_view text);

// True for a path that may stand in a pack: relative, `/` between its parts, no empty part, `.`, `..`, backslash, drive or control
// character, at most 255 bytes a part and 1024 in all. If not, `why` (when given) says what is wrong.
bool is_pack_path(std::string_view path, std::string* why = nullptr);

// The part after the last `/`.
std::string_view file_name(std::string_view path);

bool is_lower_hex64(std::string_view text);

}  // namespace affectrt
