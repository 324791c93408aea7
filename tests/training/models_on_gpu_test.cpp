#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "labelled_clusters.hpp"
#include "same_bits.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/model/cell_classifier.hpp"
#include "scvi/model/spec.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/posterior/annotation.hpp"
#include "scvi/training/classifier_trainer.hpp"
#include "scvi/training/semi_supervised_trainer.hpp"
#include "testing.hpp"
#include "with_gpu.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using DatasetPtr = std::shared_ptr<const GeneExpressionDataset>;
using testing::same_bits;

struct Kind {
  std::string name;
  Hyperparameters hyperparameters = {};
  bool on_latent = false;

  std::string text() const {
    std::string all = name + (on_latent ? " on latent" : "");
    for (const auto& [key, value] : hyperparameters) all += ", " + key + " " + to_text(value);
    return all;
  }
};

const std::string kNone = "none", kGeneBatch = "gene-batch", kGeneLabel = "gene-label";

// Labels of cells are hidden in those that tell labels: then rows of one cell share its gradient.
const std::vector<Kind>& kinds() {
  static const std::vector<Kind> all = {
      {"ldvae"},
      {"ldvae", {{"reconstruction_loss", std::string("nb")}, {"dispersion", kGeneBatch}}},
      {"vaec"},
      {"vaec", {{"dispersion", kGeneLabel}}},
      {"scanvi"},
      {"scanvi", {{"dispersion", kGeneLabel}, {"n_layers", std::int64_t{2}}}},
      {"scanvi", {{"labels_groups", std::string("0,1,1")}, {"use_labels_groups", true}}},
      {"autozi"},
      {"autozi",
       {{"zero_inflation", kGeneBatch},
        {"alpha_prior", kNone},
        {"beta_prior", kNone},
        {"minimal_dropout", 0.05},
        {"dispersion", kGeneLabel}}},
      {"classifier"},
      {"classifier", {}, /*on_latent=*/true}};
  return all;
}

class ModelsOnGpu : public testing::WithGpu {
 protected:
  const DatasetPtr dataset_ = testing::labelled_clusters(100);
  const c10::Device cpu_ = c10::Device(c10::kCPU);

  DataShape shape() const { return {dataset_->nb_genes(), dataset_->n_batches(), dataset_->n_labels()}; }

  std::shared_ptr<Model> model_for(const Kind& kind, c10::Device device) const {
    const auto model =
        kind.on_latent ? classifier_on_latent() : make_model(kind.name, shape(), kind.hyperparameters, 3);
    model->to(device);
    return model;
  }
  std::shared_ptr<Model> classifier_on_latent() const {
    CellClassifierOptions options;
    options.classifier.n_labels = dataset_->n_labels();
    options.n_genes = dataset_->nb_genes();
    options.sampling_model = std::make_shared<VAE>(VaeOptions{.n_input = dataset_->nb_genes()}, 2);
    options.sampling_zl = true;
    return std::make_shared<CellClassifier>(options, 1);
  }
  std::unique_ptr<Trainer> trainer_for(const std::shared_ptr<Model>& model) const {
    TrainerOptions options;
    options.split.train_size = 0.9;
    options.seed = 5;
    if (auto classifier = std::dynamic_pointer_cast<CellClassifier>(model)) {
      options.metrics_to_monitor = {"accuracy"};
      return std::make_unique<ClassifierTrainer>(classifier, dataset_, options);
    }
    options.frequency = 2;
    const UnsupervisedTrainerOptions warmup{.n_epochs_kl_warmup = 4};
    if (!model_spec(model->name()).tells_labels) {
      return std::make_unique<UnsupervisedTrainer>(model, dataset_, options, warmup);
    }
    SemiSupervisedOptions some_labels;
    some_labels.n_labelled_samples_per_class = 8;
    return std::make_unique<SemiSupervisedTrainer>(model, dataset_, options, warmup, some_labels);
  }
};

