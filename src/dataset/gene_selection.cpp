#include "gene_selection.hpp"

#include <algorithm>
#include <array>
#include <functional>

#include "argsort.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/text.hpp"

namespace scvi {
namespace {

/// Sums over the cells of each of `n_groups` groups, gene by gene: add(sums, gene, count) for every non-zero entry.
/// Partial sums are kept per range of cells and added in order, so threads do not change the result.
template <class Add>
std::vector<double> gene_sums(const CountMatrix& counts, std::span<const std::int64_t> group_of_cell,
                              std::int64_t n_groups, Add&& add) {
  constexpr std::int64_t kRanges = 16;
  constexpr std::int64_t kMinCellsPerRange = 512;
  const std::int64_t n_genes = counts.n_genes();
  const auto size = static_cast<std::size_t>(n_groups * n_genes);
  const std::int64_t chunk = std::max(kMinCellsPerRange, (counts.n_cells() + kRanges - 1) / kRanges);
  std::vector<std::vector<double>> partial(static_cast<std::size_t>(chunk_count(counts.n_cells(), chunk)));
  parallel_for(counts.n_cells(), chunk, [&](std::int64_t begin, std::int64_t end) {
    std::vector<double>& sums = partial[begin / chunk];
    sums.assign(size, 0);
    for (std::int64_t cell = begin; cell < end; ++cell) {
      double* group = sums.data() + (group_of_cell.empty() ? 0 : group_of_cell[cell]) * n_genes;
      counts.for_each_nonzero(cell, [&](std::int64_t gene, float count) { add(group[gene], count); });
    }
  });
  std::vector<double> total(size, 0);
  for (const std::vector<double>& sums : partial) {
    std::transform(total.begin(), total.end(), sums.begin(), total.begin(), std::plus<>());
  }
  return total;
}

void add_count(double& sum, float count) {
  sum += count;
}
void add_square(double& sum, float count) {
  sum += static_cast<double>(count) * count;
}

/// Population variance per gene. Sums of whole numbers are exact, so genes with the same counts tie exactly.
std::vector<double> gene_variances(const CountMatrix& counts) {
  const std::vector<double> sums = gene_sums(counts, {}, 1, add_count);
  std::vector<double> variances = gene_sums(counts, {}, 1, add_square);
  const auto n_cells = static_cast<double>(counts.n_cells());
  for (std::size_t gene = 0; gene < sums.size(); ++gene) {
    const double mean = sums[gene] / n_cells;
    variances[gene] = std::max(0.0, variances[gene] / n_cells - mean * mean);
  }
  return variances;
}

std::vector<std::int64_t> most_variable_genes(const GeneExpressionDataset& dataset,
                                              std::optional<std::int64_t> new_n_genes) {
  if (!new_n_genes) {
    throw InputError(
        {.problem = "needs the number or the ratio of genes to keep", .field = "gene selection 'variance'"});
  }
  return dataset_detail::numpy_largest(gene_variances(dataset.X()), *new_n_genes);
}

struct SelectionMode {
  GeneSelectionMode mode;
  const char* name;
  /// Genes to keep, in their new order; nullptr where the mode cannot be run.
  std::vector<std::int64_t> (*select)(const GeneExpressionDataset&, std::optional<std::int64_t> new_n_genes);
};

constexpr std::array kSelectionModes{
    SelectionMode{GeneSelectionMode::variance, "variance", &most_variable_genes},
    SelectionMode{GeneSelectionMode::seurat_v2, "seurat_v2", nullptr},
    SelectionMode{GeneSelectionMode::cell_ranger, "cell_ranger", nullptr},
    SelectionMode{GeneSelectionMode::seurat_v3, "seurat_v3", nullptr},
};

const SelectionMode& selection_mode(GeneSelectionMode mode) {
  return *std::find_if(kSelectionModes.begin(), kSelectionModes.end(), [&](const auto& m) { return m.mode == mode; });
}

}  // namespace

GeneSelectionMode parse_gene_selection_mode(std::string_view name) {
  for (const SelectionMode& mode : kSelectionModes) {
    if (name == mode.name) return mode.mode;
  }
  std::vector<std::string> names;
  for (const SelectionMode& mode : kSelectionModes) names.emplace_back(mode.name);
  throw InputError({.problem = "'" + std::string(name) + "' is unknown",
                    .field = "mode of gene selection",
                    .remedy = suggest(name, names)});
}

std::string gene_selection_mode_name(GeneSelectionMode mode) {
  return selection_mode(mode).name;
}

std::vector<std::string> available_gene_selection_modes() {
  std::vector<std::string> names;
  for (const SelectionMode& mode : kSelectionModes) {
    if (mode.select != nullptr) names.emplace_back(mode.name);
  }
  return names;
}

namespace dataset_detail {

std::vector<double> gene_totals(const CountMatrix& counts, std::span<const std::int64_t> group_of_cell,
                                std::int64_t n_groups) {
  return gene_sums(counts, group_of_cell, n_groups, add_count);
}

void require_available(GeneSelectionMode mode) {
  if (selection_mode(mode).select != nullptr) return;
  throw InputError({.problem = "'" + gene_selection_mode_name(mode) + "' is not available in this version",
                    .field = "mode of gene selection",
                    .remedy = "choose one of: " + join_some(available_gene_selection_modes())});
}

std::vector<std::int64_t> select_genes(const GeneExpressionDataset& dataset, GeneSelectionMode mode,
                                       std::optional<std::int64_t> new_n_genes) {
  return selection_mode(mode).select(dataset, new_n_genes);
}

}  // namespace dataset_detail
}  // namespace scvi
