#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scvi/io/frame.hpp"
#include "scvi/io/h5ad.hpp"

namespace scvi::report {

/// What the counts of each cell come to.
struct CellTotals {
  std::vector<double> counts;         ///< one a cell
  std::vector<std::int64_t> n_genes;  ///< genes with a count above 0
  std::int64_t n_nonzero = 0;
};

/// One pass over the matrix.
CellTotals read_cell_totals(const io::H5adFile& file, const std::string& layer);

double median(std::vector<double> values);  ///< NaN of none

/// Cells of a group (row) in each category of something else (column).
struct CrossTable {
  std::vector<std::string> groups;
  std::vector<std::string> categories;
  std::vector<std::int64_t> sizes;   ///< of groups, cells without a category included
  std::vector<std::int64_t> counts;  ///< (groups, categories)

  std::int64_t count(std::int64_t group, std::int64_t category) const {
    return counts[static_cast<std::size_t>(group * static_cast<std::int64_t>(categories.size()) + category)];
  }
};

/// Groups without cells are left out. @pre of equal lengths
CrossTable cross_table(const io::Categorical& groups, const io::Categorical& categories);

}  // namespace scvi::report
