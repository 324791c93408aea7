// bench_gpu [EPOCHS [MINIBATCH [THREADS]]]: whole training of the VAE as `scvi train` does it, minibatches included,
// and the latent space: on the CPU (fused road; one thread and all, or as many as given) and on the first GPU.
// Minibatch 128 unless another is given, one layer of 128, zinb, two batches, 12,800 cells. Wall time of a step and
// of the latent space of all cells, medians over epochs.

#include <ATen/Context.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <vector>

#include "scvi/core/logging.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/posterior/posterior.hpp"
#include "scvi/training/trainer.hpp"

namespace {

constexpr std::int64_t kCells = 12800;

template <class Work>
double milliseconds(Work&& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
}

template <class Work>
double median_milliseconds(int n, Work&& work) {
  std::vector<double> times(static_cast<std::size_t>(n));
  for (double& time : times) time = milliseconds(work);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void measure(const std::shared_ptr<const scvi::GeneExpressionDataset>& dataset, c10::Device device, int threads,
             int epochs, std::int64_t minibatch) {
  scvi::settings().n_threads = threads;
  const auto model = std::make_shared<scvi::VAE>(
      scvi::VaeOptions{.n_input = dataset->nb_genes(), .n_batch = dataset->n_batches()}, 1);
  model->to(device);
  scvi::TrainerOptions options;
  options.split.train_size = 1.0;
  options.batch_size = minibatch;
  scvi::UnsupervisedTrainer trainer(model, dataset, options);
  const auto epoch = [&] { trainer.train({.n_epochs = 1}); };
  epoch();
  scvi::reset_profile();
  scvi::set_profiling(true);
  const double step = median_milliseconds(epochs, epoch) / static_cast<double>(kCells / minibatch);
  scvi::set_profiling(false);
  if (device.is_cuda()) std::printf("%s", scvi::profile_table(0).c_str());
  const auto posterior = scvi::Posterior::of_all_cells(model, dataset);
  const auto embed = [&] { posterior.get_latent(); };
  embed();
  const double latent = median_milliseconds(epochs, embed);
  std::printf("%5lld genes  minibatch %5lld  %-6s %2d threads  step %7.3f ms  latent space of %lld cells %7.1f ms\n",
              static_cast<long long>(dataset->nb_genes()), static_cast<long long>(minibatch), device.str().c_str(),
              threads, step, static_cast<long long>(kCells), latent);
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  const int epochs = argc > 1 ? std::atoi(argv[1]) : 5;
  const std::int64_t minibatch = argc > 2 ? std::atoi(argv[2]) : 128;
  scvi::set_verbosity(scvi::LogLevel::error);
  if (!at::hasCUDA()) std::printf("NO GPU HERE: the CPU only\n");
  scvi::settings().n_threads = 0;
  const int all = argc > 3 ? std::atoi(argv[3]) : scvi::effective_threads();
  for (const auto& [genes, density] :
       {std::pair<std::int64_t, double>{558, 0.27}, {720, 0.11}, {2000, 0.10}, {3346, 0.08}, {4000, 0.21}}) {
    const auto dataset = std::make_shared<scvi::GeneExpressionDataset>(
        scvi::synthetic_counts_like({.n_cells = kCells, .n_genes = genes, .density = density, .seed = 1}));
    if (argc <= 3) measure(dataset, c10::Device(c10::kCPU), 1, epochs, minibatch);
    measure(dataset, c10::Device(c10::kCPU), all, epochs, minibatch);
    if (at::hasCUDA()) measure(dataset, c10::Device(c10::kCUDA, 0), all, epochs, minibatch);
  }
}
