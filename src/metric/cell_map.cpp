#include "scvi/metric/cell_map.hpp"

#include <string>

#include "as_step.hpp"
#include "scvi/core/error.hpp"
#include "scvi/metric/approximate_neighbors.hpp"
#include "scvi/metric/tsne.hpp"
#include "scvi/metric/umap.hpp"

namespace scvi {
namespace {

void check(const Points& cells, const CellMapOptions& options) {
  const std::string wanted = std::to_string(options.n_neighbors);
  if (options.n_neighbors < 2)
    throw InputError({.problem = "is " + wanted + ", but must be at least 2 (a cell and one other)",
                      .field = "number of neighbours"});
  if (options.n_neighbors > cells.n())
    throw InputError({.problem = "is " + wanted + " (a cell itself is counted), but there are only " +
                                 std::to_string(cells.n()) + " cells",
                      .field = "number of neighbours",
                      .remedy = cells.n() < 2 ? "" : "use at most " + std::to_string(cells.n())});
}

/// Refuses what cannot be mapped before the work, not after: without cells each part does nothing but that.
void check_parts(const LeidenOptions& leiden_options, const UmapOptions* umap_options,
                 const TsneOptions* tsne_options) {
  const Points nothing(std::span<const float>(), 0, 0);
  leiden({}, leiden_options);
  if (umap_options != nullptr) umap({}, nothing, *umap_options);
  if (tsne_options != nullptr) tsne(nothing, *tsne_options);
}

}  // namespace

CellMap map_cells(const Points& cells, const CellMapOptions& options, Progress* progress) {
  check(cells, options);
  const UmapOptions umap_options{
      .min_dist = options.min_dist, .spread = options.spread, .n_epochs = options.n_epochs, .seed = options.seed};
  const LeidenOptions leiden_options{.resolution = options.resolution, .seed = options.seed};
  const TsneOptions tsne_options{.perplexity = options.perplexity, .seed = options.seed};
  check_parts(leiden_options, options.with_umap ? &umap_options : nullptr,
              options.with_tsne ? &tsne_options : nullptr);
  Progress silent;
  Progress& shown = progress != nullptr ? *progress : silent;
  CellMap map;
  {
    const Neighbors neighbors = as_step(
        shown, "finding neighbours", [&] { return neighbors_of_any(cells, options.n_neighbors - 1, options.seed); });
    map.distances = distance_graph(neighbors);
    map.connectivities = fuzzy_graph(neighbors);
  }
  map.clusters = leiden(map.connectivities, leiden_options, &shown);
  if (options.with_umap) map.umap = umap(map.connectivities, cells, umap_options, &shown);
  if (options.with_tsne) map.tsne = tsne(cells, tsne_options, &shown);
  return map;
}

}  // namespace scvi
