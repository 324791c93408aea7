// Whole training steps and inference of the VAE at the sizes of docs/performance.md: minibatch 128, one layer of 128,
// zinb. Counters: cells per second of processor time.

#include <benchmark/benchmark.h>

#include <memory>

#include "scvi/core/logging.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/posterior/posterior.hpp"
#include "scvi/training/trainer.hpp"

namespace {

constexpr std::int64_t kMinibatch = 128;
constexpr std::int64_t kCells = 1024;

struct Setting {
  std::shared_ptr<scvi::GeneExpressionDataset> dataset;
  std::shared_ptr<scvi::Model> model;
};

/// @param density in percent
Setting make_setting(std::int64_t n_genes, std::int64_t density) {
  scvi::set_verbosity(scvi::LogLevel::warning);
  scvi::SyntheticCountsOptions data;
  data.n_cells = kCells;
  data.n_genes = n_genes;
  data.density = static_cast<double>(density) / 100;
  Setting setting;
  setting.dataset = std::make_shared<scvi::GeneExpressionDataset>(scvi::synthetic_counts_like(data));
  setting.model =
      std::make_shared<scvi::VAE>(scvi::VaeOptions{.n_input = n_genes, .n_batch = setting.dataset->n_batches()}, 1);
  return setting;
}

void training_step(benchmark::State& state) {
  const Setting setting = make_setting(state.range(0), state.range(1));
  scvi::settings().n_threads = static_cast<int>(state.range(2));
  scvi::TrainerOptions options;
  options.split.train_size = 1.0;
  scvi::UnsupervisedTrainer trainer(setting.model, setting.dataset, options);
  trainer.begin({});
  std::vector<std::int64_t> cells(kMinibatch);
  std::int64_t step = 0;
  for (auto _ : state) {
    for (std::int64_t i = 0; i < kMinibatch; ++i) cells[i] = (step * kMinibatch + i) % kCells;
    scvi::RandomNoise noise(1, "bench", {0, static_cast<std::uint64_t>(step)});
    benchmark::DoNotOptimize(trainer.train_on(scvi::make_minibatch(*setting.dataset, cells), noise));
    ++step;
  }
  state.counters["cells/s"] = benchmark::Counter(static_cast<double>(step * kMinibatch), benchmark::Counter::kIsRate);
}

void latent(benchmark::State& state) {
  const Setting setting = make_setting(state.range(0), state.range(1));
  scvi::settings().n_threads = static_cast<int>(state.range(2));
  const auto posterior = scvi::Posterior::of_all_cells(setting.model, setting.dataset);
  std::int64_t cells = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(posterior.get_latent().z.values.data());
    cells += kCells;
  }
  state.counters["cells/s"] = benchmark::Counter(static_cast<double>(cells), benchmark::Counter::kIsRate);
}

/// Genes, density in percent, threads.
void sizes(benchmark::internal::Benchmark* bench) {
  for (const int threads : {1, 2}) {
    for (const auto& [genes, density] : {std::pair{558, 27}, {720, 11}, {2000, 10}, {3346, 8}, {4000, 21}}) {
      bench->Args({genes, density, threads});
    }
  }
  bench->ArgNames({"genes", "density", "threads"})
      ->Unit(benchmark::kMillisecond)
      ->UseRealTime()
      ->MeasureProcessCPUTime();
}

BENCHMARK(training_step)->Apply(sizes);
BENCHMARK(latent)->Apply(sizes);

}  // namespace

BENCHMARK_MAIN();
