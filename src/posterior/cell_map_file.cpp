#include "scvi/posterior/cell_map_file.hpp"

#include <utility>

#include "scvi/metric/umap.hpp"

namespace scvi {
namespace {

using io::UnsDict;
using io::UnsValue;

io::SparseArray stored(SparseGraph graph) {
  return {.n_rows = graph.n,
          .n_cols = graph.n,
          .indptr = std::move(graph.indptr),
          .indices = std::move(graph.indices),
          .values = std::move(graph.weights)};
}

io::FloatArray plane(std::vector<float> places) {
  constexpr std::int64_t kDimensions = 2;
  const std::int64_t n_rows = std::ssize(places) / kDimensions;
  return {.n_rows = n_rows, .n_cols = kDimensions, .values = std::move(places)};
}

io::Column cluster_column(const LeidenResult& clusters, const std::string& name) {
  io::Categorical column;
  for (const std::int64_t label : clusters.labels) column.codes.push_back(static_cast<std::int32_t>(label));
  for (std::int64_t i = 0; i < clusters.n_clusters; ++i) column.categories.push_back(std::to_string(i));
  return {.name = name, .values = std::move(column), .missing = {}};
}

/// {"params": parameters}, as scanpy nests them.
UnsValue with_params(UnsDict parameters) {
  return UnsDict{{"params", std::move(parameters)}};
}

}  // namespace

io::H5adAdditions additions_of(CellMap map, const CellMapOptions& options, const CellMapNames& names) {
  const auto seed = static_cast<std::int64_t>(options.seed);
  io::H5adAdditions additions;
  additions.obs.push_back(cluster_column(map.clusters, names.clusters));
  additions.obsp.emplace_back("distances", stored(std::move(map.distances)));
  additions.obsp.emplace_back("connectivities", stored(std::move(map.connectivities)));
  additions.uns.emplace_back("neighbors", UnsDict{{"connectivities_key", std::string("connectivities")},
                                                  {"distances_key", std::string("distances")},
                                                  {"params", UnsDict{{"n_neighbors", options.n_neighbors},
                                                                     {"method", std::string("umap")},
                                                                     {"metric", std::string("euclidean")},
                                                                     {"random_state", seed},
                                                                     {"use_rep", names.representation}}}});
  const auto n_rounds = static_cast<std::int64_t>(map.clusters.n_rounds);
  additions.uns.emplace_back(
      names.clusters,
      with_params({{"resolution", options.resolution}, {"random_state", seed}, {"n_iterations", n_rounds}}));
  if (options.with_umap) {
    const UmapCurve curve = umap_curve(options.min_dist, options.spread);
    additions.obsm.emplace_back("X_umap", plane(std::move(map.umap)));
    additions.uns.emplace_back("umap", with_params({{"a", curve.a}, {"b", curve.b}, {"random_state", seed}}));
  }
  if (options.with_tsne) {
    additions.obsm.emplace_back("X_tsne", plane(std::move(map.tsne)));
    additions.uns.emplace_back("tsne", with_params({{"perplexity", options.perplexity},
                                                    {"metric", std::string("euclidean")},
                                                    {"use_rep", names.representation}}));
  }
  return additions;
}

}  // namespace scvi
