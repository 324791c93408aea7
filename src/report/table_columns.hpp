#pragma once

#include <string>
#include <vector>

#include "scvi/io/frame.hpp"

namespace scvi::report {

/// A column of numbers as doubles; NaN where missing. @throws FormatError when it holds text
std::vector<double> numbers_of(const io::Column& column, const std::string& file);

/// The same categories without those that no row has.
io::Categorical with_used_categories(io::Categorical column);

}  // namespace scvi::report
