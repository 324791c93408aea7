#include "scvi/loader/data_loader.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "stored_counts.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using Cells = std::vector<std::int64_t>;

std::shared_ptr<GeneExpressionDataset> some_dataset(std::int64_t n_cells = 100) {
  return std::make_shared<GeneExpressionDataset>(
      synthetic_counts_like({.n_cells = n_cells, .n_genes = 40, .density = 0.2, .seed = 1}));
}

DataLoader shuffled(const std::shared_ptr<GeneExpressionDataset>& dataset, std::int64_t prefetch,
                    MiniBatchOptions minibatch = {}) {
  return DataLoader(dataset, std::move(minibatch),
                    std::make_shared<ShuffledSampler>(all_cells(dataset->nb_cells()), SamplerStream{.seed = 3}),
                    {.batch_size = 8, .tail = TailPolicy::join, .prefetch = prefetch});
}

void expect_same(const MiniBatch& a, const MiniBatch& b) {
  EXPECT_EQ(a.cells, b.cells);
  EXPECT_TRUE(at::equal(a.counts.dense(), b.counts.dense()));
  EXPECT_TRUE(at::equal(a.local_l_mean, b.local_l_mean));
  EXPECT_TRUE(at::equal(a.local_l_var, b.local_l_var));
  EXPECT_TRUE(at::equal(a.batch_index, b.batch_index));
  EXPECT_TRUE(at::equal(a.labels, b.labels));
}

/// Cells without counts that record what is asked of them.
class RecordingSource final : public MiniBatchSource {
 public:
  explicit RecordingSource(std::int64_t n_cells, std::int64_t fails_at = -1)
      : n_cells_(n_cells), fails_at_(fails_at) {}

  std::int64_t n_cells() const override { return n_cells_; }
  MiniBatch gather(std::span<const std::int64_t> cells, MiniBatch) const override {
    const std::lock_guard lock(mutex_);
    if (made_ == fails_at_) throw FormatError({.problem = "is damaged", .file = "counts.h5"});
    ++made_;
    threads_.push_back(std::this_thread::get_id());
    changed_.notify_all();
    MiniBatch batch;
    batch.cells.assign(cells.begin(), cells.end());
    return batch;
  }
  std::int64_t made() const {
    const std::lock_guard lock(mutex_);
    return made_;
  }
  bool wait_until_made(std::int64_t n) const {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, std::chrono::minutes(1), [&] { return made_ >= n; });
  }
  bool only_this_thread() const {
    const std::lock_guard lock(mutex_);
    return std::all_of(threads_.begin(), threads_.end(),
                       [](std::thread::id id) { return id == std::this_thread::get_id(); });
  }

 private:
  std::int64_t n_cells_;
  std::int64_t fails_at_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  mutable std::int64_t made_ = 0;
  mutable std::vector<std::thread::id> threads_;
};

DataLoader recorded(const std::shared_ptr<RecordingSource>& source, std::int64_t batch_size, std::int64_t prefetch) {
  return DataLoader(source, std::make_shared<SequentialSampler>(all_cells(source->n_cells())),
                    {.batch_size = batch_size, .prefetch = prefetch});
}

/// First cell of each minibatch.
Cells first_cells(MiniBatchStream stream) {
  Cells firsts;
  while (const MiniBatch* batch = stream.next()) firsts.push_back(batch->cells.front());
  return firsts;
}

TEST(DataLoader, GivesEveryCellOnceInTheOrderOfItsSampler) {
  const auto dataset = some_dataset(97);
  const DataLoader loader = shuffled(dataset, 0);
  const Epoch epoch = loader.epoch(5);
  EXPECT_EQ(epoch.size(), 12);  // the one cell left over joins the minibatch before it
  Cells seen;
  auto stream = epoch.stream();
  while (const MiniBatch* batch = stream.next()) seen.insert(seen.end(), batch->cells.begin(), batch->cells.end());
  EXPECT_EQ(seen, ShuffledSampler(all_cells(97), {.seed = 3}).order(5));
  EXPECT_EQ(stream.next(), nullptr);
}

