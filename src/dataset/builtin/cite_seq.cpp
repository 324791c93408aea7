// CITE-seq of Stoeckius et al.: counts of human and mouse genes, proteins, and proteins as the authors transformed
// them, each in a table of its own.

#include <algorithm>
#include <unordered_map>

#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/builtin.hpp"
#include "scvi/io/delimited.hpp"
#include "sources.hpp"

namespace scvi {
namespace {

constexpr const char* kHuman = "HUMAN";

struct CiteSeqRecord {
  const char* name;
  const char* published_as;
  const char* what;
  std::int64_t n_cells;  ///< 0: not known
  std::int64_t n_genes;
};

constexpr CiteSeqRecord kRecords[] = {
    {"cbmc", "CBMC_8K_13AB_10X", "cord blood cells with 13 antibodies", 8617, 20400},
    {"pbmc", "PBMC_vs_flow_10X", "blood cells, compared with flow cytometry", 0, 0},
    {"cd8", "CD8_merged", "CD8+ T cells", 0, 0},
};

std::vector<std::string> record_names() {
  std::vector<std::string> names;
  for (const CiteSeqRecord& record : kRecords) names.emplace_back(record.name);
  return names;
}

std::string local_name(const std::string& name, const std::string& kind) {
  return name + "/" + name + kind + ".csv.gz";
}

CatalogueFile file_of(const CiteSeqRecord& record, const std::string& kind, const std::string& published_kind) {
  const std::string name = local_name(record.name, kind);
  return {.name = name,
          .url = "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE100nnn/GSE100866/suppl/GSE100866_" +
                 std::string(record.published_as) + published_kind + ".csv.gz",
          .mirror_name = "citeSeq/" + name};
}

std::vector<CatalogueFile> files_of(const CiteSeqRecord& record) {
  return {file_of(record, "_rna", "-RNA_umi"), file_of(record, "_adt", "-ADT_umi"),
          file_of(record, "_adt_centered", "-ADT_clr-transformed")};
}

/// A table with cells in columns.
io::CountFile read_by_cell(const std::string& path) {
  return io::read_delimited_counts(path, {.separator = ',', .gene_by_cell = true, .allow_duplicate_names = true});
}

/// Where each of `cells` stands in the table.
std::vector<std::int64_t> positions_of(const std::vector<std::string>& cells, const io::CountFile& table) {
  std::unordered_map<std::string, std::int64_t> position;
  for (std::size_t at = 0; at < table.obs.index.size(); ++at) {
    position.emplace(table.obs.index[at], static_cast<std::int64_t>(at));
  }
  std::vector<std::int64_t> positions;
  positions.reserve(cells.size());
  for (const std::string& cell : cells) {
    const auto found = position.find(cell);
    if (found == position.end()) {
      throw FormatError({.problem = "lacks cell '" + cell + "', which the table of counts has", .file = table.path});
    }
    positions.push_back(found->second);
  }
  return positions;
}

/// A table of proteins as a measurement of the cells of the counts.
CellMeasurement measurement_of(const io::CountFile& table, std::string name, std::string columns_attr_name,
                               const std::vector<std::string>& cells) {
  CellMeasurement out{.name = std::move(name),
                      .data = std::vector<float>(cells.size() * table.var.index.size()),
                      .columns_attr_name = std::move(columns_attr_name),
                      .columns = table.var.index};
  builtin::read_counts(*table.counts).gather_dense(positions_of(cells, table), out.data.data());
  return out;
}

struct HumanGenes {
  std::vector<std::int64_t> positions{};
  std::vector<std::string> names{};  ///< without what stands before the last '_'
};

HumanGenes human_genes(const std::vector<std::string>& names, const std::string& path) {
  HumanGenes out;
  for (std::size_t gene = 0; gene < names.size(); ++gene) {
    if (!names[gene].starts_with(kHuman)) continue;
    out.positions.push_back(static_cast<std::int64_t>(gene));
    out.names.push_back(names[gene].substr(names[gene].rfind('_') + 1));
  }
  if (out.positions.empty()) {
    throw FormatError({.problem = "has no gene whose name begins with 'HUMAN'", .file = path});
  }
  return out;
}

}  // namespace

GeneExpressionDataset load_cite_seq(const std::string& folder, const std::string& name) {
  const std::vector<std::string> names = record_names();
  if (std::find(names.begin(), names.end(), name) == names.end()) {
    throw InputError({.problem = "there is no CITE-seq data set '" + name + "'", .remedy = suggest(name, names)});
  }
  const std::string counts_path = builtin::existing_file(folder, local_name(name, "_rna"));
  const std::string proteins_path = builtin::existing_file(folder, local_name(name, "_adt"));
  const std::string centered_path = builtin::existing_file(folder, local_name(name, "_adt_centered"));
  const io::CountFile proteins = read_by_cell(proteins_path);
  const io::CountFile centered = read_by_cell(centered_path);
  if (proteins.var.index != centered.var.index) {
    throw FormatError({.problem = "holds other proteins than " + proteins_path, .file = centered_path});
  }
  io::CountFile file = read_by_cell(counts_path);
  HumanGenes genes = human_genes(file.var.index, counts_path);
  const std::vector<std::string>& cells = file.obs.index;
  PopulateOptions populate;
  populate.measurements.push_back(measurement_of(proteins, "protein_expression", "protein_names", cells));
  populate.measurements.push_back(measurement_of(centered, "protein_expression_clr", "protein_names_clr", cells));
  populate.original_genes = genes.positions;
  populate.gene_names = std::move(genes.names);
  populate.cell_names = cells;
  GeneExpressionDataset dataset;
  dataset.populate_from_data(builtin::read_counts(*file.counts).select_genes(genes.positions), std::move(populate));
  builtin::drop_empty_cells(dataset);
  return dataset;
}

namespace builtin {

std::vector<Definition> cite_seq_definitions() {
  std::vector<Definition> out;
  for (const CiteSeqRecord& record : kRecords) {
    const std::string name = record.name;
    CatalogueEntry entry{.name = "cite_seq_" + name,
                         .organism = "human",
                         .what = std::string(record.what) + "; CITE-seq",
                         .n_cells = record.n_cells,
                         .n_genes = record.n_genes,
                         .annotations = {"proteins, as counts and as transformed by the authors"},
                         .reference = "Stoeckius et al. 2017, doi:10.1038/nmeth.4380",
                         .save_path = "data/citeSeq/",
                         .files = files_of(record)};
    if (name == "cbmc") entry.aliases = {"cbmc", "CbmcDataset", "CiteSeqDataset"};
    if (name == "cd8") entry.aliases = {"cd8"};
    out.push_back({.entry = std::move(entry), .prepare = [name](const OptionValues&) -> Load {
                     return [name](const std::string& folder) { return load_cite_seq(folder, name); };
                   }});
  }
  return out;
}

}  // namespace builtin
}  // namespace scvi
