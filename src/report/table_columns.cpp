#include "table_columns.hpp"

#include <limits>
#include <utility>

#include "scvi/core/error.hpp"

namespace scvi::report {

std::vector<double> numbers_of(const io::Column& column, const std::string& file) {
  std::vector<double> numbers(static_cast<std::size_t>(column.size()), std::numeric_limits<double>::quiet_NaN());
  const auto fill = [&](const auto& values) {
    for (std::size_t i = 0; i < numbers.size(); ++i) {
      if (!column.is_missing(static_cast<std::int64_t>(i))) numbers[i] = static_cast<double>(values[i]);
    }
  };
  if (const auto* reals = std::get_if<std::vector<double>>(&column.values)) {
    fill(*reals);
  } else if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column.values)) {
    fill(*whole);
  } else {
    for (std::int64_t i = 0; i < column.size(); ++i) {
      if (column.is_missing(i) || column.text(i).empty()) continue;
      throw FormatError({.problem = "holds '" + column.text(i) + "' where a number must be",
                         .file = file,
                         .field = "column '" + column.name + "'"});
    }
  }
  return numbers;
}

io::Categorical with_used_categories(io::Categorical column) {
  std::vector<std::int32_t> number(column.categories.size(), -1);
  for (const std::int32_t code : column.codes) {
    if (code >= 0) number[code] = 0;
  }
  io::Categorical used{.codes = std::move(column.codes), .categories = {}, .ordered = column.ordered};
  for (std::size_t i = 0; i < number.size(); ++i) {
    if (number[i] < 0) continue;
    number[i] = static_cast<std::int32_t>(used.categories.size());
    used.categories.push_back(std::move(column.categories[i]));
  }
  for (std::int32_t& code : used.codes) {
    if (code >= 0) code = number[code];
  }
  return used;
}

}  // namespace scvi::report
