#include "column_stack.hpp"

#include <algorithm>
#include <string>
#include <type_traits>
#include <unordered_map>
#include <variant>
#include <vector>

namespace scvi::dataset_detail {
namespace {

using Columns = std::span<const io::Column* const>;

template <class T>
bool all_hold(Columns columns) {
  return std::all_of(columns.begin(), columns.end(),
                     [](const io::Column* column) { return std::holds_alternative<T>(column->values); });
}

template <class T>
std::vector<T> joined(Columns columns) {
  std::vector<T> values;
  for (const io::Column* column : columns) {
    const auto& part = std::get<std::vector<T>>(column->values);
    values.insert(values.end(), part.begin(), part.end());
  }
  return values;
}

io::Boolean joined_booleans(Columns columns) {
  io::Boolean joined;
  for (const io::Column* column : columns) {
    const auto& part = std::get<io::Boolean>(column->values).values;
    joined.values.insert(joined.values.end(), part.begin(), part.end());
  }
  return joined;
}

io::Categorical joined_categories(Columns columns) {
  io::Categorical joined;
  std::unordered_map<std::string, std::int32_t> code_of;
  const std::vector<std::string>& first = std::get<io::Categorical>(columns.front()->values).categories;
  joined.ordered = true;  // as long as all agree on the order
  for (const io::Column* column : columns) {
    const auto& part = std::get<io::Categorical>(column->values);
    joined.ordered = joined.ordered && part.ordered && part.categories == first;
    std::vector<std::int32_t> new_code;
    for (const std::string& category : part.categories) {
      const auto [at, is_new] = code_of.try_emplace(category, static_cast<std::int32_t>(code_of.size()));
      if (is_new) joined.categories.push_back(category);
      new_code.push_back(at->second);
    }
    for (std::int64_t row = 0; row < column->size(); ++row) {
      const std::int32_t code = part.codes[static_cast<std::size_t>(row)];
      joined.codes.push_back(column->is_missing(row) ? -1 : new_code[code]);
    }
  }
  return joined;
}

/// Whole numbers and others together.
bool all_numbers(Columns columns) {
  return std::all_of(columns.begin(), columns.end(), [](const io::Column* column) {
    return std::holds_alternative<std::vector<double>>(column->values) ||
           std::holds_alternative<std::vector<std::int64_t>>(column->values);
  });
}

std::vector<double> joined_numbers(Columns columns) {
  std::vector<double> values;
  for (const io::Column* column : columns) {
    if (const auto* whole = std::get_if<std::vector<std::int64_t>>(&column->values)) {
      for (const std::int64_t value : *whole) values.push_back(static_cast<double>(value));
    } else {
      const auto& part = std::get<std::vector<double>>(column->values);
      values.insert(values.end(), part.begin(), part.end());
    }
  }
  return values;
}

std::vector<std::string> joined_texts(Columns columns) {
  std::vector<std::string> values;
  for (const io::Column* column : columns) {
    for (std::int64_t row = 0; row < column->size(); ++row) values.push_back(column->text(row));
  }
  return values;
}

/// The marks of what is missing, empty where nothing is. @param also_unmarked NaN and missing categories count, too
std::vector<std::uint8_t> joined_missing(Columns columns, bool also_unmarked) {
  std::vector<std::uint8_t> missing;
  bool any = false;
  for (const io::Column* column : columns) {
    for (std::int64_t row = 0; row < column->size(); ++row) {
      const bool marked = !column->missing.empty() && column->missing[static_cast<std::size_t>(row)] != 0;
      missing.push_back(marked || (also_unmarked && column->is_missing(row)) ? 1 : 0);
      any = any || missing.back() != 0;
    }
  }
  if (!any) missing.clear();
  return missing;
}

}  // namespace

io::Column stacked(Columns columns) {
  io::Column out;
  out.name = columns.front()->name;
  if (all_hold<io::Categorical>(columns)) {
    out.values = joined_categories(columns);
    return out;
  }
  out.missing = joined_missing(columns, false);
  if (all_hold<std::vector<std::string>>(columns)) {
    out.values = joined<std::string>(columns);
  } else if (all_hold<std::vector<std::int64_t>>(columns)) {
    out.values = joined<std::int64_t>(columns);
  } else if (all_hold<io::Boolean>(columns)) {
    out.values = joined_booleans(columns);
  } else if (all_numbers(columns)) {
    out.values = joined_numbers(columns);
  } else {
    out.values = joined_texts(columns);
    out.missing = joined_missing(columns, true);
  }
  return out;
}

}  // namespace scvi::dataset_detail
