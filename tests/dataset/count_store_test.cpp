#include "scvi/dataset/count_store.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <numeric>
#include <thread>

#include "fixtures.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/dataset/write_dataset.hpp"
#include "scvi/io/open_counts.hpp"
#include "stored_counts.hpp"
#include "testing.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using testing::on_disk;
using testing::WatchedMatrix;
using Numbers = std::vector<std::int64_t>;
using Watch = WatchedMatrix::Watch;

CountMatrix some_counts(std::int64_t n_cells = 200, std::int64_t n_genes = 30) {
  return synthetic_counts_like({.n_cells = n_cells, .n_genes = n_genes, .density = 0.3, .seed = 2}).X();
}

void expect_same_rows(const CountMatrix& a, const CountMatrix& b, const Numbers& cells) {
  io::CsrBlock from_a, from_b;
  a.gather_csr(cells, from_a);
  b.gather_csr(cells, from_b);
  EXPECT_EQ(from_a.indptr, from_b.indptr);
  EXPECT_EQ(from_a.indices, from_b.indices);
  EXPECT_EQ(from_a.values, from_b.values);
  testing::Dense dense_a(cells.size() * static_cast<std::size_t>(a.n_genes()), -1.0F);
  testing::Dense dense_b = dense_a;
  a.gather_dense(cells, dense_a.data());
  b.gather_dense(cells, dense_b.data());
  EXPECT_EQ(dense_a, dense_b);
}

void expect_same(const CountMatrix& a, const CountMatrix& b) {
  ASSERT_EQ(a.n_cells(), b.n_cells());
  ASSERT_EQ(a.n_genes(), b.n_genes());
  EXPECT_EQ(a.n_nonzero(), b.n_nonzero());
  EXPECT_EQ(a.cell_totals(), b.cell_totals());
  Numbers all(static_cast<std::size_t>(a.n_cells()));
  std::iota(all.begin(), all.end(), 0);
  expect_same_rows(a, b, all);
}

TEST(CountStore, GivesTheRowsOfTheMatrixInMemoryHoweverLittleMemoryThereIs) {
  const CountMatrix counts = some_counts();
  RandomStream random(3, "cells");
  for (const std::size_t cache : {std::size_t{1}, std::size_t{2000}, std::size_t{1} << 20}) {
    for (const std::int64_t block_cells : {1, 7, 64, 1000}) {
      const CountMatrix stored = on_disk(counts, {.cache_bytes = cache, .block_cells = block_cells});
      EXPECT_TRUE(stored.is_sparse());
      expect_same(counts, stored);
      Numbers cells;
      for (int i = 0; i < 50; ++i) cells.push_back(static_cast<std::int64_t>(random.uniform() * 200));
      cells.push_back(cells.front());
      expect_same_rows(counts, stored, cells);
      expect_same_rows(counts, stored, {});
      EXPECT_EQ(counts.cell_totals(Numbers{4, 2, 9}), stored.cell_totals(Numbers{4, 2, 9}));
    }
  }
}

TEST(CountStore, HoldsNoMoreThanItsMemoryAndOneBlock) {
  const CountMatrix counts = some_counts(1000);
  constexpr std::size_t kCache = 10000;
  const CountMatrix stored = on_disk(counts, {.cache_bytes = kCache, .block_cells = 20});
  const std::size_t facts = stored.memory_bytes();
  RandomStream random(3, "cells");
  for (int i = 0; i < 300; ++i) {
    const Numbers cell = {static_cast<std::int64_t>(random.uniform() * 1000)};
    expect_same_rows(counts, stored, cell);
    EXPECT_LE(stored.memory_bytes() - facts, kCache);
  }
}

TEST(CountStore, ServesManyThreadsOfWhichOneReads) {
  const CountMatrix counts = some_counts(600);
  for (const int threads : {1, 2, 7}) {
    const testing::WithThreads limit(threads);
    for (const std::size_t cache : {std::size_t{1}, std::size_t{20000}}) {
      const auto watch = std::make_shared<Watch>();
      const CountMatrix stored = on_disk(counts, {.cache_bytes = cache, .block_cells = 16}, watch);
      const Numbers order = RandomStream(1, "order").permutation(600);
      const CountPlan plan(stored.store(), order);
      parallel_for(60, 1, [&](std::int64_t begin, std::int64_t) {
        expect_same_rows(counts, stored, Numbers(order.begin() + begin * 10, order.begin() + begin * 10 + 10));
      });
      EXPECT_FALSE(watch->overlapped);
    }
  }
}

