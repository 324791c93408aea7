#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace scvi::io {

/// Category codes with the text of each category, as pandas keeps them. Code -1: missing.
struct Categorical {
  std::vector<std::int32_t> codes;
  std::vector<std::string> categories;
  bool ordered = false;
};

/// Truth values, one byte each (0 or 1).
struct Boolean {
  std::vector<std::uint8_t> values;
};

/// One column of an obs or var frame.
struct Column {
  using Values =
      std::variant<std::vector<std::string>, std::vector<double>, std::vector<std::int64_t>, Boolean, Categorical>;
  std::string name;
  Values values;
  /// 1 where the value is missing (nullable columns); empty when none is.
  std::vector<std::uint8_t> missing;

  std::int64_t size() const;
  bool is_missing(std::int64_t row) const;
  /// The value as a user would write it; "" when missing. Whole doubles print without a point.
  std::string text(std::int64_t row) const;
  /// The column as text categories: distinct values in the order of their categories (categorical), in numeric order
  /// (numbers), or in byte order (strings); codes[i] == -1 where missing (NaN included). Categories that no row uses
  /// are kept for a categorical column.
  Categorical as_categorical() const;
};

/// Annotation of cells (obs) or genes (var): an index of names and columns of equal length.
struct Frame {
  std::string index_name = "_index";
  std::vector<std::string> index;
  std::vector<Column> columns;

  std::int64_t n_rows() const { return static_cast<std::int64_t>(index.size()); }
  /// The column of that name, or nullptr.
  const Column* find(std::string_view name) const;
  std::vector<std::string> column_names() const;
};

}  // namespace scvi::io
