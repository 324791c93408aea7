#include "cell_summary.hpp"

#include <algorithm>
#include <cmath>

namespace scvi::report {

CellTotals read_cell_totals(const io::H5adFile& file, const std::string& layer) {
  CellTotals totals;
  file.matrix(layer)->for_each_block([&](const io::CsrBlock& block) {
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      double sum = 0;
      for (std::int64_t i = block.indptr[row]; i < block.indptr[row + 1]; ++i) sum += block.values[i];
      totals.counts.push_back(sum);
      totals.n_genes.push_back(block.indptr[row + 1] - block.indptr[row]);
      totals.n_nonzero += totals.n_genes.back();
    }
  });
  return totals;
}

double median(std::vector<double> values) {
  if (values.empty()) return std::nan("");
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

CrossTable cross_table(const io::Categorical& groups, const io::Categorical& categories) {
  std::vector<std::int64_t> sizes(groups.categories.size());
  for (const std::int32_t code : groups.codes) {
    if (code >= 0) ++sizes[static_cast<std::size_t>(code)];
  }
  CrossTable table{.groups = {}, .categories = categories.categories, .sizes = {}, .counts = {}};
  std::vector<std::int64_t> row_of(sizes.size());
  for (std::size_t code = 0; code < sizes.size(); ++code) {
    row_of[code] = std::ssize(table.groups);
    if (sizes[code] == 0) continue;
    table.groups.push_back(groups.categories[code]);
    table.sizes.push_back(sizes[code]);
  }
  table.counts.resize(table.groups.size() * table.categories.size());
  for (std::size_t cell = 0; cell < groups.codes.size(); ++cell) {
    const std::int32_t group = groups.codes[cell], category = categories.codes[cell];
    if (group < 0 || category < 0) continue;
    const auto row = static_cast<std::size_t>(row_of[static_cast<std::size_t>(group)]);
    ++table.counts[row * table.categories.size() + static_cast<std::size_t>(category)];
  }
  return table;
}

}  // namespace scvi::report
