#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace scvi {

/// The assignment of rows to different columns with the least total cost (the Hungarian problem), by shortest
/// augmenting paths: O(n^3), exact.
/// @param cost row-major (n_rows, n_columns)
/// @returns the column of every row; -1 for rows that go without when there are more rows than columns
/// @throws InputError when sizes do not fit or a cost is not finite
std::vector<std::int64_t> linear_sum_assignment(std::span<const double> cost, std::int64_t n_rows,
                                                std::int64_t n_columns);

}  // namespace scvi