TEST(CountStore, ReadsEachBlockOnceWhereAPlanIsFollowedAndWindowsFit) {
  const testing::WithThreads limit(2);
  const CountMatrix counts = some_counts(1000);
  const auto watch = std::make_shared<Watch>();
  const CountMatrix stored = on_disk(counts, {.cache_bytes = 20000, .block_cells = 10}, watch);
  const CountWindows windows = stored.store()->windows();
  ASSERT_GT(windows.window_blocks, 3);
  ASSERT_LT(windows.window_blocks, 30);
  // Cells mixed within the windows, as training does it.
  Numbers order;
  RandomStream random(1, "order");
  const std::int64_t size = windows.window_blocks * windows.block_cells;
  for (std::int64_t first = 0; first < 1000; first += size) {
    for (const std::int64_t at : random.permutation(std::min(size, 1000 - first))) order.push_back(first + at);
  }
  {
    const CountPlan plan(stored.store(), order);
    const CountPlan ignored(stored.store(), order);
    io::CsrBlock ours, expected;
    for (std::size_t first = 0; first < order.size(); first += 8) {
      const Numbers cells(order.begin() + first, order.begin() + first + 8);
      stored.gather_csr(cells, ours);
      counts.gather_csr(cells, expected);
      EXPECT_EQ(ours.values, expected.values);
    }
  }
  EXPECT_EQ(watch->n_reads, 100);
}

TEST(CountStore, WhatOnePlanLeavesTakesNoRoomFromTheNext) {
  const testing::WithThreads limit(2);
  const CountMatrix counts = some_counts(1000);
  const auto watch = std::make_shared<Watch>();
  const CountMatrix stored = on_disk(counts, {.cache_bytes = 20000, .block_cells = 10}, watch);
  // The blocks that are held when the first plan ends are the last that the second asks for.
  Numbers order;
  RandomStream random(1, "order");
  const std::int64_t size = stored.store()->windows().window_blocks * 10;
  for (std::int64_t first = 0; first < 1000; first += size) {
    for (const std::int64_t at : random.permutation(std::min(size, 1000 - first))) order.push_back(first + at);
  }
  for (int pass = 0; pass < 2; ++pass) {
    const CountPlan plan(stored.store(), order);
    io::CsrBlock rows;
    for (std::size_t first = 0; first < order.size(); first += 8) {
      stored.gather_csr(Numbers(order.begin() + first, order.begin() + first + 8), rows);
    }
  }
  EXPECT_LE(watch->n_reads, 200);
}

TEST(CountStore, WindowsTakeHalfTheMemoryAndBlocksShrinkBeforeWindowsHoldFew) {
  const CountMatrix counts = some_counts(4000);
  const auto windows = [&](std::size_t cache) { return on_disk(counts, {.cache_bytes = cache}).store()->windows(); };
  const std::size_t all = on_disk(counts, {}).store()->full_bytes();
  EXPECT_EQ(windows(10 * all).window_blocks * windows(10 * all).block_cells >= 4000, true);
  const CountWindows half = windows(all);
  const double share = static_cast<double>(half.window_blocks * half.block_cells) / 4000;
  EXPECT_GT(share, 0.4);
  EXPECT_LT(share, 0.6);
  EXPECT_EQ(half.block_cells, 16);
  EXPECT_EQ(windows(1).window_blocks, 1);
}

TEST(CountStore, SelectsCellsAndGenesAsTheMatrixInMemoryDoes) {
  const CountMatrix counts = some_counts();
  const Numbers cells = {3, 4, 50, 51, 52, 199};
  const Numbers genes = {20, 3, 7, 29};
  for (const std::size_t cache : {std::size_t{1}, std::size_t{1} << 20}) {
    const CountMatrix stored = on_disk(counts, {.cache_bytes = cache, .block_cells = 8});
    const CountMatrix fewer = stored.select_cells(cells);
    EXPECT_TRUE(fewer.store());
    expect_same(counts.select_cells(cells), fewer);
    expect_same(counts.select_cells(cells).select_cells(Numbers{1, 4}), fewer.select_cells(Numbers{1, 4}));
    const CountMatrix chosen = CountMatrix(stored).select_genes(genes);
    EXPECT_EQ(chosen.store() != nullptr, cache == 1) << "genes that fit should come into memory";
    expect_same(counts.select_genes(genes), chosen);
    expect_same(counts.select_genes(genes).select_genes(Numbers{2, 0}), chosen.select_genes(Numbers{2, 0}));
  }
  EXPECT_THROW(on_disk(counts, {}).select_cells(Numbers{4, 3}), InputError);
}

