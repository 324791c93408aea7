#include "scvi/dataset/write_dataset.hpp"

#include <algorithm>
#include <numeric>

#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/dataset/align_genes.hpp"
#include "scvi/io/h5ad.hpp"

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

io::Frame obs_frame(const GeneExpressionDataset& dataset) {
  io::Frame obs;
  obs.index = dataset.cell_names().empty() ? numbered_names(dataset.nb_cells()) : dataset.cell_names();
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
    if (!elsewhere) add_column(obs, dataset.cell_attribute(name));
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

  std::int64_t next = 0;
  contents.next_rows = [&](io::CsrBlock& block) {
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
  io::write_h5ad(path, contents, overwrite);
}

}  // namespace scvi
