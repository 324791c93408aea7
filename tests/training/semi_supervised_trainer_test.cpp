#include "scvi/training/semi_supervised_trainer.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "labelled_clusters.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/model/scanvi.hpp"
#include "scvi/model/vaec.hpp"
#include "scvi/posterior/annotation.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using DatasetPtr = std::shared_ptr<const GeneExpressionDataset>;
using testing::labelled_clusters;
using testing::with_wrong_labels;

VaeOptions vae_options(const GeneExpressionDataset& dataset) {
  return {.n_input = dataset.nb_genes(),
          .n_batch = dataset.n_batches(),
          .n_labels = dataset.n_labels(),
          .n_hidden = 16,
          .n_latent = 4};
}

std::shared_ptr<Model> scanvi(const GeneExpressionDataset& dataset) {
  return std::make_shared<SCANVI>(ScanviOptions{.vae = vae_options(dataset)}, 3);
}

std::shared_ptr<Model> vaec(const GeneExpressionDataset& dataset) {
  return std::make_shared<VAEC>(VaecOptions{.vae = vae_options(dataset)}, 3);
}

TrainerOptions all_cells_train() {
  TrainerOptions options;
  options.split.train_size = 1.0;
  options.batch_size = 32;
  options.seed = 5;
  return options;
}

UnsupervisedTrainerOptions warmup() {
  return {.n_epochs_kl_warmup = 5};
}

SemiSupervisedOptions labelled(std::int64_t per_class) {
  return {.n_labelled_samples_per_class = per_class};
}

bool same_weights(const Model& a, const Model& b) {
  const auto of_a = named_state(a), of_b = named_state(b);
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    if (!at::equal(of_a[i].second, of_b[i].second)) return false;
  }
  return of_a.size() == of_b.size();
}

template <class T>
double accuracy_on_hidden_cells(const std::shared_ptr<Model>& model, const DatasetPtr& dataset, std::int64_t epochs) {
  T trainer(model, dataset, all_cells_train(), warmup(), labelled(8));
  EXPECT_EQ(trainer.labelled_set().nb_cells(), 24);
  EXPECT_EQ(trainer.unlabelled_set().nb_cells(), dataset->nb_cells() - 24);
  trainer.train({.n_epochs = epochs, .lr = 5e-3});
  EXPECT_FALSE(model->is_training());
  return annotation_accuracy(trainer.unlabelled_set()).unweighted;
}

TEST(SemiSupervisedTrainer, TellsTheLabelsOfCellsItNeverSawThemOf) {
  const auto dataset = labelled_clusters();
  EXPECT_GT(accuracy_on_hidden_cells<SemiSupervisedTrainer>(scanvi(*dataset), dataset, 12), 0.95);
  EXPECT_GT(accuracy_on_hidden_cells<JointSemiSupervisedTrainer>(scanvi(*dataset), dataset, 12), 0.95);
  EXPECT_GT(accuracy_on_hidden_cells<JointSemiSupervisedTrainer>(vaec(*dataset), dataset, 12), 0.95);
}

TEST(SemiSupervisedTrainer, LearnsFromEpochsOfTheClassifierAloneToo) {
  const auto dataset = labelled_clusters();
  SemiSupervisedOptions options = labelled(8);
  options.n_epochs_classifier = 20;
  AlternateSemiSupervisedTrainer trainer(scanvi(*dataset), dataset, all_cells_train(), warmup(), options);
  trainer.train({.n_epochs = 12, .lr = 5e-3});
  EXPECT_GT(annotation_accuracy(trainer.unlabelled_set()).unweighted, 0.9);
}

TEST(SemiSupervisedTrainer, LearnsVaecWithTheClassifierAloneOnceItHasTakenEnoughSteps) {
  const auto dataset = labelled_clusters();
  const auto accuracy_after = [&](std::int64_t n_epochs, std::int64_t n_epochs_classifier) {
    SemiSupervisedOptions options = labelled(8);
    options.n_epochs_classifier = n_epochs_classifier;
    AlternateSemiSupervisedTrainer trainer(vaec(*dataset), dataset, all_cells_train(), warmup(), options);
    trainer.train({.n_epochs = n_epochs, .lr = 5e-3});
    return annotation_accuracy(trainer.unlabelled_set()).unweighted;
  };
  // 24 labelled cells are one step an epoch.
  EXPECT_GT(accuracy_after(12, 20), 0.9);
  EXPECT_GT(accuracy_after(60, 1), 0.9);
}

TEST(SemiSupervisedTrainer, NeverReadsAHiddenLabel) {
  const auto dataset = labelled_clusters(30);
  SemiSupervisedOptions semi_supervised;
  semi_supervised.labelled_cells = choose_labelled_cells(dataset->labels(), 5, 0).labelled;
  std::vector<std::shared_ptr<Model>> models;
  for (const DatasetPtr& data : {dataset, with_wrong_labels(*dataset, *semi_supervised.labelled_cells)}) {
    models.push_back(scanvi(*dataset));
    SemiSupervisedTrainer(models.back(), data, all_cells_train(), warmup(), semi_supervised).train({.n_epochs = 2});
  }
  EXPECT_TRUE(same_weights(*models[0], *models[1]));
  // The reference shows them all.
  semi_supervised.reference_0_6_3 = true;
  models.clear();
  for (const DatasetPtr& data : {dataset, with_wrong_labels(*dataset, *semi_supervised.labelled_cells)}) {
    models.push_back(scanvi(*dataset));
    SemiSupervisedTrainer(models.back(), data, all_cells_train(), warmup(), semi_supervised).train({.n_epochs = 1});
  }
  EXPECT_FALSE(same_weights(*models[0], *models[1]));
}

