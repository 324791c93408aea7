#pragma once

#include <cstdint>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/metric/leiden.hpp"
#include "scvi/metric/neighbor_graph.hpp"
#include "scvi/metric/points.hpp"

namespace scvi {

/// What to make of cells that are points in some space. The defaults are those of scanpy's pp.neighbors, tl.leiden
/// and tl.umap.
struct CellMapOptions {
  /// Neighbours of each cell, the cell itself counted. More: coarser clusters and a map that shows the large rather
  /// than the small.
  std::int64_t n_neighbors = 15;
  /// Of the Leiden clusters. Larger: more of them.
  double resolution = 1;
  bool with_umap = true;
  double min_dist = 0.5;
  double spread = 1;
  int n_epochs = 0;  ///< of UMAP; 0: 500 for up to 10,000 cells, else 200
  bool with_tsne = false;
  double perplexity = 30;
  std::uint64_t seed = settings().seed;
};

struct CellMap {
  SparseGraph distances;       ///< n_neighbors - 1 edges a cell
  SparseGraph connectivities;  ///< symmetric
  LeidenResult clusters;
  std::vector<float> umap;  ///< (n_cells, 2), or empty
  std::vector<float> tsne;  ///< (n_cells, 2), or empty
};

/// The way from a representation of cells (a latent space) to clusters and a map: neighbours (exact for up to
/// kExactNeighborsLimit cells), their fuzzy graph, Leiden, UMAP, and t-SNE where it is asked for.
/// @throws InputError unless 2 <= n_neighbors <= number of cells, and for options out of range and values not finite;
///         Interrupted
CellMap map_cells(const Points& cells, const CellMapOptions& options = {}, Progress* progress = nullptr);

}  // namespace scvi
