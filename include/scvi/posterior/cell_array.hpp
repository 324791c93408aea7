#pragma once

#include <cstdint>
#include <vector>

namespace scvi {

/// Numbers per cell, (n_cells, n_columns), row-major, with the cells they belong to.
struct CellArray {
  std::int64_t n_cells = 0;
  std::int64_t n_columns = 0;
  std::vector<float> values;
};

/// Several draws of numbers per cell, (n_samples, n_cells, n_columns), row-major.
struct SampleArray {
  std::int64_t n_samples = 0;
  std::int64_t n_cells = 0;
  std::int64_t n_columns = 0;
  std::vector<float> values;
};

}  // namespace scvi
