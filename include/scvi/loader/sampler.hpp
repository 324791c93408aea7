#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace scvi {

/// Which cells an epoch visits, and in which order. The order depends on how the sampler was made and on the number
/// of the epoch alone, so any epoch can be had at any time, on any thread, and taken up again in its middle.
class Sampler {
 public:
  virtual ~Sampler() = default;
  /// Cells of one epoch; a cell that comes twice counts twice.
  virtual std::int64_t size() const = 0;
  /// Their positions in the data set, size() of them.
  virtual std::vector<std::int64_t> order(std::uint64_t epoch) const = 0;
};

/// 0 to n_cells - 1.
std::vector<std::int64_t> all_cells(std::int64_t n_cells);

/// The same cells in the order they were given, in every epoch.
class SequentialSampler final : public Sampler {
 public:
  explicit SequentialSampler(std::vector<std::int64_t> cells) : cells_(std::move(cells)) {}

  std::int64_t size() const override { return std::ssize(cells_); }
  std::vector<std::int64_t> order(std::uint64_t) const override { return cells_; }

 private:
  std::vector<std::int64_t> cells_;
};

/// What the random samplers draw from: RandomStream(seed, purpose, {epoch, 0}). Samplers that run side by side need
/// different purposes to be independent.
struct SamplerStream {
  std::uint64_t seed = 0;
  std::string purpose = "minibatches";
};

/// Every one of some cells once, in a new uniformly random order each epoch.
class ShuffledSampler final : public Sampler {
 public:
  ShuffledSampler(std::vector<std::int64_t> cells, SamplerStream stream);

  std::int64_t size() const override { return std::ssize(cells_); }
  std::vector<std::int64_t> order(std::uint64_t epoch) const override;

 private:
  std::vector<std::int64_t> cells_;
  SamplerStream stream_;
};

/// How cells are shuffled within windows.
struct WindowOptions {
  std::int64_t block_cells = 1;    ///< positions [i block_cells, (i + 1) block_cells) are a block
  std::int64_t window_blocks = 1;  ///< blocks whose cells are mixed with each other
};

/// Every one of some cells once, shuffled as far as it can be with counts that are read from disk in blocks of
/// consecutive cells: an epoch puts the blocks into a random order, takes them in windows of `window_blocks` (the
/// last may be smaller), and puts the cells of each window into a random order. Blocks and cells are drawn anew each
/// epoch.
///
/// A minibatch is thus a uniform draw from one window instead of from all cells. How much a file is sorted, by batch
/// or by cell type, matters little, because the blocks of a window come from all over it: at worst, when every block
/// is of one kind, the share p of a kind in a window of W blocks spreads by sqrt(p (1 - p) / W) around its share in
/// all cells, beside sqrt(p (1 - p) / n) in a minibatch of n cells drawn from everywhere. With W above n, windows
/// thus differ less than minibatches do anyway. A window of all blocks is a ShuffledSampler.
class WindowedSampler final : public Sampler {
 public:
  /// @param cells positions in the data set, each once, any order
  /// @throws InputError when a number of the options is below 1 or a cell is negative
  WindowedSampler(std::vector<std::int64_t> cells, WindowOptions options, SamplerStream stream);

  std::int64_t size() const override { return std::ssize(cells_); }
  std::vector<std::int64_t> order(std::uint64_t epoch) const override;

 private:
  std::vector<std::int64_t> cells_;         // increasing
  std::vector<std::int64_t> block_begins_;  // where in cells_ each block that has any begins, and the end
  WindowOptions options_;
  SamplerStream stream_;
};

/// Draws cells with replacement, each with a probability proportional to its weight: rare labels seen as often as
/// common ones, for instance.
class WeightedSampler final : public Sampler {
 public:
  /// @param cells positions in the data set
  /// @param weights one per cell, finite and >= 0; a cell of weight 0 is never drawn
  /// @param n_draws cells of one epoch
  /// @throws InputError when the weights are not like that or all are 0, or n_draws is negative
  WeightedSampler(std::vector<std::int64_t> cells, const std::vector<double>& weights, std::int64_t n_draws,
                  SamplerStream stream);

  std::int64_t size() const override { return n_draws_; }
  std::vector<std::int64_t> order(std::uint64_t epoch) const override;

 private:
  std::vector<std::int64_t> cells_;
  std::vector<double> cumulative_;  // sum of the weights up to and with each cell
  std::int64_t n_draws_;
  SamplerStream stream_;
};

}  // namespace scvi
