#include "scvi/model/autozivae.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "labelled_batch.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/distribution/count.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kCells = 6, kGenes = 12;

MiniBatch some_cells() {
  return testing::labelled_batch({0, 1, 2, 0, 1, 2}, kGenes);
}

AutoZiOptions small() {
  return {.vae = {.n_input = kGenes, .n_batch = 2, .n_labels = 3, .n_hidden = 8, .n_latent = 4}};
}

double loss_of(AutoZIVAE& model) {
  for (auto& parameter : model.parameters()) parameter.mutable_grad().reset();
  RandomNoise noise(1, "test");
  const Elbo terms = model.forward(some_cells(), noise);
  const at::Tensor total = (terms.reconstruction + terms.kl_local).sum() + terms.kl_global;
  total.backward();
  return total.item<double>();
}

TEST(AutoZIVAE, GivesTheSameBoundAndGradientsOnBothRoadsForEveryCombinationOfOptions) {
  for (const auto where : {ZeroInflation::gene, ZeroInflation::gene_batch, ZeroInflation::gene_label}) {
    for (const auto dispersion : {Dispersion::gene, Dispersion::gene_label, Dispersion::gene_cell}) {
      for (const bool learned : {true, false}) {
        AutoZiOptions options = small();
        options.zero_inflation = where;
        options.vae.dispersion = dispersion;
        if (learned) options.alpha_prior = options.beta_prior = std::nullopt;
        AutoZIVAE fused(options, 1), plain(options, 1);
        const double expected = loss_of(fused);
        EXPECT_TRUE(std::isfinite(expected));
        settings().kernel = KernelRoad::aten;
        EXPECT_NEAR(loss_of(plain), expected, 1e-4 * std::abs(expected));
        settings().kernel = KernelRoad::fused;
        const auto gradients = plain.named_parameters();
        for (const auto& item : fused.named_parameters()) {
          const at::Tensor& ours = item.value().grad();
          const at::Tensor& other = gradients[item.key()].grad();
          ASSERT_EQ(ours.defined(), other.defined()) << item.key();
          EXPECT_TRUE(!ours.defined() || at::allclose(ours, other, 1e-3, 1e-3)) << item.key();
        }
        EXPECT_EQ(gradients.contains("alpha_prior_logit"), learned);
      }
    }
  }
}

TEST(AutoZIVAE, MixesTwoDistributionsIntoOne) {
  torch::manual_seed(3);
  const auto uniform = [](double low, double high) { return low + (high - low) * torch::rand({40, 5}, at::kDouble); };
  const at::Tensor x = at::poisson(uniform(0, 3)), mu = uniform(0.01, 5), theta = uniform(0.1, 5);
  const at::Tensor logits = uniform(-30, 30), bernoulli = uniform(1e-7, 1 - 1e-7);
  const at::Tensor mixture =
      at::logaddexp(bernoulli.log() + NegativeBinomial{mu, theta}.log_prob(x),
                    (1 - bernoulli).log() + ZeroInflatedNegativeBinomial{mu, theta, logits}.log_prob(x));
  const at::Tensor one = ZeroInflatedNegativeBinomial{mu, theta, mixed_dropout(logits, bernoulli)}.log_prob(x);
  EXPECT_TRUE(at::allclose(one, mixture, 1e-6, 1e-6)) << (one - mixture).abs().max();
}

TEST(AutoZIVAE, GivesEverySampleItsOwnDrawOfWhatCellsShare) {
  for (const auto where : {ZeroInflation::gene, ZeroInflation::gene_batch}) {
    AutoZiOptions options = small();
    options.zero_inflation = where;
    AutoZIVAE model(options, 1);
    model.eval();
    const MiniBatch batch = some_cells();
    RandomNoise noise(1, "test");
    const auto out = model.inference(batch, noise, {.n_samples = 5, .transform_batch = {}});
    const std::int64_t rows = where == ZeroInflation::gene ? 1 : kCells;
    EXPECT_EQ(out.bernoulli_params.sizes(), (std::vector<std::int64_t>{5, rows, kGenes}));
    EXPECT_FALSE(at::equal(out.bernoulli_params[0], out.bernoulli_params[1]));
    const at::Tensor loss = model.get_reconstruction_loss(batch, out);
    ASSERT_EQ(loss.sizes(), (std::vector<std::int64_t>{5, kCells}));
    InferenceOutputs second = out;
    for (at::Tensor* values : {&second.px_rate, &second.px_dropout, &second.bernoulli_params}) *values = (*values)[1];
    EXPECT_TRUE(at::allclose(model.get_reconstruction_loss(batch, second), loss[1], 1e-4, 1e-4));
  }
}

