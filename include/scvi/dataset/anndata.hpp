#pragma once

#include <map>
#include <string>

#include "scvi/dataset/align_genes.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/dataset/write_dataset.hpp"
#include "scvi/io/h5ad.hpp"

namespace scvi {

/// An .h5ad file as a data set: load_counts() of the matrix and tables that `from` names.
/// @throws as load_counts
GeneExpressionDataset load_anndata(const io::H5adFile& file, const LoadOptions& options = {},
                                   const io::H5adOptions& from = {});

/// The options of scVI's AnnDatasetFromAnnData.
struct AnnDatasetOptions {
  // obs columns. Each is used only where the file has it; cell types go before labels.
  std::string batch_label = "batch_indices";
  std::string ctype_label = "cell_types";
  std::string class_label = "labels";
  bool use_raw = false;  ///< counts of raw/X instead of X
  /// Matrix of obsm -> name of its columns: "protein_expression" -> "protein_names". The list of the columns is in
  /// uns under that name, or under the name of the matrix.
  std::map<std::string, std::string> cell_measurements_col_mappings{};
};

/// The data set that scVI's AnnDatasetFromAnnData makes of a file: cells without counts are left out, attributes
/// kept.
/// @throws as load_counts
GeneExpressionDataset dataset_from_anndata(const io::H5adFile& file, const AnnDatasetOptions& options = {});

}  // namespace scvi