TEST_F(ModelsOnGpu, TakeTheCourseOfTheCpu) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.text());
    std::vector<std::vector<double>> courses;
    for (const c10::Device device : {cpu_, gpu_}) {
      const auto model = model_for(kind, device);
      const auto trainer = trainer_for(model);
      trainer->train({.n_epochs = 6});
      EXPECT_EQ(model->device(), device);
      courses.push_back(trainer->history().values("train_loss"));
      if (trainer->history().last("elbo_test_set"))
        courses.back().push_back(*trainer->history().last("elbo_test_set"));
    }
    ASSERT_EQ(courses[0].size(), courses[1].size());
    for (std::size_t i = 0; i < courses[0].size(); ++i) {
      EXPECT_NEAR(courses[0][i], courses[1][i], 1e-3 * std::abs(courses[0][i])) << i;
    }
  }
}

TEST_F(ModelsOnGpu, GiveTheSameBitsOnARepeatAndForAnyNumberOfThreads) {
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.text());
    std::vector<std::shared_ptr<Model>> models;
    std::vector<std::string> histories;
    for (const int threads : {1, 1, 7}) {
      const testing::WithThreads with(threads);
      models.push_back(model_for(kind, gpu_));
      const auto trainer = trainer_for(models.back());
      trainer->train({.n_epochs = 6});
      histories.push_back(trainer->history().to_tsv());
    }
    for (std::size_t i = 1; i < models.size(); ++i) {
      EXPECT_TRUE(same_bits(*models[0], *models[i])) << i;
      EXPECT_EQ(histories[0], histories[i]) << i;
    }
  }
}

TEST_F(ModelsOnGpu, EndBitIdenticalWhenResumedAndMayGoOnOnTheCpu) {
  const TrainOptions plan{.n_epochs = 4};
  for (const Kind& kind : kinds()) {
    SCOPED_TRACE(kind.text());
    const auto whole_model = model_for(kind, gpu_);
    const auto whole = trainer_for(whole_model);
    whole->train(plan);

    const testing::TemporaryDirectory folder;
    const auto first = trainer_for(model_for(kind, gpu_));
    TrainOptions interrupted = plan;
    interrupted.checkpoint_seconds = 0;
    interrupted.checkpoint = [&] {
      if (first->n_iter() != whole->n_iter() / 2) return;
      first->save_checkpoint(folder.path("checkpoint"));
      set_interrupt(true);
    };
    EXPECT_THROW(first->train(interrupted), Interrupted);
    set_interrupt(false);
    for (const c10::Device device : {gpu_, cpu_}) {
      const auto model = model_for(kind, device);
      const auto second = trainer_for(model);
      second->load_checkpoint(folder.path("checkpoint"));
      second->train(plan);
      EXPECT_EQ(same_bits(*whole_model, *model), device.is_cuda());
      const double expected = *whole->history().last("train_loss");
      EXPECT_NEAR(*second->history().last("train_loss"), expected, 1e-3 * std::abs(expected));
    }
  }
}

TEST_F(ModelsOnGpu, TellTheLabelsThatTheyTellOnTheCpu) {
  for (const Kind& kind : kinds()) {
    if (!model_spec(kind.name).tells_labels) continue;
    SCOPED_TRACE(kind.text());
    const auto model = model_for(kind, gpu_);
    trainer_for(model)->train({.n_epochs = 20, .lr = 5e-3});
    std::vector<ToldLabels> told;
    for (const c10::Device device : {gpu_, cpu_}) {
      model->to(device);
      told.push_back(tell_labels(Posterior::of_all_cells(model, dataset_)));
    }
    const auto& there = told[0].probabilities.values;
    const auto& here = told[1].probabilities.values;
    ASSERT_EQ(here.size(), there.size());
    for (std::size_t i = 0; i < here.size(); ++i) ASSERT_NEAR(here[i], there[i], 1e-4) << i;
  }
}

}  // namespace
}  // namespace scvi
