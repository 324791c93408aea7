// Cells of the mouse cortex and hippocampus: a text table of genes in rows under ten lines about the cells.

#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/builtin.hpp"
#include "sources.hpp"

namespace scvi {
namespace {

constexpr const char* kFile = "expression.bin";
constexpr std::int64_t kAnnotationLines = 10;  // "label" in the second field, the cells from the third on
constexpr std::int64_t kFirstGeneLine = 12;
constexpr std::size_t kFirstCellField = 2;
constexpr const char* kMainClass = "level1class";
constexpr const char* kGroup = "group #";
constexpr const char* kCellName = "cell_id";

/// What the file holds.
struct CortexTable {
  explicit CortexTable(std::int64_t n_cells) : counts(n_cells) {}
  std::vector<std::pair<std::string, std::vector<std::string>>> annotations{};
  std::vector<std::string> gene_names{};
  builtin::TransposedCounts counts;

  const std::vector<std::string>& annotation(const std::string& label, const std::string& path) const {
    for (const auto& [name, values] : annotations) {
      if (name == label) return values;
    }
    throw FormatError({.problem = "has no line '" + label + "' among its first ten", .file = path});
  }
};

class CortexReader {
 public:
  explicit CortexReader(std::string path) : path_(std::move(path)), table_(0) {
    builtin::for_each_row(builtin::open_text(path_), '\t',
                          [&](std::int64_t line, const builtin::Fields& fields) { read(line, fields); });
    if (table_.gene_names.empty()) throw FormatError({.problem = "ends before its first gene", .file = path_});
  }
  CortexTable take() { return std::move(table_); }

 private:
  void read(std::int64_t line, const builtin::Fields& fields) {
    if (line <= kAnnotationLines) {
      read_annotation(fields);
    } else if (line >= kFirstGeneLine) {
      if (line == kFirstGeneLine) start();
      builtin::require_fields(fields, n_cells_ + kFirstCellField, path_, line);
      read_gene(line, fields);
    }
  }

  void read_annotation(const builtin::Fields& fields) {
    if (fields.size() <= kFirstCellField) {
      throw FormatError({.problem = "names no cells; is this the table of Zeisel et al.?", .file = path_});
    }
    table_.annotations.emplace_back(fields[1],
                                    std::vector<std::string>(fields.begin() + kFirstCellField, fields.end()));
  }

  /// The line with the classes says how many cells there are; lines of another length are of no use.
  void start() {
    n_cells_ = table_.annotation(kMainClass, path_).size();
    std::vector<std::string> left_out;
    std::erase_if(table_.annotations, [&](const auto& annotation) {
      if (annotation.second.size() == n_cells_) return false;
      left_out.push_back(annotation.first);
      return true;
    });
    if (!left_out.empty()) {
      log_warning(path_ + ": lines that do not have " + std::to_string(n_cells_) +
                  " values are left out: " + join_some(left_out));
    }
    table_.counts = builtin::TransposedCounts(static_cast<std::int64_t>(n_cells_));
  }

  void read_gene(std::int64_t line, const builtin::Fields& fields) {
    table_.gene_names.emplace_back(fields[0]);
    for (std::size_t at = kFirstCellField; at < fields.size(); ++at) {
      if (fields[at] == "0") continue;
      const double count = builtin::number_in(fields[at], path_, line, at);
      table_.counts.add(static_cast<std::int64_t>(at - kFirstCellField), static_cast<float>(count));
    }
    table_.counts.end_gene();
  }

  std::string path_;
  std::size_t n_cells_ = 0;
  CortexTable table_;
};

/// The genes asked for, then the most variable others up to the total.
std::vector<std::int64_t> chosen_genes(const CortexTable& table, const CortexOptions& options) {
  std::unordered_map<std::string, std::int64_t> position;
  for (std::size_t gene = 0; gene < table.gene_names.size(); ++gene) {
    position[table.gene_names[gene]] = static_cast<std::int64_t>(gene);
  }
  std::vector<std::int64_t> genes;
  for (const std::string& name : options.genes_to_keep) {
    const auto found = position.find(name);
    if (found == position.end()) {
      throw InputError({.problem = "'" + name + "' is not a gene of the data set",
                        .field = "genes_to_keep",
                        .remedy = suggest(name, table.gene_names)});
    }
    genes.push_back(found->second);
  }
  if (!options.total_genes) return genes.empty() ? builtin::all_positions(table.counts.n_genes()) : genes;
  const std::unordered_set<std::int64_t> kept(genes.begin(), genes.end());
  for (const std::int64_t gene : builtin::largest(table.counts.variances(), table.counts.n_genes())) {
    if (static_cast<std::int64_t>(genes.size()) >= *options.total_genes) break;
    if (!kept.contains(gene)) genes.push_back(gene);
  }
  return genes;
}

void check(const CortexOptions& options) {
  if (options.total_genes) builtin::require_positive(*options.total_genes, "total_genes");
}

}  // namespace

GeneExpressionDataset load_cortex(const std::string& folder, const CortexOptions& options) {
  check(options);
  const std::string path = builtin::existing_file(folder, kFile);
  CortexTable table = CortexReader(path).take();
  const std::vector<std::int64_t> genes = chosen_genes(table, options);
  PopulateOptions populate;
  populate.original_genes = genes;
  for (const std::int64_t gene : genes) populate.gene_names.push_back(table.gene_names[gene]);
  std::tie(populate.cell_types, populate.labels) =
      builtin::categories_of(builtin::column_of(kMainClass, table.annotation(kMainClass, path)), path);
  populate.cell_attributes.push_back(builtin::column_of("precise_labels", table.annotation(kGroup, path)));
  for (auto& [label, values] : table.annotations) {
    if (label == kMainClass || label == kGroup) continue;
    if (label == kCellName) {
      populate.cell_names = std::move(values);
      continue;
    }
    populate.cell_attributes.push_back(builtin::typed_column(label, std::move(values)));
  }
  GeneExpressionDataset dataset;
  dataset.populate_from_data(table.counts.select(genes), std::move(populate));
  return dataset;
}

namespace builtin {

std::vector<Definition> cortex_definitions() {
  return {{
      .entry = {.name = "cortex",
                .aliases = {"CortexDataset"},
                .organism = "mouse",
                .what = "somatosensory cortex and hippocampus; single-cell tags with UMIs",
                .n_cells = 3005,
                .n_genes = 558,
                .annotations = {"7 main and 47 fine cell types", "tissue, sex, age and diameter"},
                .reference = "Zeisel et al. 2015, doi:10.1126/science.aaa1934",
                .save_path = "data/",
                .files = {{.name = kFile,
                           .url = "https://storage.googleapis.com/linnarsson-lab-www-blobs/blobs/cortex/"
                                  "expression_mRNA_17-Aug-2014.txt"}},
                .options = {{"genes_to_keep", "", "these genes come first, in this order"},
                            {"total_genes", "558", "filled up with the most variable ones; empty: not filled up"}}},
      .prepare = [](const OptionValues& values) -> Load {
        const CortexOptions options{.genes_to_keep = values.list("genes_to_keep"),
                                    .total_genes = values.optional_number("total_genes")};
        check(options);
        return [options](const std::string& folder) { return load_cortex(folder, options); };
      },
  }};
}

}  // namespace builtin
}  // namespace scvi
