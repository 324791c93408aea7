#include "column_inference.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <optional>
#include <string_view>
#include <utility>

#include "text_number.hpp"

namespace scvi::io {
namespace {

using Texts = std::vector<std::string>;

bool is_missing_text(std::string_view text) {
  constexpr auto kMissing =
      std::to_array<std::string_view>({"", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND",
                                       "1.#QNAN", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null"});
  constexpr std::size_t kLongest = 8;
  return text.size() <= kLongest && std::ranges::binary_search(kMissing, text);
}

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
  return text.substr(begin, text.find_last_not_of(" \t") + 1 - begin);
}

std::optional<std::int64_t> whole_number(std::string_view text) {
  text = trimmed(text);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> real_number(std::string_view text) {
  text = trimmed(text);
  double value = 0;
  if (!parse_real(text, value)) return std::nullopt;
  // All digits and yet no 64-bit number: a name, whose digits matter.
  const std::string_view digits = text.substr(text.starts_with('-') || text.starts_with('+') ? 1 : 0);
  if (digits.find_first_not_of("0123456789") == digits.npos && !whole_number(text)) return std::nullopt;
  return value;
}

std::optional<std::uint8_t> truth_value(std::string_view text) {
  if (text == "True" || text == "TRUE" || text == "true") return 1;
  if (text == "False" || text == "FALSE" || text == "false") return 0;
  return std::nullopt;
}

/// All values, or nothing when one is of another type; `absent` stands for missing ones.
template <class T, class Parse>
std::optional<std::vector<T>> parse_all(const Texts& texts, const std::vector<std::uint8_t>& missing, T absent,
                                        Parse parse) {
  std::vector<T> values(texts.size(), absent);
  for (std::size_t row = 0; row < texts.size(); ++row) {
    if (missing[row]) continue;
    const auto value = parse(texts[row]);
    if (!value) return std::nullopt;
    values[row] = *value;
  }
  return values;
}

}  // namespace

Column infer_column(std::string name, Texts texts) {
  Column column;
  column.name = std::move(name);
  std::vector<std::uint8_t> missing(texts.size());
  std::ranges::transform(texts, missing.begin(), [](const std::string& text) { return is_missing_text(text); });
  const bool some_missing = std::ranges::find(missing, 1) != missing.end();
  const bool all_missing = std::ranges::find(missing, 0) == missing.end();
  constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
  if (!some_missing) {
    if (auto whole = parse_all<std::int64_t>(texts, missing, 0, whole_number)) {
      column.values = std::move(*whole);
      return column;
    }
  }
  if (!all_missing) {
    if (auto truth = parse_all<std::uint8_t>(texts, missing, 0, truth_value)) {
      column.values = Boolean{std::move(*truth)};
      if (some_missing) column.missing = std::move(missing);
      return column;
    }
  }
  if (auto real = parse_all<double>(texts, missing, kNaN, real_number)) {
    column.values = std::move(*real);
    return column;
  }
  for (std::size_t row = 0; row < texts.size(); ++row)
    if (missing[row]) texts[row].clear();
  column.values = std::move(texts);
  if (some_missing) column.missing = std::move(missing);
  return column;
}

}  // namespace scvi::io
