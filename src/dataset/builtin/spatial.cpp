// Spatial transcriptomics and seqFISH: spots of breast cancer and of the olfactory bulb, cells of the hippocampus, of
// the cortex and of the olfactory bulb.

#include <cmath>
#include <span>

#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/dataset/builtin.hpp"
#include "scvi/io/delimited.hpp"
#include "scvi/io/xlsx.hpp"
#include "sources.hpp"

namespace scvi {
namespace {

constexpr const char* kBreastCancer = "Layer2_BC_count_matrix-1.tsv";
constexpr const char* kMouseOb = "Rep11_MOB_count_matrix-1.tsv";
constexpr const char* kSeqfish = "SeqFISH.xlsx";
constexpr const char* kSeqfishSheet = "Hippocampus Counts";
constexpr const char* kSeqFishPlus = "seqfishplus.zip";
constexpr const char* kUnnamedColumn = "Unnamed: 0";

/// Spots in rows, genes in columns.
GeneExpressionDataset load_spots(const std::string& folder, const std::string& name) {
  const std::string path = builtin::existing_file(folder, name);
  io::CountFile file =
      io::read_delimited_counts(path, {.separator = '\t', .gene_by_cell = false, .allow_duplicate_names = true});
  PopulateOptions populate;
  populate.gene_names = file.var.index;
  populate.cell_names = file.obs.index;
  GeneExpressionDataset dataset;
  dataset.populate_from_data(builtin::read_counts(*file.counts), std::move(populate));
  builtin::drop_empty_cells(dataset);
  return dataset;
}

/// The sheet of counts: genes in rows, cells in columns, the name of the gene first, and no header.
struct SeqfishTable {
  std::vector<std::string> genes{};
  std::size_t n_cells = 0;
  std::vector<float> values{};  ///< (genes, cells)
};

/// Counts are whole: what has a fraction loses it, as in scVI.
float count_in(const io::XlsxCell& cell, const std::string& path, const io::XlsxRow& row, std::size_t column) {
  if (const double* number = std::get_if<double>(&cell)) return static_cast<float>(std::trunc(*number));
  return static_cast<float>(std::trunc(builtin::number_in(io::text_of(cell), path, row.number, column)));
}

/// The sheet has its names in single quotes.
std::string unquoted(std::string name) {
  const bool quoted = name.size() > 2 && name.front() == '\'' && name.back() == '\'';
  return quoted ? name.substr(1, name.size() - 2) : name;
}

SeqfishTable read_seqfish(const std::string& path) {
  SeqfishTable table;
  io::XlsxFile(path).for_each_row(kSeqfishSheet, [&](const io::XlsxRow& row) {
    if (row.cells.empty()) return;
    if (table.genes.empty()) table.n_cells = row.cells.size() - 1;
    if (row.cells.size() != table.n_cells + 1) {
      throw FormatError({.problem = "has " + std::to_string(row.cells.size()) + " cells, but the first row has " +
                                    std::to_string(table.n_cells + 1),
                         .file = path,
                         .field = "sheet '" + std::string(kSeqfishSheet) + "', row " + std::to_string(row.number)});
    }
    table.genes.push_back(unquoted(io::text_of(row.cells.front())));
    for (std::size_t at = 1; at < row.cells.size(); ++at) {
      table.values.push_back(count_in(row.cells[at], path, row, at));
    }
  });
  if (table.genes.size() < 2 || table.n_cells == 0) throw FormatError({.problem = "holds no counts", .file = path});
  return table;
}

GeneExpressionDataset seqfish_by_cell(SeqfishTable table) {
  builtin::TransposedCounts counts(static_cast<std::int64_t>(table.n_cells));
  for (std::size_t at = 0; at < table.values.size(); ++at) {
    const std::size_t cell = at % table.n_cells;
    if (table.values[at] != 0) counts.add(static_cast<std::int64_t>(cell), table.values[at]);
    if (cell + 1 == table.n_cells) counts.end_gene();
  }
  PopulateOptions populate;
  populate.gene_names = std::move(table.genes);
  GeneExpressionDataset dataset;
  dataset.populate_from_data(counts.select(builtin::all_positions(counts.n_genes())), std::move(populate));
  return dataset;
}

/// The same numbers as scVI 0.6.3 has them: the first gene is lost as a header, the other genes are cells.
GeneExpressionDataset seqfish_as_reference(const SeqfishTable& table) {
  const auto n_cells = static_cast<std::int64_t>(table.genes.size()) - 1;
  const std::span<const float> values = std::span(table.values).subspan(table.n_cells);
  GeneExpressionDataset dataset;
  dataset.populate_from_data(
      CountMatrix::from_dense(n_cells, static_cast<std::int64_t>(table.n_cells), values).to_sparse());
  return dataset;
}

/// Counts of cells in rows and genes in columns.
struct SeqFishPlusCounts {
  std::vector<std::string> genes{};
  CountMatrix matrix{};
};

SeqFishPlusCounts read_seqfish_plus(builtin::TextSource source, bool keep_unnamed) {
  const std::string name = source.name;
  SeqFishPlusCounts out;
  std::vector<float> values;
  std::size_t first = 0;
  std::int64_t n_cells = 0;
  builtin::for_each_row(std::move(source), ',', [&](std::int64_t line, const builtin::Fields& fields) {
    if (out.genes.empty()) {
      first = fields.front().empty() && !keep_unnamed ? 1 : 0;
      out.genes.assign(fields.begin() + first, fields.end());
      if (!out.genes.empty() && out.genes.front().empty()) out.genes.front() = kUnnamedColumn;
      return;
    }
    builtin::require_fields(fields, out.genes.size() + first, name, line);
    for (std::size_t at = first; at < fields.size(); ++at) {
      values.push_back(static_cast<float>(builtin::number_in(fields[at], name, line, at)));
    }
    ++n_cells;
  });
  if (n_cells == 0) throw FormatError({.problem = "holds no cells", .file = name});
  out.matrix = CountMatrix::from_dense(n_cells, static_cast<std::int64_t>(out.genes.size()), values).to_sparse();
  return out;
}

}  // namespace

GeneExpressionDataset load_breast_cancer(const std::string& folder) {
  return load_spots(folder, kBreastCancer);
}

GeneExpressionDataset load_mouse_ob(const std::string& folder) {
  return load_spots(folder, kMouseOb);
}

GeneExpressionDataset load_seqfish(const std::string& folder, const SeqfishOptions& options) {
  SeqfishTable table = read_seqfish(builtin::existing_file(folder, kSeqfish));
  return options.reference_0_6_3 ? seqfish_as_reference(table) : seqfish_by_cell(std::move(table));
}

GeneExpressionDataset load_seqfish_plus(const std::string& folder, const SeqFishPlusOptions& options) {
  const bool cortex = options.tissue_region == SeqFishPlusRegion::subventricular_cortex;
  const std::string prefix = cortex ? "cortex_svz" : "ob";
  builtin::TextSource source = builtin::open_packed_text(folder, kSeqFishPlus, prefix + "_cellcentroids.csv");
  const std::string cells_path = source.name;
  const io::Frame cells = builtin::read_annotation(std::move(source));
  SeqFishPlusCounts counts = read_seqfish_plus(
      builtin::open_packed_text(folder, kSeqFishPlus, prefix + "_counts.csv"), options.reference_0_6_3);
  const auto column = [&](const std::string& name) -> const io::Column& {
    return builtin::required_column(cells, name, cells_path);
  };
  PopulateOptions populate;
  populate.measurements.push_back(
      builtin::measurement_of("coords", "axis", {&column("X"), &column("Y")}, cells_path));
  populate.measurements.back().columns = {"x", "y"};
  std::vector<std::pair<std::string, std::string>> attributes{{"Cell ID", "cell_id"},
                                                              {"Field of View", "field_of_view"}};
  if (cortex) attributes.emplace_back("Region", "region");
  for (const auto& [label, name] : attributes) {
    populate.cell_attributes.push_back(column(label));
    populate.cell_attributes.back().name = name;
  }
  populate.gene_names = std::move(counts.genes);
  GeneExpressionDataset dataset;
  dataset.populate_from_data(std::move(counts.matrix), std::move(populate));
  return dataset;
}

namespace builtin {
namespace {

Definition spots_definition(CatalogueEntry entry, GeneExpressionDataset (*load)(const std::string&)) {
  entry.reference = "Stahl et al. 2016, doi:10.1126/science.aaf2403";
  entry.save_path = "data/";
  entry.annotations = {"spot positions, as names of the cells"};
  return {.entry = std::move(entry), .prepare = [load](const OptionValues&) -> Load { return load; }};
}

Definition seqfish_definition() {
  return {.entry = {.name = "seqfish",
                    .aliases = {"SeqfishDataset"},
                    .organism = "mouse",
                    .what = "hippocampus; seqFISH",
                    .annotations = {"gene names"},
                    .reference = "Shah et al. 2016, doi:10.1016/j.neuron.2016.10.001",
                    .save_path = "data/",
                    .files = {{.name = kSeqfish,
                               .url = "https://www.cell.com/cms/attachment/2080562255/2072099886/mmc6.xlsx"}},
                    .options = {{"reference_0_6_3", "false", "genes taken for cells, as in scVI 0.6.3"}}},
          .prepare = [](const OptionValues& values) -> Load {
            const SeqfishOptions options{.reference_0_6_3 = values.flag("reference_0_6_3")};
            return [options](const std::string& folder) { return load_seqfish(folder, options); };
          }};
}

Definition seqfish_plus_definition() {
  return {.entry = {.name = "seqfish_plus",
                    .aliases = {"SeqFishPlusDataset"},
                    .organism = "mouse",
                    .what = "cortex and subventricular zone, or olfactory bulb; seqFISH+",
                    .n_cells = 913,
                    .n_genes = 10000,
                    .annotations = {"coordinates", "field of view", "region (cortex)"},
                    .reference = "Eng et al. 2019, doi:10.1038/s41586-019-1049-y",
                    .save_path = "data",
                    .files = {{.name = kSeqFishPlus,
                               .url = "https://github.com/CaiGroup/seqFISH-PLUS/raw/master/sourcedata.zip"}},
                    .options = {{"tissue_region", "subventricular cortex", "or: olfactory bulb"},
                                {"reference_0_6_3", "false", "a column of row numbers is a gene, as in scVI 0.6.3"}}},
          .prepare = [](const OptionValues& values) -> Load {
            const std::string& region = values.choice("tissue_region", {"subventricular cortex", "olfactory bulb"});
            const SeqFishPlusOptions options{.tissue_region = region == "olfactory bulb"
                                                                  ? SeqFishPlusRegion::olfactory_bulb
                                                                  : SeqFishPlusRegion::subventricular_cortex,
                                             .reference_0_6_3 = values.flag("reference_0_6_3")};
            return [options](const std::string& folder) { return load_seqfish_plus(folder, options); };
          }};
}

}  // namespace

std::vector<Definition> spatial_definitions() {
  const std::string published = "http://www.spatialtranscriptomicsresearch.org/wp-content/uploads/2016/07/";
  std::vector<Definition> out;
  out.push_back(spots_definition({.name = "breast_cancer",
                                  .aliases = {"BreastCancerDataset"},
                                  .organism = "human",
                                  .what = "breast cancer, layer 2; spatial transcriptomics",
                                  .n_cells = 251,
                                  .n_genes = 14789,
                                  .files = {{.name = kBreastCancer, .url = published + kBreastCancer}}},
                                 load_breast_cancer));
  out.push_back(spots_definition({.name = "mouse_ob",
                                  .aliases = {"MouseOBDataset"},
                                  .organism = "mouse",
                                  .what = "olfactory bulb, replicate 11; spatial transcriptomics",
                                  .n_cells = 262,
                                  .n_genes = 16218,
                                  .files = {{.name = kMouseOb, .url = published + kMouseOb}}},
                                 load_mouse_ob));
  out.push_back(seqfish_definition());
  out.push_back(seqfish_plus_definition());
  return out;
}

}  // namespace builtin
}  // namespace scvi
