#pragma once

#include <cstdint>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/metric/neighbor_graph.hpp"
#include "scvi/metric/points.hpp"

namespace scvi {

/// The defaults are those of scanpy.
struct UmapOptions {
  /// How near neighbours may come to each other on the map. Smaller: denser clumps.
  double min_dist = 0.5;
  /// The scale of the map: how far apart clumps lie, for a given min_dist.
  double spread = 1;
  /// Rounds of the optimisation; 0: 500 for up to 10,000 points, else 200.
  int n_epochs = 0;
  /// Points that each attraction is balanced by repulsion from, drawn at random.
  int negative_sample_rate = 5;
  /// Step at the beginning; it falls to 0 in equal steps.
  double learning_rate = 1;
  std::uint64_t seed = settings().seed;
};

/// The curve 1 / (1 + a x^(2b)) by which a distance x on the map becomes a similarity.
struct UmapCurve {
  double a = 1;
  double b = 1;
};

/// The curve nearest, in least squares, to 1 up to min_dist and exp(-(x - min_dist) / spread) beyond, over 300
/// distances from 0 to 3 spread, as umap-learn fits it.
/// @throws InputError unless 0 <= min_dist <= spread and 0 < spread
UmapCurve umap_curve(double min_dist, double spread);

/// Places the vertices of a graph on a map so that neighbours lie near each other (UMAP: McInnes, Healy and Melville
/// 2018), in two dimensions.
///
/// It starts from the graph's spectral layout, or, where the graph has several components or very few vertices, from
/// the principal axes of `points`. Vertices are moved by stochastic gradient descent as in umap-learn, but a vertex
/// moves only itself: it sees the vertices of its own block of 256 where they are, all others where they were at the
/// beginning of the epoch. So blocks can be computed at the same time and the map does not depend on the number of
/// threads; it depends on graph, points, options and the machine's arithmetic only.
///
/// @param graph of fuzzy_graph()
/// @param points what the graph was made of
/// @returns (n, 2), row-major
/// @throws InputError for options out of range, or when graph and points differ in number; Interrupted
std::vector<float> umap(const SparseGraph& graph, const Points& points, const UmapOptions& options = {},
                        Progress* progress = nullptr);

}  // namespace scvi
