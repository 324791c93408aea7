#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi::dataset_detail {

/// Total count per gene over the cells of each group, (n_groups, n_genes).
/// @param group_of_cell one per cell, or empty when all cells are in group 0
std::vector<double> gene_totals(const CountMatrix& counts, std::span<const std::int64_t> group_of_cell,
                                std::int64_t n_groups);

/// @throws InputError naming the modes that can be run, unless this is one of them
void require_available(GeneSelectionMode mode);

/// Genes that a mode keeps, in their new order. @pre the mode is available
/// @throws InputError when the mode needs to be told how many
std::vector<std::int64_t> select_genes(const GeneExpressionDataset& dataset, GeneSelectionMode mode,
                                       std::optional<std::int64_t> new_n_genes);

}  // namespace scvi::dataset_detail
