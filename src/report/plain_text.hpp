#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace scvi::report {

/// Bytes of the character at the beginning of a text; 0: it is none.
std::size_t character_length(std::string_view text);

/// A text that can be shown on a line: bytes that are no UTF-8 become U+FFFD, control characters blanks.
std::string cleaned(std::string_view text);

/// A text as SVG and HTML write it, between tags and in attributes with double quotes.
std::string escaped(std::string_view text);

}  // namespace scvi::report
