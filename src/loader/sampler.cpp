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

WindowedSampler::WindowedSampler(std::vector<std::int64_t> cells, WindowOptions options, SamplerStream stream)
    : cells_(std::move(cells)), options_(options), stream_(std::move(stream)) {
  if (options_.block_cells < 1 || options_.window_blocks < 1) {
    throw InputError({.problem = "are windows of " + std::to_string(options_.window_blocks) + " blocks of " +
                                 std::to_string(options_.block_cells) + " cells, but both must be at least 1",
                      .field = "the options of the windowed sampler"});
  }
  std::sort(cells_.begin(), cells_.end());
  if (!cells_.empty() && cells_.front() < 0) {
    throw InputError({.problem = "is " + std::to_string(cells_.front()), .field = "a cell of the windowed sampler"});
  }
  std::int64_t block = -1;
  for (std::int64_t at = 0; at < size(); ++at) {
    if (cells_[at] / options_.block_cells == block) continue;
    block = cells_[at] / options_.block_cells;
    block_begins_.push_back(at);
  }
  block_begins_.push_back(size());
}

std::vector<std::int64_t> WindowedSampler::order(std::uint64_t epoch) const {
  RandomStream stream = stream_of_epoch(stream_, epoch);
  const std::vector<std::int64_t> blocks = stream.permutation(std::ssize(block_begins_) - 1);
  std::vector<std::int64_t> order;
  order.reserve(cells_.size());
  std::vector<std::int64_t> window;
  for (std::int64_t first = 0; first < std::ssize(blocks); first += options_.window_blocks) {
    const std::int64_t last = std::min(std::ssize(blocks), first + options_.window_blocks);
    window.clear();
    for (std::int64_t i = first; i < last; ++i) {
      const std::int64_t block = blocks[i];
      window.insert(window.end(), cells_.begin() + block_begins_[block], cells_.begin() + block_begins_[block + 1]);
    }
    for (const std::int64_t at : stream.permutation(std::ssize(window))) order.push_back(window[at]);
  }
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
