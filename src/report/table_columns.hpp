#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scvi/io/frame.hpp"

namespace scvi::report {

/// A column for a table of the report, nothing missing.
template <class T>
io::Column column(std::string_view name, std::vector<T> values) {
  return {.name = std::string(name), .values = std::move(values), .missing = {}};
}

/// A column of numbers as doubles; NaN where missing. @throws FormatError when it holds text
std::vector<double> numbers_of(const io::Column& column, const std::string& file);

/// The same categories without those that no row has.
io::Categorical with_used_categories(io::Categorical column);

}  // namespace scvi::report
