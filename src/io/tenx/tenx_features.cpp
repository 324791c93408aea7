#include "tenx_features.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "text/delimited_line.hpp"

namespace scvi::io {
namespace {

constexpr std::string_view kGenes = "Gene Expression";
/// Of all tables together.
constexpr std::int64_t kMaxTableValues = std::int64_t{1} << 29;  // 4 GB

/// Where a column of the matrix goes.
struct Target {
  std::int32_t table = -1;   ///< -1: the counts
  std::int32_t column = -1;  ///< -1: nowhere
};

/// Some columns of another matrix, under new numbers that keep their order.
class SelectedColumns final : public MatrixReader {
 public:
  SelectedColumns(std::unique_ptr<MatrixReader> matrix, std::vector<std::int32_t> new_columns, MatrixInfo info)
      : matrix_(std::move(matrix)), new_columns_(std::move(new_columns)), info_(std::move(info)) {}

  const MatrixInfo& info() const override { return info_; }
  bool has_rows_on_disk() const override { return matrix_->has_rows_on_disk(); }
  void read_rows(std::int64_t first, std::int64_t count, CsrBlock& out) override {
    matrix_->read_rows(first, count, out);
    select(out);
  }
  void for_each_block(const std::function<void(const CsrBlock&)>& use) override {
    CsrBlock selected;
    matrix_->for_each_block([&](const CsrBlock& block) {
      selected = block;
      select(selected);
      use(selected);
    });
  }

 private:
  std::unique_ptr<MatrixReader> matrix_;
  std::vector<std::int32_t> new_columns_;  ///< -1: left out
  MatrixInfo info_;

