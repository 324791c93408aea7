#pragma once

#include <memory>

#include "scvi/dataset/synthetic.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi::testing {

struct Example {
  std::shared_ptr<Model> model;
  std::shared_ptr<const GeneExpressionDataset> dataset;
  Posterior posterior(PosteriorOptions options = {}) const {
    return Posterior::of_all_cells(model, dataset, std::move(options));
  }
};

/// 300 cells of three kinds in two batches, and a model with random weights.
inline Example example(LatentDistribution latent = LatentDistribution::normal,
                       ReconstructionLoss likelihood = ReconstructionLoss::zinb) {
  SyntheticDatasetCorrOptions options;
  options.n_cells_cluster = 50;
  options.n_genes_high = 8;
  options.n_batches = 2;
  options.seed = 2;
  Example result;
  auto dataset = std::make_shared<GeneExpressionDataset>(synthetic_dataset_corr(options).dataset);
  dataset->corrupt({.rate = 0.3, .corruption = Corruption::binomial, .seed = 3});
  result.dataset = dataset;
  result.model = std::make_shared<VAE>(VaeOptions{.n_input = result.dataset->nb_genes(),
                                                  .n_batch = 2,
                                                  .n_hidden = 8,
                                                  .n_latent = 3,
                                                  .reconstruction_loss = likelihood,
                                                  .latent_distribution = latent},
                                       4);
  return result;
}

}  // namespace scvi::testing
