#pragma once

#include <cstdint>
#include <map>
#include <mutex>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/posterior/differential_expression.hpp"

// How cells of groups are drawn, for scale_sampler() and for comparisons of groups.

namespace scvi::differential_detail {

/// In place of a batch: every cell is decoded for its own.
inline constexpr std::int64_t kObservedBatch = -1;

/// The batches to decode for: those asked for, or all, or kObservedBatch.
/// @throws InputError when they make no sense; `option` names them
std::vector<std::int64_t> batches_to_decode(const Posterior& posterior,
                                            const std::optional<std::vector<std::int64_t>>& batchid,
                                            bool use_observed_batches, const char* option);

/// How many samples each of so many batches gets.
std::int64_t samples_per_batch(std::int64_t n_samples, std::int64_t n_batches);

/// @throws InputError for a cell that is not there, or a group with fewer than `least` cells
void check_group(const Posterior& posterior, const CellGroup& group, std::int64_t least);

/// Cells of one group, decoded for one batch.
struct SampleSet {
  const CellGroup* group = nullptr;
  std::int64_t batch = kObservedBatch;
  std::int64_t n_samples = 0;
};

/// Draws cells of every set, repeats allowed, and for each one sample of what its scales are decoded from: those of
/// one set after those of the other, each in the order of its draws. All sets are drawn in one pass over the counts.
/// What a set gets is the same for the same posterior, group, batch and repetition, whatever the others are.
Latent draw_latent(const Posterior& posterior, std::span<const SampleSet> sets, std::uint64_t repetition,
                   Progress* progress);

/// Mean scales of each set, from rows that come in any order and from any thread.
class SetMeans {
 public:
  explicit SetMeans(std::span<const SampleSet> sets);

  /// @param rows (n, n_genes), those of the samples from `first` on
  void add(std::int64_t first, const float* rows, std::int64_t n, std::int64_t n_genes);
  /// One number per gene for each set.
  std::vector<std::vector<double>> means() const;

 private:
  /// Rows that belong to one set.
  struct Part {
    std::size_t set;
    std::vector<double> sum;
  };
  std::span<const SampleSet> sets_;
  std::vector<std::int64_t> ends_;  ///< how many samples the first i + 1 sets have
  std::mutex mutex_;
  std::map<std::int64_t, Part> parts_;  ///< by their first sample
};

/// Groups to compare, by number: the cells of all of `first` against those of all of `second`. No group may be on
/// both sides.
struct Contrast {
  std::string name;
  std::vector<std::size_t> first;
  std::vector<std::size_t> second;
};

/// What samples each side of each contrast needs, so that contrasts share them.
class SamplingPlan {
 public:
  SamplingPlan(const Posterior& posterior, std::span<const CellGroup> groups, std::span<const Contrast> contrasts,
               const DifferentialOptions& options, std::uint64_t repetition);

  const std::vector<SampleSet>& sets() const { return sets_; }
  /// The place of a set's first sample among all.
  std::int64_t offset(std::size_t set) const { return offsets_[set]; }
  std::int64_t n_samples() const { return offsets_.back(); }
  /// The samples of a side of a contrast, as positions among all.
  GroupSamples samples1(std::size_t contrast) const { return located(sides_[2 * contrast]); }
  GroupSamples samples2(std::size_t contrast) const { return located(sides_[2 * contrast + 1]); }
  /// How many samples of each set a side draws on. @param side 1 or 2
  std::map<std::size_t, std::int64_t> shares_of(std::size_t contrast, int side) const;

 private:
  /// The samples of a side: which set, and which sample of it.
  using Side = std::vector<std::pair<std::size_t, std::int64_t>>;

  Side plan_side(const Contrast& contrast, std::span<const std::size_t> members,
                 std::span<const std::int64_t> batches, const std::string& purpose, std::uint64_t repetition);
  std::size_t set_of(std::size_t group, std::int64_t batch);
  GroupSamples located(const Side& side) const;

  const Posterior& posterior_;
  std::span<const CellGroup> groups_;
  std::int64_t n_samples_wanted_;
  std::map<std::pair<std::size_t, std::int64_t>, std::size_t> number_of_;
  std::vector<SampleSet> sets_;
  std::vector<std::int64_t> offsets_;
  std::vector<Side> sides_;
};

}  // namespace scvi::differential_detail
