#include "scvi/model/scanvi.hpp"

#include <gtest/gtest.h>

#include "labelled_batch.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/distribution/divergence.hpp"

namespace scvi {
namespace {

using testing::all_with;
using testing::bound;
using testing::cells_of;
using testing::labelled_batch;
using testing::SteadyNoise;

constexpr auto small = testing::small_label_model<ScanviOptions>;

ScanviOptions grouped() {
  ScanviOptions options = small(Dispersion::gene);
  options.labels_groups = {1, 0, 1};
  options.use_labels_groups = true;
  return options;
}

TEST(SCANVI, WeighsACellWithAHiddenLabelUnderEveryLabel) {
  for (const auto dispersion :
       {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label, Dispersion::gene_cell}) {
    SCANVI model(small(dispersion), 1);
    model.eval();
    const MiniBatch hidden = labelled_batch(std::vector<std::int64_t>(5, kHiddenLabel));
    SteadyNoise noise;
    // The classifier reads the sample of z1 here, not its mean.
    const at::Tensor z1 = model.sample_from_posterior_z(hidden, noise, /*give_mean=*/false);
    const at::Tensor p = model.classifier().forward(z1, noise);
    at::Tensor reconstruction = at::zeros({5}), kl = at::zeros({5});
    for (std::int64_t label = 0; label < 3; ++label) {
      const Elbo terms = bound(model, all_with(hidden, label));
      reconstruction += terms.reconstruction * p.select(1, label);
      kl += terms.kl_local * p.select(1, label);
    }
    kl += kl_categorical(p, at::tensor({0.2F, 0.5F, 0.3F}).unsqueeze(0));
    const Elbo got = bound(model, hidden);
    EXPECT_TRUE(at::allclose(got.reconstruction, reconstruction, 1e-4, 1e-4));
    EXPECT_TRUE(at::allclose(got.kl_local, kl, 1e-4, 1e-4));
  }
}

TEST(SCANVI, TakesKnownAndHiddenLabelsSideBySideOnBothRoads) {
  const MiniBatch batch = labelled_batch({1, kHiddenLabel, 0, kHiddenLabel, 2, 2});
  for (const auto road : {KernelRoad::fused, KernelRoad::aten}) {
    settings().kernel = road;
    for (const auto dispersion : {Dispersion::gene, Dispersion::gene_label}) {
      SCANVI model(small(dispersion), 1);
      model.eval();
      const Elbo all = bound(model, batch);
      for (std::int64_t cell = 0; cell < 6; ++cell) {
        const Elbo alone = bound(model, cells_of(batch, {cell}));
        EXPECT_NEAR(all.reconstruction[cell].item<double>(), alone.reconstruction.item<double>(), 1e-3) << cell;
        EXPECT_NEAR(all.kl_local[cell].item<double>(), alone.kl_local.item<double>(), 1e-4) << cell;
      }
    }
  }
  settings().kernel = KernelRoad::fused;
}

TEST(SCANVI, GivesGradientsToAllItsPartsFromHiddenLabels) {
  SCANVI model(small(Dispersion::gene), 1);
  const Elbo terms = bound(model, labelled_batch({0, kHiddenLabel, kHiddenLabel, 1, 2, 0}));
  (terms.reconstruction + terms.kl_local).mean().backward();
  for (const auto& item : model.named_parameters()) {
    if (item.key().starts_with("decoder.px_r_decoder")) continue;
    ASSERT_TRUE(item.value().grad().defined()) << item.key();
    EXPECT_TRUE(at::isfinite(item.value().grad()).all().item<bool>()) << item.key();
  }
}

TEST(SCANVI, TellsTheGroupFirstAndThenTheLabelWithinIt) {
  SCANVI model(grouped(), 1);
  model.eval();
  const MiniBatch batch = labelled_batch({0, 1, 2, 0});
  SteadyNoise noise;
  const at::Tensor p = model.classify(batch, noise);
  EXPECT_TRUE(at::allclose(p.sum(1), at::ones({4}), 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(at::exp(model.log_classify(batch, noise)), p, 1e-4, 1e-6));
  // Within a group, labels stand to each other as the plain classifier has them.
  const at::Tensor z1 = model.sample_from_posterior_z(batch, noise, /*give_mean=*/true);
  const at::Tensor plain = model.classifier().forward(z1, noise);
  EXPECT_TRUE(at::allclose(p.select(1, 0) / p.select(1, 2), plain.select(1, 0) / plain.select(1, 2), 1e-4));
  EXPECT_FALSE(at::allclose(p, plain));
}

TEST(SCANVI, GivesSamplesOfBothLatentVariablesAndTheMeanOfTheSecondInEvaluation) {
  SCANVI model(small(Dispersion::gene), 1);
  const MiniBatch batch = labelled_batch({0, 1, 2, kHiddenLabel});
  SteadyNoise noise;
  model.eval();
  const auto latents = model.get_latents(batch, noise);
  ASSERT_EQ(latents.size(), 2U);
  EXPECT_TRUE(at::equal(latents[0], model.sample_from_posterior_z(batch, noise, false)));
  MiniBatch known = batch;
  known.labels = batch.labels.clone();
  known.labels[3] = model.classifier().forward(latents[0], noise)[3].argmax();
  const auto q = model.z2_given(latents[0], known.labels, noise);
  EXPECT_TRUE(at::equal(latents[1], q.q_m));
  EXPECT_FALSE(at::allclose(q.latent, q.q_m));
}

TEST(SCANVI, BuildsItsClassifierAsTold) {
  ScanviOptions options = small(Dispersion::gene);
  options.classifier_n_layers = 2;
  options.classifier_n_hidden = 5;
  options.classifier_dropout_rate = 0.3;
  SCANVI model(options, 1);
  EXPECT_EQ(model.classifier().options().n_layers, 2);
  EXPECT_EQ(model.classifier().options().n_hidden, 5);
  EXPECT_EQ(model.classifier().options().dropout_rate, 0.3);
  SCANVI plain(small(Dispersion::gene), 1);
  EXPECT_EQ(plain.classifier().options().n_hidden, 8);
  EXPECT_EQ(plain.classifier().options().dropout_rate, 0);
}

TEST(SCANVI, IsBuiltAgainFromItsHyperparameters) {
  ScanviOptions options = grouped();
  options.classifier_n_hidden = 5;
  const SCANVI model(options, 1);
  const auto again = make_model("SCANVI", model.shape(), model.hyperparameters(), 1);
  const auto of_a = named_state(model), of_b = named_state(*again);
  ASSERT_EQ(of_a.size(), of_b.size());
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    EXPECT_EQ(of_a[i].first, of_b[i].first);
    EXPECT_TRUE(at::equal(of_a[i].second, of_b[i].second)) << of_a[i].first;
  }
  EXPECT_EQ(again->hyperparameters(), model.hyperparameters());
}

TEST(SCANVI, RefusesWhatCannotWork) {
  const auto refused = [](auto change) {
    ScanviOptions options = grouped();
    change(options);
    EXPECT_THROW(SCANVI{options}, InputError);
  };
  refused([](ScanviOptions& options) { options.vae.n_labels = 1; });
  refused([](ScanviOptions& options) { options.labels_groups = {}; });
  refused([](ScanviOptions& options) { options.labels_groups = {0, 1}; });
  refused([](ScanviOptions& options) { options.labels_groups = {0, 2, 2}; });
  refused([](ScanviOptions& options) { options.labels_groups = {-1, 0, 1}; });
  refused([](ScanviOptions& options) { options.y_prior = {1, -1, 1}; });
}

}  // namespace
}  // namespace scvi