TEST(DataLoader, GivesTheSameWithAndWithoutPrefetchingFromSparseAndDenseCounts) {
  const auto sparse = some_dataset();
  const auto dense = std::make_shared<GeneExpressionDataset>();
  dense->populate_from_data(sparse->X().to_dense());
  for (const auto& dataset : {sparse, dense}) {
    for (const bool at_once : {true, false}) {
      for (const std::int64_t prefetch : {1, 2, 100}) {
        const Epoch plain = shuffled(dataset, 0, {.dense = at_once}).epoch(1);
        auto ahead = shuffled(dataset, prefetch, {.dense = at_once}).epoch(1).stream();
        for (std::int64_t i = 0; i < plain.size(); ++i) {
          const MiniBatch* batch = ahead.next();
          ASSERT_NE(batch, nullptr);
          expect_same(*batch, plain.minibatch(i));
          expect_same(*batch, make_minibatch(*dataset, plain.cells(i)));
        }
        EXPECT_EQ(ahead.next(), nullptr);
      }
    }
  }
}

TEST(DataLoader, GoesOnAtAnyMinibatch) {
  const auto dataset = some_dataset();
  for (const std::int64_t prefetch : {0, 2}) {
    const Epoch epoch = shuffled(dataset, prefetch).epoch(2);
    for (std::int64_t first = 0; first <= epoch.size(); ++first) {
      auto rest = epoch.stream(first);
      for (std::int64_t i = first; i < epoch.size(); ++i) expect_same(*rest.next(), epoch.minibatch(i));
      EXPECT_EQ(rest.next(), nullptr);
    }
  }
}

TEST(DataLoader, LeavesCopiedTensorsAsTheyWere) {
  const auto dataset = some_dataset();
  for (const std::int64_t prefetch : {0, 2}) {
    const Epoch epoch = shuffled(dataset, prefetch).epoch(0);
    auto stream = epoch.stream();
    std::vector<MiniBatch> kept;
    while (const MiniBatch* batch = stream.next()) {
      batch->counts.dense();
      kept.push_back(*batch);
    }
    for (std::int64_t i = 0; i < epoch.size(); ++i) expect_same(kept[i], epoch.minibatch(i));
  }
}

TEST(DataLoader, MakesSoManyMinibatchesAheadAndNoMore) {
  const auto source = std::make_shared<RecordingSource>(60);
  auto stream = recorded(source, 3, 4).epoch(0).stream();
  for (std::int64_t taken = 0; taken <= 16; ++taken) {
    // The worker goes ahead while nobody asks; and it can never be further than this.
    ASSERT_TRUE(source->wait_until_made(std::min<std::int64_t>(taken + 4, 20)));
    EXPECT_LE(source->made(), taken + 4);
    ASSERT_NE(stream.next(), nullptr);
  }
  EXPECT_FALSE(source->only_this_thread());
}

TEST(DataLoader, StaysOnTheCallingThreadWithoutPrefetching) {
  const auto source = std::make_shared<RecordingSource>(10);
  EXPECT_EQ(first_cells(recorded(source, 4, 0).epoch(0).stream()), (Cells{0, 4, 8}));
  EXPECT_TRUE(source->only_this_thread());
}

TEST(DataLoader, HandsOnWhatTheSourceThrowsWhenItsMinibatchIsDue) {
  for (const std::int64_t prefetch : {0, 1, 5}) {
    const auto source = std::make_shared<RecordingSource>(20, 3);
    auto stream = recorded(source, 2, prefetch).epoch(0).stream();
    for (int i = 0; i < 3; ++i) ASSERT_NE(stream.next(), nullptr);
    for (int again = 0; again < 2; ++again) {
      try {
        stream.next();
        FAIL() << "nothing thrown";
      } catch (const FormatError& error) {
        EXPECT_EQ(error.fault().file, "counts.h5");
      }
    }
  }
}

TEST(DataLoader, EndsCleanlyWhenItIsDroppedInTheMiddle) {
  const auto dataset = some_dataset();
  for (std::int64_t taken = 0; taken < 12; ++taken) {
    auto stream = shuffled(dataset, 3).epoch(0).stream();
    for (std::int64_t i = 0; i < taken; ++i) stream.next();
  }
  const auto failing = std::make_shared<RecordingSource>(20, 1);
  auto stream = recorded(failing, 2, 3).epoch(0).stream();
  stream.next();
}

TEST(DataLoader, OutlivesWhatItWasMadeFromAndCanBeMoved) {
  auto stream = shuffled(some_dataset(), 2).epoch(0).stream();
  ASSERT_NE(stream.next(), nullptr);
  MiniBatchStream moved = std::move(stream);
  std::int64_t left = 0;
  while (moved.next()) ++left;
  EXPECT_EQ(left, 12);
  moved = shuffled(some_dataset(), 2).epoch(1).stream();
  EXPECT_NE(moved.next(), nullptr);
}

