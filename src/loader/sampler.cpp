#include "scvi/loader/sampler.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

RandomStream stream_of_epoch(const SamplerStream& stream, std::uint64_t epoch) {
  return RandomStream(stream.seed, stream.purpose, {epoch, 0});
}

std::vector<double> cumulative_sums(const std::vector<double>& weights) {
  std::vector<double> sums;
  sums.reserve(weights.size());
  double sum = 0;
  for (const double weight : weights) {
    if (!(weight >= 0) || !std::isfinite(sum += weight)) {
      throw InputError({.problem = "is " + std::to_string(weight) +
                                   ", but weights must be finite, not negative, and "
                                   "have a finite sum",
                        .field = "weight number " + std::to_string(sums.size() + 1) + " of the weighted sampler"});
    }
    sums.push_back(sum);
  }
  return sums;
}

}  // namespace

std::vector<std::int64_t> all_cells(std::int64_t n_cells) {
  std::vector<std::int64_t> cells(static_cast<std::size_t>(n_cells));
  std::iota(cells.begin(), cells.end(), 0);
  return cells;
}

ShuffledSampler::ShuffledSampler(std::vector<std::int64_t> cells, SamplerStream stream)
    : cells_(std::move(cells)), stream_(std::move(stream)) {}

std::vector<std::int64_t> ShuffledSampler::order(std::uint64_t epoch) const {
  auto order = stream_of_epoch(stream_, epoch).permutation(size());
  for (auto& cell : order) cell = cells_[cell];
  return order;
}

WeightedSampler::WeightedSampler(std::vector<std::int64_t> cells, const std::vector<double>& weights,
                                 std::int64_t n_draws, SamplerStream stream)
    : cells_(std::move(cells)), cumulative_(cumulative_sums(weights)), n_draws_(n_draws), stream_(std::move(stream)) {
  if (weights.size() != cells_.size()) {
    throw InputError(
        {.problem = "are " + std::to_string(weights.size()) + " for " + std::to_string(cells_.size()) + " cells",
         .field = "the weights of the weighted sampler",
         .remedy = "give one weight per cell"});
  }
  if (n_draws < 0) {
    throw InputError(
        {.problem = "is " + std::to_string(n_draws), .field = "the number of draws of the weighted sampler"});
  }
  if (n_draws > 0 && (cumulative_.empty() || cumulative_.back() == 0)) {
    throw InputError({.problem = "are all 0, so there is no cell to draw",
                      .field = "the weights of the weighted sampler",
                      .remedy = "give at least one cell a weight above 0"});
  }
}

std::vector<std::int64_t> WeightedSampler::order(std::uint64_t epoch) const {
  RandomStream stream = stream_of_epoch(stream_, epoch);
  std::vector<std::int64_t> order(static_cast<std::size_t>(n_draws_));
  for (auto& cell : order) {
    // The product may round up to the total, which is past the last cell.
    const double below_total = std::min(stream.uniform() * cumulative_.back(), std::nextafter(cumulative_.back(), 0));
    const auto drawn = std::upper_bound(cumulative_.begin(), cumulative_.end(), below_total);
    cell = cells_[drawn - cumulative_.begin()];
  }
  return order;
}

}  // namespace scvi
