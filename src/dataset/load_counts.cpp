#include "scvi/dataset/load_counts.hpp"

#include <algorithm>
#include <cmath>
#include <new>
#include <numeric>

#include "columns.hpp"
#include "count_loader.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/align_genes.hpp"
#include "scvi/dataset/count_store.hpp"

namespace scvi {

using dataset_detail::named;
using dataset_detail::number_text;

namespace {

const std::string kCellTypeRole = "the cell type";
constexpr std::int32_t kHiddenLabel = -1;

const io::Column& obs_column(const io::CountFile& file, const std::string& key, const std::string& role) {
  const io::Column* column = file.obs.find(key);
  if (column != nullptr) return *column;
  throw InputError({.problem = "has no column '" + key + "' (asked for as " + role + ")",
                    .file = file.path,
                    .field = "obs",
                    .remedy = suggest(key, file.obs.column_names())});
}

/// The categories of an obs column. Cells without a value get the category `missing_name`, or are an error when that
/// is empty.
io::Categorical categories_of(const io::CountFile& file, const std::string& key, const std::string& role,
                              const std::string& missing_name) {
  io::Categorical categories = obs_column(file, key, role).as_categorical();
  const auto first = std::find(categories.codes.begin(), categories.codes.end(), -1);
  if (first == categories.codes.end()) return categories;
  if (missing_name.empty()) {
    std::string remedy = "fill the column in, or leave these cells out of the file";
    if (role == kCellTypeRole) remedy += ", or name their type with --missing-label";
    const auto n_missing = std::count(first, categories.codes.end(), -1);
    throw InputError({.problem = "has no value for " + with_thousands(n_missing) + " of " +
                                 with_thousands(file.obs.n_rows()) + " cells, the first is " +
                                 named("cell", file.obs.index, first - categories.codes.begin()),
                      .file = file.path,
                      .field = "obs column '" + key + "'",
                      .remedy = remedy});
  }
  const auto known = std::find(categories.categories.begin(), categories.categories.end(), missing_name);
  const auto code = static_cast<std::int32_t>(known - categories.categories.begin());
  if (known == categories.categories.end()) categories.categories.push_back(missing_name);
  std::replace(categories.codes.begin(), categories.codes.end(), -1, code);
  return categories;
}

/// Takes a category away: its cells have none then. The last one stays in the list, which must not be empty.
void hide_category(io::Categorical& column, const std::string& name) {
  const auto found = std::find(column.categories.begin(), column.categories.end(), name);
  if (found == column.categories.end()) return;
  const auto hidden = static_cast<std::int32_t>(found - column.categories.begin());
  for (std::int32_t& code : column.codes) {
    if (code == hidden) code = kHiddenLabel;
  }
  if (column.categories.size() == 1) return;
  for (std::int32_t& code : column.codes) {
    if (code > hidden) --code;
  }
  column.categories.erase(found);
}

/// The labels with -1 for cells without a value, be it missing or empty text, and for those of the hidden type.
io::Categorical labels_of(const io::CountFile& file, const LoadOptions& options) {
  if (!options.hidden_label) return categories_of(file, options.labels_key, kCellTypeRole, options.missing_label);
  io::Categorical labels = obs_column(file, options.labels_key, kCellTypeRole).as_categorical();
  hide_category(labels, *options.hidden_label);
  hide_category(labels, "");
  return labels;
}

void check_shape(const io::CountFile& file) {
  const io::MatrixInfo& info = file.counts->info();
  if (info.n_rows == file.obs.n_rows() && info.n_cols == file.var.n_rows()) return;
  throw FormatError({.problem = "has " + std::to_string(info.n_rows) + " x " + std::to_string(info.n_cols) +
                                " entries for " + std::to_string(file.obs.n_rows()) + " cells and " +
                                std::to_string(file.var.n_rows()) + " genes",
                     .file = file.path,
                     .field = info.path});
}

void check_gene_names(io::CountFile& file, const LoadOptions& options) {
  const std::vector<std::string> repeated = repeated_names(file.var.index);
  if (repeated.empty()) return;
  if (options.on_duplicate_genes == DuplicateGenes::make_unique) {
    log_info("gene names made unique by suffixes: " + join_some(repeated, 5));
    file.var.index = make_names_unique(std::move(file.var.index));
    return;
  }
  // Where genes are asked for by name only those must be unique, which align_genes() checks.
  if (!options.genes.empty()) return;
  throw InputError({.problem = "are not unique: " + with_thousands(std::ssize(repeated)) + " occur more than once (" +
                               join_some(repeated, 5) + ")",
                    .file = file.path,
                    .field = "gene names (var index)",
                    .remedy = "pass --make-unique to number them, as anndata's var_names_make_unique does"});
}

std::vector<std::int64_t> wanted_genes(const io::CountFile& file, const LoadOptions& options) {
  if (options.genes.empty()) {
    std::vector<std::int64_t> all(file.var.index.size());
    std::iota(all.begin(), all.end(), 0);
    return all;
  }
  try {
    return align_genes(file.var.index, options.genes);
  } catch (const InputError& error) {
    Fault fault = error.fault();
    fault.file = file.path;
    throw InputError(fault);
  }
}

std::optional<CountMatrix> load_matrix(dataset_detail::CountLoader& loader, const io::CountFile& file) {
  try {
    return loader.load();
  } catch (const std::bad_alloc&) {
    const io::MatrixInfo& info = file.counts->info();
    throw InputError({.problem = "needs more memory than there is: " + std::to_string(info.n_rows) + " x " +
                                 std::to_string(info.n_cols) + " with " + with_thousands(info.n_stored) +
                                 " stored values",
                      .file = file.path,
                      .field = info.path});
  }
}

/// Whether these are all of n items in their order.
bool is_everything(const std::vector<std::int64_t>& kept, std::size_t n) {
  if (kept.size() != n) return false;
  for (std::size_t i = 0; i < n; ++i) {
    if (kept[i] != static_cast<std::int64_t>(i)) return false;
  }
  return true;
}

/// The kept items; the others are gone, and where all are kept nothing is copied.
template <class Items>
Items taken(Items items, const std::vector<std::int64_t>& kept, bool everything) {
  return everything ? std::move(items) : dataset_detail::take(items, kept);
}

/// A name that the data set uses for something else would overwrite it.
std::string free_name(const std::string& name, std::initializer_list<const char*> taken, const std::string& suffix) {
  const bool is_taken = std::any_of(taken.begin(), taken.end(), [&](const char* other) { return name == other; });
  return is_taken ? name + suffix : name;
}

/// Moves the annotation out of the file; column by column, so that little is held twice.
void take_annotation(io::CountFile& file, const LoadOptions& options, PopulateOptions& populate) {
  const std::vector<std::int64_t>& cells = populate.original_cells;
  const std::vector<std::int64_t>& genes = populate.original_genes;
  const bool all_cells = is_everything(cells, file.obs.index.size());
  const bool all_genes = is_everything(genes, file.var.index.size());
  populate.cell_names = taken(std::move(file.obs.index), cells, all_cells);
  populate.gene_names = taken(std::move(file.var.index), genes, all_genes);
  if (!options.keep_attributes) return;
  for (io::Column& column : file.obs.columns) {
    if (column.name == options.batch_key || column.name == options.labels_key) continue;
    populate.cell_attributes.push_back(taken(std::move(column), cells, all_cells));
    std::string& name = populate.cell_attributes.back().name;
    name = free_name(name, {"X", "batch_indices", "labels"}, "_cell");
  }
  for (io::Column& column : file.var.columns) {
    populate.gene_attributes.push_back(taken(std::move(column), genes, all_genes));
    std::string& name = populate.gene_attributes.back().name;
    name = free_name(name, {"X", "gene_names"}, "_gene");
  }
}

CellMeasurement load_measurement(const io::CountFile& file, const io::CellTable& table,
                                 const std::vector<std::int64_t>& cells) {
  const std::string field = "obsm '" + table.name + "'";
  const std::int64_t n_columns = table.values.n_cols;
  if (table.values.n_rows != file.counts->info().n_rows || n_columns != std::ssize(table.columns)) {
    throw InputError({.problem = "has " + std::to_string(table.values.n_rows) + " x " + std::to_string(n_columns) +
                                 " values, expected " + std::to_string(file.counts->info().n_rows) + " cells and " +
                                 std::to_string(table.columns.size()) + " names",
                      .file = file.path,
                      .field = field});
  }
  CellMeasurement measurement{table.name, {}, table.columns_name, table.columns};
  measurement.data.reserve(cells.size() * table.columns.size());
  for (const std::int64_t cell : cells) {
    for (std::int64_t column = 0; column < n_columns; ++column) {
      const double value = table.values.values[cell * n_columns + column];
      if (!std::isfinite(value)) {
        throw InputError({.problem = "is " + number_text(value) + ", but must be finite",
                          .file = file.path,
                          .field = field + ", " + named("cell", file.obs.index, cell) + ", column '" +
                                   table.columns[column] + "'"});
      }
      measurement.data.push_back(static_cast<float>(value));
    }
  }
  return measurement;
}

const io::CellTable& table_named(const io::CountFile& file, const std::string& name) {
  std::vector<std::string> known;
  for (const io::CellTable& table : file.tables) {
    if (table.name == name) return table;
    known.push_back(table.name);
  }
  throw InputError({.problem = "has no table '" + name + "' with values for the cells",
                    .file = file.path,
                    .field = "obsm",
                    .remedy = suggest(name, known)});
}

/// @pre the names of the cells are still in the file, for messages
std::vector<CellMeasurement> take_measurements(io::CountFile& file, const LoadOptions& options,
                                               const std::vector<std::int64_t>& cells) {
  std::vector<CellMeasurement> measurements;
  if (options.measurements) {
    for (const std::string& name : *options.measurements) {
      measurements.push_back(load_measurement(file, table_named(file, name), cells));
    }
    return measurements;
  }
  for (io::CellTable& table : file.tables) {
    try {
      measurements.push_back(load_measurement(file, table, cells));
    } catch (const InputError& error) {
      log_warning("left out: " + std::string(error.what()));
    }
    table.values = {};
  }
  return measurements;
}

std::vector<std::int64_t> codes_of_cells(const io::Categorical& categories, const std::vector<std::int64_t>& cells) {
  std::vector<std::int64_t> codes;
  codes.reserve(cells.size());
  for (const std::int64_t cell : cells) codes.push_back(categories.codes[cell]);
  return codes;
}

}  // namespace

GeneExpressionDataset load_counts(io::CountFile file, const LoadOptions& options) {
  check_shape(file);
  check_gene_names(file, options);
  PopulateOptions populate;
  populate.original_genes = wanted_genes(file, options);
  std::optional<io::Categorical> batches;
  std::optional<io::Categorical> labels;
  if (!options.batch_key.empty()) batches = categories_of(file, options.batch_key, "the batch", "");
  if (!options.labels_key.empty()) {
    labels = labels_of(file, options);
  }
  if (options.measurements) {
    for (const std::string& name : *options.measurements) table_named(file, name);
  }

  dataset_detail::CountLoader loader(file, populate.original_genes, options.drop_empty_cells, options.memory_bytes);
  std::optional<CountMatrix> counts = load_matrix(loader, file);
  populate.original_cells = std::move(loader.kept_cells());
  const std::vector<std::int64_t>& cells = populate.original_cells;
  if (batches) {
    populate.batch_indices = codes_of_cells(*batches, cells);
    populate.batch_names = std::move(batches->categories);
  }
  if (labels) {
    populate.labels = codes_of_cells(*labels, cells);
    populate.cell_types = std::move(labels->categories);
  }
  populate.measurements = take_measurements(file, options, cells);
  take_annotation(file, options, populate);
  if (!counts) {
    counts = CountMatrix::on_disk(std::make_shared<const CountStore>(
        std::move(file.counts), file.path, std::move(loader.stored_cells()), populate.original_genes,
        CountStoreOptions{.cache_bytes = options.memory_bytes}));
  }
  populate.check_counts = false;
  GeneExpressionDataset dataset;
  dataset.populate_from_data(std::move(*counts), std::move(populate));
  return dataset;
}

}  // namespace scvi
