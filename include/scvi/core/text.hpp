#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace scvi {

/// The candidate nearest to `word` by edit distance (letter case ignored), or "" when none is close enough to be
/// meant.
std::string nearest_match(std::string_view word, std::span<const std::string> candidates);

/// "did you mean 'x'?" or "there are: a, b, c" (at most `most` of them, then "..."), or "there are none".
std::string suggest(std::string_view word, std::span<const std::string> candidates, std::size_t most = 12);

/// "a, b, c" with at most `most` items, then "and 5 more".
std::string join_some(std::span<const std::string> items, std::size_t most = 10);

/// "1,234,567".
std::string with_thousands(long long value);

/// "12.3 MB", decimal units.
std::string format_bytes(double bytes);

/// Whether the bytes are well-formed UTF-8.
bool is_valid_utf8(std::string_view text);

}  // namespace scvi