// Whoever trains decides when to stop; a minibatch that is asked for is given.
TEST(DataLoader, DoesNotHangWhenTheUserInterrupts) {
  const auto dataset = some_dataset();
  auto stream = shuffled(dataset, 2).epoch(0).stream();
  set_interrupt(true);
  EXPECT_NE(stream.next(), nullptr);
  set_interrupt(false);
}

TEST(DataLoader, RefusesOptionsAndCellsThatCannotBe) {
  const auto dataset = some_dataset(10);
  const auto all = std::make_shared<SequentialSampler>(all_cells(10));
  EXPECT_THROW(DataLoader(dataset, {}, all, {.batch_size = 0}), InputError);
  EXPECT_THROW(DataLoader(dataset, {}, all, {.prefetch = -1}), InputError);
  EXPECT_THROW(DataLoader(dataset, {.version = kCorruptedVersion}, all), InputError);
  for (const std::int64_t cell : {-1, 10}) {
    const DataLoader loader(dataset, {}, std::make_shared<SequentialSampler>(Cells{0, cell}));
    EXPECT_THROW(loader.epoch(0), InputError);
  }
}

TEST(DataLoader, OfNoCellsHasNoMinibatch) {
  const auto dataset = some_dataset(10);
  for (const std::int64_t prefetch : {0, 2}) {
    const DataLoader loader(dataset, {}, std::make_shared<SequentialSampler>(Cells{}), {.prefetch = prefetch});
    EXPECT_EQ(loader.epoch(0).size(), 0);
    EXPECT_EQ(loader.epoch(0).stream().next(), nullptr);
    EXPECT_EQ(loader.epoch(0).cycle(0, 0).next(), nullptr);
    EXPECT_THROW(loader.epoch(0).cycle(0, 1), InputError);
  }
}

TEST(DataLoader, RepeatsAnEpochAsOftenAsNeeded) {
  for (const std::int64_t prefetch : {0, 2}) {
    const auto source = std::make_shared<RecordingSource>(6);
    const Epoch epoch = recorded(source, 2, prefetch).epoch(0);
    EXPECT_EQ(first_cells(epoch.cycle(0, 7)), (Cells{0, 2, 4, 0, 2, 4, 0}));
    EXPECT_EQ(first_cells(epoch.cycle(4, 7)), (Cells{2, 4, 0}));
  }
}

/// First cells of all minibatches of each step.
std::vector<Cells> steps(JointStream stream) {
  std::vector<Cells> all;
  for (auto batches = stream.next(); !batches.empty(); batches = stream.next()) {
    all.emplace_back();
    for (const MiniBatch* batch : batches) all.back().push_back(batch->cells.front());
  }
  return all;
}

TEST(JointStream, IsAsLongAsTheFirstLoaderWhileTheOthersReplayTheirMinibatches) {
  for (const std::int64_t prefetch : {0, 2}) {
    const auto loader = [&](std::int64_t n_cells) {
      return recorded(std::make_shared<RecordingSource>(n_cells), 2, prefetch).epoch(0);
    };
    const Epoch five = loader(10);
    const Epoch two = loader(4);
    const Epoch seven = loader(14);
    const std::vector<Cells> expected = {{0, 0, 0}, {2, 2, 2}, {4, 0, 4}, {6, 2, 6}, {8, 0, 8}};
    EXPECT_EQ(steps(JointStream({five, two, seven})), expected);
    EXPECT_EQ(steps(JointStream({five, two, seven}, 3)), std::vector<Cells>(expected.begin() + 3, expected.end()));
    EXPECT_EQ(steps(JointStream({two, five})), (std::vector<Cells>{{0, 0}, {2, 2}}));
    EXPECT_TRUE(steps(JointStream({loader(0), five})).empty());
    EXPECT_THROW(JointStream({five, loader(0)}), InputError);
  }
}

// ---- counts on disk

DataLoader windowed(const std::shared_ptr<GeneExpressionDataset>& dataset, const CountWindows& windows,
                    std::int64_t prefetch) {
  return DataLoader(dataset, {},
                    std::make_shared<WindowedSampler>(
                        all_cells(dataset->nb_cells()),
                        WindowOptions{.block_cells = windows.block_cells, .window_blocks = windows.window_blocks},
                        SamplerStream{.seed = 3}),
                    {.batch_size = 16, .tail = TailPolicy::join, .prefetch = prefetch});
}

