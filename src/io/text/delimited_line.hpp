#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "scvi/io/byte_stream.hpp"

namespace scvi::io {

/// More columns than this are no table.
inline constexpr std::size_t kMaxFields = std::size_t{1} << 24;

/// Takes the next field off the front of a line, with the separator behind it. Quotes around a field are taken off,
/// doubled ones within it halved. @returns false when a quote is not closed; `rest` is then used up
/// @param separator ' ' for any run of blanks and tabs
/// @param last whether that was the last field of the line
bool take_field(std::string_view& rest, char separator, std::string& field, bool& last);

/// All fields of a line. @returns false when a quote is not closed
bool split_line(std::string_view line, char separator, std::vector<std::string>& fields);

/// The separator that a line of names shows: the most frequent of tab, comma and semicolon outside quotes, else
/// blank.
char detect_separator(std::string_view line);

/// Whether nothing but blanks is in a line.
bool is_blank_line(std::string_view line);

/// @throws InputError for a separator that is none of those read
void check_separator(char separator, const std::string& file);

/// "0", "1", ...
std::vector<std::string> numbered_names(std::size_t count);

}  // namespace scvi::io