TEST(CountStore, RefusesWhatNeedsTheCountsInMemory) {
  auto dataset = *on_disk(synthetic_counts_like({.n_cells = 50, .n_genes = 20, .density = 0.3}), {.cache_bytes = 1});
  const CountMatrix stored = dataset.X();
  const CountMatrix* parts[] = {&stored, &stored};
  for (const std::function<void()>& action : {std::function<void()>([&] { stored.to_dense(); }),
                                              {[&] { CountMatrix::concatenate(parts); }},
                                              {[&] { dataset.normalize(); }},
                                              {[&] { dataset.corrupt(); }}}) {
    try {
      action();
      FAIL() << "nothing was refused";
    } catch (const InputError& error) {
      const std::string text = error.what();
      EXPECT_NE(text.find("cells.h5ad: the counts are on disk"), std::string::npos) << text;
      EXPECT_NE(text.find("--memory"), std::string::npos) << text;
    }
  }
}

TEST(CountStore, ChoosesTheGenesThatAreChosenInMemory) {
  const GeneExpressionDataset dataset = synthetic_counts_like({.n_cells = 700, .n_genes = 60, .density = 0.3});
  for (const auto mode : {GeneSelectionMode::variance, GeneSelectionMode::seurat_v3}) {
    GeneExpressionDataset whole = dataset;
    whole.subsample_genes({.new_n_genes = 10, .mode = mode});
    auto stored = on_disk(dataset, {.cache_bytes = 1, .block_cells = 32});
    stored->subsample_genes({.new_n_genes = 10, .mode = mode});
    EXPECT_EQ(whole.original_genes(), stored->original_genes());
    EXPECT_EQ(whole.local_means(), stored->local_means());
    expect_same(whole.X(), stored->X());
  }
}

TEST(CountStore, SaysWhatIsWrongWithADamagedFileAndGoesOnWithTheRest) {
  const testing::WithThreads limit(2);
  const CountMatrix counts = some_counts();
  const auto watch = std::make_shared<Watch>();
  const CountMatrix stored = on_disk(counts, {.cache_bytes = 20000, .block_cells = 10}, watch);
  watch->before_read = [](std::int64_t row) {
    if (row == 100) throw FormatError({.problem = "is damaged", .file = "cells.h5ad"});
  };
  Numbers all(200);
  std::iota(all.begin(), all.end(), 0);
  const CountPlan plan(stored.store(), all);
  expect_same_rows(counts, stored, {99, 98, 120});
  io::CsrBlock rows;
  for (int i = 0; i < 3; ++i) EXPECT_THROW(stored.gather_csr(Numbers{105}, rows), FormatError);
  watch->before_read = nullptr;
  expect_same_rows(counts, stored, {105, 100, 3});
}

TEST(CountStore, NoticesThatAFileHasChanged) {
  const CountMatrix counts = some_counts();
  StoredCells cells = testing::stored_cells_of(counts);
  cells.totals[57] += 1;
  const Numbers genes = [] {
    Numbers all(30);
    std::iota(all.begin(), all.end(), 0);
    return all;
  }();
  const CountMatrix stored = CountMatrix::on_disk(std::make_shared<const CountStore>(
      std::make_unique<WatchedMatrix>(counts, std::make_shared<Watch>()), "cells.h5ad", cells, genes,
      CountStoreOptions{.cache_bytes = 1000, .block_cells = 10}));
  expect_same_rows(counts, stored, {49, 60});
  io::CsrBlock rows;
  try {
    stored.gather_csr(Numbers{51}, rows);
    FAIL() << "nothing was noticed";
  } catch (const FormatError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("cells.h5ad: X, row 57"), std::string::npos) << text;
  }
  cells.totals.pop_back();
  EXPECT_THROW(CountStore(std::make_unique<WatchedMatrix>(counts, std::make_shared<Watch>()), "f", cells, genes),
               InputError);
}

