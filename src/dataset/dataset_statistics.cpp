#include <algorithm>
#include <array>

#include "dataset_checks.hpp"
#include "gene_sums.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

using namespace dataset_detail;

namespace {

/// What a count of each cell is multiplied by: one over its mean count, 0 for an empty cell.
std::vector<double> normalisation_factors(const CountMatrix& counts) {
  std::vector<double> factors = counts.cell_totals();
  for (double& factor : factors) factor = factor > 0 ? static_cast<double>(counts.n_genes()) / factor : 0.0;
  return factors;
}

/// Sums over cells, per gene: count, 1 where it is not zero, count times the factor of its cell.
std::vector<double> sums_of(const CountMatrix& counts, std::span<const std::int64_t> cells,
                            const std::vector<double>& factors) {
  return gene_sums<3>(counts, cells, [&](double* sums, std::int64_t cell, std::int64_t, double count) {
    sums[0] += count;
    sums[1] += 1;
    sums[2] += count * factors[cell];
  });
}

}  // namespace

void GeneExpressionDataset::normalize() {
  X_.require_memory("normalised");
  const std::vector<double> factors = normalisation_factors(X_);
  CountMatrixBuilder builder(nb_genes(), nb_cells(), X_.n_nonzero());
  std::vector<std::int32_t> genes;
  std::vector<float> values;
  for (std::int64_t cell = 0; cell < nb_cells(); ++cell) {
    genes.clear();
    values.clear();
    X_.for_each_nonzero(cell, [&](std::int64_t gene, float count) {
      genes.push_back(static_cast<std::int32_t>(gene));
      values.push_back(static_cast<float>(count * factors[cell]));
    });
    builder.append_cell(genes, values);
  }
  CountMatrix normalised = std::move(builder).finish();
  register_dataset_version(kNormX, X_.is_sparse() ? std::move(normalised) : normalised.to_dense());
}

std::vector<RawCountsOfGroup> GeneExpressionDataset::raw_counts_of_groups(
    std::span<const std::span<const std::int64_t>> groups) const {
  for (const auto cells : groups) {
    if (cells.empty()) throw InputError({.problem = "holds no cell", .field = "group of cells to describe"});
    check_positions(cells, nb_cells(), "cell");
  }
  const std::vector<double> factors = normalisation_factors(X_);
  std::vector<RawCountsOfGroup> result;
  for (const auto cells : groups) {
    const auto n = static_cast<double>(cells.size());
    const std::vector<double> sums = sums_of(X_, cells, factors);
    const std::vector<double> norm_sums = has_norm_X() ? gene_totals(norm_X(), cells) : std::vector<double>{};
    RawCountsOfGroup& of_group = result.emplace_back();
    for (std::size_t gene = 0; gene < static_cast<std::size_t>(nb_genes()); ++gene) {
      of_group.mean.push_back(sums[3 * gene] / n);
      of_group.nonz.push_back(sums[3 * gene + 1] / n);
      of_group.norm_mean.push_back((norm_sums.empty() ? sums[3 * gene + 2] : norm_sums[gene]) / n);
    }
  }
  return result;
}

RawCountsProperties GeneExpressionDataset::raw_counts_properties(std::span<const std::int64_t> cells1,
                                                                 std::span<const std::int64_t> cells2) const {
  const std::array groups = {cells1, cells2};
  std::vector<RawCountsOfGroup> of = raw_counts_of_groups(groups);
  return {.mean1 = std::move(of[0].mean),
          .mean2 = std::move(of[1].mean),
          .nonz1 = std::move(of[0].nonz),
          .nonz2 = std::move(of[1].nonz),
          .norm_mean1 = std::move(of[0].norm_mean),
          .norm_mean2 = std::move(of[1].norm_mean)};
}

std::vector<std::vector<bool>> GeneExpressionDataset::get_batch_mask_cell_measurement(std::string_view name) const {
  const CellMeasurement& measurement = cell_measurement(name);
  const std::size_t n_columns = measurement.columns.size();
  std::vector<std::vector<bool>> mask(static_cast<std::size_t>(n_batches()), std::vector<bool>(n_columns));
  const std::vector<std::int64_t>& batches = batch_indices();
  for (std::size_t cell = 0; cell < batches.size(); ++cell) {
    std::vector<bool>& of_batch = mask[batches[cell]];
    for (std::size_t column = 0; column < n_columns; ++column) {
      if (measurement.data[cell * n_columns + column] != 0) of_batch[column] = true;
    }
  }
  return mask;
}

}  // namespace scvi
