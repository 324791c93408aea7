#include "scvi/model/cell_classifier.hpp"

#include <gtest/gtest.h>

#include "labelled_batch.hpp"
#include "scvi/core/error.hpp"
#include "scvi/model/vae.hpp"

namespace scvi {
namespace {

using testing::labelled_batch;
using testing::SteadyNoise;

CellClassifierOptions on_counts() {
  return {.classifier = {.n_hidden = 8, .n_labels = 3, .dropout_rate = 0}, .n_genes = 12};
}

CellClassifierOptions on_latent(bool with_library) {
  CellClassifierOptions options = on_counts();
  options.sampling_model =
      std::make_shared<VAE>(VaeOptions{.n_input = 12, .n_batch = 2, .n_hidden = 8, .n_latent = 4});
  options.sampling_zl = with_library;
  return options;
}

TEST(CellClassifier, HasTheCrossEntropyForItsBoundAndNothingToSayOfHiddenLabels) {
  CellClassifier model(on_counts(), 1);
  model.eval();
  const MiniBatch batch = labelled_batch({0, 2, kHiddenLabel});
  SteadyNoise noise;
  const Elbo terms = model.forward(batch, noise);
  const at::Tensor p = model.classify(batch, noise);
  EXPECT_NEAR(terms.reconstruction[0].item<double>(), -std::log(p[0][0].item<double>()), 1e-5);
  EXPECT_NEAR(terms.reconstruction[1].item<double>(), -std::log(p[1][2].item<double>()), 1e-5);
  EXPECT_EQ(terms.reconstruction[2].item<double>(), 0);
  EXPECT_EQ(terms.kl_local.abs().max().item<double>(), 0);
}

TEST(CellClassifier, ReadsTheLatentMeanOfAnotherModelAndNeverTrainsThat) {
  for (const bool with_library : {false, true}) {
    const CellClassifierOptions options = on_latent(with_library);
    CellClassifier model(options, 1);
    EXPECT_EQ(model.classifier().options().n_input, with_library ? 5 : 4);
    EXPECT_FALSE(options.sampling_model->is_training());
    model.train();
    EXPECT_FALSE(options.sampling_model->is_training());
    const MiniBatch batch = labelled_batch({0, 2, 1, 1});
    SteadyNoise noise;
    model.forward(batch, noise).reconstruction.mean().backward();
    for (const auto& parameter : options.sampling_model->parameters()) EXPECT_FALSE(parameter.grad().defined());
    for (const auto& item : model.named_parameters()) {
      EXPECT_TRUE(item.key().starts_with("classifier.")) << item.key();
      EXPECT_TRUE(item.value().grad().defined()) << item.key();
    }
  }
}

TEST(CellClassifier, ReadsCountsOrTheirLogarithms) {
  CellClassifierOptions options = on_counts();
  CellClassifier plain(options, 1);
  options.log_variational = true;
  CellClassifier logged(options, 1);
  plain.eval(), logged.eval();
  const MiniBatch batch = labelled_batch({0, 1});
  MiniBatch logs = batch;
  logs.counts = CountTensor(at::log1p(batch.counts.dense()));
  SteadyNoise noise;
  EXPECT_TRUE(at::allclose(logged.classify(batch, noise), plain.classify(logs, noise)));
}

TEST(CellClassifier, RefusesWhatItHasNotAndWhatCannotWork) {
  CellClassifier model(on_counts(), 1);
  const MiniBatch batch = labelled_batch({0, 1});
  SteadyNoise noise;
  EXPECT_THROW(model.inference(batch, noise), InputError);
  EXPECT_THROW(model.get_reconstruction_loss(batch, {}), InputError);
  EXPECT_THROW(model.sample_from_posterior_z(batch, noise, true), InputError);
  EXPECT_THROW(model.sample_from_posterior_l(batch, noise), InputError);
  CellClassifierOptions options = on_latent(false);
  options.n_genes = 11;
  EXPECT_THROW(CellClassifier{options}, InputError);
  options = on_counts();
  options.classifier.n_labels = 1;
  EXPECT_THROW(CellClassifier{options}, InputError);
}

}  // namespace
}  // namespace scvi
