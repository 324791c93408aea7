#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace scvi::io {

/// The text with every byte that is not part of valid UTF-8 replaced by U+FFFD.
std::string valid_utf8(std::string_view text);

/// Appends one character. @pre it is a character of Unicode
void append_utf8(std::string& out, std::uint32_t code);

}  // namespace scvi::io
