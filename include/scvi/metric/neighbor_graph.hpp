#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scvi/metric/neighbors.hpp"

namespace scvi {

/// A weighted graph of n vertices: a square matrix in compressed rows, the columns of every row ascending, no entry
/// twice.
struct SparseGraph {
  std::int64_t n = 0;
  std::vector<std::int64_t> indptr{0};  ///< (n + 1)
  std::vector<std::int64_t> indices;    ///< the other end of each edge
  std::vector<float> weights;           ///< one for each of `indices`

  std::int64_t n_edges() const { return static_cast<std::int64_t>(indices.size()); }
  std::span<const std::int64_t> of(std::int64_t vertex) const {
    return std::span(indices).subspan(static_cast<std::size_t>(indptr[vertex]),
                                      static_cast<std::size_t>(indptr[vertex + 1] - indptr[vertex]));
  }
  std::span<const float> weights_of(std::int64_t vertex) const {
    return std::span(weights).subspan(static_cast<std::size_t>(indptr[vertex]),
                                      static_cast<std::size_t>(indptr[vertex + 1] - indptr[vertex]));
  }
};

/// Neighbours as a graph whose weights are their distances (scanpy's obsp/distances): every vertex has an edge to
/// each of its neighbours, which need not have one back.
/// @throws InputError for a distance beyond float32
SparseGraph distance_graph(const Neighbors& neighbors);

/// How sure it is that two points are connected, in (0, 1] (scanpy's obsp/connectivities): the fuzzy simplicial set
/// of UMAP (McInnes, Healy and Melville 2018, section 3.1). Symmetric; the nearest neighbour of every point at a
/// distance above 0 has connectivity 1. A point and its k neighbours are taken as the k + 1 neighbours of umap-learn,
/// which counts the point itself.
/// @pre neighbours of all points among the same points, nearest first
/// @throws InputError for a distance beyond float32; Interrupted
SparseGraph fuzzy_graph(const Neighbors& neighbors);

/// The connected component of every vertex of a symmetric graph, numbered from 0 in the order of their first
/// vertices.
std::vector<std::int64_t> connected_components(const SparseGraph& graph);

}  // namespace scvi
