#pragma once

#include <cstdint>
#include <vector>

namespace scvi {

/// Points regrouped for distances from one point to many: blocks of kWidth points, in each of which the values of one
/// coordinate lie side by side. Distances are sums of squared differences, not differences of dot products, so equal
/// points are at distance 0 exactly.
class PointBlocks {
 public:
  static constexpr std::int64_t kWidth = 256;

  /// @param rows (n, dim), row-major
  PointBlocks(const std::vector<double>& rows, std::int64_t n, std::int64_t dim);

  std::int64_t n_blocks() const { return (n_ + kWidth - 1) / kWidth; }
  /// Points in a block: kWidth, or what is left for the last one.
  std::int64_t size_of(std::int64_t block) const;
  /// Squared distances from `point` to all points of a block. @param out room for kWidth
  void squared_distances(const double* point, std::int64_t block, double* out) const;

 private:
  std::int64_t n_;
  std::int64_t dim_;
  std::vector<double> values_;
};

}  // namespace scvi
