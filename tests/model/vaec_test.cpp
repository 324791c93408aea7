#include "scvi/model/vaec.hpp"

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

constexpr auto small = testing::small_label_model<VaecOptions>;

TEST(VAEC, WeighsACellWithAHiddenLabelUnderEveryLabel) {
  for (const auto dispersion :
       {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label, Dispersion::gene_cell}) {
    VAEC model(small(dispersion), 1);
    model.eval();
    const MiniBatch hidden = labelled_batch(std::vector<std::int64_t>(5, kHiddenLabel));
    SteadyNoise noise;
    const at::Tensor p = model.classify(hidden, noise);
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

TEST(VAEC, TakesKnownAndHiddenLabelsSideBySideOnBothRoads) {
  const std::vector<std::int64_t> labels = {1, kHiddenLabel, 0, kHiddenLabel, 2, 2};
  const MiniBatch batch = labelled_batch(labels);
  for (const auto road : {KernelRoad::fused, KernelRoad::aten}) {
    settings().kernel = road;
    VAEC model(small(Dispersion::gene), 1);
    model.eval();
    const Elbo all = bound(model, batch);
    for (std::int64_t cell = 0; cell < 6; ++cell) {
      const Elbo alone = bound(model, cells_of(batch, {cell}));
      EXPECT_NEAR(all.reconstruction[cell].item<double>(), alone.reconstruction.item<double>(), 1e-3) << cell;
      EXPECT_NEAR(all.kl_local[cell].item<double>(), alone.kl_local.item<double>(), 1e-4) << cell;
    }
  }
  settings().kernel = KernelRoad::fused;
}

TEST(VAEC, LeavesTheClassifierAloneWhereAllLabelsAreKnown) {
  VAEC model(small(Dispersion::gene), 1);
  bound(model, labelled_batch({0, 1, 2, 0, 1, 2})).reconstruction.mean().backward();
  for (const auto& item : model.classifier().named_parameters()) EXPECT_FALSE(item.value().grad().defined());
  bound(model, labelled_batch({0, 1, kHiddenLabel, 0, 1, 2})).reconstruction.mean().backward();
  for (const auto& item : model.classifier().named_parameters()) EXPECT_TRUE(item.value().grad().defined());
}

TEST(VAEC, TakesTheMostProbableLabelWhereOneIsNeeded) {
  VAEC model(small(Dispersion::gene_label), 1);
  model.eval();
  const MiniBatch hidden = labelled_batch(std::vector<std::int64_t>(5, kHiddenLabel));
  SteadyNoise noise;
  MiniBatch probable = hidden;
  probable.labels = model.classify(hidden, noise).argmax(1, true);
  EXPECT_TRUE(at::equal(model.sample_from_posterior_z(hidden, noise, true),
                        model.sample_from_posterior_z(probable, noise, true)));
  const auto got = model.inference(hidden, noise), expected = model.inference(probable, noise);
  EXPECT_TRUE(at::equal(got.px_rate, expected.px_rate));
  EXPECT_TRUE(at::equal(got.px_r, expected.px_r));
  MiniBatch without = hidden;
  without.labels = at::Tensor();
  EXPECT_TRUE(at::equal(model.inference(without, noise).px_rate, expected.px_rate));
}

TEST(VAEC, GivesTheSameProbabilitiesAndTheirLogarithms) {
  VAEC model(small(Dispersion::gene), 1);
  model.eval();
  const MiniBatch batch = labelled_batch({0, 1, 2});
  SteadyNoise noise;
  const at::Tensor p = model.classify(batch, noise);
  EXPECT_TRUE(at::allclose(p.sum(1), at::ones({3})));
  EXPECT_TRUE(at::allclose(at::exp(model.log_classify(batch, noise)), p));
}

TEST(VAEC, IsBuiltAgainFromItsHyperparameters) {
  VaecOptions options = small(Dispersion::gene_batch);
  options.reference_0_6_3 = true;
  const VAEC model(options, 1);
  const auto again = make_model("vaec", model.shape(), model.hyperparameters(), 1);
  const auto of_a = named_state(model), of_b = named_state(*again);
  ASSERT_EQ(of_a.size(), of_b.size());
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    EXPECT_EQ(of_a[i].first, of_b[i].first);
    EXPECT_TRUE(at::equal(of_a[i].second, of_b[i].second)) << of_a[i].first;
  }
  EXPECT_EQ(again->hyperparameters(), model.hyperparameters());
}

TEST(VAEC, RefusesWhatCannotWork) {
  const auto refused = [](auto change) {
    VaecOptions options = small(Dispersion::gene);
    change(options);
    EXPECT_THROW(VAEC{options}, InputError);
  };
  refused([](VaecOptions& options) { options.vae.n_labels = 0, options.y_prior = {}; });
  refused([](VaecOptions& options) { options.vae.n_labels = 1, options.y_prior = {1}; });
  refused([](VaecOptions& options) { options.y_prior = {0.5, 0.5}; });
  refused([](VaecOptions& options) { options.y_prior = {0.5, 0.5, 0}; });
  refused([](VaecOptions& options) { options.vae.latent_distribution = LatentDistribution::ln; });
  EXPECT_THROW(make_model("vaec", {12, 2, 3}, {{"y_prior", std::string("0.2,half,0.3")}}), InputError);
  EXPECT_THROW(make_model("vaec", {12, 2, 3}, {{"y_prior", std::string("0.2,0.5,0.3,")}}), InputError);
  VAEC model(small(Dispersion::gene), 1);
  EXPECT_THROW(bound(model, labelled_batch({0, 3, 1})), InputError);
  EXPECT_THROW(bound(model, labelled_batch({0, -2, 1})), InputError);
}

}  // namespace
}  // namespace scvi
