#include "scvi/model/vae.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

MiniBatch some_cells(std::int64_t n_cells, std::int64_t n_genes) {
  torch::manual_seed(5);
  MiniBatch batch;
  batch.counts = CountTensor(at::poisson(torch::rand({n_cells, n_genes}) * 4));
  batch.local_l_mean = at::full({n_cells, 1}, 3.0F);
  batch.local_l_var = at::full({n_cells, 1}, 0.5F);
  batch.batch_index = at::arange(n_cells, at::kLong).remainder(2).view({n_cells, 1});
  batch.labels = at::arange(n_cells, at::kLong).remainder(3).view({n_cells, 1});
  return batch;
}

VaeOptions small(Dispersion dispersion, ReconstructionLoss loss, LatentDistribution latent) {
  return {.n_input = 12,
          .n_batch = 2,
          .n_labels = 3,
          .n_hidden = 8,
          .n_latent = 4,
          .n_layers = 2,
          .dispersion = dispersion,
          .reconstruction_loss = loss,
          .latent_distribution = latent};
}

TEST(VAE, GivesAFiniteBoundAndGradientsForEveryCombinationOfOptions) {
  const MiniBatch batch = some_cells(6, 12);
  for (const auto dispersion :
       {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label, Dispersion::gene_cell}) {
    for (const auto loss : {ReconstructionLoss::zinb, ReconstructionLoss::nb, ReconstructionLoss::poisson}) {
      for (const auto latent : {LatentDistribution::normal, LatentDistribution::ln}) {
        VAE model(small(dispersion, loss, latent), 1);
        RandomNoise noise(1, "test");
        const Elbo terms = model.forward(batch, noise);
        EXPECT_EQ(terms.reconstruction.sizes(), (std::vector<std::int64_t>{6}));
        const at::Tensor total = (terms.reconstruction + terms.kl_local).mean();
        EXPECT_TRUE(std::isfinite(total.item<double>()));
        total.backward();
        for (const auto& item : model.named_parameters()) {
          if (!item.value().grad().defined()) continue;
          EXPECT_TRUE(at::isfinite(item.value().grad()).all().item<bool>()) << item.key();
        }
      }
    }
  }
}

TEST(VAE, HasTheStateOfTheReferenceInItsOrder) {
  const VAE model({.n_input = 12, .n_batch = 2}, 1);
  const auto state = named_state(model);
  ASSERT_FALSE(state.empty());
  EXPECT_EQ(state.front().first, "px_r");
  EXPECT_EQ(state[1].first, "z_encoder.encoder.fc_layers.Layer 0.0.weight");
  EXPECT_EQ(state.back().first, "decoder.px_dropout_decoder.bias");
}

TEST(VAE, DecodesAllCellsAsIfFromOneBatchWhenTold) {
  VAE model(small(Dispersion::gene_batch, ReconstructionLoss::zinb, LatentDistribution::normal), 1);
  model.eval();
  const MiniBatch batch = some_cells(6, 12);
  MiniBatch all_in_one = batch;
  all_in_one.batch_index = at::ones_like(batch.batch_index);
  const auto run = [&](const MiniBatch& cells, const InferenceOptions& options) {
    RandomNoise noise(1, "test");
    return model.inference(cells, noise, options);
  };
  const auto transformed = run(batch, {.n_samples = 1, .transform_batch = 1});
  const auto expected = run(all_in_one, {});
  EXPECT_TRUE(at::equal(transformed.px_rate, expected.px_rate));
  EXPECT_TRUE(at::equal(transformed.px_r, expected.px_r));
  RandomNoise noise(1, "test");
  EXPECT_THROW(model.inference(batch, noise, {.n_samples = 1, .transform_batch = 2}), InputError);
}

TEST(VAE, GivesSeveralSamplesALeadingDimension) {
  VAE model(small(Dispersion::gene, ReconstructionLoss::nb, LatentDistribution::ln), 1);
  model.eval();
  const MiniBatch batch = some_cells(6, 12);
  RandomNoise noise(1, "test");
  const auto out = model.inference(batch, noise, {.n_samples = 5, .transform_batch = {}});
  EXPECT_EQ(out.px_rate.sizes(), (std::vector<std::int64_t>{5, 6, 12}));
  EXPECT_EQ(out.z.sizes(), (std::vector<std::int64_t>{5, 6, 4}));
  EXPECT_TRUE(at::allclose(out.z.sum(-1), at::ones({5, 6})));
  EXPECT_EQ(model.get_reconstruction_loss(batch, out).sizes(), (std::vector<std::int64_t>{5, 6}));
  EXPECT_FALSE(at::allclose(out.px_rate[0], out.px_rate[1]));
}

TEST(VAE, AveragesTheLogisticNormalMeanOverManySamples) {
  VAE model(small(Dispersion::gene, ReconstructionLoss::nb, LatentDistribution::ln), 1);
  model.eval();
  const MiniBatch batch = some_cells(6, 12);
  RandomNoise first(1, "test");
  RandomNoise second(2, "test");
  const at::Tensor a = model.sample_from_posterior_z(batch, first, true);
  const at::Tensor b = model.sample_from_posterior_z(batch, second, true);
  EXPECT_TRUE(at::allclose(a, b, 0.1, 0.02));
  EXPECT_TRUE(at::allclose(a.sum(1), at::ones({6}), 1e-4, 1e-4));
}

TEST(VAE, WorksOnOneGeneAndOneCellInEvaluation) {
  VAE model({.n_input = 1}, 1);
  model.eval();
  RandomNoise noise(1, "test");
  const Elbo terms = model.forward(some_cells(1, 1), noise);
  EXPECT_TRUE(std::isfinite(terms.reconstruction.item<double>()));
}

TEST(LoadStateDict, NamesWhatIsMissingSurplusOrOfAnotherShape) {
  VAE model({.n_input = 5}, 1);
  auto state = state_dict(model);
  const auto message = [&](const std::vector<io::NamedTensor>& changed) -> std::string {
    try {
      load_state_dict(model, changed, "weights.pt");
    } catch (const InputError& error) {
      return error.what();
    }
    return "nothing was thrown";
  };
  auto missing = state;
  missing.erase(missing.begin());
  EXPECT_NE(message(missing).find("px_r"), std::string::npos);
  auto surplus = state;
  surplus.push_back(surplus.front());
  surplus.back().name = "px_q";
  EXPECT_NE(message(surplus).find("px_q"), std::string::npos);
  auto other = state;
  other.front().shape = {1, 5};
  EXPECT_NE(message(other).find("(1, 5)"), std::string::npos);
}

}  // namespace
}  // namespace scvi
