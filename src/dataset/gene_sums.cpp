#include "gene_sums.hpp"

#include <cmath>

namespace scvi::dataset_detail {

std::vector<double> gene_totals(const CountMatrix& counts, std::span<const std::int64_t> cells) {
  return gene_sums<1>(counts, cells, [](double* sum, std::int64_t, std::int64_t, double count) { *sum += count; });
}

GeneMoments gene_moments(const CountMatrix& counts, std::span<const std::int64_t> cells, bool unbiased,
                         std::span<const double> factor_of_cell, bool log) {
  const auto add = [](double* sums, double value) {
    sums[0] += value;
    sums[1] += value * value;
  };
  const std::vector<double> sums =
      factor_of_cell.empty()
          ? gene_sums<2>(counts, cells, [&](double* at, std::int64_t, std::int64_t, double count) { add(at, count); })
          : gene_sums<2>(counts, cells, [&](double* at, std::int64_t cell, std::int64_t, double count) {
              const double scaled = count * factor_of_cell[static_cast<std::size_t>(cell)];
              add(at, log ? std::log1p(scaled) : scaled);
            });
  const auto n = static_cast<double>(cells.size());
  const auto n_genes = static_cast<std::size_t>(counts.n_genes());
  GeneMoments moments{std::vector<double>(n_genes), std::vector<double>(n_genes)};
  for (std::size_t gene = 0; gene < n_genes; ++gene) {
    const double mean = sums[2 * gene] / n;
    const double variance = std::max(0.0, sums[2 * gene + 1] / n - mean * mean);
    moments.mean[gene] = mean;
    moments.variance[gene] = unbiased ? variance * (n / (n - 1)) : variance;
  }
  return moments;
}

std::vector<std::vector<std::int64_t>> cells_of_groups(std::span<const std::int64_t> group_of_cell,
                                                       std::int64_t n_groups) {
  std::vector<std::vector<std::int64_t>> cells(static_cast<std::size_t>(n_groups));
  for (std::size_t cell = 0; cell < group_of_cell.size(); ++cell) {
    cells[static_cast<std::size_t>(group_of_cell[cell])].push_back(static_cast<std::int64_t>(cell));
  }
  return cells;
}

}  // namespace scvi::dataset_detail
