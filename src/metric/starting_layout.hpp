#pragma once

#include <cstdint>
#include <vector>

#include "scvi/metric/neighbor_graph.hpp"
#include "scvi/metric/points.hpp"

namespace scvi {

// Where the optimisation of a map in two dimensions begins: (n, 2), row-major.

/// Coordinates along the first two principal axes; zeros where there is no second.
std::vector<double> principal_layout(const Points& points, std::uint64_t seed);

/// The eigenvectors with the second and third smallest eigenvalue of the graph's normalised Laplacian, times sqrt(n).
/// @pre the graph is symmetric and connected, with at least 3 vertices
std::vector<double> spectral_layout(const SparseGraph& graph, std::uint64_t seed);

}  // namespace scvi
