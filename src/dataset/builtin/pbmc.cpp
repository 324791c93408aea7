// Blood cells: two 10x data sets with the annotation of scVI's authors, and ten populations purified by type.

#include <algorithm>
#include <array>
#include <unordered_map>

#include "../columns.hpp"
#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/dataset/builtin.hpp"
#include "scvi/io/pandas_pickle.hpp"
#include "sources.hpp"

namespace scvi {
namespace {

constexpr const char* kGeneTable = "gene_info_pbmc.csv";
constexpr const char* kMetadata = "pbmc_metadata.pickle";

constexpr const char* kScviData = "https://github.com/YosefLab/scVI-data/raw/master/";

/// What scVI's authors found out about the cells: one row a cell, in every table.
struct PbmcMetadata {
  std::string path{};
  std::vector<std::string> barcodes{};
  io::Frame design{};
  io::Frame raw_qc{};
  io::Frame normalized_qc{};
  io::Frame qc_pc{};
  std::vector<std::int64_t> clusters{};
  std::vector<std::string> cluster_names{};
};

/// A matrix as a table whose columns are numbered: "PC1", "PC2", ...
io::Frame numbered_columns(const io::PickledArray& array, const std::string& prefix, const std::string& path) {
  if (array.shape.size() != 2) throw FormatError({.problem = "is no matrix", .file = path, .field = "qc_pc"});
  const std::vector<double> values = builtin::real_numbers(array.column, path);
  io::Frame frame;
  for (std::int64_t column = 0; column < array.shape[1]; ++column) {
    std::vector<double> taken;
    for (std::int64_t row = 0; row < array.shape[0]; ++row) taken.push_back(values[row * array.shape[1] + column]);
    frame.columns.push_back(builtin::column_of(prefix + std::to_string(column + 1), std::move(taken)));
  }
  return frame;
}

PbmcMetadata read_metadata(const std::string& path) {
  const io::PandasPickle pickle(path);
  PbmcMetadata out{.path = path,
                   .barcodes = pickle.frame("barcodes").index,
                   .design = pickle.frame("design"),
                   .raw_qc = pickle.frame("raw_qc"),
                   .normalized_qc = pickle.frame("normalized_qc"),
                   .qc_pc = numbered_columns(pickle.array("qc_pc"), "PC", path),
                   .clusters = builtin::whole_numbers(pickle.array("clusters").column, path),
                   .cluster_names = builtin::texts(pickle.array("list_clusters").column)};
  const auto n_rows = static_cast<std::int64_t>(out.barcodes.size());
  const auto check = [&](std::int64_t n_found, const char* what) {
    if (n_found == n_rows) return;
    throw FormatError(
        {.problem = "describes " + std::to_string(n_found) + " cells, but 'barcodes' " + std::to_string(n_rows),
         .file = path,
         .field = what});
  };
  check(static_cast<std::int64_t>(out.clusters.size()), "clusters");
  for (const auto& [frame, name] : {std::pair{&out.design, "design"}, std::pair{&out.raw_qc, "raw_qc"},
                                    std::pair{&out.normalized_qc, "normalized_qc"}, std::pair{&out.qc_pc, "qc_pc"}}) {
    for (const io::Column& column : frame->columns) check(column.size(), name);
  }
  return out;
}

/// Which rows of the metadata are which cells.
struct PbmcMatch {
  std::vector<std::int64_t> rows{};
  std::vector<std::int64_t> cells{};

