#include "scvi/loader/data_loader.hpp"

#include <algorithm>
#include <system_error>

#include "prefetcher.hpp"
#include "scvi/core/error.hpp"
#include "scvi/dataset/count_store.hpp"

namespace scvi {

DatasetSource::DatasetSource(std::shared_ptr<const GeneExpressionDataset> dataset, MiniBatchOptions options)
    : dataset_(std::move(dataset)), options_(std::move(options)) {
  check_minibatch_options(*dataset_, options_);
}

MiniBatch DatasetSource::gather(std::span<const std::int64_t> cells, MiniBatch recycled) const {
  return make_minibatch(*dataset_, cells, options_, std::move(recycled));
}

std::shared_ptr<void> DatasetSource::announce(std::span<const std::int64_t> cells) const {
  const CountMatrix& counts = options_.version.empty() ? dataset_->X() : dataset_->dataset_version(options_.version);
  if (!counts.store()) return {};
  return std::make_shared<CountPlan>(counts.store(), cells);
}

MiniBatch Epoch::minibatch(std::int64_t minibatch, MiniBatch recycled) const {
  return plan_->source->gather(cells(minibatch), std::move(recycled));
}

std::shared_ptr<void> Epoch::announce(std::int64_t first) const {
  if (first >= size()) return {};
  const std::int64_t* const begin = cells(first).data();
  const std::int64_t* const end = cells(size() - 1).data() + cells(size() - 1).size();
  return plan_->source->announce({begin, end});
}

MiniBatchStream Epoch::stream(std::int64_t first) const {
  return MiniBatchStream(*this, first, size(), plan_->prefetch);
}

MiniBatchStream Epoch::cycle(std::int64_t first, std::int64_t last) const {
  if (size() == 0 && first < last) {
    throw InputError({.problem = "has no minibatch that could be repeated", .field = "a data loader"});
  }
  return MiniBatchStream(*this, first, last, plan_->prefetch);
}

DataLoader::DataLoader(std::shared_ptr<const MiniBatchSource> source, std::shared_ptr<const Sampler> sampler,
                       DataLoaderOptions options)
    : source_(std::move(source)), sampler_(std::move(sampler)), options_(options) {
  if (options_.batch_size < 1) {
    throw InputError(
        {.problem = "is " + std::to_string(options_.batch_size) + ", but must be at least 1", .field = "batch size"});
  }
  if (options_.prefetch < 0) {
    throw InputError({.problem = "is " + std::to_string(options_.prefetch) + ", but cannot be negative",
                      .field = "the number of minibatches to prefetch"});
  }
}

DataLoader::DataLoader(std::shared_ptr<const GeneExpressionDataset> dataset, MiniBatchOptions minibatch,
                       std::shared_ptr<const Sampler> sampler, DataLoaderOptions options)
    : DataLoader(std::make_shared<DatasetSource>(std::move(dataset), std::move(minibatch)), std::move(sampler),
                 options) {}

Epoch DataLoader::epoch(std::uint64_t number) const {
  auto plan = std::make_shared<Epoch::Plan>();
  plan->source = source_;
  plan->order = sampler_->order(number);
  for (const std::int64_t cell : plan->order) {
    if (cell >= 0 && cell < source_->n_cells()) continue;
    throw InputError({.problem = "names cell " + std::to_string(cell) + ", but there are " +
                                 std::to_string(source_->n_cells()) + " cells",
                      .field = "the sampler of a data loader"});
  }
  plan->minibatches = cut_into_minibatches(plan->order, options_.batch_size, options_.tail);
  plan->prefetch = options_.prefetch;
  return Epoch(std::move(plan));
}

MiniBatchStream::MiniBatchStream(Epoch epoch, std::int64_t first, std::int64_t last, std::int64_t prefetch)
    : epoch_(std::move(epoch)), next_(first), last_(last) {
  if (first >= last) return;
  announced_ = epoch_.announce(first % epoch_.size());
  if (prefetch == 0) return;
  const auto make = [epoch = epoch_](std::int64_t i, MiniBatch recycled) {
    return epoch.minibatch(i % epoch.size(), std::move(recycled));
  };
  try {
    prefetcher_ = std::make_unique<Prefetcher>(make, first, last, prefetch);
  } catch (const std::system_error&) {
    // No thread to be had: the minibatches are made on the calling one.
  }
}

MiniBatchStream::~MiniBatchStream() = default;
MiniBatchStream::MiniBatchStream(MiniBatchStream&&) noexcept = default;
MiniBatchStream& MiniBatchStream::operator=(MiniBatchStream&&) noexcept = default;

const MiniBatch* MiniBatchStream::next() {
  if (next_ >= last_) return nullptr;
  current_ = prefetcher_ ? prefetcher_->next(std::move(current_))
                         : epoch_.minibatch(next_ % epoch_.size(), std::move(current_));
  ++next_;
  return &current_;
}

JointStream::JointStream(const std::vector<Epoch>& epochs, std::int64_t first) : current_(epochs.size()) {
  const std::int64_t n_steps = epochs.front().size();
  for (const Epoch& epoch : epochs) streams_.push_back(epoch.cycle(first, n_steps));
}

std::span<const MiniBatch* const> JointStream::next() {
  for (std::size_t i = 0; i < streams_.size(); ++i) {
    current_[i] = streams_[i].next();
    if (current_[i] == nullptr) return {};
  }
  return current_;
}

}  // namespace scvi
