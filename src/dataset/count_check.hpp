#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>

namespace scvi::dataset_detail {

/// A number as a person writes it: "-3", "0.53".
inline std::string number_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", value);
  return text;
}

/// What keeps a value from being a count, or "" for a finite number >= 0.
inline std::string why_not_a_count(float value) {
  if (std::isnan(value)) return "is NaN, but counts must be numbers";
  if (std::isinf(value)) return "is infinite, but counts must be finite";
  if (value < 0) return "is " + number_text(value) + ", but counts cannot be negative";
  return "";
}

inline bool is_plausible_count(float value) {
  return value >= 0 && std::isfinite(value);
}

/// What was seen of values that are no whole numbers.
struct FractionalCounts {
  std::int64_t n_nonzero = 0;
  std::int64_t n_fractional = 0;
  std::int64_t first_cell = -1;
  std::int64_t first_gene = -1;
  float first_value = 0;

  void see(std::int64_t cell, std::int64_t gene, float value) {
    ++n_nonzero;
    if (value == std::trunc(value)) return;
    if (n_fractional++ == 0) {
      first_cell = cell;
      first_gene = gene;
      first_value = value;
    }
  }
  /// "12.5 % of the non-zero values are not whole numbers"
  std::string text() const {
    const double share = 100.0 * static_cast<double>(n_fractional) / static_cast<double>(n_nonzero);
    return number_text(share) + " % of the non-zero values are not whole numbers";
  }
};

}  // namespace scvi::dataset_detail
