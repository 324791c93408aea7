#include "scvi/report/gene_values.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/text.hpp"
#include "table_columns.hpp"

namespace scvi::report {
namespace {

constexpr std::int64_t kSeveral = -1;
constexpr double kTenThousand = 10'000;
constexpr const char* kSymbolColumns[] = {"gene_symbols", "gene_symbol",  "symbol",         "gene_name",
                                          "gene_names",   "feature_name", "gene_short_name"};

const io::Column* symbol_column(const io::Frame& var, const std::string& name, const std::string& file) {
  if (!name.empty()) {
    if (const io::Column* column = var.find(name)) return column;
    throw InputError({.problem = "has no column '" + name + "'",
                      .file = file,
                      .field = "var",
                      .remedy = suggest(name, var.column_names())});
  }
  for (const char* usual : kSymbolColumns) {
    if (const io::Column* column = var.find(usual)) return column;
  }
  return nullptr;
}

/// The value of a cell as it is shown. @param total all values of the cell
float transformed(double value, double total, ValueTransform transform) {
  if (transform == ValueTransform::as_stored) return static_cast<float>(value);
  const double scaled = total > 0 ? value * kTenThousand / total : 0;
  return static_cast<float>(transform == ValueTransform::per_ten_thousand ? scaled : std::log1p(scaled));
}

/// Looks up the wanted genes of a row.
class RowReader {
 public:
  RowReader(const io::MatrixInfo& info, std::span<const std::int64_t> genes, ValueTransform transform,
            std::string file)
      : transform_(transform), file_(std::move(file)), path_(info.path) {
    first_place_.assign(static_cast<std::size_t>(info.n_cols), -1);
    next_place_.assign(genes.size(), -1);
    // A gene may be asked for twice.
    for (std::int64_t place = std::ssize(genes) - 1; place >= 0; --place) {
      next_place_[place] = std::exchange(first_place_[genes[place]], place);
    }
  }

  /// Calls use(place among the wanted genes, transformed value) for the values of a row that are stored.
  template <class Use>
  void read(const io::CsrBlock& block, std::int64_t row, const Use& use) const {
    const std::int64_t first = block.indptr[row], last = block.indptr[row + 1];
    double total = 0;
    if (transform_ != ValueTransform::as_stored) {
      for (std::int64_t at = first; at < last; ++at) total += checked(block, row, at);
    }
    for (std::int64_t at = first; at < last; ++at) {
      for (std::int64_t place = first_place_[block.indices[at]]; place >= 0; place = next_place_[place]) {
        use(place, transformed(checked(block, row, at), total, transform_));
      }
    }
  }

 private:
  ValueTransform transform_;
  std::string file_;
  std::string path_;
  std::vector<std::int64_t> first_place_;  // of a column of the matrix among the wanted genes; -1: not wanted
  std::vector<std::int64_t> next_place_;   // of the same column

