#include "pickle_literals.hpp"

#include <charconv>
#include <cstdint>

#include "utf8.hpp"

namespace scvi::io::pickle {
namespace {

/// The number that all of `text` spells, or nothing.
template <class T>
std::optional<T> parse_hex(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<std::string> unquote(std::string_view literal) {
  if (literal.size() < 2 || literal.front() != literal.back()) return std::nullopt;
  if (literal.front() != '\'' && literal.front() != '"') return std::nullopt;
  literal = literal.substr(1, literal.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < literal.size(); ++i) {
    if (literal[i] != '\\') {
      out.push_back(literal[i]);
      continue;
    }
    if (++i == literal.size()) return std::nullopt;
    constexpr std::string_view kLetters = "\\'\"nrtabfv";
    constexpr std::string_view kMeanings = "\\'\"\n\r\t\a\b\f\v";
    if (const auto at = kLetters.find(literal[i]); at != std::string_view::npos) {
      out.push_back(kMeanings[at]);
      continue;
    }
    const auto byte = literal[i] == 'x' && i + 3 <= literal.size() ? parse_hex<std::uint8_t>(literal.substr(i + 1, 2))
                                                                   : std::nullopt;
    if (!byte) return std::nullopt;
    out.push_back(static_cast<char>(*byte));
    i += 2;
  }
  return out;
}

std::optional<std::string> decode_raw_unicode_escape(std::string_view raw) {
  std::string out;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const char kind = raw[i] == '\\' && i + 1 < raw.size() ? raw[i + 1] : '\0';
    if (kind != 'u' && kind != 'U') {
      append_utf8(out, static_cast<unsigned char>(raw[i]));
      continue;
    }
    const std::size_t n_digits = kind == 'u' ? 4 : 8;
    if (raw.size() - (i + 2) < n_digits) return std::nullopt;
    const auto code = parse_hex<std::uint32_t>(raw.substr(i + 2, n_digits));
    if (!code || *code > 0x10FFFF) return std::nullopt;
    append_utf8(out, *code);
    i += 1 + n_digits;
  }
  return out;
}

}  // namespace scvi::io::pickle
