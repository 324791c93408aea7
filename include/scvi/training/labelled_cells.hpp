#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

/// Cells whose labels a trainer may see, and the others; positions in the data set.
struct LabelledCells {
  std::vector<std::int64_t> labelled;
  std::vector<std::int64_t> unlabelled;
};

/// Chooses up to so many cells of each label as scVI's SemiSupervisedTrainer does: walks through the cells in the
/// order of a permutation and takes each whose label is still short. The last one taken comes first. A label with
/// fewer cells gives those it has (where scVI would fill up with further cells of other labels).
/// @param labels of all cells; a cell with a negative one is never chosen
/// @param seed of the permutation, the same as numpy's RandomState
/// @throws InputError when n_per_class is below 1
LabelledCells choose_labelled_cells(std::span<const std::int64_t> labels, std::int64_t n_per_class,
                                    std::uint32_t seed);

/// Warns of every label that has no cell, or one, to learn from.
/// @param labelled positions in the data set of the training cells whose label may be seen
/// @param n_labels that the model knows
/// @throws InputError for fewer than kSmallestMinibatch of them, and for a label that the model does not know
void check_labelled_cells(std::span<const std::int64_t> labelled, const GeneExpressionDataset& dataset,
                          std::int64_t n_labels);

}  // namespace scvi