  double checked(const io::CsrBlock& block, std::int64_t row, std::int64_t at) const {
    const float value = block.values[at];
    const bool fits = std::isfinite(value) && (value >= 0 || transform_ == ValueTransform::as_stored);
    if (fits) return value;
    const bool negative = value < 0;
    throw InputError({.problem = "is " + std::to_string(value) + ", which is no count",
                      .file = file_,
                      .field = path_ + ", cell number " + std::to_string(block.first_row + row) + ", gene number " +
                               std::to_string(block.indices[at]),
                      .remedy = negative ? "show such values as they are stored, or choose the layer with the counts"
                                         : "choose another layer"});
  }
};

std::vector<std::int64_t> sizes_of(const io::Categorical& groups) {
  std::vector<std::int64_t> sizes(groups.categories.size());
  for (const std::int32_t code : groups.codes) {
    if (code >= 0) ++sizes[code];
  }
  return sizes;
}

}  // namespace

std::string title_of(ValueTransform transform, const std::string& what) {
  if (transform == ValueTransform::as_stored) return what;
  const std::string scaled = what + " per 10,000";
  return transform == ValueTransform::per_ten_thousand ? scaled : "log(1 + " + scaled + ")";
}

GeneNames::GeneNames(const io::Frame& var, const std::string& symbols, std::string file)
    : file_(std::move(file)), labels_(var.index) {
  for (std::int64_t gene = 0; gene < var.n_rows(); ++gene) {
    const auto [found, is_new] = by_name_.emplace(var.index[gene], gene);
    if (!is_new) found->second = kSeveral;
  }
  const io::Column* column = symbol_column(var, symbols, file_);
  if (!column) return;
  std::map<std::string, std::int64_t, std::less<>> by_symbol;
  for (std::int64_t gene = 0; gene < var.n_rows(); ++gene) {
    const std::string symbol = column->text(gene);
    if (symbol.empty()) continue;
    labels_[gene] = symbol;
    const auto [found, is_new] = by_symbol.emplace(symbol, gene);
    if (!is_new) found->second = kSeveral;
  }
  by_name_.insert(by_symbol.begin(), by_symbol.end());
}

std::int64_t GeneNames::find(const std::string& name) const {
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) {
    std::vector<std::string> known;
    for (const auto& [other, gene] : by_name_) known.push_back(other);
    throw InputError(
        {.problem = "has no gene '" + name + "'", .file = file_, .field = "var", .remedy = suggest(name, known)});
  }
  if (found->second == kSeveral) {
    throw InputError({.problem = "has several genes '" + name + "'",
                      .file = file_,
                      .field = "var",
                      .remedy = "name the gene as the index of var does, or make names unique"});
  }
  return found->second;
}

std::vector<std::vector<float>> read_gene_values(io::MatrixReader& matrix, std::span<const std::int64_t> genes,
                                                 ValueTransform transform, const std::string& file) {
  const auto n_cells = static_cast<std::size_t>(matrix.info().n_rows);
  std::vector<std::vector<float>> values(genes.size(), std::vector<float>(n_cells));
  const RowReader reader(matrix.info(), genes, transform, file);
  matrix.for_each_block([&](const io::CsrBlock& block) {
    throw_if_interrupted();
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      reader.read(block, row, [&](std::int64_t place, float value) { values[place][block.first_row + row] = value; });
    }
  });
  return values;
}

GroupExpression group_expression(io::MatrixReader& matrix, std::span<const std::int64_t> genes,
                                 std::vector<std::string> labels, const io::Categorical& groups,
                                 ValueTransform transform, const std::string& file) {
  const io::Categorical used = with_used_categories(groups);
  if (used.categories.empty()) throw InputError({.problem = "has a group", .file = file, .field = "no cell"});
  const std::size_t n_genes = genes.size(), n_values = used.categories.size() * n_genes;
  GroupExpression result{.groups = used.categories,
                         .group_sizes = sizes_of(used),
                         .genes = std::move(labels),
                         .gene_groups = {},
                         .mean = std::vector<double>(n_values),
                         .fraction = std::vector<double>(n_values),
                         .value_title = title_of(transform)};
  const RowReader reader(matrix.info(), genes, transform, file);
  matrix.for_each_block([&](const io::CsrBlock& block) {
    throw_if_interrupted();
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      const std::int32_t code = used.codes[block.first_row + row];
      if (code < 0) continue;
      const std::size_t begin = static_cast<std::size_t>(code) * n_genes;
      reader.read(block, row, [&](std::int64_t place, float value) {
        result.mean[begin + place] += value;
        result.fraction[begin + place] += value > 0;
      });
    }
  });
  for (std::size_t i = 0; i < n_values; ++i) {
    const auto size = static_cast<double>(result.group_sizes[i / n_genes]);
    result.mean[i] /= size;
    result.fraction[i] /= size;
  }
  return result;
}

}  // namespace scvi::report
