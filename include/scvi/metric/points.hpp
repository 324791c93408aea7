#pragma once

#include <cstdint>
#include <span>
#include <variant>
#include <vector>

namespace scvi {

/// Points in the rows of a row-major matrix (n, dim) of float32 or float64: a view, which does not own them.
class Points {
 public:
  /// @throws InputError when the number of values is not n * dim, or a size is negative
  Points(std::span<const float> values, std::int64_t n, std::int64_t dim);
  Points(std::span<const double> values, std::int64_t n, std::int64_t dim);

  std::int64_t n() const { return n_; }
  std::int64_t dim() const { return dim_; }

  /// All values as float64, row-major; the scores compute with these.
  /// @throws InputError naming row and column of a value that is not finite
  std::vector<double> to_double() const;

 private:
  std::variant<std::span<const float>, std::span<const double>> values_;
  std::int64_t n_;
  std::int64_t dim_;
};

}  // namespace scvi
