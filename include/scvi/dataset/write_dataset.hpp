#pragma once

#include <string>

#include "scvi/core/atomic_file.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

/// Writes a data set as .h5ad: counts in X, batches and cell types as the obs columns "batch" and "cell_type" (the
/// latter only when there are labels), the attributes in obs and var, measurements in obsm with the names of their
/// columns in uns. Cells and genes without names are numbered, repeated names of cells get suffixes, and an attribute
/// of the name "batch" or "cell_type" becomes "original_batch" or "original_cell_type". The file appears whole or not
/// at all.
void write_dataset_h5ad(const GeneExpressionDataset& dataset, const std::string& path, Overwrite overwrite);

/// The same as .loom: columns of obs and var and measurements are attributes of the cells and genes.
void write_dataset_loom(const GeneExpressionDataset& dataset, const std::string& path, Overwrite overwrite);

/// One or the other, by the ending of the name. @throws InputError for another ending than .h5ad and .loom
void write_dataset(const GeneExpressionDataset& dataset, const std::string& path, Overwrite overwrite);

}  // namespace scvi
