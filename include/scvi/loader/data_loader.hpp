#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/loader/minibatch.hpp"
#include "scvi/loader/sampler.hpp"

namespace scvi {

/// Where the cells of minibatches come from.
class MiniBatchSource {
 public:
  virtual ~MiniBatchSource() = default;
  virtual std::int64_t n_cells() const = 0;
  /// These cells as a minibatch. Called from any thread, also from several at a time.
  /// @param cells positions below n_cells(), any order, repeats allowed
  /// @param recycled a minibatch that is no longer needed: its memory may be used again as far as nobody else holds
  /// it
  virtual MiniBatch gather(std::span<const std::int64_t> cells, MiniBatch recycled) const = 0;
  /// Says that these cells will be asked for, in this order, so that they can be fetched ahead while the result
  /// lives. Never changes what comes.
  virtual std::shared_ptr<void> announce(std::span<const std::int64_t>) const { return {}; }
};

/// The cells of a data set, with counts in memory or on disk. It must not change while it is read.
class DatasetSource final : public MiniBatchSource {
 public:
  /// @throws InputError as check_minibatch_options()
  DatasetSource(std::shared_ptr<const GeneExpressionDataset> dataset, MiniBatchOptions options);

  std::int64_t n_cells() const override { return dataset_->nb_cells(); }
  MiniBatch gather(std::span<const std::int64_t> cells, MiniBatch recycled) const override;
  /// A CountPlan where the counts are on disk.
  std::shared_ptr<void> announce(std::span<const std::int64_t> cells) const override;

 private:
  std::shared_ptr<const GeneExpressionDataset> dataset_;
  MiniBatchOptions options_;
};

struct DataLoaderOptions {
  std::int64_t batch_size = 128;
  TailPolicy tail = TailPolicy::keep;
  /// Minibatches that a worker thread of a MiniBatchStream makes ahead of the one in use; 0: no worker. Never changes
  /// what comes. Memory: that of prefetch + 1 minibatches.
  std::int64_t prefetch = 0;
};

class MiniBatchStream;

/// The minibatches of one epoch. Cheap to copy.
class Epoch {
 public:
  /// Number of minibatches.
  std::int64_t size() const { return std::ssize(plan_->minibatches); }
  /// The cells of one of them, positions in the source.
  std::span<const std::int64_t> cells(std::int64_t minibatch) const { return plan_->minibatches[minibatch]; }
  /// Any minibatch, made on the calling thread. May be called from several threads at a time.
  MiniBatch minibatch(std::int64_t minibatch, MiniBatch recycled = {}) const;
  /// Tells the source what will be asked for, as stream() does itself: all minibatches from `first` on, once each.
  /// The result should live as long as they are being asked for, and no longer.
  std::shared_ptr<void> announce(std::int64_t first = 0) const;

  /// All minibatches from `first` on, one after the other.
  MiniBatchStream stream(std::int64_t first = 0) const;
  /// Minibatches first to last - 1 of an endless repetition of this epoch: minibatch i is i modulo size().
  /// @throws InputError when the epoch has no minibatch to repeat
  MiniBatchStream cycle(std::int64_t first, std::int64_t last) const;

 private:
  friend class DataLoader;
  struct Plan {
    std::shared_ptr<const MiniBatchSource> source;
    std::vector<std::int64_t> order;
    std::vector<std::span<const std::int64_t>> minibatches;  // parts of order
    std::int64_t prefetch = 0;
  };
  explicit Epoch(std::shared_ptr<const Plan> plan) : plan_(std::move(plan)) {}

  std::shared_ptr<const Plan> plan_;
};

/// Cuts the order of a sampler into minibatches of a source: scVI's DataLoader.
class DataLoader {
 public:
  /// @throws InputError when batch_size < 1 or prefetch < 0
  DataLoader(std::shared_ptr<const MiniBatchSource> source, std::shared_ptr<const Sampler> sampler,
             DataLoaderOptions options = {});
  /// The same for a data set in memory. @throws InputError also as check_minibatch_options()
  DataLoader(std::shared_ptr<const GeneExpressionDataset> dataset, MiniBatchOptions minibatch,
             std::shared_ptr<const Sampler> sampler, DataLoaderOptions options = {});

  /// @throws InputError when the sampler names a cell that the source does not have
  Epoch epoch(std::uint64_t number) const;

 private:
  std::shared_ptr<const MiniBatchSource> source_;
  std::shared_ptr<const Sampler> sampler_;
  DataLoaderOptions options_;
};

class Prefetcher;

/// Minibatches one after the other, made by a worker thread while the one before is in use, if the loader's options
/// say so. Destroying it in the middle only waits for the minibatch that is being made.
class MiniBatchStream {
 public:
  ~MiniBatchStream();
  MiniBatchStream(MiniBatchStream&&) noexcept;
  MiniBatchStream& operator=(MiniBatchStream&&) noexcept;

  /// The next minibatch, or nullptr after the last one. It is there until the next call, which uses its memory again;
  /// tensors that have been copied out of it (not raw pointers) stay as they are.
  /// @throws whatever the source threw when it made this minibatch
  const MiniBatch* next();

 private:
  friend class Epoch;
  MiniBatchStream(Epoch epoch, std::int64_t first, std::int64_t last, std::int64_t prefetch);

  Epoch epoch_;
  std::shared_ptr<void> announced_;
  std::int64_t next_;
  std::int64_t last_;
  MiniBatch current_;
  std::unique_ptr<Prefetcher> prefetcher_;
};

/// Several loaders in step, as scVI trains on several: the first says how many steps there are; the others begin
/// again with their first minibatch when they are through.
class JointStream {
 public:
  /// @param epochs at least one
  /// @param first the step to begin with
  /// @throws InputError when one but the first has no minibatch
  explicit JointStream(const std::vector<Epoch>& epochs, std::int64_t first = 0);

  /// One minibatch of each loader, in their order; empty after the last step. As long-lived as those of
  /// MiniBatchStream::next().
  std::span<const MiniBatch* const> next();

 private:
  std::vector<MiniBatchStream> streams_;
  std::vector<const MiniBatch*> current_;
};

}  // namespace scvi
