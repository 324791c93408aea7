#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "columns.hpp"
#include "count_check.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/frame.hpp"

namespace scvi::dataset_detail {

inline constexpr const char* kBatchIndices = "batch_indices";
inline constexpr const char* kLabels = "labels";
inline constexpr const char* kBatchNames = "batch_names";
inline constexpr const char* kCellTypes = "cell_types";
inline constexpr const char* kGeneNames = "gene_names";
inline constexpr const char* kCorruptedX = "corrupted_X";
inline constexpr const char* kNormX = "norm_X";
inline constexpr const char* kProtectedAttribute = "X";

inline std::vector<std::int64_t> counting(std::int64_t n) {
  std::vector<std::int64_t> numbers(static_cast<std::size_t>(n));
  std::iota(numbers.begin(), numbers.end(), 0);
  return numbers;
}

inline bool is_everything(std::span<const std::int64_t> positions, std::int64_t n) {
  if (static_cast<std::int64_t>(positions.size()) != n) return false;
  for (std::int64_t i = 0; i < n; ++i) {
    if (positions[i] != i) return false;
  }
  return true;
}

inline void check_length(const std::string& what, std::size_t length, std::int64_t expected, const char* of_what) {
  if (static_cast<std::int64_t>(length) == expected) return;
  throw InputError(
      {.problem = "has " + std::to_string(length) + " values for " + std::to_string(expected) + " " + of_what,
       .field = what});
}

inline void check_length_if_any(const std::string& what, std::size_t length, std::int64_t expected,
                                const char* of_what) {
  if (length > 0) check_length(what, length, expected, of_what);
}

inline void check_positions(std::span<const std::int64_t> positions, std::int64_t n, const std::string& what) {
  for (const std::int64_t position : positions) {
    if (position >= 0 && position < n) continue;
    throw InputError({.problem = "is " + std::to_string(position) + ", but there are " + std::to_string(n),
                      .field = "index of a " + what + " to keep"});
  }
}

inline void check_unique_positions(std::span<const std::int64_t> positions, std::int64_t n, const std::string& what) {
  check_positions(positions, n, what);
  std::vector<bool> seen(static_cast<std::size_t>(n));
  for (const std::int64_t position : positions) {
    if (seen[position]) {
      throw InputError(
          {.problem = "is " + std::to_string(position) + " twice", .field = "index of a " + what + " to keep"});
    }
    seen[position] = true;
  }
}

/// The whole numbers of a column. @throws InputError when it holds something else
inline const std::vector<std::int64_t>& whole_numbers(const io::Column& column) {
  const auto* numbers = std::get_if<std::vector<std::int64_t>>(&column.values);
  if (numbers == nullptr) {
    throw InputError(
        {.problem = "is categorical and must hold whole numbers", .field = "attribute '" + column.name + "'"});
  }
  return *numbers;
}

inline void check_categories(const std::string& attribute, std::span<const std::int64_t> categories,
                             std::int64_t n_names) {
  for (const std::int64_t category : categories) {
    if (category >= 0 && category < n_names) continue;
    throw InputError({.problem = "holds category " + std::to_string(category) + ", but there are names for 0 to " +
                                 std::to_string(n_names - 1),
                      .field = "attribute '" + attribute + "'"});
  }
}

inline std::vector<std::string> number_names(std::span<const std::int64_t> numbers) {
  std::vector<std::string> names;
  names.reserve(numbers.size());
  for (const std::int64_t number : numbers) names.push_back(std::to_string(number));
  return names;
}

template <class Items, class GetName>
inline std::vector<std::string> names_of(const Items& items, GetName&& get_name) {
  std::vector<std::string> names;
  for (const auto& item : items) names.push_back(get_name(item));
  return names;
}

[[noreturn]] inline void throw_unknown(const std::string& kind, std::string_view name,
                                       const std::vector<std::string>& known) {
  throw InputError({.problem = "is not registered",
                    .field = kind + " '" + std::string(name) + "'",
                    .remedy = suggest(name, known)});
}

/// Cells with at least this total. @throws InputError when there is none
std::vector<std::int64_t> cells_with_total(std::span<const double> totals, double min_count);

/// The positions that are marked. @throws InputError unless there are `n` marks
std::vector<std::int64_t> marked_positions(const std::vector<bool>& mask, std::int64_t n, const std::string& of_what);

/// Rows of a column that hold one of these values; values that no row holds are named in a warning.
std::vector<std::int64_t> rows_with_values(const io::Column& column, const std::vector<std::string>& values);

}  // namespace scvi::dataset_detail
