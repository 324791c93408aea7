#include "dataset_checks.hpp"

#include <unordered_set>

#include "scvi/core/logging.hpp"

namespace scvi::dataset_detail {

std::vector<std::int64_t> cells_with_total(std::span<const double> totals, double min_count) {
  std::vector<std::int64_t> cells;
  for (std::size_t cell = 0; cell < totals.size(); ++cell) {
    if (totals[cell] >= min_count) cells.push_back(static_cast<std::int64_t>(cell));
  }
  if (cells.empty()) {
    const double largest = totals.empty() ? 0 : *std::max_element(totals.begin(), totals.end());
    throw InputError({.problem = "no cell would be left: none has a total count of " + number_text(min_count) +
                                 " or more (the largest is " + number_text(largest) + ")",
                      .field = "cells"});
  }
  return cells;
}

std::vector<std::int64_t> marked_positions(const std::vector<bool>& mask, std::int64_t n,
                                           const std::string& of_what) {
  check_length("mask of " + of_what, mask.size(), n, of_what.c_str());
  std::vector<std::int64_t> positions;
  for (std::size_t i = 0; i < mask.size(); ++i) {
    if (mask[i]) positions.push_back(static_cast<std::int64_t>(i));
  }
  return positions;
}

std::vector<std::int64_t> rows_with_values(const io::Column& column, const std::vector<std::string>& values) {
  const std::unordered_set<std::string> wanted(values.begin(), values.end());
  std::unordered_set<std::string> seen;
  std::vector<std::int64_t> rows;
  for (std::int64_t row = 0; row < column.size(); ++row) {
    if (column.is_missing(row)) continue;
    const auto found = wanted.find(column.text(row));
    if (found == wanted.end()) continue;
    rows.push_back(row);
    seen.insert(*found);
  }
  std::vector<std::string> absent;
  std::copy_if(values.begin(), values.end(), std::back_inserter(absent),
               [&](const std::string& value) { return !seen.contains(value); });
  if (!absent.empty()) log_warning("not found in '" + column.name + "': " + join_some(absent));
  return rows;
}

}  // namespace scvi::dataset_detail
