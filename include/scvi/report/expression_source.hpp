#pragma once

#include <string>
#include <vector>

#include "scvi/io/h5ad.hpp"
#include "scvi/report/differential_table.hpp"
#include "scvi/report/gene_values.hpp"

namespace scvi::report {

/// Which groups and genes of an .h5ad file a heat map or dot plot shows.
struct ExpressionSource {
  std::string groupby;  ///< column of obs
  /// By name or symbol, in the order of the figure. Genes that mark a group of that column are coloured by it; a name
  /// that is no group, and "", colours none.
  std::vector<Markers> genes;
  std::string layer = {};  ///< the matrix, as in H5adFile::matrix()
  ValueTransform transform = ValueTransform::log_per_ten_thousand;
  std::string gene_symbols = {};  ///< column of var, as in GeneNames
};

/// One pass over the matrix.
/// @throws InputError for a column or gene that the file does not hold, no genes, more than kMostGenes of them, or
/// more
///         than kMostGroups groups; and as group_expression()
GroupExpression read_group_expression(const io::H5adFile& file, const ExpressionSource& source);

}  // namespace scvi::report
