#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scvi/core/atomic_file.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/io/h5ad.hpp"

namespace scvi {

/// What to do with gene names that occur more than once.
enum class DuplicateGenes {
  error,
  make_unique,  ///< the first keeps its name, the others get "-1", "-2", ..., as anndata's var_names_make_unique
};

/// Several numbers per cell to load beside the counts.
struct AnnDataMeasurement {
  std::string obsm{};       ///< the matrix in obsm: "protein_expression"
  std::string uns_names{};  ///< the list in uns that names its columns: "protein_names"; empty: they are numbered
};

/// What to take out of an .h5ad file.
struct AnnDataOptions {
  std::string layer{};          ///< matrix with the raw counts: "" for X, "raw" for raw/X, else a layer
  std::string batch_key{};      ///< obs column with the batch of each cell; empty: one batch
  std::string labels_key{};     ///< obs column with the cell type of each cell; empty: no labels
  std::string missing_label{};  ///< cell type given to cells that have none; empty: such a cell is an error
  /// Genes to load, in this order (those of a trained model, for instance); empty: all.
  std::vector<std::string> genes{};
  DuplicateGenes on_duplicate_genes = DuplicateGenes::error;
  /// Leave out cells whose total count over the loaded genes is below 1.
  bool drop_empty_cells = true;
  /// Keep the other columns of obs and var as cell and gene attributes.
  bool keep_attributes = true;
  std::vector<AnnDataMeasurement> measurements{};
};

/// The obs columns that scVI's AnnDatasetFromAnnData looks for, with its names for them as defaults. Each is used
/// only where the file has it; cell types go before labels.
AnnDataOptions reference_anndata_options(const io::H5adFile& file, const std::string& batch_label = "batch_indices",
                                         const std::string& ctype_label = "cell_types",
                                         const std::string& class_label = "labels");

/// Reads counts and annotation. Batches and labels are numbered in the order of the obs column's categories (numbers
/// in numeric order, other text in byte order); categories that no loaded cell has are dropped. Counts are read in
/// blocks and checked in full. Counts that are not whole numbers only warn, with their share and the first of them.
/// @throws InputError naming the file and the matrix, cell, gene, column and value at fault: a count that is
/// negative,
///         NaN or infinite; an unknown column, layer or gene (with the nearest name); cells without a batch, or
///         without a label unless `missing_label` is set; duplicate gene names; no cell left
/// @throws FormatError for a damaged file
GeneExpressionDataset load_anndata(const io::H5adFile& file, const AnnDataOptions& options = {});

/// Names made different as anndata does it: the first of several equal ones stays, the others get "-1", "-2", ..., or
/// the next number that is free.
std::vector<std::string> make_names_unique(std::vector<std::string> names);

/// Where each of the `wanted` genes stands among the `available` ones. Surplus genes are passed over with a log line.
/// @throws InputError when genes are missing, with how many and which, or when a wanted name stands there twice
std::vector<std::int64_t> align_genes(const std::vector<std::string>& available,
                                      const std::vector<std::string>& wanted);

/// Brings a data set to the genes of a trained model, in its order. Cells stay, even those that become empty.
/// @throws InputError as above
void align_genes(GeneExpressionDataset& dataset, const std::vector<std::string>& wanted);

/// Writes a data set as .h5ad: counts in X, batches and cell types as the obs columns "batch" and "cell_type" (the
/// latter only when there are labels), the attributes in obs and var, measurements in obsm with the names of their
/// columns in uns. Cells and genes without names are numbered. The file appears whole or not at all.
void write_dataset_h5ad(const GeneExpressionDataset& dataset, const std::string& path, Overwrite overwrite);

}  // namespace scvi
