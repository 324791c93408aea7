#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "scvi/dataset/count_matrix.hpp"

// What the makers of synthetic data sets share.
namespace scvi::dataset_detail {

/// @throws InputError below `least`
void check_size(const char* name, std::int64_t size, std::int64_t least = 1);
/// @throws InputError unless low <= value < high
void check_range(const char* name, double value, double low, double high);

/// prefix0, prefix1, ...
std::vector<std::string> numbered(const std::string& prefix, std::int64_t n);

/// A number as part of the position of a RandomStream.
inline std::uint64_t position(std::int64_t number) {
  return static_cast<std::uint64_t>(number);
}

/// Appends the counts of one cell after the other to a block (indices, values and indptr).
using AppendCells = std::function<void(std::int64_t first_cell, std::int64_t last_cell, io::CsrBlock& block)>;

/// Counts that are made in parallel, the same for any number of threads.
/// @param expected_nonzeros what to take memory for at first
CountMatrix counts_by_cell(std::int64_t n_cells, std::int64_t n_genes, double expected_nonzeros,
                           const AppendCells& append_cells);

}  // namespace scvi::dataset_detail
