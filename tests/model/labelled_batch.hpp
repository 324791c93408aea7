#pragma once

#include <ATen/ATen.h>
#include <torch/types.h>

#include "scvi/model/label_model.hpp"
#include "scvi/model/model.hpp"
#include "scvi/model/vae.hpp"

namespace scvi::testing {

/// Cells of two batches with these labels.
inline MiniBatch labelled_batch(const std::vector<std::int64_t>& labels, std::int64_t n_genes = 12) {
  torch::manual_seed(5);
  const auto n_cells = std::ssize(labels);
  MiniBatch batch;
  batch.counts = CountTensor(at::poisson(torch::rand({n_cells, n_genes}) * 4));
  batch.local_l_mean = at::full({n_cells, 1}, 3.0F);
  batch.local_l_var = at::full({n_cells, 1}, 0.5F);
  batch.batch_index = at::arange(n_cells, at::kLong).remainder(2).view({n_cells, 1});
  batch.labels = at::tensor(labels, at::kLong).view({n_cells, 1});
  return batch;
}

/// A small model of the cells of labelled_batch(). @tparam Options VaecOptions or ScanviOptions
template <class Options>
Options small_label_model(Dispersion dispersion = Dispersion::gene) {
  return {.vae = {.n_input = 12,
                  .n_batch = 2,
                  .n_labels = 3,
                  .n_hidden = 8,
                  .n_latent = 4,
                  .dropout_rate = 0,
                  .dispersion = dispersion},
          .y_prior = {0.2, 0.5, 0.3}};
}

/// The cells at these positions.
inline MiniBatch cells_of(const MiniBatch& all, const std::vector<std::int64_t>& cells) {
  const at::Tensor rows = at::tensor(cells, at::kLong);
  MiniBatch batch;
  batch.counts = CountTensor(all.counts.dense().index_select(0, rows));
  batch.local_l_mean = all.local_l_mean.index_select(0, rows);
  batch.local_l_var = all.local_l_var.index_select(0, rows);
  batch.batch_index = all.batch_index.index_select(0, rows);
  batch.labels = all.labels.index_select(0, rows);
  return batch;
}

/// Noise that is 0.5 everywhere, so that rows do not depend on what else is drawn beside them.
class SteadyNoise final : public Noise {
 public:
  at::Tensor standard_normal(std::string_view, at::IntArrayRef shape, const at::TensorOptions& options) override {
    return at::full(shape, 0.5, options);
  }
  at::Tensor uniform(std::string_view, at::IntArrayRef shape, const at::TensorOptions& options) override {
    return at::full(shape, 0.5, options);
  }
  at::Tensor standard_gamma(std::string_view, const at::Tensor& concentration) override { return concentration; }
  at::Tensor poisson(std::string_view, const at::Tensor& rate) override { return rate.round(); }
};

/// The bound of the cells under steady noise.
inline Elbo bound(Model& model, const MiniBatch& batch) {
  SteadyNoise noise;
  return model.forward(batch, noise);
}

/// The same cells, all with one label.
inline MiniBatch all_with(MiniBatch batch, std::int64_t label) {
  batch.labels = at::full_like(batch.labels, label);
  return batch;
}

}  // namespace scvi::testing
