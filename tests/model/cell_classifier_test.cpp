#include "scvi/model/cell_classifier.hpp"

#include <gtest/gtest.h>

#include <filesystem>

#include "labelled_batch.hpp"
#include "scvi/core/error.hpp"
#include "scvi/model/saved_model.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/model/vaec.hpp"
#include "testing.hpp"

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
  options.log_variational = false;
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

SavedModel saved_classifier(const CellClassifierOptions& options) {
  SavedModel saved;
  saved.model = std::make_shared<CellClassifier>(options, 3);
  for (int gene = 0; gene < 12; ++gene) saved.data.gene_names.push_back("gene" + std::to_string(gene));
  saved.data.label_names = {"B", "NK", "T"};
  if (options.sampling_model) {
    auto latent = std::make_shared<SavedModel>();
    latent->model = options.sampling_model;
    latent->data.gene_names = saved.data.gene_names;
    latent->data.batch_names = {"x", "y"};
    saved.latent = latent;
  }
  return saved;
}

class SavedClassifier : public ::testing::Test {
 protected:
  at::Tensor told(Model& model) const {
    SteadyNoise noise;
    return dynamic_cast<LabelModel&>(model).classify(labelled_batch({0, 2, 1, 1}), noise);
  }
  testing::TemporaryDirectory folder_;
};

TEST_F(SavedClassifier, ComesBackAsItWas) {
  const SavedModel saved = saved_classifier(on_counts());
  save_model(saved, folder_.path());
  const SavedModel loaded = load_model(folder_.path());
  EXPECT_EQ(loaded.model->hyperparameters(), saved.model->hyperparameters());
  EXPECT_EQ(loaded.latent, nullptr);
  saved.model->eval();
  EXPECT_TRUE(at::equal(told(*loaded.model), told(*saved.model)));
}

TEST_F(SavedClassifier, BringsTheModelAlongThatItReads) {
  for (const bool with_library : {false, true}) {
    const SavedModel saved = saved_classifier(on_latent(with_library));
    const testing::TemporaryDirectory folder;
    save_model(saved, folder.path());
    const SavedModel loaded = load_model(folder.path());
    ASSERT_NE(loaded.latent, nullptr);
    EXPECT_EQ(loaded.latent->model->name(), "vae");
    EXPECT_EQ(loaded.latent->data.batch_names, (std::vector<std::string>{"x", "y"}));
    saved.model->eval();
    EXPECT_TRUE(at::equal(told(*loaded.model), told(*saved.model)));
    // The weights are those of a classifier alone, and the other model is one by itself.
    for (const auto& item : named_state(*loaded.model)) EXPECT_TRUE(item.first.starts_with("classifier."));
    EXPECT_EQ(load_model(folder.path("latent")).model->hyperparameters(), saved.latent->model->hyperparameters());
  }
}

TEST_F(SavedClassifier, RefusesAModelToReadThatIsMissingOrDoesNotFit) {
  save_model(saved_classifier(on_latent(true)), folder_.path());
  const testing::TemporaryDirectory without;
  std::filesystem::copy(folder_.path(), without.path(), std::filesystem::copy_options::recursive);
  std::filesystem::remove_all(without.path("latent"));
  EXPECT_THROW(load_model(without.path()), InputError);
  // One that is a classifier itself.
  std::filesystem::create_directory(without.path("latent"));
  save_model(saved_classifier(on_counts()), without.path("latent"));
  EXPECT_THROW(load_model(without.path()), InputError);
  // One of other genes.
  SavedModel other = *saved_classifier(on_latent(true)).latent;
  other.data.gene_names.back() = "other";
  save_model(other, folder_.path("latent"));
  EXPECT_THROW(load_model(folder_.path()), FormatError);
}

TEST(CellClassifier, NeverLearnsTheLabelFromTheModelThatItReads) {
  CellClassifierOptions options = on_counts();
  options.sampling_model = std::make_shared<VAEC>(
      VaecOptions{.vae = {.n_input = 12, .n_batch = 2, .n_labels = 3, .n_hidden = 8, .n_latent = 4}});
  CellClassifier model(options, 1);
  model.eval();
  SteadyNoise noise;
  EXPECT_TRUE(at::equal(model.classify(labelled_batch({0, 2, 1}), noise),
                        model.classify(labelled_batch({1, 0, kHiddenLabel}), noise)));
}

TEST(CellClassifier, IsRegistered) {
  const ModelSpec& spec = model_spec("classifier");
  EXPECT_EQ(spec.reference_name, "Classifier");
  EXPECT_TRUE(spec.tells_labels && !spec.is_generative && spec.build_on_latent);
  const auto model = make_model("classifier", {.n_input = 12, .n_batch = 0, .n_labels = 3});
  EXPECT_EQ(model->hyperparameters(), complete_hyperparameters(spec, {}));
  EXPECT_THROW(make_model("classifier", {.n_input = 12, .n_batch = 0, .n_labels = 3}, {{"sampling_zl", true}}),
               InputError);
}

}  // namespace
}  // namespace scvi
