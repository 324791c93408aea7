// bench_roads [ROUNDS [GENES]] [profile|scaling]: whole training steps and the latent space of the VAE on the fused
// road and op by op, taking turns in one process: medians and their ratio. Minibatch 128, one layer of 128, zinb. On
// one thread processor time, the steadier figure on a busy machine; on two wall time, too. `scaling`: only the fused
// step, on one thread and on two in turns, with the quickest rounds of each beside the medians, which hold what other
// programs on the same cores took.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <initializer_list>
#include <memory>
#include <utility>
#include <vector>

#include "scvi/core/logging.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/posterior/posterior.hpp"
#include "scvi/training/trainer.hpp"

namespace {

constexpr std::int64_t kMinibatch = 128;
constexpr std::int64_t kCells = 1280;
constexpr int kStepsPerRound = 5;
/// Of one thread and of two in turns: enough to forget where the others left the numbers.
constexpr int kStepsInTurn = 25;

struct Times {
  double cpu = 0;  // ms
  double wall = 0;
};

template <class Work>
Times time_of(int n, Work&& work) {
  const auto wall = std::chrono::steady_clock::now();
  const std::clock_t cpu = std::clock();
  for (int i = 0; i < n; ++i) work();
  return {1e3 * static_cast<double>(std::clock() - cpu) / CLOCKS_PER_SEC / n,
          std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - wall).count() / n};
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Median times of both roads, in turns.
struct Duel {
  std::vector<double> cpu[2];
  std::vector<double> wall[2];

  template <class Work>
  void round(int n, Work&& work) {
    for (const int road : {0, 1}) {
      scvi::settings().kernel = road == 0 ? scvi::KernelRoad::fused : scvi::KernelRoad::aten;
      const Times times = time_of(n, work);
      cpu[road].push_back(times.cpu);
      wall[road].push_back(times.wall);
    }
  }

  void print(const char* what, std::int64_t genes, double density, int threads) const {
    std::printf(
        "%-14s %5lld genes %3.0f %%  %d thread%s  cpu %8.3f against %8.3f ms = %5.2fx   wall %8.3f against %8.3f ms "
        "= %5.2fx\n",
        what, static_cast<long long>(genes), 100 * density, threads, threads == 1 ? " " : "s", median(cpu[0]),
        median(cpu[1]), median(cpu[1]) / median(cpu[0]), median(wall[0]), median(wall[1]),
        median(wall[1]) / median(wall[0]));
    std::fflush(stdout);
  }
};

enum class What { roads, profile, scaling };

/// Steps of one thread and of two, in turns.
template <class Work>
void compare_threads(std::int64_t n_genes, double density, int rounds, const Work& train) {
  std::vector<double> wall[2];
  for (int round = -2; round < rounds; ++round) {
    for (const int threads : {1, 2}) {
      scvi::settings().n_threads = threads;
      const double time = time_of(kStepsInTurn, train).wall;
      if (round >= 0) wall[threads - 1].push_back(time);
    }
  }
  const double medians[] = {median(wall[0]), median(wall[1])};
  const double least[] = {*std::min_element(wall[0].begin(), wall[0].end()),
                          *std::min_element(wall[1].begin(), wall[1].end())};
  std::printf(
      "training step  %5lld genes %3.0f %%  1 against 2 threads, wall: medians %8.3f, %8.3f ms = %4.2fx   quickest "
      "%8.3f, %8.3f ms = %4.2fx\n",
      static_cast<long long>(n_genes), 100 * density, medians[0], medians[1], medians[0] / medians[1], least[0],
      least[1], least[0] / least[1]);
  std::fflush(stdout);
}

void compare(std::int64_t n_genes, double density, int rounds, What what) {
  const auto dataset = std::make_shared<scvi::GeneExpressionDataset>(
      scvi::synthetic_counts_like({.n_cells = kCells, .n_genes = n_genes, .density = density, .seed = 1}));
  const auto model =
      std::make_shared<scvi::VAE>(scvi::VaeOptions{.n_input = n_genes, .n_batch = dataset->n_batches()}, 1);
  scvi::TrainerOptions options;
  options.split.train_size = 1.0;
  scvi::UnsupervisedTrainer trainer(model, dataset, options);
  trainer.begin({});
  std::vector<std::int64_t> cells(kMinibatch);
  std::uint64_t step = 0;
  scvi::MiniBatch batch;  // its memory is used again, as the trainer does
  const auto train = [&] {
    for (std::int64_t i = 0; i < kMinibatch; ++i)
      cells[i] = (static_cast<std::int64_t>(step) * kMinibatch + i) % kCells;
    scvi::RandomNoise noise(1, "bench", {0, step++});
    batch = scvi::make_minibatch(*dataset, cells, {}, std::move(batch));
    trainer.train_on(batch, noise);
  };
  if (what == What::scaling) return compare_threads(n_genes, density, rounds, train);
  const auto posterior = scvi::Posterior::of_all_cells(model, dataset);
  const auto embed = [&] { posterior.get_latent(); };
  for (const int threads : {1, 2}) {
    scvi::settings().n_threads = threads;
    Duel training, latent;
    training.round(2, train);
    training = {};
    for (int round = 0; round < rounds; ++round) {
      model->train();
      training.round(kStepsPerRound, train);
      latent.round(1, embed);
    }
    scvi::settings().kernel = scvi::KernelRoad::fused;
    model->train();
    scvi::reset_profile();
    scvi::set_profiling(true);
    for (int i = 0; i < 50; ++i) train();
    scvi::set_profiling(false);
    if (what == What::profile) std::printf("%s", scvi::profile_table(0).c_str());
    training.print("training step", n_genes, density, threads);
    latent.print("latent, 1280", n_genes, density, threads);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* const last = argc > 1 ? argv[argc - 1] : "";
  const What what = std::strcmp(last, "profile") == 0   ? What::profile
                    : std::strcmp(last, "scaling") == 0 ? What::scaling
                                                        : What::roads;
  const int n_numbers = what == What::roads ? argc : argc - 1;
  const int rounds = n_numbers > 1 ? std::atoi(argv[1]) : 15;
  const std::int64_t only = n_numbers > 2 ? std::atoll(argv[2]) : 0;
  scvi::set_verbosity(scvi::LogLevel::error);
  for (const auto& [genes, density] : std::initializer_list<std::pair<std::int64_t, double>>{
           {558, 0.27}, {720, 0.11}, {2000, 0.10}, {3346, 0.08}, {4000, 0.21}}) {
    if (only == 0 || only == genes) compare(genes, density, rounds, what);
  }
}
