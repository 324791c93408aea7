// Blood progenitors of the mouse with the results of SPRING and of population balance analysis.

#include <algorithm>
#include <cmath>
#include <unordered_map>

#include "../columns.hpp"
#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/dataset/builtin.hpp"
#include "sources.hpp"

namespace scvi {
namespace {

constexpr const char* kCounts = "bBM.raw_umifm_counts.csv.gz";
constexpr const char* kArchive = "data.zip";
constexpr const char* kCells = "bBM.spring_and_pba.csv";
constexpr const char* kGenes = "bBM.filtered_gene_list.paper.txt";
constexpr const char* kPoorLibrary = "basal_bm1";

/// log(p / (1 - p)); 0 and 1 are moved to the nearest value that another cell has.
std::vector<double> logit(std::vector<double> p) {
  double smallest = 1;
  double largest = 0;
  for (const double value : p) {
    if (value > 0) smallest = std::min(smallest, value);
    if (value < 1) largest = std::max(largest, value);
  }
  for (double& value : p) {
    if (value == 0) value = smallest;
    if (value == 1) value = largest;
    value = std::log(value / (1 - value));
  }
  return p;
}

/// How far a cell is on its way to granulocytes rather than to erythrocytes.
std::vector<double> lineage_of(const io::Frame& cells, const std::string& path) {
  std::vector<double> out = logit(builtin::real_numbers(builtin::required_column(cells, "Pr_Gr", path), path));
  const auto erythroid = logit(builtin::real_numbers(builtin::required_column(cells, "Pr_Er", path), path));
  for (std::size_t cell = 0; cell < out.size(); ++cell) out[cell] -= erythroid[cell];
  return out;
}

std::vector<std::string> read_gene_list(builtin::TextSource source) {
  const std::string name = source.name;
  std::vector<std::string> genes;
  builtin::for_each_row(std::move(source), '\t',
                        [&](std::int64_t, const builtin::Fields& fields) { genes.emplace_back(fields.front()); });
  if (genes.empty()) throw FormatError({.problem = "lists no genes", .file = name});
  return genes;
}

/// Reads the table of counts line by line and keeps the listed genes of the listed cells.
class HematoCounts {
 public:
  HematoCounts(std::string path, const std::vector<std::string>& genes, const io::Frame& cells,
               const std::string& cells_path)
      : path_(std::move(path)), genes_(genes), builder_(static_cast<std::int64_t>(genes.size())) {
    const std::vector<std::string> names = builtin::texts(builtin::required_column(cells, "cell_id", cells_path));
    for (std::size_t row = 0; row < names.size(); ++row) {
      if (rows_.emplace(names[row], static_cast<std::int64_t>(row)).second) continue;
      throw FormatError({.problem = "lists cell '" + names[row] + "' twice", .file = cells_path});
    }
    builtin::for_each_row(builtin::open_text(path_), ',', [&](std::int64_t line, const builtin::Fields& fields) {
      fields_by_gene_.empty() ? read_header(fields) : read_cell(line, fields);
    });
    if (kept_rows_.empty()) {
      throw FormatError({.problem = "holds no cell of " + cells_path, .file = path_});
    }
  }

  /// Which row of the table of cells each cell kept is.
  const std::vector<std::int64_t>& rows() const { return kept_rows_; }
  CountMatrix finish() && { return std::move(builder_).finish(); }

 private:
  void read_header(const builtin::Fields& fields) {
    std::unordered_map<std::string_view, std::size_t> field;
    for (std::size_t at = 0; at < fields.size(); ++at) field.emplace(fields[at], at);
    const auto find = [&](const std::string& name) {
      const auto found = field.find(name);
      if (found == field.end()) throw FormatError({.problem = "has no column '" + name + "'", .file = path_});
      return found->second;
    };
    n_fields_ = fields.size();
    cell_field_ = find("cell_id");
    library_field_ = find("library_id");
    for (const std::string& gene : genes_) fields_by_gene_.push_back(find(gene));
  }

  void read_cell(std::int64_t line, const builtin::Fields& fields) {
    builtin::require_fields(fields, n_fields_, path_, line);
    const auto row = rows_.find(std::string(fields[cell_field_]));
    if (fields[library_field_] == kPoorLibrary || row == rows_.end()) return;
    positions_.clear();
    values_.clear();
    for (std::size_t gene = 0; gene < fields_by_gene_.size(); ++gene) {
      const std::size_t at = fields_by_gene_[gene];
      const double count = builtin::number_in(fields[at], path_, line, at);
      if (count == 0) continue;
      positions_.push_back(static_cast<std::int32_t>(gene));
      values_.push_back(static_cast<float>(count));
    }
    builder_.append_cell(positions_, values_);
    kept_rows_.push_back(row->second);
  }

