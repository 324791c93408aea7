#pragma once

#include <cstdint>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/metric/neighbor_graph.hpp"

namespace scvi {

struct LeidenOptions {
  /// Larger: more and smaller clusters. 1 is plain modularity, the default of scanpy.
  double resolution = 1;
  /// Most rounds; it ends when one changes nothing.
  int max_rounds = 100;
  std::uint64_t seed = settings().seed;
};

struct LeidenResult {
  std::vector<std::int64_t> labels;  ///< cluster of each vertex; 0 is the largest (of equals, the one met first)
  std::int64_t n_clusters = 0;
  /// Modularity with the resolution, at most 1; 0 for a graph without edges.
  double quality = 0;
  int n_rounds = 0;
};

/// Communities of a weighted graph by the Leiden algorithm (Traag, Waltman and van Eck 2019, as igraph has it), which
/// looks for the largest modularity with a resolution: what leidenalg's RBConfigurationVertexPartition, and so
/// scanpy, maximises. Repeated until a round changes nothing. Runs on one thread; equal for equal seeds. A vertex
/// without edges is a cluster of its own.
/// @pre the graph is symmetric
/// @throws InputError for options out of range, and for weights below 0 or not finite; Interrupted between two rounds
LeidenResult leiden(const SparseGraph& graph, const LeidenOptions& options = {}, Progress* progress = nullptr);

}  // namespace scvi
