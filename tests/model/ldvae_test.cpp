#include "scvi/model/ldvae.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "labelled_batch.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kCells = 6, kGenes = 12;

MiniBatch some_cells() {
  return testing::labelled_batch({0, 1, 2, 0, 1, 2}, kGenes);
}

LdvaeOptions small() {
  return {.n_input = kGenes, .n_batch = 2, .n_labels = 3, .n_hidden = 8, .n_latent = 4, .n_layers_encoder = 2};
}

double loss_of(LDVAE& model, const MiniBatch& batch) {
  for (auto& parameter : model.parameters()) parameter.mutable_grad().reset();
  RandomNoise noise(1, "test");
  const Elbo terms = model.forward(batch, noise);
  const at::Tensor total = (terms.reconstruction + terms.kl_local).mean();
  total.backward();
  return total.item<double>();
}

TEST(LDVAE, GivesTheSameBoundAndGradientsOnBothRoadsForEveryCombinationOfOptions) {
  for (const auto dispersion :
       {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label, Dispersion::gene_cell}) {
    for (const auto loss : {ReconstructionLoss::zinb, ReconstructionLoss::nb, ReconstructionLoss::poisson}) {
      for (const bool norm : {true, false}) {
        LdvaeOptions options = small();
        options.dispersion = dispersion;
        options.reconstruction_loss = loss;
        options.use_batch_norm = norm;
        options.bias = !norm;
        LDVAE fused(options, 1), plain(options, 1);
        const double expected = loss_of(fused, some_cells());
        EXPECT_TRUE(std::isfinite(expected));
        settings().kernel = KernelRoad::aten;
        EXPECT_NEAR(loss_of(plain, some_cells()), expected, 1e-4 * std::abs(expected));
        settings().kernel = KernelRoad::fused;
        const auto gradients = plain.named_parameters();
        for (const auto& item : fused.named_parameters()) {
          const at::Tensor& ours = item.value().grad();
          const at::Tensor& other = gradients[item.key()].grad();
          ASSERT_EQ(ours.defined(), other.defined()) << item.key();
          EXPECT_TRUE(!ours.defined() || at::allclose(ours, other, 1e-3, 1e-4)) << item.key();
        }
      }
    }
  }
}

TEST(LDVAE, HasTheStateOfTheReferenceInItsOrder) {
  const LDVAE model({.n_input = kGenes, .n_batch = 2}, 1);
  const auto state = named_state(model);
  EXPECT_EQ(state.front().first, "px_r");
  EXPECT_EQ(state.back().first, "decoder.px_dropout_decoder.fc_layers.Layer 0.1.num_batches_tracked");
  for (const auto& [name, tensor] : state) {
    if (name == "decoder.factor_regressor.fc_layers.Layer 0.0.weight") {
      EXPECT_EQ(tensor.sizes(), (std::vector<std::int64_t>{kGenes, 12}));
    }
    EXPECT_NE(name, "decoder.factor_regressor.fc_layers.Layer 0.0.bias");
  }
}

TEST(LDVAE, LoadingsAreWhatAStepAlongAFactorAdds) {
  for (const bool norm : {true, false}) {
    LdvaeOptions options = small();
    options.use_batch_norm = norm;
    LDVAE model(options, 1);
    // Running statistics away from where they start.
    for (int i = 0; i < 3; ++i) loss_of(model, some_cells());
    model.eval();
    at::NoGradGuard no_grad;
    const at::Tensor loadings = model.get_loadings();
    ASSERT_EQ(loadings.sizes(), (std::vector<std::int64_t>{kGenes, 4}));
    RandomNoise noise(1, "test");
    auto& decoder = dynamic_cast<CountDecoder&>(*model.named_children()["decoder"]);
    const at::Tensor batch = at::zeros({2, 1}, at::kLong);
    for (std::int64_t factor = 0; factor < 4; ++factor) {
      at::Tensor z = at::zeros({2, 4});
      z[1][factor] = 1;
      const at::Tensor scale = decoder.forward(z, at::zeros({2, 1}), {batch}, {}, noise).px_scale;
      at::Tensor step = (scale[1] / scale[0]).log();
      // The softmax hides what is the same for all genes.
      step = step - step.mean();
      const at::Tensor expected = loadings.select(1, factor) - loadings.select(1, factor).mean();
      EXPECT_TRUE(at::allclose(step, expected, 1e-3, 1e-4)) << factor;
    }
  }
}

TEST(LDVAE, TakesTheDefaultsOfTheReference) {
  const auto values = complete_hyperparameters(model_spec("LDVAE"), {});
  EXPECT_EQ(std::get<std::string>(values.at("reconstruction_loss")), "nb");
  EXPECT_EQ(std::get<std::int64_t>(values.at("n_layers_encoder")), 1);
  EXPECT_TRUE(std::get<bool>(values.at("use_batch_norm")));
  EXPECT_FALSE(std::get<bool>(values.at("bias")));
  EXPECT_FALSE(values.contains("n_layers"));
  const auto model = make_model("ldvae", {.n_input = 5}, {{"bias", true}}, 3);
  EXPECT_EQ(model->name(), "ldvae");
  EXPECT_TRUE(std::get<bool>(model->hyperparameters().at("bias")));
}

TEST(LDVAE, RefusesOptionsThatCannotWorkTogether) {
  EXPECT_THROW(make_model("ldvae", {.n_input = 5}, {{"dispersion", std::string("gene-batch")}}), InputError);
  EXPECT_THROW(make_model("ldvae", {.n_input = 5}, {{"n_layers", std::int64_t{2}}}), InputError);
}

}  // namespace
}  // namespace scvi