  void select(CsrBlock& block) const {
    std::size_t kept = 0;
    std::size_t at = 0;
    for (std::size_t row = 0; row + 1 < block.indptr.size(); ++row) {
      for (const auto end = static_cast<std::size_t>(block.indptr[row + 1]); at < end; ++at) {
        const std::int32_t column = new_columns_[static_cast<std::size_t>(block.indices[at])];
        if (column < 0) continue;
        block.indices[kept] = column;
        block.values[kept++] = block.values[at];
      }
      block.indptr[row + 1] = static_cast<std::int64_t>(kept);
    }
    block.indices.resize(kept);
    block.values.resize(kept);
  }
};

std::string table_name(const std::string& feature_type) {
  if (feature_type == "Antibody Capture") return "protein_expression";
  std::string name = feature_type;
  for (char& c : name) c = c == ' ' ? '_' : static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

std::string columns_name(const std::string& feature_type, const std::string& table) {
  return feature_type == "Antibody Capture" ? "protein_names" : table + "_names";
}

/// The number behind the last dash of a barcode.
std::optional<std::int64_t> batch_suffix(std::string_view barcode) {
  const std::size_t dash = barcode.rfind('-');
  if (dash == barcode.npos) return std::nullopt;
  const std::string_view digits = barcode.substr(dash + 1);
  std::int64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  const bool good = error == std::errc() && end == digits.data() + digits.size() && number > 0;
  return good ? std::optional(number) : std::nullopt;
}

void add_batches(Frame& obs) {
  std::vector<std::int64_t> batches;
  batches.reserve(obs.index.size());
  for (const std::string& barcode : obs.index) {
    const std::optional<std::int64_t> number = batch_suffix(barcode);
    if (!number) return;
    batches.push_back(*number - 1);
  }
  const bool several = std::ranges::adjacent_find(batches, std::not_equal_to<>()) != batches.end();
  if (several) obs.columns.push_back({.name = "batch_indices", .values = std::move(batches), .missing = {}});
}

/// Deals the features out to the counts and the tables.
class Assembly {
 public:
  Assembly(TenXParts parts, const TenXOptions& options) : parts_(std::move(parts)), options_(options) {
    if (options.measurement_names_column != 0 && options.measurement_names_column != 1)
      throw InputError({.problem = "is " + std::to_string(options.measurement_names_column),
                        .field = "measurement_names_column",
                        .remedy = "give 0 for identifiers or 1 for symbols"});
    if (parts_.features.symbols.empty()) parts_.features.symbols = parts_.features.ids;
    check_sizes();
  }

  CountFile assemble() {
    CountFile file;
    file.path = parts_.path;
    file.format = parts_.format;
    name_cells(file);
    choose_targets(file);
    name_genes(file);
    file.counts = deal(file);
    return file;
  }

 private:
  TenXParts parts_;
  const TenXOptions& options_;
  std::vector<Target> targets_;
  std::vector<std::size_t> genes_;  ///< features that are counts
  bool all_are_counts_ = true;

  const std::vector<std::string>& names() const {
    return options_.measurement_names_column == 0 ? parts_.features.ids : parts_.features.symbols;
  }

  [[noreturn]] void misfit(const std::string& what, std::size_t found, std::int64_t needed) const {
    throw FormatError({.problem = "has " + with_thousands(static_cast<long long>(found)) + " " + what +
                                  ", but its matrix " + with_thousands(needed),
                       .file = parts_.path,
                       .remedy = "get the files of one run anew"});
  }

  void check_sizes() const {
    const MatrixInfo& info = parts_.matrix->info();
    const TenXFeatures& features = parts_.features;
    if (std::cmp_not_equal(features.ids.size(), info.n_cols)) misfit("features", features.ids.size(), info.n_cols);
    if (std::cmp_not_equal(features.symbols.size(), info.n_cols))
      misfit("names of features", features.symbols.size(), info.n_cols);
    for (const auto* list : {&features.types, &features.genomes})
      if (!list->empty() && std::cmp_not_equal(list->size(), info.n_cols))
        misfit("types or genomes of features", list->size(), info.n_cols);
    if (!parts_.barcodes.empty() && std::cmp_not_equal(parts_.barcodes.size(), info.n_rows))
      misfit("barcodes", parts_.barcodes.size(), info.n_rows);
  }

  void name_cells(CountFile& file) {
    file.obs.index_name = parts_.barcodes.empty() ? "_index" : "barcodes";
    file.obs.index = parts_.barcodes.empty() ? numbered_names(static_cast<std::size_t>(parts_.matrix->info().n_rows))
                                             : std::move(parts_.barcodes);
    add_batches(file.obs);
  }

  bool is_wanted(std::size_t feature) const {
    const std::vector<std::string>& genomes = parts_.features.genomes;
    // Proteins and guides belong to no genome.
    return options_.genome.empty() || genomes.empty() || genomes[feature].empty() ||
           genomes[feature] == options_.genome;
  }

  std::string type_of(std::size_t feature) const {
    return parts_.features.types.empty() ? std::string(kGenes) : parts_.features.types[feature];
  }

  void choose_targets(CountFile& file) {
    std::map<std::string, std::int32_t> tables;
    const std::size_t n_features = names().size();
    if (options_.feature_types_to_tables)
      for (std::size_t at = 0; at < n_features; ++at)
        if (type_of(at) != kGenes) tables[type_of(at)] = 0;
    for (auto& [type, number] : tables) {
      number = static_cast<std::int32_t>(file.tables.size());
      CellTable& table = file.tables.emplace_back();
      table.name = table_name(type);
      table.columns_name = columns_name(type, table.name);
    }
    targets_.resize(n_features);
    for (std::size_t at = 0; at < n_features; ++at) {
      const auto table = tables.find(type_of(at));
      all_are_counts_ &= table == tables.end() && is_wanted(at);
      if (table != tables.end()) {
        std::vector<std::string>& columns = file.tables[static_cast<std::size_t>(table->second)].columns;
        targets_[at] = {table->second, static_cast<std::int32_t>(columns.size())};
        columns.push_back(names()[at]);
      } else if (is_wanted(at)) {
        targets_[at].column = static_cast<std::int32_t>(genes_.size());
        genes_.push_back(at);
      }
    }
    check_genes();
  }

  void check_genes() const {
    if (!genes_.empty() || names().empty()) return;
    const bool of_genome = !options_.genome.empty() && !parts_.features.genomes.empty();
    const std::set<std::string> known(parts_.features.genomes.begin(), parts_.features.genomes.end());
    throw InputError({.problem = of_genome ? "has no genes of the genome '" + options_.genome + "'"
                                           : "has no features of the type '" + std::string(kGenes) + "'",
                      .file = parts_.path,
                      .remedy = of_genome ? suggest(options_.genome, std::vector(known.begin(), known.end())) : ""});
  }

  std::vector<std::string> of_genes(const std::vector<std::string>& of_features) const {
    std::vector<std::string> result;
    result.reserve(genes_.size());
    for (const std::size_t feature : genes_) result.push_back(of_features[feature]);
    return result;
  }

  void name_genes(CountFile& file) const {
    const TenXFeatures& features = parts_.features;
    const bool by_id = options_.measurement_names_column == 0;
    const auto add = [&](const char* name, const std::vector<std::string>& of_features) {
      if (!of_features.empty())
        file.var.columns.push_back({.name = name, .values = of_genes(of_features), .missing = {}});
    };
    file.var.index_name = by_id ? "gene_ids" : "gene_symbols";
    file.var.index = of_genes(names());
    if (by_id)
      add("gene_symbols", features.symbols);
    else
      add("gene_ids", features.ids);
    add("feature_types", features.types);
    add("genome", features.genomes);
  }

  std::unique_ptr<MatrixReader> deal(CountFile& file) {
    if (all_are_counts_) return std::move(parts_.matrix);
    MatrixInfo info = parts_.matrix->info();
    take_room(file, info.n_rows);
    info.n_cols = std::ssize(genes_);
    info.n_stored = 0;
    parts_.matrix->for_each_block([&](const CsrBlock& block) { info.n_stored += deal_block(block, file); });
    std::vector<std::int32_t> new_columns(targets_.size(), -1);
    for (std::size_t at = 0; at < targets_.size(); ++at)
      if (targets_[at].table < 0) new_columns[at] = targets_[at].column;
    return std::make_unique<SelectedColumns>(std::move(parts_.matrix), std::move(new_columns), std::move(info));
  }

  void take_room(CountFile& file, std::int64_t n_cells) const {
    std::int64_t n_columns = 0;
    for (const CellTable& table : file.tables) n_columns += std::ssize(table.columns);
    if (n_columns > 0 && n_cells > kMaxTableValues / n_columns)
      throw InputError({.problem = "has " + with_thousands(n_columns) + " features other than genes in " +
                                   with_thousands(n_cells) + " cells, too many for dense tables",
                        .file = parts_.path,
                        .remedy = "read them among the counts (feature_types_to_tables off)"});
    for (CellTable& table : file.tables) {
      table.values.n_rows = n_cells;
      table.values.n_cols = std::ssize(table.columns);
      table.values.values.resize(static_cast<std::size_t>(n_cells * table.values.n_cols));
    }
  }

  /// Fills the tables. Returns how many entries are counts.
  std::int64_t deal_block(const CsrBlock& block, CountFile& file) const {
    std::int64_t n_counts = 0;
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      for (std::int64_t at = block.indptr[row]; at < block.indptr[row + 1]; ++at) {
        const Target target = targets_[static_cast<std::size_t>(block.indices[at])];
        n_counts += target.table < 0 && target.column >= 0;
        if (target.table < 0) continue;
        DenseArray& values = file.tables[static_cast<std::size_t>(target.table)].values;
        values.values[static_cast<std::size_t>((block.first_row + row) * values.n_cols + target.column)] =
            block.values[at];
      }
    }
    return n_counts;
  }
};

}  // namespace

CountFile assemble_tenx(TenXParts parts, const TenXOptions& options) {
  return Assembly(std::move(parts), options).assemble();
}

}  // namespace scvi::io