  std::string path_;
  const std::vector<std::string>& genes_;
  CountMatrixBuilder builder_;
  std::unordered_map<std::string, std::int64_t> rows_;  // of the table of cells
  std::vector<std::int64_t> kept_rows_;
  std::size_t n_fields_ = 0;
  std::size_t cell_field_ = 0;
  std::size_t library_field_ = 0;
  std::vector<std::size_t> fields_by_gene_;
  std::vector<std::int32_t> positions_;  // of one cell, as are the values
  std::vector<float> values_;
};

/// What scVI 0.6.3 does to labels that are no categories: the whole part, in 16 bits.
std::vector<std::int64_t> truncated_labels(const std::vector<double>& values) {
  std::vector<std::int64_t> labels;
  labels.reserve(values.size());
  for (const double value : values) labels.push_back(static_cast<std::int64_t>(value) & 0xffff);
  return labels;
}

}  // namespace

GeneExpressionDataset load_hemato(const std::string& folder, const HematoOptions& options) {
  const std::string counts_path = builtin::existing_file(folder, kCounts);
  builtin::TextSource cells_source = builtin::open_packed_text(folder, kArchive, kCells);
  const std::string cells_path = cells_source.name;
  const io::Frame cells = builtin::read_annotation(std::move(cells_source));
  std::vector<std::string> genes = read_gene_list(builtin::open_packed_text(folder, kArchive, kGenes));
  HematoCounts counts(counts_path, genes, cells, cells_path);
  io::Frame kept;
  for (const io::Column& column : cells.columns) kept.columns.push_back(dataset_detail::take(column, counts.rows()));
  std::vector<double> lineage = lineage_of(kept, cells_path);
  PopulateOptions populate;
  if (options.reference_0_6_3) populate.labels = truncated_labels(lineage);
  populate.cell_names = builtin::texts(builtin::required_column(kept, "cell_id", cells_path));
  for (io::Column& column : kept.columns) {
    if (column.name == "cell_id") continue;
    if (column.name == "x_spring") column.name = "x_coord";
    if (column.name == "y_spring") column.name = "y_coord";
    populate.cell_attributes.push_back(std::move(column));
  }
  populate.cell_attributes.push_back(builtin::column_of("lineage", std::move(lineage)));
  populate.gene_names = std::move(genes);
  GeneExpressionDataset dataset;
  dataset.populate_from_data(std::move(counts).finish(), std::move(populate));
  builtin::drop_empty_cells(dataset);
  return dataset;
}

namespace builtin {

std::vector<Definition> hemato_definitions() {
  return {{
      .entry = {.name = "hemato",
                .aliases = {"HematoDataset"},
                .organism = "mouse",
                .what = "blood progenitors of the bone marrow; inDrop",
                .n_cells = 4016,
                .n_genes = 7397,
                .annotations = {"coordinates (SPRING)", "potential and fates (population balance analysis)"},
                .reference = "Tusi et al. 2018, doi:10.1038/nature25741",
                .save_path = "data/HEMATO/",
                .files = {{.name = kCounts,
                           .url = "https://www.ncbi.nlm.nih.gov/geo/download/?acc=GSM2388072&format=file&"
                                  "file=GSM2388072%5Fbasal%5Fbone%5Fmarrow%2Eraw%5Fumifm%5Fcounts%2Ecsv%2Egz",
                           .mirror_name = std::string("HEMATO/") + kCounts},
                          {.name = kArchive,
                           .url = "https://github.com/romain-lopez/scVI-reproducibility/raw/master/additional/"
                                  "data.zip",
                           .mirror_name = std::string("HEMATO/") + kArchive}},
                .options = {{"reference_0_6_3", "false", "labels as scVI 0.6.3 makes them, which mean nothing"}}},
      .prepare = [](const OptionValues& values) -> Load {
        const HematoOptions options{.reference_0_6_3 = values.flag("reference_0_6_3")};
        return [options](const std::string& folder) { return load_hemato(folder, options); };
      },
  }};
}

}  // namespace builtin
}  // namespace scvi
