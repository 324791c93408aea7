#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/dataset/merging.hpp"

namespace scvi {

/// How data sets are made ready for a model. What is left at its default is not done. The order is: names of genes,
/// putting together, cell types, cells by count, cells by number, genes by count, genes by name, most variable genes.
struct PrepareOptions {
  bool lower_gene_names = false;             ///< small letters for A to Z
  bool measurement_union = false;            ///< several data sets: keep what any has measured, not what all have
  std::vector<std::string> dataset_names{};  ///< what each is called in batches and reports; empty: numbers
  std::vector<std::string> keep_cell_types{};
  std::vector<std::string> remove_cell_types{};
  double min_counts_per_cell = 0;
  std::int64_t min_genes_per_cell = 0;  ///< genes that the cell has counts of
  std::int64_t subsample_cells = 0;     ///< keep this many, those with the largest totals
  double min_counts_per_gene = 0;
  std::int64_t min_cells_per_gene = 0;    ///< cells that have counts of the gene
  bool per_batch = false;                 ///< a gene must pass these two in every batch
  std::vector<std::string> keep_genes{};  ///< in this order
  std::int64_t n_top_genes = 0;
  GeneSelectionMode gene_selection = GeneSelectionMode::seurat_v3;
};

/// What one step has left out.
struct PrepareStep {
  std::string what{};  ///< "cells with fewer than 100 counts"
  std::vector<std::string> dropped_cells{};
  std::vector<std::string> dropped_genes{};
};

struct PrepareReport {
  MergeReport merge{};               ///< no inputs where there was one data set
  std::vector<PrepareStep> steps{};  ///< those that were asked for, in their order
  std::int64_t n_cells = 0;
  std::int64_t n_genes = 0;
};

/// Puts data sets together and selects cells and genes.
/// @throws InputError when there is no data set, nothing is left, or a cell type or gene is not there
GeneExpressionDataset prepare(std::vector<GeneExpressionDataset> inputs, const PrepareOptions& options,
                              PrepareReport& report);

}  // namespace scvi
