#include "synthetic_parts.hpp"

#include <algorithm>
#include <utility>

#include "count_check.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"

namespace scvi::dataset_detail {

void check_size(const char* name, std::int64_t size, std::int64_t least) {
  if (size >= least) return;
  throw InputError(
      {.problem = "is " + std::to_string(size) + ", expected at least " + std::to_string(least), .field = name});
}

void check_range(const char* name, double value, double low, double high) {
  if (value >= low && value < high) return;
  throw InputError({.problem = "is " + number_text(value) + ", expected at least " + number_text(low) +
                               " and less than " + number_text(high),
                    .field = name});
}

std::vector<std::string> numbered(const std::string& prefix, std::int64_t n) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < n; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

CountMatrix counts_by_cell(std::int64_t n_cells, std::int64_t n_genes, double expected_nonzeros,
                           const AppendCells& append_cells) {
  constexpr std::int64_t kCellsPerBlock = 128;
  constexpr std::int64_t kCellsPerRound = 64 * kCellsPerBlock;
  CountMatrixBuilder builder(n_genes, n_cells, static_cast<std::int64_t>(expected_nonzeros));
  std::vector<io::CsrBlock> blocks(kCellsPerRound / kCellsPerBlock);
  for (std::int64_t first = 0; first < n_cells; first += kCellsPerRound) {
    throw_if_interrupted();
    const std::int64_t n = std::min(kCellsPerRound, n_cells - first);
    parallel_for(n, kCellsPerBlock, [&](std::int64_t begin, std::int64_t end) {
      io::CsrBlock& block = blocks[begin / kCellsPerBlock];
      block.indptr.assign(1, 0);
      block.indices.clear();
      block.values.clear();
      append_cells(first + begin, first + end, block);
    });
    for (std::int64_t i = 0; i < chunk_count(n, kCellsPerBlock); ++i) builder.append(blocks[i]);
  }
  return std::move(builder).finish();
}

}  // namespace scvi::dataset_detail
