#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace scvi {

/// Which cells and genes to keep, before anything else is known of the data.
struct FilterDefaults {
  std::int64_t min_genes_per_cell = 0;  ///< 0: keep all that have counts
  std::int64_t min_cells_per_gene = 0;
};

/// For whole transcriptomes what is usual: 200 genes a cell, 3 cells a gene. Panels of chosen genes (up to 5,000) are
/// kept whole.
FilterDefaults filter_defaults(std::int64_t n_genes);

/// How to train on data of a size.
struct TrainingDefaults {
  std::int64_t n_top_genes = 0;  ///< 0: all genes
  std::int64_t n_epochs = 0;
  std::int64_t kl_warmup_epochs = 0;
  std::int64_t patience = 0;   ///< epochs without a better ELBO of the test cells before training stops
  std::int64_t frequency = 0;  ///< epochs between two looks at the metrics
};

/// The 2,000 most variable of more than 3,000 genes. 400 epochs up to 20,000 cells and fewer above, so that the
/// number of minibatches stays the same (the rule of scvi-tools), but at least 8; more below, so that it does not
/// fall under 6,000, but at most 2,000. The KL divergence is in force after a quarter of them.
TrainingDefaults training_defaults(std::int64_t n_cells, std::int64_t n_genes);

/// The column of obs that is called as batches usually are, "" when none is: batch, batch_id, batchid, batch_indices,
/// whatever the letter case.
std::string likely_batch_column(std::span<const std::string> columns);
/// The same for cell types: cell_type, celltype, cell_types, cell_line, labels, cluster, clusters, louvain, leiden.
std::string likely_labels_column(std::span<const std::string> columns);

}  // namespace scvi
