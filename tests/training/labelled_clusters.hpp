#pragma once

#include <memory>

#include "scvi/dataset/synthetic.hpp"

namespace scvi::testing {

/// Three kinds of cells in two batches, easy to tell apart.
inline std::shared_ptr<const GeneExpressionDataset> labelled_clusters(std::int64_t cells_per_cluster = 60) {
  SyntheticDatasetCorrOptions options;
  options.n_cells_cluster = cells_per_cluster;
  options.n_genes_high = 10;
  options.n_batches = 2;
  options.seed = 1;
  return std::make_shared<GeneExpressionDataset>(synthetic_dataset_corr(options).dataset);
}

/// The same cells, told wrongly in all but the named ones.
inline std::shared_ptr<const GeneExpressionDataset> with_wrong_labels(const GeneExpressionDataset& dataset,
                                                                      const std::vector<std::int64_t>& except) {
  std::vector<std::int64_t> labels = dataset.labels();
  for (auto& label : labels) label = (label + 1) % dataset.n_labels();
  for (const std::int64_t cell : except) labels[cell] = dataset.labels()[cell];
  auto wrong = std::make_shared<GeneExpressionDataset>(dataset);
  wrong->initialize_cell_attribute({.name = "labels", .values = labels, .missing = {}}, /*categorical=*/true);
  return wrong;
}

}  // namespace scvi::testing
