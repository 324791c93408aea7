#include "scvi/io/frame.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <numeric>

namespace scvi::io {
namespace {

template <class... F>
struct Overloaded : F... {
  using F::operator()...;
};
// Clang 14 does not deduce the arguments of aggregates by itself.
template <class... F>
Overloaded(F...) -> Overloaded<F...>;

template <class T>
std::string shortest(T value) {
  char text[40];
  const auto [end, error] = std::to_chars(text, text + sizeof text, value);
  return {text, end};
}

std::string number_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  if (value == std::trunc(value) && std::abs(value) < 1e15) return std::to_string(static_cast<std::int64_t>(value));
  // A column of float32 reads as the user wrote it: 0.1, not 0.10000000149011612.
  const float narrow = static_cast<float>(value);
  return static_cast<double>(narrow) == value ? shortest(narrow) : shortest(value);
}

std::string value_text(const std::string& value) {
  return value;
}
std::string value_text(double value) {
  return number_text(value);
}
std::string value_text(std::int64_t value) {
  return std::to_string(value);
}
std::string value_text(std::uint8_t value) {
  return value ? "True" : "False";
}

bool is_nan(double value) {
  return std::isnan(value);
}
template <class T>
bool is_nan(const T&) {
  return false;
}

/// Distinct values in ascending order become categories.
template <class T>
Categorical categorize(const std::vector<T>& values, const Column& column) {
  std::map<T, std::int32_t> codes;
  for (std::size_t row = 0; row < values.size(); ++row)
    if (!column.is_missing(static_cast<std::int64_t>(row))) codes.emplace(values[row], 0);
  Categorical result;
  for (auto& [value, code] : codes) {
    std::string text = value_text(value);
    // Two numbers may read the same (0.1 as float32 and as float64): they are one category then.
    if (result.categories.empty() || result.categories.back() != text) result.categories.push_back(std::move(text));
    code = static_cast<std::int32_t>(result.categories.size()) - 1;
  }
  result.codes.reserve(values.size());
  for (std::size_t row = 0; row < values.size(); ++row)
    result.codes.push_back(column.is_missing(static_cast<std::int64_t>(row)) ? -1 : codes.at(values[row]));
  return result;
}

}  // namespace

std::int64_t Column::size() const {
  return std::visit(
      Overloaded{[](const Boolean& column) { return static_cast<std::int64_t>(column.values.size()); },
                 [](const Categorical& column) { return static_cast<std::int64_t>(column.codes.size()); },
                 [](const auto& column) { return static_cast<std::int64_t>(column.size()); }},
      values);
}

bool Column::is_missing(std::int64_t row) const {
  const std::size_t at = static_cast<std::size_t>(row);
  if (!missing.empty() && missing[at] != 0) return true;
  return std::visit(Overloaded{[](const Boolean&) { return false; },
                               [&](const Categorical& column) { return column.codes[at] < 0; },
                               [&](const auto& column) { return is_nan(column[at]); }},
                    values);
}

std::string Column::text(std::int64_t row) const {
  if (is_missing(row)) return "";
  const std::size_t at = static_cast<std::size_t>(row);
  return std::visit(Overloaded{[&](const Boolean& column) { return value_text(column.values[at]); },
                               [&](const Categorical& column) {
                                 return column.categories[static_cast<std::size_t>(column.codes[at])];
                               },
                               [&](const auto& column) { return value_text(column[at]); }},
                    values);
}

Categorical Column::as_categorical() const {
  if (const auto* categorical = std::get_if<Categorical>(&values)) {
    Categorical result = *categorical;
    for (std::size_t row = 0; row < missing.size(); ++row)
      if (missing[row]) result.codes[row] = -1;
    return result;
  }
  return std::visit(Overloaded{[](const Categorical& column) { return column; },
                               [&](const Boolean& column) { return categorize(column.values, *this); },
                               [&](const auto& column) { return categorize(column, *this); }},
                    values);
}

const Column* Frame::find(std::string_view name) const {
  const auto at =
      std::find_if(columns.begin(), columns.end(), [&](const Column& column) { return column.name == name; });
  return at == columns.end() ? nullptr : &*at;
}

std::vector<std::string> Frame::column_names() const {
  std::vector<std::string> names;
  for (const Column& column : columns) names.push_back(column.name);
  return names;
}

}  // namespace scvi::io
