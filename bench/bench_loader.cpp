// bench_loader [CELLS [GENES [SHARE]]]: cells per second of a shuffled epoch in minibatches of 128 over synthetic
// counts of 10 % density (default 1,000,000 x 2,000), compressed and dense, with and without a worker; and the peak
// memory. With a SHARE below 1, also from a file on disk, with memory for that share of the counts. Whoever takes the
// minibatches adds up their counts. Medians of rounds in which the settings take turns.

#include <sys/resource.h>
#include <unistd.h>

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>

#include "scvi/core/logging.hpp"
#include "scvi/dataset/count_store.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/dataset/write_dataset.hpp"
#include "scvi/io/open_counts.hpp"
#include "scvi/loader/data_loader.hpp"

namespace {

constexpr int kRounds = 3;

double peak_megabytes() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e6;
}

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Of all threads of this process, which other programs do not change much.
double processor_seconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto of = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return of(usage.ru_utime) + of(usage.ru_stime);
}

double sum_of_counts(const scvi::MiniBatch& batch) {
  if (const auto* rows = batch.counts.csr()) return std::accumulate(rows->values.begin(), rows->values.end(), 0.0);
  const at::Tensor& dense = batch.counts.dense();
  // Eight sums side by side, which the compiler turns into vectors.
  std::array<float, 8> sums{};
  const auto* values = dense.data_ptr<float>();
  const std::int64_t n = dense.numel();
  for (std::int64_t i = 0; i + 8 <= n; i += 8) {
    for (int k = 0; k < 8; ++k) sums[k] += values[i + k];
  }
  double total = std::accumulate(values + n / 8 * 8, values + n, 0.0);
  for (const float sum : sums) total += sum;
  return total;
}

using Dataset = std::shared_ptr<scvi::GeneExpressionDataset>;

struct Setting {
  bool dense;
  std::int64_t prefetch;
  Dataset dataset;
  std::vector<double> rates = {};      // cells per second
  std::vector<double> processor = {};  // seconds of processors per million cells
};

std::shared_ptr<const scvi::Sampler> sampler_for(const scvi::GeneExpressionDataset& dataset) {
  auto cells = scvi::all_cells(dataset.nb_cells());
  const scvi::SamplerStream stream{.seed = 1};
  if (!dataset.X().store()) return std::make_shared<scvi::ShuffledSampler>(std::move(cells), stream);
  const scvi::CountWindows windows = dataset.X().store()->windows();
  return std::make_shared<scvi::WindowedSampler>(
      std::move(cells), scvi::WindowOptions{windows.block_cells, windows.window_blocks}, stream);
}

/// The same counts in a file, as they are read within a share of their memory.
Dataset on_disk(const scvi::GeneExpressionDataset& dataset, double share) {
  const auto path = std::filesystem::temp_directory_path() / ("bench_loader" + std::to_string(::getpid()) + ".h5ad");
  scvi::write_dataset(dataset, path, scvi::Overwrite::replace);
  scvi::LoadOptions options;
  options.memory_bytes = static_cast<std::size_t>(share * static_cast<double>(dataset.X().memory_bytes()));
  const double start = seconds();
  auto stored =
      std::make_shared<scvi::GeneExpressionDataset>(scvi::load_counts(scvi::io::open_counts(path), options));
  const scvi::CountWindows windows = stored->X().store()->windows();
  std::printf("on disk: %.0f MB of memory, windows of %lld blocks of %lld cells; checked in %.1f s\n",
              static_cast<double>(options.memory_bytes) / 1e6, static_cast<long long>(windows.window_blocks),
              static_cast<long long>(windows.block_cells), seconds() - start);
  // It stays there for whoever has it open.
  std::filesystem::remove(path);
  return stored;
}

void run_epoch(std::uint64_t epoch, double expected, Setting& setting) {
  const Dataset& dataset = setting.dataset;
  const scvi::DataLoader loader(dataset, {.dense = setting.dense}, sampler_for(*dataset),
                                {.batch_size = 128, .prefetch = setting.prefetch});
  const double start = seconds();
  const double processor = processor_seconds();
  double total = 0;
  auto stream = loader.epoch(epoch).stream();
  while (const scvi::MiniBatch* batch = stream.next()) total += sum_of_counts(*batch);
  setting.rates.push_back(static_cast<double>(dataset->nb_cells()) / (seconds() - start));
  setting.processor.push_back((processor_seconds() - processor) * 1e6 / static_cast<double>(dataset->nb_cells()));
  if (total != expected) {
    std::fprintf(stderr, "the counts of the epoch add up to %.0f instead of %.0f\n", total, expected);
    std::exit(1);
  }
}

}  // namespace

int main(int argc, char** argv) {
  scvi::set_verbosity(scvi::LogLevel::warning);
  scvi::SyntheticCountsOptions options;
  options.n_cells = argc > 1 ? std::atoll(argv[1]) : 1000000;
  options.n_genes = argc > 2 ? std::atoll(argv[2]) : 2000;
  options.density = 0.1;
  std::printf("the libraries alone: peak memory %.0f MB\n", peak_megabytes());
  const auto dataset = std::make_shared<scvi::GeneExpressionDataset>(scvi::synthetic_counts_like(options));
  const auto& counts = dataset->X();
  std::printf("%lld cells x %lld genes, %lld counts; %.0f MB here, %.0f MB as CSR; peak memory so far %.0f MB\n",
              static_cast<long long>(counts.n_cells()), static_cast<long long>(counts.n_genes()),
              static_cast<long long>(counts.n_nonzero()), static_cast<double>(counts.memory_bytes()) / 1e6,
              static_cast<double>(counts.csr_bytes()) / 1e6, peak_megabytes());

  const auto totals = counts.cell_totals();
  const double expected = std::accumulate(totals.begin(), totals.end(), 0.0);
  const double share = argc > 3 ? std::atof(argv[3]) : 1;
  std::vector<Setting> settings;
  for (const bool dense : {false, true}) {
    for (const std::int64_t prefetch : {0, 2}) settings.push_back({dense, prefetch, dataset});
  }
  if (share < 1) {
    const Dataset stored = on_disk(*dataset, share);
    for (const std::int64_t prefetch : {0, 2}) settings.push_back({false, prefetch, stored});
  }
  for (int round = 0; round < kRounds; ++round) {
    for (auto& setting : settings) run_epoch(static_cast<std::uint64_t>(round), expected, setting);
  }
  for (auto& [dense, prefetch, from, rates, processor] : settings) {
    std::sort(rates.begin(), rates.end());
    std::sort(processor.begin(), processor.end());
    std::printf("%-9s %-10s prefetch %lld: %9.0f cells/s, %5.1f processor seconds for a million\n",
                from->X().store() ? "on disk" : "in memory", dense ? "dense" : "compressed",
                static_cast<long long>(prefetch), rates[kRounds / 2], processor[kRounds / 2]);
  }
  std::printf("peak memory %.0f MB, %.2f of the CSR arrays\n", peak_megabytes(),
              peak_megabytes() * 1e6 / static_cast<double>(counts.csr_bytes()));
}
