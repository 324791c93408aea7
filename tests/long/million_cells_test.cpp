// A million cells from a file to an epoch of minibatches, within the memory of their counts.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <functional>
#include <memory>
#include <numeric>

#include "cli/program.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/open_counts.hpp"
#include "scvi/loader/data_loader.hpp"
#include "scvi/loader/split.hpp"

namespace scvi {
namespace {

/// Runs `body` in a child process, which fails when it throws. @return the child's peak resident memory in bytes
std::int64_t peak_of(const std::function<void()>& body) {
  const pid_t child = ::fork();
  if (child == 0) {
    int status = 0;
    try {
      body();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "%s\n", error.what());
      status = 1;
    }
    ::_exit(status);
  }
  int status = 0;
  rusage usage{};
  EXPECT_EQ(::wait4(child, &status, 0, &usage), child);
  EXPECT_EQ(status, 0);
  return static_cast<std::int64_t>(usage.ru_maxrss) * 1024;
}

/// Cells of one epoch, seen in minibatches; their counts must add up to what the data set holds for them.
void iterate(const std::shared_ptr<GeneExpressionDataset>& dataset) {
  const std::vector<std::int64_t> train = train_test_validation_split(dataset->nb_cells(), {.train_size = 0.9}).train;
  const std::vector<double> totals = dataset->X().cell_totals();
  double expected = 0;
  for (const std::int64_t cell : train) expected += totals[cell];
  const DataLoader loader(dataset, {}, std::make_shared<ShuffledSampler>(train, SamplerStream{.seed = 1}),
                          {.prefetch = 2});
  double total = 0;
  std::int64_t n_cells = 0;
  auto stream = loader.epoch(0).stream();
  while (const MiniBatch* batch = stream.next()) {
    const std::vector<float>& values = batch->counts.csr()->values;
    total = std::accumulate(values.begin(), values.end(), total);
    n_cells += batch->size();
  }
  if (n_cells != std::ssize(train) || total != expected) throw std::runtime_error("the epoch lost cells or counts");
}

TEST(MillionCells, AreReadFilteredChosenFromAndIteratedWithinTheirCountsAndAThird) {
  const testing::TemporaryDirectory folder;
  const std::string cells = folder.path("cells.h5ad");
  testing::run_ok({"simulate", cells, "--kind", "large", "--cells", "1000000", "--genes", "2000", "--density", "0.1",
                   "--verbosity", "warning"});
  const io::MatrixInfo info = io::H5adFile(cells).matrix()->info();
  const std::int64_t csr_bytes = 8 * info.n_stored + 8 * (info.n_rows + 1);
  ASSERT_GT(csr_bytes, std::int64_t{1'400'000'000});
  set_verbosity(LogLevel::warning);
  const std::int64_t libraries = peak_of([] {});
  const std::int64_t peak = peak_of([&] {
    auto dataset = std::make_shared<GeneExpressionDataset>(
        load_counts(io::open_counts(cells), {.batch_key = "batch", .labels_key = "cell_type"}));
    dataset->filter_cells_by_count(10);
    dataset->filter_genes_by_count(100, true);
    iterate(dataset);
    dataset->subsample_genes({.new_n_genes = 1000, .mode = GeneSelectionMode::seurat_v3});
    iterate(dataset);
  });
  std::printf("libraries %.0f MB, peak %.0f MB, CSR %.0f MB\n", 1e-6 * static_cast<double>(libraries),
              1e-6 * static_cast<double>(peak), 1e-6 * static_cast<double>(csr_bytes));
  EXPECT_LE(peak, csr_bytes * 13 / 10);
}

TEST(MillionCells, TrainFromDiskWithinTheMemoryThatIsGiven) {
  const testing::TemporaryDirectory folder;
  const std::string cells = folder.path("cells.h5ad");
  const std::string run = folder.path("run");
  testing::run_ok({"simulate", cells, "--kind", "large", "--cells", "1000000", "--genes", "2000", "--density", "0.1",
                   "--verbosity", "warning"});
  const testing::Outcome train = testing::run_ok(
      {"train", cells, "-o", run, "--batch-key", "batch", "--memory", "1G", "--epochs", "1", "--no-progress"});
  EXPECT_NE(train.err.find("stay on disk"), std::string::npos) << train.err;
  const testing::Outcome embed =
      testing::run_ok({"embed", run, cells, "-o", folder.path("out.h5ad"), "--memory", "1G", "--no-progress"});
  EXPECT_NE(embed.err.find("stay on disk"), std::string::npos) << embed.err;
  std::printf("train %.0f MB, embed %.0f MB\n%s", 1e-6 * static_cast<double>(train.peak_bytes),
              1e-6 * static_cast<double>(embed.peak_bytes), train.err.c_str());
  constexpr std::int64_t kAllowed = 1'200'000'000;
  EXPECT_LE(train.peak_bytes, kAllowed);
  EXPECT_LE(embed.peak_bytes, kAllowed);
}

}  // namespace
}  // namespace scvi
