#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "scvi/io/frame.hpp"
#include "scvi/io/matrix.hpp"

namespace scvi::report {

/// What is shown of an expression matrix.
enum class ValueTransform {
  log_per_ten_thousand,  ///< log(1 + x), natural, of what per_ten_thousand gives
  per_ten_thousand,      ///< values times 10,000 / (sum of all values of the cell); a cell without any has 0
  as_stored,
};

/// "log(1 + counts per 10,000)" and the like, for the axis. @param what the values are called: "counts"
std::string title_of(ValueTransform transform, const std::string& what = "counts");

/// Genes by name: by the index of var, or by symbol where var has a column of symbols.
class GeneNames {
 public:
  /// @param symbols the column of var with symbols; "": one of the usual names (gene_symbols, gene_symbol, symbol,
  ///        gene_name, gene_names, feature_name, gene_short_name), if there is any
  /// @param file for messages
  /// @throws InputError when there is no column of that name
  GeneNames(const io::Frame& var, const std::string& symbols, std::string file);

  /// The column of the matrix. The index goes before symbols.
  /// @throws InputError for a name that no gene has (with the nearest) or that several have
  std::int64_t find(const std::string& name) const;
  bool has(const std::string& name) const { return by_name_.contains(name); }
  /// What to call a gene: its symbol, or its name in the index.
  const std::string& label(std::int64_t gene) const { return labels_[static_cast<std::size_t>(gene)]; }

 private:
  std::string file_;
  std::vector<std::string> labels_;
  std::map<std::string, std::int64_t, std::less<>> by_name_;  // kSeveral: of more than one gene
};

/// The values of some genes in all cells: (genes.size()) vectors of one number a cell. One pass over the matrix,
/// whatever the number of genes.
/// @throws InputError for values that are not finite, or negative where the transform cannot take that
std::vector<std::vector<float>> read_gene_values(io::MatrixReader& matrix, std::span<const std::int64_t> genes,
                                                 ValueTransform transform, const std::string& file);

/// How strongly groups of cells express genes.
struct GroupExpression {
  std::vector<std::string> groups;
  std::vector<std::int64_t> group_sizes;  ///< cells
  std::vector<std::string> genes;
  std::vector<std::int64_t> gene_groups;  ///< the group that a gene marks, -1: none; empty: none of all
  std::vector<double> mean;               ///< (groups, genes)
  std::vector<double> fraction;           ///< (groups, genes): part of the cells with a value above 0
  std::string value_title;
};

/// Means of transformed values over the cells of each category, in one pass over the matrix. Categories without cells
/// are left out, cells without one take no part.
/// @param labels what to call the genes
/// @throws InputError as read_gene_values(), or when no cell has a category
GroupExpression group_expression(io::MatrixReader& matrix, std::span<const std::int64_t> genes,
                                 std::vector<std::string> labels, const io::Categorical& groups,
                                 ValueTransform transform, const std::string& file);

}  // namespace scvi::report
