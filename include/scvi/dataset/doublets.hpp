#pragma once

#include <cstdint>

#include "scvi/core/settings.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

struct DoubletOptions {
  std::int64_t n_doublets = 0;  ///< how many; 0: as many as there are cells
  std::uint64_t seed = settings().seed;
};

/// The cells of a data set, and behind them simulated doublets, from which a classifier can learn what two cells in
/// one droplet look like. Each has the sum of the counts of two different cells of one batch, chosen at random: every
/// cell of a batch with two or more is the first of a pair with the same probability.
///
/// Cell attribute "doublet" is "singlet" or "doublet", "doublet_of" names the two cells of a doublet ("a + b").
/// Doublets are called "doublet1", "doublet2", ... and belong to the batch of their cells. Batches, names and the
/// attributes of genes are those of `cells`; labels, other attributes of cells and measurements are left out.
/// @throws InputError when no batch has two cells, for a negative number, and for counts on disk
GeneExpressionDataset with_simulated_doublets(const GeneExpressionDataset& cells, const DoubletOptions& options = {});

}  // namespace scvi
