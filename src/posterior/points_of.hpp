#pragma once

#include "scvi/metric/points.hpp"
#include "scvi/posterior/cell_array.hpp"

namespace scvi {

/// Cells as points for metrics; a view.
inline Points points_of(const CellArray& array) {
  return Points(std::span(array.values), array.n_cells, array.n_columns);
}

}  // namespace scvi
