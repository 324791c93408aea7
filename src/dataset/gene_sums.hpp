#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/dataset/count_matrix.hpp"

namespace scvi::dataset_detail {

/// `PerGene` sums for every gene over some cells: add(sums of the gene, cell, gene, count) for every non-zero entry.
/// Partial sums are kept per range of cells and added in order, so threads do not change the result.
/// @return (n_genes, PerGene)
template <std::size_t PerGene, class Add>
std::vector<double> gene_sums(const CountMatrix& counts, std::span<const std::int64_t> cells, Add&& add) {
  constexpr std::int64_t kRanges = 16;
  constexpr std::int64_t kMinCellsPerRange = 512;
  const auto n = static_cast<std::int64_t>(cells.size());
  const std::size_t size = static_cast<std::size_t>(counts.n_genes()) * PerGene;
  const std::int64_t chunk = std::max(kMinCellsPerRange, (n + kRanges - 1) / kRanges);
  std::vector<std::vector<double>> partial(static_cast<std::size_t>(chunk_count(n, chunk)));
  parallel_for(n, chunk, [&](std::int64_t begin, std::int64_t end) {
    throw_if_interrupted();
    std::vector<double>& sums = partial[static_cast<std::size_t>(begin / chunk)];
    sums.assign(size, 0);
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int64_t cell = cells[static_cast<std::size_t>(i)];
      counts.for_each_nonzero(cell, [&](std::int64_t gene, float count) {
        add(sums.data() + static_cast<std::size_t>(gene) * PerGene, cell, gene, static_cast<double>(count));
      });
    }
  });
  std::vector<double> total(size, 0);
  for (const std::vector<double>& sums : partial) {
    std::transform(total.begin(), total.end(), sums.begin(), total.begin(), std::plus<>());
  }
  return total;
}

/// Total count of every gene over some cells.
std::vector<double> gene_totals(const CountMatrix& counts, std::span<const std::int64_t> cells);

/// Mean and variance of every gene.
struct GeneMoments {
  std::vector<double> mean;
  std::vector<double> variance;
};

/// Of the counts of some cells, each multiplied by `factor_of_cell` (empty: by 1) and then, if `log`, turned into
/// log(1 + x). Sums of whole numbers are exact, so genes with the same counts tie exactly.
/// @param unbiased divide the squares by n - 1 instead of n. @pre at least one cell, or two where unbiased
GeneMoments gene_moments(const CountMatrix& counts, std::span<const std::int64_t> cells, bool unbiased,
                         std::span<const double> factor_of_cell = {}, bool log = false);

/// The cells of each group; a group may be empty.
std::vector<std::vector<std::int64_t>> cells_of_groups(std::span<const std::int64_t> group_of_cell,
                                                       std::int64_t n_groups);

}  // namespace scvi::dataset_detail