TEST(AutoZIVAE, TakesWhatCellsShareFromTheCaller) {
  AutoZIVAE model(small(), 1);
  model.eval();
  RandomNoise noise(1, "test"), other(2, "test");
  const GlobalDraw draw = model.draw_global(other);
  EXPECT_EQ(draw.value.sizes(), (std::vector<std::int64_t>{kGenes}));
  EXPECT_TRUE(std::isfinite(draw.log_weight.item<double>()));
  InferenceOptions how;
  how.global = draw.value;
  EXPECT_TRUE(at::equal(model.inference(some_cells(), noise, how).bernoulli_params, draw.value));
}

TEST(AutoZIVAE, LiftsDropoutToItsMinimum) {
  AutoZiOptions options = small();
  options.minimal_dropout = 0.05;
  const AutoZIVAE model(options, 1);
  const at::Tensor logits = at::tensor({-40.0F, 0.0F, 3.0F});
  const at::Tensor p = at::sigmoid(model.rescale_dropout(logits));
  EXPECT_TRUE(at::allclose(p, 0.05 + 0.95 * at::sigmoid(logits), 1e-5, 1e-6)) << p;
  options.minimal_dropout = 0;
  EXPECT_TRUE(at::equal(AutoZIVAE(options, 1).rescale_dropout(logits), logits));
}

TEST(AutoZIVAE, CallsAGeneZeroInflatedWhereAlphaIsBelowBeta) {
  const AutoZIVAE model(small(), 1);
  const AlphasBetas of = model.get_alphas_betas();
  const at::Tensor called = model.zero_inflation_probability() > 0.5;
  EXPECT_TRUE(at::equal(called, of.alpha_posterior < of.beta_posterior));
  EXPECT_NEAR(of.alpha_prior.item<double>() + of.beta_prior.item<double>(), 1, 1e-6);
}

TEST(AutoZIVAE, FillsInAPriorFromTheOther) {
  AutoZiOptions options = small();
  options.alpha_prior = 0.3;
  options.beta_prior = std::nullopt;
  const AlphasBetas of = AutoZIVAE(options, 1).get_alphas_betas();
  EXPECT_NEAR(of.beta_prior.item<double>(), 0.7, 1e-6);
  const auto model = make_model("AutoZIVAE", {.n_input = 5},
                                {{"alpha_prior", std::string("none")}, {"beta_prior", std::string("none")}});
  EXPECT_EQ(model->name(), "autozi");
  EXPECT_EQ(to_text(model->hyperparameters().at("alpha_prior")), "none");
  EXPECT_TRUE(model->named_parameters().contains("beta_prior_logit"));
}

TEST(AutoZIVAE, RefusesOptionsThatCannotWork) {
  const auto make = [](const Hyperparameters& values) { make_model("autozi", {.n_input = 5}, values); };
  EXPECT_THROW(make({{"zero_inflation", std::string("gene-batch")}}), InputError);
  EXPECT_THROW(make({{"zero_inflation", std::string("gene-label")}}), InputError);
  EXPECT_THROW(make({{"zero_inflation", std::string("gene-cell")}}), InputError);
  EXPECT_THROW(make({{"alpha_prior", 1.0}}), InputError);
  EXPECT_THROW(make({{"alpha_prior", std::string("some")}}), InputError);
  EXPECT_THROW(make({{"reconstruction_loss", std::string("nb")}}), InputError);
  AutoZiOptions options = small();
  options.vae.reconstruction_loss = ReconstructionLoss::nb;
  EXPECT_THROW(AutoZIVAE(options, 1), InputError);
  options = small();
  options.beta_prior = 1;
  EXPECT_THROW(AutoZIVAE(options, 1), InputError);
}

}  // namespace
}  // namespace scvi
