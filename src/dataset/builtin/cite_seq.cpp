// CITE-seq of Stoeckius et al.: counts of human and mouse genes, proteins, and proteins as the authors transformed
// them, each in a table of its own.

#include <algorithm>
#include <unordered_map>

#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/builtin.hpp"
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

std::vector<CatalogueFile> files_of(const CiteSeqRecord& record) {
  const std::string url =
      "ftp://ftp.ncbi.nlm.nih.gov/geo/series/GSE100nnn/GSE100866/suppl/GSE100866_" + std::string(record.published_as);
  return {{.name = local_name(record.name, "_rna"), .url = url + "-RNA_umi.csv.gz"},
          {.name = local_name(record.name, "_adt"), .url = url + "-ADT_umi.csv.gz"},
          {.name = local_name(record.name, "_adt_centered"), .url = url + "-ADT_clr-transformed.csv.gz"}};
}

/// A table of proteins in rows and cells in columns.
struct ProteinTable {
  std::vector<std::string> cells{};
  std::vector<std::string> proteins{};
  std::vector<float> values{};  ///< (proteins, cells)
};

ProteinTable read_proteins(const std::string& path) {
  ProteinTable table;
  builtin::for_each_row(builtin::open_text(path), ',', [&](std::int64_t line, const builtin::Fields& fields) {
    if (table.cells.empty()) {
      table.cells.assign(fields.begin() + 1, fields.end());
      return;
    }
    builtin::require_fields(fields, table.cells.size() + 1, path, line);
    table.proteins.emplace_back(fields[0]);
    for (std::size_t at = 1; at < fields.size(); ++at) {
      table.values.push_back(static_cast<float>(builtin::number_in(fields[at], path, line, at)));
    }
  });
  if (table.proteins.empty()) throw FormatError({.problem = "holds no proteins", .file = path});
  return table;
}

/// Where each of `cells` stands in the table.
std::vector<std::size_t> columns_of(const ProteinTable& table, const std::vector<std::string>& cells,
                                    const std::string& path) {
  std::unordered_map<std::string, std::size_t> position;
  for (std::size_t at = 0; at < table.cells.size(); ++at) position.emplace(table.cells[at], at);
  std::vector<std::size_t> columns;
  columns.reserve(cells.size());
  for (const std::string& cell : cells) {
    const auto found = position.find(cell);
    if (found == position.end()) {
      throw FormatError({.problem = "lacks cell '" + cell + "', which the table of counts has", .file = path});
    }
    columns.push_back(found->second);
  }
  return columns;
}

/// The table as a measurement of the cells of the counts.
CellMeasurement measurement_of(const ProteinTable& table, std::string name, std::string columns_attr_name,
                               const std::vector<std::string>& cells, const std::string& path) {
  const std::vector<std::size_t> columns = columns_of(table, cells, path);
  const std::size_t n_proteins = table.proteins.size();
  CellMeasurement out{.name = std::move(name),
                      .data = std::vector<float>(cells.size() * n_proteins),
                      .columns_attr_name = std::move(columns_attr_name),
                      .columns = table.proteins};
  for (std::size_t protein = 0; protein < n_proteins; ++protein) {
    for (std::size_t cell = 0; cell < cells.size(); ++cell) {
      out.data[cell * n_proteins + protein] = table.values[protein * table.cells.size() + columns[cell]];
    }
  }
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
  const ProteinTable proteins = read_proteins(proteins_path);
  const ProteinTable centered = read_proteins(centered_path);
  if (proteins.proteins != centered.proteins) {
    throw FormatError({.problem = "holds other proteins than " + proteins_path, .file = centered_path});
  }
  io::CountFile file = builtin::open_count_table(counts_path, ',', builtin::TableLayout::gene_by_cell);
  HumanGenes genes = human_genes(file.var.index, counts_path);
  const std::vector<std::string>& cells = file.obs.index;
  PopulateOptions populate;
  populate.measurements.push_back(
      measurement_of(proteins, "protein_expression", "protein_names", cells, proteins_path));
  populate.measurements.push_back(
      measurement_of(centered, "protein_expression_clr", "protein_names_clr", cells, centered_path));
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
