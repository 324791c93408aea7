#include "delimited_line.hpp"

#include <algorithm>
#include <array>

#include "scvi/core/error.hpp"
#include "shown_text.hpp"

namespace scvi::io {
namespace {

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

void drop_blanks(std::string_view& text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
}

/// The text between quotes; `rest` begins behind the opening one, and behind the closing one at the end.
bool take_quoted(std::string_view& rest, std::string& field) {
  while (true) {
    const std::size_t quote = rest.find('"');
    if (quote == rest.npos) {
      rest = {};
      return false;
    }
    field += rest.substr(0, quote);
    rest.remove_prefix(quote + 1);
    if (!rest.starts_with('"')) return true;
    field += '"';
    rest.remove_prefix(1);
  }
}

std::size_t find_separator(std::string_view text, char separator) {
  const std::size_t at = separator == ' ' ? text.find_first_of(" \t") : text.find(separator);
  return std::min(at, text.size());
}

}  // namespace

bool take_field(std::string_view& rest, char separator, std::string& field, bool& last) {
  field.clear();
  if (separator == ' ') drop_blanks(rest);
  if (rest.starts_with('"')) {
    rest.remove_prefix(1);
    if (!take_quoted(rest, field)) return false;
  }
  const std::size_t end = find_separator(rest, separator);
  field += rest.substr(0, end);
  last = end == rest.size();
  rest.remove_prefix(last ? end : end + 1);
  if (separator != ' ') return true;
  drop_blanks(rest);
  last = rest.empty();
  return true;
}

bool split_line(std::string_view line, char separator, std::vector<std::string>& fields) {
  fields.clear();
  bool last = false;
  while (!last && fields.size() <= kMaxFields)
    if (!take_field(line, separator, fields.emplace_back(), last)) return false;
  return true;
}

char detect_separator(std::string_view line) {
  constexpr std::array<char, 3> kCandidates = {'\t', ',', ';'};
  std::array<std::size_t, 3> counts{};
  bool quoted = false;
  for (const char c : line) {
    if (c == '"') quoted = !quoted;
    if (quoted) continue;
    for (std::size_t at = 0; at < kCandidates.size(); ++at) counts[at] += c == kCandidates[at];
  }
  const auto most = std::max_element(counts.begin(), counts.end());
  return *most > 0 ? kCandidates[static_cast<std::size_t>(most - counts.begin())] : ' ';
}

bool is_blank_line(std::string_view line) {
  return std::ranges::all_of(line, [](char c) { return is_blank(c) || c == '\r'; });
}

void check_separator(char separator, const std::string& file) {
  constexpr std::string_view kRefused("\"\n\r.+-0123456789", 16);
  if (kRefused.find(separator) == kRefused.npos) return;
  throw InputError({.problem = "cannot be separated by " + shown_text({&separator, 1}),
                    .file = file,
                    .remedy = "give comma, tab, semicolon or blank"});
}

std::vector<std::string> numbered_names(std::size_t count) {
  std::vector<std::string> names;
  names.reserve(count);
  for (std::size_t at = 0; at < count; ++at) names.push_back(std::to_string(at));
  return names;
}

}  // namespace scvi::io
