// bench_family MODEL COUNTS.h5ad THREADS EPOCHS [hidden] [cuda]: training steps of any model, minibatches included.
// obs has columns batch and label. Models that tell labels are trained jointly with 50 labelled cells of each class;
// they see the labels of the others, too, as in scVI 0.6.3, or with `hidden` take all labels into account, as `scvi
// train` does. Prints, as JSON, medians over all epochs but the first of the wall and the processor time of a step,
// in ms. On the first GPU with `cuda`. bench/paired_steps.py lets it and the reference take turns.

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <string>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/io/open_counts.hpp"
#include "scvi/model/spec.hpp"
#include "scvi/training/semi_supervised_trainer.hpp"

namespace {

std::shared_ptr<scvi::GeneExpressionDataset> load(const char* path) {
  return std::make_shared<scvi::GeneExpressionDataset>(
      scvi::load_counts(scvi::io::open_counts(path, {}), {.batch_key = "batch", .labels_key = "label"}));
}

std::unique_ptr<scvi::Trainer> make_trainer(const scvi::ModelSpec& spec,
                                            const std::shared_ptr<scvi::GeneExpressionDataset>& dataset,
                                            c10::Device device, bool hidden) {
  const scvi::DataShape shape{
      .n_input = dataset->nb_genes(), .n_batch = dataset->n_batches(), .n_labels = dataset->n_labels()};
  const auto model = spec.build(shape, scvi::complete_hyperparameters(spec, {}), 1);
  model->to(device);
  scvi::TrainerOptions options;
  options.split.train_size = 1.0;
  if (!spec.tells_labels) return std::make_unique<scvi::UnsupervisedTrainer>(model, dataset, options);
  scvi::SemiSupervisedOptions semi_supervised;
  semi_supervised.reference_0_6_3 = !hidden;
  return std::make_unique<scvi::JointSemiSupervisedTrainer>(model, dataset, options,
                                                            scvi::UnsupervisedTrainerOptions(), semi_supervised);
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

int measure(const char* name, const char* path, int threads, int epochs, c10::Device device, bool hidden) {
  scvi::set_verbosity(scvi::LogLevel::error);
  scvi::settings().n_threads = threads;
  const auto dataset = load(path);
  const auto trainer = make_trainer(scvi::model_spec(name), dataset, device, hidden);
  std::vector<double> wall, processor;
  for (int epoch = 0; epoch < epochs; ++epoch) {
    const auto start = std::chrono::steady_clock::now();
    const std::clock_t clock = std::clock();
    trainer->train({.n_epochs = 1});
    if (epoch == 0) continue;
    const double steps = static_cast<double>(trainer->n_iter()) / (epoch + 1);
    wall.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count() /
                   steps);
    processor.push_back(1e3 * static_cast<double>(std::clock() - clock) / CLOCKS_PER_SEC / steps);
  }
  std::printf("{\"step\": [%.4f, %.4f]}\n", median(wall), median(processor));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  const bool hidden = std::erase(words, "hidden") > 0;
  const c10::Device device(std::erase(words, "cuda") > 0 ? c10::kCUDA : c10::kCPU);
  const int threads = words.size() == 4 ? std::atoi(words[2].c_str()) : 0;
  const int epochs = words.size() == 4 ? std::atoi(words[3].c_str()) : 0;
  if (threads < 1 || epochs < 2) {
    std::fprintf(stderr, "usage: bench_family MODEL COUNTS.h5ad THREADS EPOCHS (at least 2) [hidden] [cuda]\n");
    return 2;
  }
  try {
    return measure(words[0].c_str(), words[1].c_str(), threads, epochs, device, hidden);
  } catch (const scvi::Error& error) {
    std::fprintf(stderr, "bench_family: %s\n", error.what());
    return 1;
  }
}
