#include "scvi/training/classifier_trainer.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "labelled_clusters.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/posterior/annotation.hpp"

namespace scvi {
namespace {

using testing::labelled_clusters;

TrainerOptions small_minibatches() {
  TrainerOptions options;
  options.batch_size = 32;
  options.metrics_to_monitor = {"accuracy"};
  options.frequency = 5;
  return options;
}

TEST(ClassifierTrainer, LearnsToTellLabelsFromCounts) {
  const auto dataset = labelled_clusters();
  const auto model = std::make_shared<CellClassifier>(
      CellClassifierOptions{.classifier = {.n_hidden = 16, .n_labels = 3}, .n_genes = dataset->nb_genes()}, 1);
  ClassifierTrainer trainer(model, dataset, small_minibatches());
  trainer.train({.n_epochs = 10, .lr = 5e-3});
  EXPECT_GT(annotation_accuracy(trainer.test_set()).unweighted, 0.95);
  EXPECT_EQ(trainer.history().last("accuracy_test_set"), annotation_accuracy(trainer.test_set()).unweighted);
}

TEST(ClassifierTrainer, LearnsFromTheLatentSpaceOfATrainedModelAndItsLibrarySize) {
  const auto dataset = labelled_clusters();
  const auto vae = std::make_shared<VAE>(
      VaeOptions{.n_input = dataset->nb_genes(), .n_batch = 2, .n_hidden = 16, .n_latent = 4}, 3);
  TrainerOptions options = small_minibatches();
  options.metrics_to_monitor = {};
  UnsupervisedTrainer(vae, dataset, options, {.n_epochs_kl_warmup = 5}).train({.n_epochs = 15, .lr = 1e-2});
  const at::Tensor before = named_state(*vae).at(1).second.clone();
  const auto model =
      std::make_shared<CellClassifier>(CellClassifierOptions{.classifier = {.n_hidden = 16, .n_labels = 3},
                                                             .n_genes = dataset->nb_genes(),
                                                             .sampling_model = vae,
                                                             .sampling_zl = true},
                                       1);
  ClassifierTrainer trainer(model, dataset, small_minibatches());
  trainer.train({.n_epochs = 30, .lr = 1e-2});
  EXPECT_GT(annotation_accuracy(trainer.test_set()).unweighted, 0.9);
  EXPECT_TRUE(at::equal(named_state(*vae).at(1).second, before));
}

}  // namespace
}  // namespace scvi
