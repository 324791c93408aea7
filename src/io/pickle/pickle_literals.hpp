#pragma once

#include <optional>
#include <string>
#include <string_view>

/// Texts as protocol 0, which is made of printable characters, writes them.
namespace scvi::io::pickle {

/// The bytes that a quoted Python string literal stands for, or nothing when it is not well formed.
std::optional<std::string> unquote(std::string_view literal);

/// UTF-8 from Python's raw-unicode-escape: Latin-1, and any character by four hexadecimal digits behind \u or eight
/// behind \U. Nothing when it is not well formed.
std::optional<std::string> decode_raw_unicode_escape(std::string_view raw);

}  // namespace scvi::io::pickle
