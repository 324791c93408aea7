#include <algorithm>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/io/h5ad.hpp"

namespace scvi::io {
namespace {

const std::string kMappings = "cell_measurements_col_mappings";

/// The list in uns, or nothing where there is none or it does not name that many columns.
std::vector<std::string> list_of(const H5adFile& file, const std::string& name, std::size_t n_columns) {
  try {
    std::vector<std::string> names = file.uns_strings(name);
    if (names.size() == n_columns) return names;
  } catch (const Error&) {
    // Whatever else is there under that name, it is no list of names.
  }
  return {};
}

/// What uns/cell_measurements_col_mappings says of a matrix, or "".
std::string mapped_list(const H5adFile& file, const std::string& name) {
  const std::vector<std::string> keys = file.uns_keys();
  if (std::find(keys.begin(), keys.end(), kMappings) == keys.end()) return "";
  const std::vector<std::string> found = list_of(file, kMappings + "/" + name, 1);
  return found.empty() ? "" : found.front();
}

/// "protein_names" for "protein_expression", as scvi-tools calls them.
std::string conventional_list(const std::string& name) {
  return name.substr(0, name.find("_expression")) + "_names";
}

CellTable with_listed_names(const H5adFile& file, CellTable table, const std::string& uns_names) {
  table.columns_name = uns_names;
  table.columns = file.uns_strings(uns_names);
  if (table.values.n_cols == std::ssize(table.columns)) return table;
  throw InputError({.problem = "has " + std::to_string(table.values.n_cols) + " columns, but uns '" + uns_names +
                               "' has " + std::to_string(table.columns.size()) + " names",
                    .file = file.path(),
                    .field = "obsm '" + table.name + "'"});
}

std::vector<CellTable> all_tables(const H5adFile& file) {
  std::vector<CellTable> tables;
  for (const std::string& name : file.obsm_keys()) {
    try {
      tables.push_back(file.table(name));
    } catch (const Error& error) {
      log_warning("obsm '" + name + "' is left out: " + error.fault().problem);
    }
  }
  return tables;
}

CountFile make_counts(const H5adFile& file, Frame obs, Frame var, const H5adOptions& options) {
  CountFile counts;
  counts.path = file.path();
  counts.format = ".h5ad of anndata";
  counts.obs = std::move(obs);
  counts.var = std::move(var);
  counts.counts = file.matrix(options.layer);
  if (options.all_tables) counts.tables = all_tables(file);
  if (options.all_tables) return counts;
  for (const H5adTable& wanted : options.tables) counts.tables.push_back(file.table(wanted.obsm, wanted.uns_names));
  return counts;
}

}  // namespace

CellTable H5adFile::table(const std::string& name, const std::string& uns_names) const {
  CellTable table{.name = name, .columns_name = conventional_list(name), .columns = {}, .values = obsm(name)};
  if (!uns_names.empty()) return with_listed_names(*this, std::move(table), uns_names);
  const auto n_columns = static_cast<std::size_t>(table.values.n_cols);
  const std::string mapped = mapped_list(*this, name);
  if (!mapped.empty()) table.columns_name = mapped;
  table.columns = obsm_columns(name);
  if (table.columns.size() == n_columns) return table;
  table.columns = list_of(*this, table.columns_name, n_columns);
  if (table.columns.size() == n_columns) return table;
  for (std::size_t column = 0; column < n_columns; ++column) table.columns.push_back(std::to_string(column));
  return table;
}

CountFile open_h5ad(const std::string& path, const H5adOptions& options) {
  H5adFile file(path);
  // The matrix first: an unknown layer is said before anything long is read.
  file.matrix(options.layer);
  Frame obs = file.take_obs();
  Frame var = file.take_var_of(options.layer);
  return make_counts(file, std::move(obs), std::move(var), options);
}

CountFile counts_of(const H5adFile& file, const H5adOptions& options) {
  file.matrix(options.layer);
  return make_counts(file, file.obs(), file.var_of(options.layer), options);
}

}  // namespace scvi::io
