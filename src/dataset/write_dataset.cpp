#include "scvi/dataset/write_dataset.hpp"

#include <algorithm>
#include <numeric>

#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/align_genes.hpp"
#include "scvi/io/convert.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/loom.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kRowsPerWrittenBlock = 4096;
const std::string kObsBatch = "batch";
const std::string kObsCellType = "cell_type";

std::vector<std::string> numbered_names(std::int64_t n) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < n; ++i) names.push_back(std::to_string(i));
  return names;
}

io::Column categorical_column(const std::string& name, const std::vector<std::int64_t>& codes,
                              const std::vector<std::string>& names) {
  io::Categorical categorical;
  categorical.codes.assign(codes.begin(), codes.end());
  categorical.categories = make_names_unique(names);
  return {name, std::move(categorical), {}};
}

void add_column(io::Frame& frame, io::Column column) {
  if (frame.find(column.name) != nullptr || column.name == frame.index_name) {
    log_warning("the attribute '" + column.name + "' is not written: a column of that name is there already");
    return;
  }
  frame.columns.push_back(std::move(column));
}

/// Names of the cells, each once: data sets that were put together may share barcodes.
std::vector<std::string> written_cell_names(const GeneExpressionDataset& dataset) {
  if (dataset.cell_names().empty()) return numbered_names(dataset.nb_cells());
  const std::vector<std::string> repeated = repeated_names(dataset.cell_names());
  if (repeated.empty()) return dataset.cell_names();
  log_info("names of cells made unique by suffixes: " + join_some(repeated, 5));
  return make_names_unique(dataset.cell_names());
}

/// An attribute that has the name of the column for batches or cell types gets another.
io::Column renamed(io::Column column, const io::Frame& frame) {
  if (frame.find(column.name) == nullptr) return column;
  const std::string name = "original_" + column.name;
  log_info("the attribute '" + column.name + "' is written as '" + name + "'");
  column.name = name;
  return column;
}

io::Frame obs_frame(const GeneExpressionDataset& dataset) {
  io::Frame obs;
  obs.index = written_cell_names(dataset);
  add_column(obs, categorical_column(kObsBatch, dataset.batch_indices(), dataset.batch_names()));
  const bool labelled = dataset.cell_types() != std::vector<std::string>{"undefined"};
  if (labelled) add_column(obs, categorical_column(kObsCellType, dataset.labels(), dataset.cell_types()));
  const std::vector<std::string> measurements = [&] {
    std::vector<std::string> names;
    for (const CellMeasurement& measurement : dataset.cell_measurements()) names.push_back(measurement.name);
    return names;
  }();
  for (const std::string& name : dataset.cell_attribute_names()) {
    const bool elsewhere = name == "batch_indices" || name == "labels" ||
                           std::find(measurements.begin(), measurements.end(), name) != measurements.end();
    if (!elsewhere) add_column(obs, renamed(dataset.cell_attribute(name), obs));
  }
  const std::vector<std::string> attributes = dataset.cell_attribute_names();
  for (const MappedAttribute& mapping : dataset.mapped_attributes()) {
    const bool of_cells = std::find(attributes.begin(), attributes.end(), mapping.source) != attributes.end();
    if (!of_cells || mapping.name == "batch_names" || mapping.name == "cell_types") continue;
    const io::Column& source = dataset.cell_attribute(mapping.source);
    add_column(obs,
               categorical_column(mapping.name, std::get<std::vector<std::int64_t>>(source.values), mapping.values));
  }
  return obs;
}

io::Frame var_frame(const GeneExpressionDataset& dataset) {
  io::Frame var;
  var.index = dataset.gene_names().empty() ? numbered_names(dataset.nb_genes()) : dataset.gene_names();
  for (const std::string& name : dataset.gene_attribute_names()) {
    if (name != "gene_names") add_column(var, dataset.gene_attribute(name));
  }
  return var;
}

/// The counts, some cells at a time.
std::function<bool(io::CsrBlock&)> rows_of(const GeneExpressionDataset& dataset) {
  return [&dataset, next = std::int64_t{0}](io::CsrBlock& block) mutable {
    throw_if_interrupted();
    const std::int64_t count = std::min(kRowsPerWrittenBlock, dataset.nb_cells() - next);
    if (count == 0) return false;
    std::vector<std::int64_t> cells(static_cast<std::size_t>(count));
    std::iota(cells.begin(), cells.end(), next);
    dataset.X().gather_csr(cells, block);
    block.first_row = next;
    next += count;
    return true;
  };
}

}  // namespace

void write_dataset_h5ad(const GeneExpressionDataset& dataset, const std::string& path, Overwrite overwrite) {
  io::H5adContents contents;
  contents.obs = obs_frame(dataset);
  contents.var = var_frame(dataset);
  contents.dense = !dataset.X().is_sparse();
  io::UnsDict column_names;
  for (const CellMeasurement& measurement : dataset.cell_measurements()) {
    const auto n_columns = static_cast<std::int64_t>(measurement.columns.size());
    contents.obsm.emplace_back(measurement.name, io::FloatArray{dataset.nb_cells(), n_columns, measurement.data});
    contents.uns.emplace_back(measurement.columns_attr_name, io::UnsValue{measurement.columns});
    column_names.emplace_back(measurement.name, io::UnsValue{measurement.columns_attr_name});
  }
  if (!column_names.empty()) contents.uns.emplace_back("cell_measurements_col_mappings", io::UnsValue{column_names});

  contents.next_rows = rows_of(dataset);
  io::write_h5ad(path, contents, overwrite);
}

void write_dataset_loom(const GeneExpressionDataset& dataset, const std::string& path, Overwrite overwrite) {
  io::LoomContents contents;
  contents.obs = obs_frame(dataset);
  contents.var = var_frame(dataset);
  for (const CellMeasurement& measurement : dataset.cell_measurements()) {
    io::CellTable table{.name = measurement.name,
                        .columns_name = measurement.columns_attr_name,
                        .columns = measurement.columns,
                        .values = {dataset.nb_cells(), std::ssize(measurement.columns), {}}};
    table.values.values.assign(measurement.data.begin(), measurement.data.end());
    contents.tables.push_back(std::move(table));
  }
  contents.next_rows = rows_of(dataset);
  io::write_loom(path, contents, overwrite);
}

void write_dataset(const GeneExpressionDataset& dataset, const std::string& path, Overwrite overwrite) {
  const bool is_loom = io::output_format_of(path) == io::CountFormat::loom;
  (is_loom ? write_dataset_loom : write_dataset_h5ad)(dataset, path, overwrite);
}

}  // namespace scvi
