// The data layer: making, gathering and selecting counts.

#include <benchmark/benchmark.h>

#include <numeric>
#include <vector>

#include "scvi/core/logging.hpp"
#include "scvi/core/random.hpp"
#include "scvi/dataset/synthetic.hpp"

namespace {

constexpr std::int64_t kCells = 20000;

scvi::GeneExpressionDataset make_dataset(std::int64_t n_genes) {
  scvi::set_verbosity(scvi::LogLevel::warning);
  scvi::SyntheticCountsOptions options;
  options.n_cells = kCells;
  options.n_genes = n_genes;
  options.density = 0.1;
  return scvi::synthetic_counts_like(options);
}

void simulate(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(make_dataset(state.range(0)).nb_cells());
  state.SetItemsProcessed(state.iterations() * kCells);
}

void gather_dense(benchmark::State& state) {
  const auto dataset = make_dataset(state.range(0));
  const auto order = scvi::RandomStream(1, "bench").permutation(kCells);
  std::vector<float> out(static_cast<std::size_t>(128 * state.range(0)));
  std::size_t next = 0;
  for (auto _ : state) {
    if (next + 128 > order.size()) next = 0;
    dataset.X().gather_dense(std::span(order).subspan(next, 128), out.data());
    next += 128;
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 128);
}

void gather_csr(benchmark::State& state) {
  const auto dataset = make_dataset(state.range(0));
  const auto order = scvi::RandomStream(1, "bench").permutation(kCells);
  scvi::io::CsrBlock out;
  std::size_t next = 0;
  for (auto _ : state) {
    if (next + 128 > order.size()) next = 0;
    dataset.X().gather_csr(std::span(order).subspan(next, 128), out);
    next += 128;
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * 128);
}

void subsample_genes(benchmark::State& state) {
  const auto dataset = make_dataset(state.range(0));
  for (auto _ : state) {
    state.PauseTiming();
    auto copy = dataset;
    state.ResumeTiming();
    scvi::SubsampleGenesOptions options;
    options.new_n_genes = state.range(0) / 2;
    options.mode = scvi::GeneSelectionMode::variance;
    copy.subsample_genes(options);
  }
  state.SetItemsProcessed(state.iterations() * kCells);
}

BENCHMARK(simulate)->Arg(720)->Arg(2000)->Unit(benchmark::kMillisecond);
BENCHMARK(gather_dense)->Arg(720)->Arg(2000)->Unit(benchmark::kMicrosecond);
BENCHMARK(gather_csr)->Arg(720)->Arg(2000)->Unit(benchmark::kMicrosecond);
BENCHMARK(subsample_genes)->Arg(720)->Arg(2000)->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
