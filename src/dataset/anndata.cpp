#include "scvi/dataset/anndata.hpp"

#include <algorithm>

namespace scvi {
namespace {

/// The list in uns that names the columns of a matrix: scVI 0.6.3 looks under the name of the matrix.
std::string columns_in_uns(const io::H5adFile& file, const std::string& matrix, const std::string& columns) {
  const std::vector<std::string> keys = file.uns_keys();
  const auto has = [&](const std::string& key) { return std::find(keys.begin(), keys.end(), key) != keys.end(); };
  return !has(columns) && has(matrix) ? matrix : columns;
}

}  // namespace

GeneExpressionDataset load_anndata(const io::H5adFile& file, const LoadOptions& options,
                                   const io::H5adOptions& from) {
  return load_counts(io::counts_of(file, from), options);
}

GeneExpressionDataset dataset_from_anndata(const io::H5adFile& file, const AnnDatasetOptions& options) {
  const auto has = [&](const std::string& key) { return file.obs().find(key) != nullptr; };
  LoadOptions load;
  if (has(options.batch_label)) load.batch_key = options.batch_label;
  if (has(options.class_label)) load.labels_key = options.class_label;
  if (has(options.ctype_label)) load.labels_key = options.ctype_label;
  io::H5adOptions from{.layer = options.use_raw ? "raw" : "", .all_tables = false, .tables = {}};
  for (const auto& [matrix, columns] : options.cell_measurements_col_mappings) {
    from.tables.push_back({.obsm = matrix, .uns_names = columns_in_uns(file, matrix, columns)});
  }
  io::CountFile counts = io::counts_of(file, from);
  load.measurements.emplace();
  for (io::CellTable& table : counts.tables) {
    table.columns_name = options.cell_measurements_col_mappings.at(table.name);
    load.measurements->push_back(table.name);
  }
  return load_counts(std::move(counts), load);
}

}  // namespace scvi
