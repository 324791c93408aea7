#pragma once

#include <span>

#include "scvi/metric/neighbor_graph.hpp"

namespace scvi {

/// @throws InputError naming a point whose neighbours are too far for float32
void check_distances(const Neighbors& neighbors);

/// The edges from each point to its neighbours, with these weights: (n, k), as neighbors.indices.
SparseGraph rows_of(const Neighbors& neighbors, std::span<const double> weights);

/// The symmetric graph whose weights are combine(weight from i to j, weight from j to i), 0 standing for no edge.
SparseGraph both_ways(const SparseGraph& directed, double (*combine)(double, double));

}  // namespace scvi
