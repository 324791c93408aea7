// Trains scVI on a synthetic data set through the library and prints how well it separates the clusters.
//
//     find_package(scvi REQUIRED)
//     target_link_libraries(train_vae PRIVATE scvi::scvi)

#include <iostream>
#include <memory>

#include "scvi/core/error.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/posterior/metrics.hpp"
#include "scvi/training/trainer.hpp"

int main() try {
  scvi::SyntheticDatasetCorrOptions data;
  data.n_cells_cluster = 100;
  data.n_batches = 2;
  data.batch_effect = 0.3;
  const auto dataset = std::make_shared<scvi::GeneExpressionDataset>(scvi::synthetic_dataset_corr(data).dataset);
  std::cout << dataset->description() << "\n";

  const auto model = std::make_shared<scvi::VAE>(
      scvi::VaeOptions{.n_input = dataset->nb_genes(), .n_batch = dataset->n_batches()}, /*seed=*/1);
  scvi::TrainerOptions options;
  options.split.train_size = 0.9;
  scvi::UnsupervisedTrainerOptions warmup;
  warmup.n_epochs_kl_warmup = 20;
  scvi::UnsupervisedTrainer trainer(model, dataset, options, warmup);
  trainer.train({.n_epochs = 40});

  const auto all = scvi::Posterior::of_all_cells(model, dataset);
  std::cout << "held-out elbo " << trainer.test_set().elbo() << " nats per cell, adjusted Rand index of the clusters "
            << scvi::posterior_metric("ari").compute(all) << "\n";
  return 0;
} catch (const scvi::Error& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