TEST(CountStore, LeavesTheReaderAloneOnceAPlanHasEnded) {
  const testing::WithThreads limit(2);
  const auto watch = std::make_shared<Watch>();
  const CountMatrix stored = on_disk(some_counts(2000), {.cache_bytes = 1 << 20, .block_cells = 2}, watch);
  for (int i = 0; i < 20; ++i) {
    Numbers all(2000);
    std::iota(all.begin(), all.end(), 0);
    std::make_unique<CountPlan>(stored.store(), all).reset();
    EXPECT_EQ(watch->readers, 0);
  }
}

// ---- from files

struct Files {
  testing::TemporaryDirectory folder{};
  std::string cells = folder.path("cells.h5ad");
  GeneExpressionDataset dataset = synthetic_counts_like({.n_cells = 3000, .n_genes = 100, .density = 0.2, .seed = 4});
  Files() { write_dataset(dataset, cells, Overwrite::replace); }
};

TEST(LoadCountsWithinMemory, GivesTheSameDataSetAsInMemory) {
  const Files files;
  const LoadOptions in_memory{.batch_key = "batch", .labels_key = "cell_type"};
  LoadOptions limited = in_memory;
  const GeneExpressionDataset whole = load_counts(io::open_counts(files.cells), in_memory);
  limited.memory_bytes = whole.X().memory_bytes();
  EXPECT_FALSE(load_counts(io::open_counts(files.cells), limited).X().store()) << "counts that fit are in memory";
  limited.memory_bytes -= 1;
  for (const std::size_t memory : {limited.memory_bytes, std::size_t{30000}, std::size_t{1}}) {
    limited.memory_bytes = memory;
    const GeneExpressionDataset stored = load_counts(io::open_counts(files.cells), limited);
    ASSERT_TRUE(stored.X().store());
    EXPECT_EQ(stored.X().store()->full_bytes(), whole.X().memory_bytes());
    expect_same(whole.X(), stored.X());
    EXPECT_EQ(whole.local_means(), stored.local_means());
    EXPECT_EQ(whole.local_vars(), stored.local_vars());
    EXPECT_EQ(whole.batch_indices(), stored.batch_indices());
    EXPECT_EQ(whole.original_cells(), stored.original_cells());
  }
}

TEST(LoadCountsWithinMemory, LeavesOutEmptyCellsAndTakesTheGenesOfAModel) {
  const Files files;
  LoadOptions options{.genes = {files.dataset.gene_names()[40], files.dataset.gene_names()[3]}};
  const GeneExpressionDataset whole = load_counts(io::open_counts(files.cells), options);
  options.memory_bytes = 1;
  const GeneExpressionDataset stored = load_counts(io::open_counts(files.cells), options);
  ASSERT_LT(stored.nb_cells(), 2900);
  ASSERT_TRUE(stored.X().store());
  EXPECT_EQ(whole.original_cells(), stored.original_cells());
  expect_same(whole.X(), stored.X());
}

TEST(LoadCountsWithinMemory, RefusesFilesWithoutCheapRows) {
  const Files files;
  const std::string loom = files.folder.path("cells.loom");
  write_dataset(files.dataset, loom, Overwrite::replace);
  LoadOptions options;
  options.memory_bytes = 1;
  try {
    load_counts(io::open_counts(loom), options);
    FAIL() << "nothing was refused";
  } catch (const InputError& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find(loom), std::string::npos) << text;
    EXPECT_NE(text.find("scvi convert"), std::string::npos) << text;
  }
  options.memory_bytes = 10 << 20;
  EXPECT_FALSE(load_counts(io::open_counts(loom), options).X().store());
}

TEST(LoadCountsWithinMemory, MeetsAFileThatIsOverwrittenMeanwhileWithAnErrorNotACrash) {
  const Files files;
  LoadOptions options;
  options.memory_bytes = 20000;
  const GeneExpressionDataset stored = load_counts(io::open_counts(files.cells), options);
  {
    const auto size = static_cast<std::int64_t>(std::filesystem::file_size(files.cells));
    std::fstream file(files.cells, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(size / 10);
    file << std::string(static_cast<std::size_t>(size * 8 / 10), '\x5a');
  }
  const testing::WithThreads limit(2);
  int failures = 0;
  io::CsrBlock rows;
  const Numbers order = RandomStream(1, "order").permutation(3000);
  const CountPlan plan(stored.X().store(), order);
  for (const std::int64_t cell : order) {
    try {
      stored.X().gather_csr(std::span(&cell, 1), rows);
    } catch (const Error&) {
      ++failures;
    }
  }
  EXPECT_GT(failures, 1000);
}

}  // namespace
}  // namespace scvi
