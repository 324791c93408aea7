#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "scvi/io/frame.hpp"

namespace scvi::dataset_detail {

template <class T>
std::vector<T> take(const std::vector<T>& items, std::span<const std::int64_t> positions) {
  std::vector<T> taken;
  taken.reserve(positions.size());
  for (const std::int64_t position : positions) taken.push_back(items[static_cast<std::size_t>(position)]);
  return taken;
}

/// The same, where an empty list stands for "not given".
template <class T>
std::vector<T> take_if_any(const std::vector<T>& items, std::span<const std::int64_t> positions) {
  return items.empty() ? items : take(items, positions);
}

/// These rows of a column.
inline io::Column take(const io::Column& column, std::span<const std::int64_t> rows) {
  io::Column taken;
  taken.name = column.name;
  taken.missing = take_if_any(column.missing, rows);
  taken.values = std::visit(
      [&](const auto& values) -> io::Column::Values {
        using T = std::decay_t<decltype(values)>;
        if constexpr (std::is_same_v<T, io::Boolean>) {
          return io::Boolean{take(values.values, rows)};
        } else if constexpr (std::is_same_v<T, io::Categorical>) {
          return io::Categorical{take(values.codes, rows), values.categories, values.ordered};
        } else {
          return take(values, rows);
        }
      },
      column.values);
  return taken;
}

/// "cell 'AAAC-1'", or "cell number 5" when there are no names.
inline std::string named(const std::string& kind, const std::vector<std::string>& names, std::int64_t position) {
  if (position < static_cast<std::int64_t>(names.size())) {
    return kind + " '" + names[static_cast<std::size_t>(position)] + "'";
  }
  return kind + " number " + std::to_string(position);
}

}  // namespace scvi::dataset_detail
