// bench_loader [CELLS [GENES]]: cells per second of a shuffled epoch in minibatches of 128 over synthetic counts of
// 10 % density (default 1,000,000 x 2,000), compressed and dense, with and without a worker; and the peak memory.
// Whoever takes the minibatches adds up their counts. Medians of rounds in which the settings take turns.

#include <sys/resource.h>

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>

#include "scvi/core/logging.hpp"
#include "scvi/dataset/synthetic.hpp"
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

struct Setting {
  bool dense;
  std::int64_t prefetch;
  std::vector<double> rates = {};  // cells per second
};

void run_epoch(const std::shared_ptr<scvi::GeneExpressionDataset>& dataset, std::uint64_t epoch, double expected,
               Setting& setting) {
  const scvi::DataLoader loader(
      dataset, {.dense = setting.dense},
      std::make_shared<scvi::ShuffledSampler>(scvi::all_cells(dataset->nb_cells()), scvi::SamplerStream{.seed = 1}),
      {.batch_size = 128, .prefetch = setting.prefetch});
  const double start = seconds();
  double total = 0;
  auto stream = loader.epoch(epoch).stream();
  while (const scvi::MiniBatch* batch = stream.next()) total += sum_of_counts(*batch);
  setting.rates.push_back(static_cast<double>(dataset->nb_cells()) / (seconds() - start));
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
  std::vector<Setting> settings = {{.dense = false, .prefetch = 0},
                                   {.dense = false, .prefetch = 2},
                                   {.dense = true, .prefetch = 0},
                                   {.dense = true, .prefetch = 2}};
  for (int round = 0; round < kRounds; ++round) {
    for (auto& setting : settings) run_epoch(dataset, static_cast<std::uint64_t>(round), expected, setting);
  }
  for (auto& [dense, prefetch, rates] : settings) {
    std::sort(rates.begin(), rates.end());
    std::printf("%-10s prefetch %lld: %9.0f cells/s\n", dense ? "dense" : "compressed",
                static_cast<long long>(prefetch), rates[kRounds / 2]);
  }
  std::printf("peak memory %.0f MB, %.2f of the CSR arrays\n", peak_megabytes(),
              peak_megabytes() * 1e6 / static_cast<double>(counts.csr_bytes()));
}