TEST(DataLoaderOnDisk, GivesTheMinibatchesOfTheDataSetInMemory) {
  const auto dataset = some_dataset(500);
  for (const int threads : {1, 2, 7}) {
    const testing::WithThreads limit(threads);
    for (const std::size_t cache : {std::size_t{1}, std::size_t{4000}, std::size_t{1} << 20}) {
      const auto watch = std::make_shared<testing::WatchedMatrix::Watch>();
      const auto stored = testing::on_disk(*dataset, {.cache_bytes = cache, .block_cells = 10}, watch);
      const CountWindows windows = stored->X().store()->windows();
      for (const std::int64_t prefetch : {0, 2}) {
        const Epoch expected = windowed(dataset, windows, 0).epoch(1);
        const Epoch epoch = windowed(stored, windows, prefetch).epoch(1);
        auto stream = epoch.stream(3);
        std::int64_t i = 3;
        for (; const MiniBatch* batch = stream.next(); ++i) expect_same(expected.minibatch(i), *batch);
        EXPECT_EQ(i, epoch.size());
      }
      EXPECT_FALSE(watch->overlapped);
    }
  }
}

TEST(DataLoaderOnDisk, ServesSeveralThreadsAndStreamsAtOnce) {
  const testing::WithThreads limit(4);
  const auto dataset = some_dataset(500);
  const auto watch = std::make_shared<testing::WatchedMatrix::Watch>();
  const auto stored = testing::on_disk(*dataset, {.cache_bytes = 4000, .block_cells = 10}, watch);
  const Epoch expected = shuffled(dataset, 0).epoch(0);
  const Epoch epoch = shuffled(stored, 2).epoch(0);
  {
    const auto announced = epoch.announce();
    parallel_for(epoch.size(), 1, [&](std::int64_t i, std::int64_t) {
      EXPECT_TRUE(at::equal(epoch.minibatch(i).counts.dense(), expected.minibatch(i).counts.dense()));
    });
  }
  JointStream joint({epoch, epoch});
  for (std::int64_t i = 0; i < epoch.size(); ++i) {
    const auto batches = joint.next();
    ASSERT_EQ(batches.size(), 2U);
    for (const MiniBatch* batch : batches) expect_same(expected.minibatch(i), *batch);
  }
  EXPECT_TRUE(joint.next().empty());
  EXPECT_FALSE(watch->overlapped);
}

TEST(DataLoaderOnDisk, HandsADamagedBlockOutAsTheErrorOfItsMinibatch) {
  const testing::WithThreads limit(2);
  const auto watch = std::make_shared<testing::WatchedMatrix::Watch>();
  const auto stored = testing::on_disk(*some_dataset(500), {.cache_bytes = 4000, .block_cells = 10}, watch);
  std::atomic<int> reads{0};
  watch->before_read = [&](std::int64_t) {
    if (++reads > 20) throw FormatError({.problem = "is damaged", .file = "cells.h5ad"});
  };
  auto stream = windowed(stored, stored->X().store()->windows(), 2).epoch(0).stream();
  EXPECT_THROW(
      {
        while (stream.next() != nullptr) {
        }
      },
      FormatError);
}

TEST(DataLoaderOnDisk, CanBeLeftWhileAWorkerReads) {
  const testing::WithThreads limit(2);
  const auto watch = std::make_shared<testing::WatchedMatrix::Watch>();
  const auto stored = testing::on_disk(*some_dataset(500), {.cache_bytes = 8000, .block_cells = 10}, watch);
  const DataLoader loader = windowed(stored, stored->X().store()->windows(), 2);
  for (int taken = 0; taken < 8; ++taken) {
    auto stream = loader.epoch(0).stream();
    for (int i = 0; i < taken; ++i) EXPECT_NE(stream.next(), nullptr);
    stream = loader.epoch(1).stream();
    EXPECT_NE(stream.next(), nullptr);
    // An interrupt is the business of whoever trains: what was begun comes whole.
    set_interrupt(true);
    EXPECT_NE(stream.next(), nullptr);
    set_interrupt(false);
  }
  EXPECT_EQ(watch->readers, 0);
}

}  // namespace
}  // namespace scvi