TEST(SemiSupervisedTrainer, TrainsTheClassifierAloneAfterAnEpochAndNothingElse) {
  const auto dataset = labelled_clusters(30);
  // Without a step of the joint kind: only epochs of the classifier can move anything.
  const auto run = [&](std::int64_t n_epochs_classifier) {
    const auto model = scanvi(*dataset);
    SemiSupervisedOptions options = labelled(5);
    options.n_epochs_classifier = n_epochs_classifier;
    AlternateSemiSupervisedTrainer trainer(model, dataset, all_cells_train(), warmup(), options);
    trainer.train({.n_epochs = 1});
    return model;
  };
  const auto without = run(0), with = run(2);
  const auto of_a = named_state(*without), of_b = named_state(*with);
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    const bool of_classifier = of_a[i].first.starts_with("classifier.");
    if (!of_classifier) {
      EXPECT_TRUE(at::equal(of_a[i].second, of_b[i].second)) << of_a[i].first;
    } else if (of_a[i].first == "classifier.classifier.1.weight") {
      EXPECT_FALSE(at::equal(of_a[i].second, of_b[i].second));
    }
  }
}

TEST(SemiSupervisedTrainer, GoesOnAfterAnInterruptionAsIfThereHadBeenNone) {
  const auto dataset = labelled_clusters(30);
  const testing::TemporaryDirectory folder;
  const auto whole = scanvi(*dataset);
  SemiSupervisedTrainer(whole, dataset, all_cells_train(), warmup(), labelled(5)).train({.n_epochs = 3});

  const std::string path = folder.path() + "/checkpoint";
  const auto first = scanvi(*dataset);
  SemiSupervisedTrainer interrupted(first, dataset, all_cells_train(), warmup(), labelled(5));
  std::int64_t minibatches = 0;
  TrainOptions train{.n_epochs = 3};
  train.checkpoint_seconds = -1;
  train.checkpoint = [&] {
    // In the middle of the second epoch.
    if (++minibatches == 4) interrupted.save_checkpoint(path);
  };
  interrupted.train(train);
  ASSERT_TRUE(same_weights(*whole, *first));
  const auto second = scanvi(*dataset);
  SemiSupervisedTrainer resumed(second, dataset, all_cells_train(), warmup(), labelled(5));
  resumed.load_checkpoint(path);
  resumed.train({.n_epochs = 3});
  EXPECT_TRUE(same_weights(*whole, *second));
}

TEST(SemiSupervisedTrainer, RefusesWhatCannotWork) {
  const auto dataset = labelled_clusters(30);
  const auto plain = std::make_shared<VAE>(vae_options(*dataset), 1);
  EXPECT_THROW(SemiSupervisedTrainer(plain, dataset), InputError);
  VaeOptions two = vae_options(*dataset);
  two.n_labels = 2;
  EXPECT_THROW(SemiSupervisedTrainer(std::make_shared<SCANVI>(ScanviOptions{.vae = two}), dataset), InputError);
  SemiSupervisedOptions options = labelled(5);
  options.lr_classification = 0;
  EXPECT_THROW(SemiSupervisedTrainer(scanvi(*dataset), dataset, {}, {}, options), InputError);
  options = {};
  options.labelled_cells = {{0, 1, dataset->nb_cells()}};
  EXPECT_THROW(SemiSupervisedTrainer(scanvi(*dataset), dataset, {}, {}, options), InputError);
  options.labelled_cells = {{0, 1}};
  EXPECT_THROW(SemiSupervisedTrainer(scanvi(*dataset), dataset, {}, {}, options), InputError);
}

TEST(ClassificationLoss, IsTheCrossEntropyAndOnDemandTheReferencesDoubleSoftmax) {
  const auto dataset = labelled_clusters(30);
  const auto model = vaec(*dataset);
  model->eval();
  auto& labels = dynamic_cast<LabelModel&>(*model);
  const std::vector<std::int64_t> cells = {0, 31, 62};
  const MiniBatch batch = make_minibatch(*dataset, cells);
  RandomNoise noise(1, "test");
  const at::Tensor p = labels.classify(batch, noise);
  const at::Tensor expected = -at::log(p.gather(1, batch.labels)).mean();
  EXPECT_NEAR(classification_loss(labels, batch, noise).item<double>(), expected.item<double>(), 1e-5);
  const at::Tensor twice = -at::log_softmax(p, 1).gather(1, batch.labels).mean();
  EXPECT_NEAR(classification_loss(labels, batch, noise, true).item<double>(), twice.item<double>(), 1e-6);
}

}  // namespace
}  // namespace scvi
