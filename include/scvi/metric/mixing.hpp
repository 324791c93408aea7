#pragma once

#include <cstdint>
#include <span>

#include "scvi/core/settings.hpp"
#include "scvi/metric/points.hpp"

namespace scvi {

struct EntropyBatchMixingOptions {
  std::int64_t n_neighbors = 50;          ///< at most all other cells are used
  std::int64_t n_pools = 50;              ///< random pools of cells that the score is averaged over
  std::int64_t n_samples_per_pool = 100;  ///< cells in a pool, drawn with replacement
  std::uint64_t seed = settings().seed;
};

/// How well two batches mix: the entropy (nats) of the batches among a cell's nearest neighbours, 0 where they are
/// all of one batch, averaged over random cells. 0: apart; log 2: perfectly mixed. As in scVI.
/// @param latent (n_cells, n_latent)
/// @param batches one for each cell, of at most two different values
/// @param picks the cells of all pools, (n_pools, n_samples_per_pool), to replay given draws; empty: drawn from the
///        stream "entropy_batch_mixing" of the seed
/// @throws InputError for fewer than 2 cells, more than 2 batches, or sizes that do not fit
double entropy_batch_mixing(const Points& latent, std::span<const std::int64_t> batches,
                            const EntropyBatchMixingOptions& options = {}, std::span<const std::int64_t> picks = {});

/// Share of a cell's nearest neighbours that bear its label, averaged within each label, then over labels. Neighbours
/// are those of neighbors_of_any(): exact for up to kExactNeighborsLimit cells, nearly all of them for more.
/// @param n_neighbors at most all other cells are used
/// @throws InputError for fewer than 2 cells, or sizes that do not fit
double knn_purity(const Points& latent, std::span<const std::int64_t> labels, std::int64_t n_neighbors = 30);

struct NeighborOverlap {
  double spearman = 0;         ///< correlation of the two adjacency matrices, all entries, diagonal included
  double fold_enrichment = 0;  ///< shared neighbour pairs over those expected by chance
};

/// How far two descriptions of the same cells agree on who is near whom: compares their k-nearest-neighbour graphs.
/// Neighbours are those of neighbors_of_any().
/// @param k at most all other cells are used
/// @throws InputError for fewer than 2 cells, or when the two differ in their number of cells
NeighborOverlap nn_overlap(const Points& first, const Points& second, std::int64_t k = 100);

}  // namespace scvi
