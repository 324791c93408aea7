#include "scvi/training/adapter_trainer.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "labelled_clusters.hpp"
#include "scvi/core/error.hpp"
#include "scvi/model/cell_classifier.hpp"
#include "scvi/model/vae.hpp"

namespace scvi {
namespace {

using testing::labelled_clusters;

TEST(AdapterTrainer, TrainsTheEncodersAloneAndFromTheirBeginningOnEachPath) {
  const auto dataset = labelled_clusters();
  const auto model = std::make_shared<VAE>(
      VaeOptions{.n_input = dataset->nb_genes(), .n_batch = 2, .n_hidden = 16, .n_latent = 4}, 3);
  const auto before = state_dict(*model);
  TrainerOptions options;
  options.batch_size = 32;
  AdapterTrainer trainer(model, dataset, options, {.n_epochs_kl_warmup = 1});
  const double first = trainer.test_set().elbo();
  const double smallest = trainer.train_paths(2, {.n_epochs = 5, .lr = 1e-2});
  EXPECT_LT(smallest, first);
  const auto after = state_dict(*model);
  bool encoders_moved = false;
  for (std::size_t i = 0; i < before.size(); ++i) {
    const std::string& name = before[i].name;
    const bool of_encoder = name.starts_with("z_encoder.") || name.starts_with("l_encoder.");
    if (of_encoder) encoders_moved = encoders_moved || before[i].bytes != after[i].bytes;
    const bool statistics =
        name.ends_with("running_mean") || name.ends_with("running_var") || name.ends_with("num_batches_tracked");
    if (!of_encoder && !statistics) {
      EXPECT_EQ(before[i].bytes, after[i].bytes) << name;
    }
    // Of one path only: 288 training cells in minibatches of 32 make 9 steps an epoch.
    if (name.ends_with("num_batches_tracked")) {
      EXPECT_EQ(to_tensor(after[i]).item<std::int64_t>(), 5 * 9) << name;
    }
  }
  EXPECT_TRUE(encoders_moved);
}

TEST(AdapterTrainer, RefusesWhatCannotWork) {
  const auto dataset = labelled_clusters();
  const auto classifier = std::make_shared<CellClassifier>(
      CellClassifierOptions{.classifier = {.n_labels = 3}, .n_genes = dataset->nb_genes()});
  EXPECT_THROW(AdapterTrainer(classifier, dataset), InputError);
  const auto model = std::make_shared<VAE>(VaeOptions{.n_input = dataset->nb_genes(), .n_batch = 2});
  TrainerOptions all;
  all.split.train_size = 1.0;
  EXPECT_THROW(AdapterTrainer(model, dataset, all), InputError);
  EXPECT_THROW(AdapterTrainer(model, dataset).train_paths(0), InputError);
}

}  // namespace
}  // namespace scvi
