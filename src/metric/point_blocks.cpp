#include "point_blocks.hpp"

#include <algorithm>

namespace scvi {

PointBlocks::PointBlocks(const std::vector<double>& rows, std::int64_t n, std::int64_t dim)
    : n_(n), dim_(dim), values_(static_cast<std::size_t>(n_blocks() * kWidth * dim)) {
  for (std::int64_t i = 0; i < n; ++i) {
    double* const block = values_.data() + i / kWidth * kWidth * dim;
    for (std::int64_t d = 0; d < dim; ++d) block[d * kWidth + i % kWidth] = rows[i * dim + d];
  }
}

std::int64_t PointBlocks::size_of(std::int64_t block) const {
  return std::min(kWidth, n_ - block * kWidth);
}

void PointBlocks::squared_distances(const double* point, std::int64_t block, double* out) const {
  constexpr std::int64_t kLanes = 8;  // as many sums as stay in registers
  const double* const values = values_.data() + block * kWidth * dim_;
  for (std::int64_t first = 0; first < kWidth; first += kLanes) {
    double sums[kLanes] = {};
    for (std::int64_t d = 0; d < dim_; ++d) {
      const double* const coordinate = values + d * kWidth + first;
      for (std::int64_t lane = 0; lane < kLanes; ++lane) {
        const double difference = point[d] - coordinate[lane];
        sums[lane] += difference * difference;
      }
    }
    std::copy_n(sums, kLanes, out + first);
  }
}

}  // namespace scvi