  void add(std::size_t row, std::int64_t cell) {
    rows.push_back(static_cast<std::int64_t>(row));
    cells.push_back(cell);
  }
};

/// Barcodes that both batches have: the metadata calls the cell of the second batch "...-11", the other one "...-1".
bool is_second_of_two(const std::string& barcode) {
  return barcode.ends_with("-11");
}

PbmcMatch match_cells(const GeneExpressionDataset& dataset, const PbmcMetadata& metadata) {
  const std::vector<std::string> barcodes = builtin::texts(dataset.cell_attribute("barcodes"));
  std::array<std::unordered_map<std::string, std::int64_t>, 2> cells;  // of each batch
  for (std::size_t cell = 0; cell < barcodes.size(); ++cell) {
    cells[dataset.batch_indices()[cell]].emplace(barcodes[cell], static_cast<std::int64_t>(cell));
  }
  const std::vector<std::int64_t> batches =
      builtin::whole_numbers(builtin::required_column(metadata.design, "batchpbmc4k", metadata.path), metadata.path);
  PbmcMatch match;
  for (std::size_t row = 0; row < metadata.barcodes.size(); ++row) {
    std::string barcode = metadata.barcodes[row];
    if (is_second_of_two(barcode)) barcode.pop_back();
    const auto& batch = cells[batches[row] != 0 ? 1 : 0];
    const auto found = batch.find(barcode);
    if (found != batch.end()) match.add(row, found->second);
  }
  return match;
}

/// As scVI 0.6.3 has it: of two cells with the same barcode the one of the second batch is taken for the one of the
/// first, and the other is left out.
PbmcMatch match_cells_as_reference(const GeneExpressionDataset& dataset, const PbmcMetadata& metadata) {
  const std::vector<std::string> barcodes = builtin::texts(dataset.cell_attribute("barcodes"));
  std::unordered_map<std::string, std::int64_t> cells;
  for (std::size_t cell = 0; cell < barcodes.size(); ++cell) cells[barcodes[cell]] = static_cast<std::int64_t>(cell);
  PbmcMatch match;
  for (std::size_t row = 0; row < metadata.barcodes.size(); ++row) {
    const auto found = cells.find(metadata.barcodes[row]);
    if (found != cells.end() && !is_second_of_two(metadata.barcodes[row])) match.add(row, found->second);
  }
  return match;
}

/// These rows of a table of numbers as a measurement.
CellMeasurement measurement_of_rows(const io::Frame& frame, const std::string& name, const std::string& columns_name,
                                    const std::vector<std::int64_t>& rows, const std::string& path) {
  std::vector<io::Column> taken;
  for (const io::Column& column : frame.columns) taken.push_back(dataset_detail::take(column, rows));
  std::vector<const io::Column*> columns;
  for (const io::Column& column : taken) columns.push_back(&column);
  return builtin::measurement_of(name, columns_name, columns, path);
}

void annotate_cells(GeneExpressionDataset& dataset, const PbmcMetadata& metadata, const PbmcMatch& match) {
  dataset.update_cells(match.cells);
  dataset.initialize_cell_attribute(builtin::column_of("labels", dataset_detail::take(metadata.clusters, match.rows)),
                                    true);
  dataset.initialize_mapped_attribute("labels", "cell_types", metadata.cluster_names);
  dataset.remap_categorical_attributes({"labels"});
  const auto add = [&](const io::Frame& frame, const std::string& name, const std::string& columns_name) {
    dataset.initialize_cell_measurement(measurement_of_rows(frame, name, columns_name, match.rows, metadata.path));
  };
  add(metadata.raw_qc, "qc", "qc_names");
  add(metadata.normalized_qc, "normalized_qc", "normalized_qc_names");
  add(metadata.qc_pc, "qc_pc", "qc_pc_names");
  add(metadata.design, "design", "design_names");
}

/// Keeps the genes that the table has, and makes its columns attributes of theirs.
void annotate_genes(GeneExpressionDataset& dataset, const std::string& path) {
  const io::Frame table = builtin::read_annotation(builtin::open_text(path));
  const std::vector<std::string> names = builtin::texts(builtin::required_column(table, "ENSG", path));
  std::unordered_map<std::string, std::int64_t> row_of;
  for (std::size_t row = 0; row < names.size(); ++row) row_of.emplace(names[row], static_cast<std::int64_t>(row));
  std::vector<std::int64_t> genes;
  std::vector<std::int64_t> rows;
  for (std::size_t gene = 0; gene < dataset.gene_names().size(); ++gene) {
    const auto found = row_of.find(dataset.gene_names()[gene]);
    if (found == row_of.end()) continue;
    genes.push_back(static_cast<std::int64_t>(gene));
    rows.push_back(found->second);
  }
  if (genes.empty()) throw FormatError({.problem = "has no gene of the 10x data sets", .file = path});
  dataset.update_genes(genes);
  for (const io::Column& column : table.columns) {
    if (!column.name.empty() && column.name != "ENSG")
      dataset.initialize_gene_attribute(dataset_detail::take(column, rows));
  }
}

void check(const PurifiedPbmcOptions& options) {
  const auto n_populations = static_cast<std::int64_t>(purified_pbmc_populations().size());
  for (const std::int64_t position : options.subset_datasets) {
    if (position >= 0 && position < n_populations) continue;
    throw InputError({.problem = "holds " + std::to_string(position) + ", but there are populations 0 to " +
                                 std::to_string(n_populations - 1),
                      .field = "subset_datasets"});
  }
}

std::vector<std::int64_t> chosen_populations(const PurifiedPbmcOptions& options) {
  check(options);
  if (!options.subset_datasets.empty()) return options.subset_datasets;
  return builtin::all_positions(static_cast<std::int64_t>(purified_pbmc_populations().size()));
}

}  // namespace

const std::vector<std::string>& purified_pbmc_populations() {
  static const std::vector<std::string> names{"cd4_t_helper", "regulatory_t",    "naive_t",       "memory_t",
                                              "cytotoxic_t",  "naive_cytotoxic", "b_cells",       "cd4_t_helper",
                                              "cd34",         "cd56_nk",         "cd14_monocytes"};
  return names;
}

GeneExpressionDataset load_purified_pbmc(const std::string& folder, const PurifiedPbmcOptions& options) {
  PopulateFromDatasetsOptions merging;
  std::vector<GeneExpressionDataset> parts;
  for (const std::int64_t position : chosen_populations(options)) {
    const std::string& name = purified_pbmc_populations()[position];
    parts.push_back(load_10x_dataset(folder, name));
    parts.back().initialize_mapped_attribute("labels", "cell_types", {name});
    merging.dataset_names.push_back(name);
  }
  GeneExpressionDataset dataset;
  dataset.populate_from_moved_datasets(std::move(parts), merging);
  dataset.filter_genes_by_count();
  return dataset;
}

GeneExpressionDataset load_pbmc(const std::string& folder, const PbmcOptions& options) {
  const std::string genes_path = builtin::existing_file(folder, kGeneTable);
  const PbmcMetadata metadata = read_metadata(builtin::existing_file(folder, kMetadata));
  std::vector<GeneExpressionDataset> parts;
  PopulateFromDatasetsOptions merging{.dataset_names = {"pbmc8k", "pbmc4k"}};
  for (const std::string& name : merging.dataset_names) {
    parts.push_back(load_10x_dataset(options.folder_10x.empty() ? folder : options.folder_10x, name));
  }
  GeneExpressionDataset dataset;
  dataset.populate_from_moved_datasets(std::move(parts), merging);
  const PbmcMatch match =
      options.reference_0_6_3 ? match_cells_as_reference(dataset, metadata) : match_cells(dataset, metadata);
  if (match.cells.empty()) {
    throw FormatError({.problem = "describes no cell of the 10x data sets", .file = metadata.path});
  }
  annotate_cells(dataset, metadata, match);
  annotate_genes(dataset, genes_path);
  return dataset;
}

namespace builtin {
namespace {

std::vector<CatalogueFile> pbmc_files(const std::string& folder_10x) {
  return {{.name = kGeneTable,
           .url = std::string(kScviData) + "gene_info.csv",
           .bytes = 908183,
           .sha256 = "cc33ad3226e9750de0f1d9782b9021d6a82224f6dde43005e6d6558eb560f9d5"},
          {.name = kMetadata,
           .url = std::string(kScviData) + "pbmc_metadata.pickle",
           .bytes = 4000144,
           .sha256 = "a7b8b2a5cec508b8f3c080aa28bcc3c6be34ab249bacc4c6b8bc1cec3a966e07"},
          tenx_file("pbmc8k", folder_10x),
          tenx_file("pbmc4k", folder_10x)};
}

std::vector<CatalogueFile> population_files(const PurifiedPbmcOptions& options) {
  std::vector<CatalogueFile> files;
  std::vector<std::string> seen;
  for (const std::int64_t position : chosen_populations(options)) {
    const std::string& name = purified_pbmc_populations()[position];
    if (std::find(seen.begin(), seen.end(), name) != seen.end()) continue;
    seen.push_back(name);
    files.push_back(tenx_file(name));
  }
  return files;
}

Definition pbmc_definition() {
  return {.entry = {.name = "pbmc",
                    .aliases = {"PbmcDataset"},
                    .organism = "human",
                    .what = "blood cells of a healthy donor (pbmc8k and pbmc4k); Chromium v2",
                    .n_cells = 12039,
                    .n_genes = 3346,
                    .annotations = {"2 batches", "9 cell types", "quality metrics", "bulk expression of the genes"},
                    .reference = "Lopez et al. 2018, doi:10.1038/s41592-018-0229-2",
                    .save_path = "data/",
                    .files = pbmc_files(""),
                    .options = {{"save_path_10X", "", "folder of the 10x data sets; empty: that of this one"},
                                {"reference_0_6_3", "false", "cells that share a barcode as scVI 0.6.3 has them"}}},
          .prepare = [](const OptionValues& values) -> Load {
            const PbmcOptions options{.folder_10x = values.text("save_path_10X"),
                                      .reference_0_6_3 = values.flag("reference_0_6_3")};
            return [options](const std::string& folder) { return load_pbmc(folder, options); };
          },
          .files = [](const OptionValues& values) { return pbmc_files(values.text("save_path_10X")); }};
}

Definition purified_pbmc_definition() {
  return {.entry = {.name = "purified_pbmc",
                    .aliases = {"PurifiedPBMCDataset"},
                    .organism = "human",
                    .what = "blood cells purified by type; Chromium v1",
                    .n_cells = 105868,
                    .n_genes = 0,
                    .annotations = {"10 cell types, each a batch"},
                    .reference = "Zheng et al. 2017, doi:10.1038/ncomms14049",
                    .save_path = "data/",
                    .files = population_files({}),
                    .options = {{"subset_datasets", "", "positions 0 to 10 of the populations; empty: all"}}},
          .prepare = [](const OptionValues& values) -> Load {
            const PurifiedPbmcOptions options{.subset_datasets = values.numbers("subset_datasets")};
            check(options);
            return [options](const std::string& folder) { return load_purified_pbmc(folder, options); };
          },
          .files =
              [](const OptionValues& values) {
                return population_files({.subset_datasets = values.numbers("subset_datasets")});
              }};
}

}  // namespace

std::vector<Definition> pbmc_definitions() {
  std::vector<Definition> out;
  out.push_back(pbmc_definition());
  out.push_back(purified_pbmc_definition());
  return out;
}

}  // namespace builtin
}  // namespace scvi
