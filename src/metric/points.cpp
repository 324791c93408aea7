#include "scvi/metric/points.hpp"

#include <cmath>
#include <string>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

void check_size(std::size_t size, std::int64_t n, std::int64_t dim) {
  std::int64_t expected = 0;
  if (n >= 0 && dim >= 0 && !__builtin_mul_overflow(n, dim, &expected) && static_cast<std::int64_t>(size) == expected)
    return;
  throw InputError({.problem = "of " + std::to_string(n) + " rows and " + std::to_string(dim) + " columns has " +
                               std::to_string(size) + " values",
                    .field = "matrix of points"});
}

}  // namespace

Points::Points(std::span<const float> values, std::int64_t n, std::int64_t dim) : values_(values), n_(n), dim_(dim) {
  check_size(values.size(), n, dim);
}

Points::Points(std::span<const double> values, std::int64_t n, std::int64_t dim) : values_(values), n_(n), dim_(dim) {
  check_size(values.size(), n, dim);
}

std::vector<double> Points::to_double() const {
  std::vector<double> all =
      std::visit([](auto values) { return std::vector<double>(values.begin(), values.end()); }, values_);
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (std::isfinite(all[i])) continue;
    const std::int64_t at = static_cast<std::int64_t>(i);
    throw InputError({.problem = "is " + std::to_string(all[i]) + ", but distances need finite values",
                      .field = "row " + std::to_string(at / dim_) + ", column " + std::to_string(at % dim_)});
  }
  return all;
}

}  // namespace scvi
