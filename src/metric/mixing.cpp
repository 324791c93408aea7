#include "scvi/metric/mixing.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include "classes.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"
#include "scvi/metric/approximate_neighbors.hpp"
#include "scvi/metric/neighbors.hpp"

namespace scvi {
namespace {

void check_cells(const Points& points, std::int64_t count, const std::string& what) {
  if (points.n() < 2)
    throw InputError(
        {.problem = "are " + std::to_string(points.n()) + ", but neighbours need at least 2", .field = "cells"});
  if (count != points.n())
    throw InputError(
        {.problem = "are " + std::to_string(count) + " for " + std::to_string(points.n()) + " cells", .field = what});
}

/// As many neighbours as wanted, or as there are others.
std::int64_t possible(std::int64_t wanted, const Points& points) {
  if (wanted < 1)
    throw InputError(
        {.problem = "is " + std::to_string(wanted) + ", but must be at least 1", .field = "number of neighbours"});
  return std::min(wanted, points.n() - 1);
}

/// The exact neighbours of some cells among all others.
/// @param cells ascending, each once
Neighbors neighbors_of_some(const Points& points, const std::vector<std::int64_t>& cells, std::int64_t k) {
  const std::vector<double> rows = points.to_double();
  std::vector<double> chosen;
  for (const std::int64_t cell : cells)
    chosen.insert(chosen.end(), rows.begin() + cell * points.dim(), rows.begin() + (cell + 1) * points.dim());
  // One more, as a cell is its own neighbour here; or is not even that, where k + 1 others are equal to it.
  const Neighbors found =
      nearest_neighbors(points, Points(std::span<const double>(chosen), std::ssize(cells), points.dim()), k + 1);
  Neighbors others{.n = found.n, .k = k, .indices = {}, .distances = {}};
  for (std::int64_t i = 0; i < found.n; ++i) {
    std::int64_t taken = 0;
    for (std::int64_t j = i * found.k; taken < k; ++j) {
      if (found.indices[j] == cells[i]) continue;
      others.indices.push_back(found.indices[j]);
      others.distances.push_back(found.distances[j]);
      ++taken;
    }
  }
  return others;
}

std::vector<std::int64_t> draw_picks(std::int64_t n_cells, const EntropyBatchMixingOptions& options) {
  RandomStream random(options.seed, "entropy_batch_mixing");
  std::vector<std::int64_t> picks(static_cast<std::size_t>(options.n_pools * options.n_samples_per_pool));
  for (std::int64_t& pick : picks)
    pick = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(n_cells)));
  return picks;
}

void check_picks(std::span<const std::int64_t> picks, std::int64_t n_cells,
                 const EntropyBatchMixingOptions& options) {
  if (static_cast<std::int64_t>(picks.size()) != options.n_pools * options.n_samples_per_pool)
    throw InputError({.problem = "are " + std::to_string(picks.size()) + ", but " + std::to_string(options.n_pools) +
                                 " pools of " + std::to_string(options.n_samples_per_pool) + " cells were asked for",
                      .field = "picks"});
  for (const std::int64_t pick : picks)
    if (pick < 0 || pick >= n_cells)
      throw InputError(
          {.problem = "name cell " + std::to_string(pick) + " of " + std::to_string(n_cells), .field = "picks"});
}

/// Entropy of two shares, in nats.
double entropy_of_share(double share) {
  if (share == 0 || share == 1) return 0;
  return -share * std::log(share) - (1 - share) * std::log(1 - share);
}

}  // namespace

double entropy_batch_mixing(const Points& latent, std::span<const std::int64_t> batches,
                            const EntropyBatchMixingOptions& options, std::span<const std::int64_t> picks) {
  check_cells(latent, static_cast<std::int64_t>(batches.size()), "batches");
  const std::vector<std::int64_t> values = distinct({batches.begin(), batches.end()});
  if (values.size() > 2)
    throw InputError({.problem = "have " + std::to_string(values.size()) +
                                 " different values, but the entropy of mixing compares two batches",
                      .field = "batches",
                      .remedy = "select the cells of two batches"});
  if (options.n_pools < 1 || options.n_samples_per_pool < 1)
    throw InputError({.problem = "are " + std::to_string(options.n_pools) + " of " +
                                 std::to_string(options.n_samples_per_pool) + " cells, but at least 1 of 1 is needed",
                      .field = "pools"});
  const std::vector<std::int64_t> drawn =
      picks.empty() ? draw_picks(latent.n(), options) : std::vector<std::int64_t>();
  if (picks.empty()) picks = drawn;
  check_picks(picks, latent.n(), options);

  const std::vector<std::int64_t> cells = distinct({picks.begin(), picks.end()});
  const Neighbors neighbors = neighbors_of_some(latent, cells, possible(options.n_neighbors, latent));
  // All pools have the same size, so the mean over pools of their means is the mean over all picks.
  double sum = 0;
  for (const std::int64_t place : codes_of(picks, cells)) {
    const auto others = neighbors.of(place);
    const auto count =
        std::count_if(others.begin(), others.end(), [&](std::int64_t i) { return batches[i] == values[0]; });
    sum += entropy_of_share(static_cast<double>(count) / static_cast<double>(neighbors.k));
  }
  return sum / static_cast<double>(picks.size());
}

double knn_purity(const Points& latent, std::span<const std::int64_t> labels, std::int64_t n_neighbors) {
  check_cells(latent, static_cast<std::int64_t>(labels.size()), "labels");
  const Neighbors neighbors = neighbors_of_any(latent, possible(n_neighbors, latent));
  struct Tally {
    std::int64_t same = 0;
    std::int64_t cells = 0;
  };
  std::map<std::int64_t, Tally> tallies;
  for (std::int64_t cell = 0; cell < latent.n(); ++cell) {
    const auto others = neighbors.of(cell);
    Tally& tally = tallies[labels[cell]];
    tally.same +=
        std::count_if(others.begin(), others.end(), [&](std::int64_t i) { return labels[i] == labels[cell]; });
    ++tally.cells;
  }
  double sum = 0;
  for (const auto& [label, tally] : tallies)
    sum += static_cast<double>(tally.same) / static_cast<double>(tally.cells * neighbors.k);
  return sum / static_cast<double>(tallies.size());
}

NeighborOverlap nn_overlap(const Points& first, const Points& second, std::int64_t k) {
  check_cells(first, second.n(), "cells of the second matrix");
  const Neighbors a = neighbors_of_any(first, possible(k, first)), b = neighbors_of_any(second, possible(k, second));
  std::int64_t shared = 0;
  for (std::int64_t cell = 0; cell < first.n(); ++cell) {
    std::vector<std::int64_t> in_a(a.of(cell).begin(), a.of(cell).end());
    std::sort(in_a.begin(), in_a.end());
    for (const std::int64_t other : b.of(cell)) shared += std::binary_search(in_a.begin(), in_a.end(), other);
  }
  // Both matrices hold zeros and n * k ones: ranks are as good as values, and the correlation follows from counts.
  const double n = static_cast<double>(first.n());
  const double share_of_ones = static_cast<double>(a.k) / n;
  const double share_of_both = static_cast<double>(shared) / (n * n);
  return {.spearman = (share_of_both - share_of_ones * share_of_ones) / (share_of_ones * (1 - share_of_ones)),
          .fold_enrichment = share_of_both / (share_of_ones * share_of_ones)};
}

}  // namespace scvi
