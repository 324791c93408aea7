#include "scvi/training/trainer.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/model/vae.hpp"
#include "stored_counts.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using DatasetPtr = std::shared_ptr<const GeneExpressionDataset>;

DatasetPtr clusters(std::int64_t cells_per_cluster = 40) {
  SyntheticDatasetCorrOptions options;
  options.n_cells_cluster = cells_per_cluster;
  options.n_genes_high = 10;
  options.n_batches = 2;
  options.batch_effect = 0.3;
  options.seed = 1;
  return std::make_shared<GeneExpressionDataset>(synthetic_dataset_corr(options).dataset);
}

std::shared_ptr<Model> model_for(const GeneExpressionDataset& dataset) {
  return std::make_shared<VAE>(
      VaeOptions{.n_input = dataset.nb_genes(), .n_batch = dataset.n_batches(), .n_hidden = 16, .n_latent = 4}, 3);
}

TrainerOptions small_minibatches() {
  TrainerOptions options;
  options.split.train_size = 0.75;
  options.batch_size = 32;
  options.seed = 5;
  return options;
}

UnsupervisedTrainerOptions warmup(std::int64_t epochs) {
  UnsupervisedTrainerOptions options;
  options.n_epochs_kl_warmup = epochs;
  return options;
}

bool same_weights(const Model& a, const Model& b) {
  const auto of_a = named_state(a);
  const auto of_b = named_state(b);
  for (std::size_t i = 0; i < of_a.size(); ++i) {
    if (!at::equal(of_a[i].second, of_b[i].second)) return false;
  }
  return of_a.size() == of_b.size();
}

TEST(Trainer, LowersTheBoundOnCellsThatItNeverSaw) {
  const auto dataset = clusters();
  auto options = small_minibatches();
  options.frequency = 30;
  UnsupervisedTrainer trainer(model_for(*dataset), dataset, options, warmup(10));
  trainer.train({.n_epochs = 30, .lr = 1e-2});
  const auto elbo = trainer.history().values("elbo_test_set");
  ASSERT_EQ(elbo.size(), 2U);
  EXPECT_LT(elbo.back(), elbo.front() - 5);
  EXPECT_EQ(trainer.history().values("train_loss").size(), 30U);
  EXPECT_FALSE(trainer.model().is_training());
}

TEST(Trainer, TakesTheSameCourseOnBothRoads) {
  const auto dataset = clusters();
  std::vector<std::vector<double>> losses;
  for (const KernelRoad road : {KernelRoad::fused, KernelRoad::aten}) {
    settings().kernel = road;
    UnsupervisedTrainer trainer(model_for(*dataset), dataset, small_minibatches(), warmup(2));
    trainer.train({.n_epochs = 5});
    losses.push_back(trainer.history().values("train_loss"));
  }
  settings().kernel = KernelRoad::fused;
  ASSERT_EQ(losses[0].size(), 5U);
  for (std::size_t epoch = 0; epoch < 5; ++epoch) {
    EXPECT_NEAR(losses[0][epoch], losses[1][epoch], 2e-4 * std::abs(losses[1][epoch])) << epoch;
  }
}

TEST(Trainer, GivesTheSameBitsForAnyNumberOfThreadsAndOnARepeat) {
  const auto dataset = clusters();
  const int before = settings().n_threads;
  std::vector<std::shared_ptr<Model>> models;
  std::vector<std::string> histories;
  for (const int threads : {1, 2, 7, 1}) {
    settings().n_threads = threads;
    models.push_back(model_for(*dataset));
    auto options = small_minibatches();
    options.frequency = 1;
    UnsupervisedTrainer trainer(models.back(), dataset, options, warmup(2));
    trainer.train({.n_epochs = 3});
    histories.push_back(trainer.history().to_tsv());
  }
  settings().n_threads = before;
  for (std::size_t i = 1; i < models.size(); ++i) {
    EXPECT_TRUE(same_weights(*models[0], *models[i]));
    EXPECT_EQ(histories[0], histories[i]);
  }
}

TEST(Trainer, GivesTheSameBitsHoweverManyMinibatchesAreMadeAhead) {
  const auto dataset = clusters();
  const int before = settings().n_threads;
  settings().n_threads = 2;
  std::vector<std::shared_ptr<Model>> models;
  for (const std::int64_t prefetch : {0, 1, 50}) {
    models.push_back(model_for(*dataset));
    auto options = small_minibatches();
    options.prefetch = prefetch;
    UnsupervisedTrainer trainer(models.back(), dataset, options, warmup(2));
    trainer.train({.n_epochs = 3});
    EXPECT_TRUE(same_weights(*models.front(), *models.back())) << prefetch;
  }
  settings().n_threads = before;
}

TEST(Trainer, EndsBitIdenticalWhenInterruptedAnywhereAndResumed) {
  const auto dataset = clusters();
  auto options = small_minibatches();
  options.frequency = 1;
  options.early_stopping.save_best_state_metric = "elbo";
  const TrainOptions plan{.n_epochs = 4, .lr = 5e-3};
  const auto whole_model = model_for(*dataset);
  UnsupervisedTrainer whole(whole_model, dataset, options, warmup(3));
  whole.train(plan);

  const testing::TemporaryDirectory folder;
  // After every minibatch of the run in turn, the end of an epoch included.
  for (std::int64_t stop_after = 1; stop_after < whole.n_iter(); stop_after += 3) {
    {
      UnsupervisedTrainer first(model_for(*dataset), dataset, options, warmup(3));
      // The progress callback is the way to stop after a certain minibatch.
      struct StopAfter : Progress {
        std::int64_t left;
        explicit StopAfter(std::int64_t n) : left(n) {}
        void update(std::int64_t, std::string_view) override {
          if (--left == 0) set_interrupt(true);
        }
      } stop(stop_after);
      TrainOptions interrupted = plan;
      interrupted.progress = &stop;
      interrupted.checkpoint = [&] { first.save_checkpoint(folder.path("checkpoint")); };
      EXPECT_THROW(first.train(interrupted), Interrupted);
      set_interrupt(false);
    }
    const auto model = std::make_shared<VAE>(
        VaeOptions{.n_input = dataset->nb_genes(), .n_batch = dataset->n_batches(), .n_hidden = 16, .n_latent = 4},
        99);
    UnsupervisedTrainer second(model, dataset, options, warmup(3));
    second.load_checkpoint(folder.path("checkpoint"));
    second.train(plan);
    EXPECT_TRUE(same_weights(*whole_model, *model)) << "stopped after " << stop_after;
    EXPECT_EQ(whole.history().to_tsv(), second.history().to_tsv());
  }
}

TEST(Trainer, OnDiskGivesTheSameBitsForAnyNumberOfThreadsAndWhenResumed) {
  const auto in_memory = clusters();
  const auto dataset = testing::on_disk(*in_memory, {.cache_bytes = 8000, .block_cells = 8});
  ASSERT_LT(dataset->X().store()->windows().window_blocks, dataset->X().store()->n_blocks() / 2);
  auto options = small_minibatches();
  options.frequency = 1;
  const int before = settings().n_threads;
  std::vector<std::shared_ptr<Model>> models;
  std::vector<std::string> histories;
  const testing::TemporaryDirectory folder;
  for (const int threads : {1, 2, 7}) {
    settings().n_threads = threads;
    models.push_back(model_for(*dataset));
    UnsupervisedTrainer trainer(models.back(), dataset, options, warmup(2));
    for (const auto* cells : {&trainer.split().train, &trainer.split().test}) {
      EXPECT_TRUE(std::is_sorted(cells->begin(), cells->end()));
    }
    TrainOptions plan{.n_epochs = 3};
    if (threads == 2) {
      plan.checkpoint_seconds = 0;
      plan.checkpoint = [&] {
        if (trainer.n_iter() == 5) trainer.save_checkpoint(folder.path("checkpoint"));
      };
    }
    trainer.train(plan);
    histories.push_back(trainer.history().to_tsv());
  }
  models.push_back(model_for(*dataset));
  UnsupervisedTrainer resumed(models.back(), dataset, options, warmup(2));
  resumed.load_checkpoint(folder.path("checkpoint"));
  resumed.train({.n_epochs = 3});
  histories.push_back(resumed.history().to_tsv());
  settings().n_threads = before;
  for (std::size_t i = 1; i < models.size(); ++i) {
    EXPECT_TRUE(same_weights(*models[0], *models[i])) << i;
    EXPECT_EQ(histories[0], histories[i]) << i;
  }
  const auto other = testing::on_disk(*in_memory, {.cache_bytes = 12000, .block_cells = 8});
  UnsupervisedTrainer elsewhere(model_for(*other), other, options, warmup(2));
  EXPECT_THROW(elsewhere.load_checkpoint(folder.path("checkpoint")), InputError);
}

TEST(Trainer, RefusesACheckpointOfAnotherRunOrADamagedOne) {
  const auto dataset = clusters();
  const testing::TemporaryDirectory folder;
  const std::string path = folder.path("checkpoint");
  UnsupervisedTrainer first(model_for(*dataset), dataset, small_minibatches(), warmup(3));
  first.train({.n_epochs = 1});
  first.save_checkpoint(path);
  auto other = small_minibatches();
  other.batch_size = 16;
  UnsupervisedTrainer second(model_for(*dataset), dataset, other, warmup(3));
  EXPECT_THROW(second.load_checkpoint(path), InputError);
  UnsupervisedTrainer same(model_for(*dataset), dataset, small_minibatches(), warmup(3));
  const std::string facts = read_file(path + "/checkpoint.json");
  for (std::size_t length = 0; length + 2 < facts.size(); length += 101) {
    write_file_atomically(path + "/checkpoint.json", facts.substr(0, length));
    EXPECT_THROW(same.load_checkpoint(path), Error);
  }
  write_file_atomically(path + "/checkpoint.json", facts);
  const std::string state = read_file(path + "/state.pt");
  write_file_atomically(path + "/state.pt", state.substr(0, state.size() / 2));
  EXPECT_THROW(same.load_checkpoint(path), FormatError);
}

TEST(Trainer, ReallyRestoresTheBestWeights) {
  const auto dataset = clusters();
  auto options = small_minibatches();
  options.early_stopping.save_best_state_metric = "elbo";
  const auto model = model_for(*dataset);
  UnsupervisedTrainer trainer(model, dataset, options, warmup(1));
  // A learning rate this large makes later epochs worse than earlier ones.
  trainer.train({.n_epochs = 25, .lr = 0.3});
  const auto elbo = trainer.history().values("elbo_test_set");
  const auto best = std::min_element(elbo.begin() + 1, elbo.end());
  EXPECT_EQ(trainer.best_epoch(), best - elbo.begin());
  ASSERT_LT(*best, elbo.back());
  // The weights are those of the best epoch: the bound is the best one up to the noise of its draws.
  Posterior test(model, dataset, trainer.split().test,
                 {.batch_size = 32, .seed = 1, .corrupted = false, .name = "x"});
  EXPECT_LT(std::abs(test.elbo() - *best), std::abs(test.elbo() - elbo.back()));
}

TEST(Trainer, StopsEarlyAndReducesTheLearningRate) {
  const auto dataset = clusters();
  auto options = small_minibatches();
  options.early_stopping.early_stopping_metric = "elbo";
  options.early_stopping.patience = 3;
  options.early_stopping.threshold = 1e6;
  options.early_stopping.reduce_lr_on_plateau = true;
  options.early_stopping.lr_patience = 1;
  UnsupervisedTrainer trainer(model_for(*dataset), dataset, options, warmup(1));
  trainer.train({.n_epochs = 100, .lr = 1e-3});
  // The first value improves on infinity, three more wait, the fifth update stops.
  EXPECT_EQ(trainer.epoch(), 5);
  EXPECT_LT(trainer.history().values("lr").back(), 1e-3);
}

TEST(Trainer, NeverLosesACellWhateverTheTail) {
  for (const std::int64_t n_cells : {3, 31, 32, 33, 34, 35, 65}) {
    const auto all = clusters();
    auto dataset = std::make_shared<GeneExpressionDataset>(*all);
    std::vector<std::int64_t> cells(static_cast<std::size_t>(n_cells));
    std::iota(cells.begin(), cells.end(), 0);
    dataset->update_cells(cells);
    auto options = small_minibatches();
    options.split.train_size = 1.0;
    UnsupervisedTrainer trainer(model_for(*dataset), dataset, options, warmup(1));
    trainer.train({.n_epochs = 2});
    const std::int64_t tail = n_cells % 32;
    const std::int64_t expected = n_cells / 32 + ((tail >= 3 || n_cells < 32) ? 1 : 0);
    EXPECT_EQ(trainer.n_iter(), 2 * expected) << n_cells;
    EXPECT_TRUE(std::isfinite(*trainer.history().last("train_loss")));
  }
}

TEST(Trainer, RefusesTooFewCellsAndOptionsThatMakeNoSense) {
  const auto dataset = clusters();
  const auto refuses = [&](auto change) {
    auto options = small_minibatches();
    change(options);
    EXPECT_THROW(UnsupervisedTrainer(model_for(*dataset), dataset, options, {}), InputError);
  };
  refuses([](TrainerOptions& options) { options.split.train_size = std::int64_t{2}; });
  refuses([](TrainerOptions& options) { options.batch_size = 2; });
  refuses([](TrainerOptions& options) { options.prefetch = -1; });
  refuses([](TrainerOptions& options) { options.metrics_to_monitor = {"elbow"}; });
  refuses([](TrainerOptions& options) {
    options.split.train_size = 1.0;
    options.early_stopping.early_stopping_metric = "elbo";
  });
  refuses([](TrainerOptions& options) {
    options.early_stopping.early_stopping_metric = "elbo";
    options.early_stopping.on = "tset_set";
  });
}

TEST(Trainer, WarmsUpByEpochsThenByMinibatchesThenNotAtAll) {
  const auto dataset = clusters();
  UnsupervisedTrainerOptions unsupervised = warmup(4);
  unsupervised.n_iter_kl_warmup = 2;
  UnsupervisedTrainer by_epochs(model_for(*dataset), dataset, small_minibatches(), unsupervised);
  by_epochs.train({.n_epochs = 3});
  EXPECT_EQ(by_epochs.history().values("kl_weight"), (std::vector<double>{0, 0.25, 0.5}));
  unsupervised.n_epochs_kl_warmup.reset();
  unsupervised.n_iter_kl_warmup = 12;
  UnsupervisedTrainer by_minibatches(model_for(*dataset), dataset, small_minibatches(), unsupervised);
  by_minibatches.train({.n_epochs = 1});
  EXPECT_EQ(by_minibatches.n_iter(), 6);
  EXPECT_EQ(by_minibatches.kl_weight(), 0.5);
  unsupervised.n_iter_kl_warmup.reset();
  UnsupervisedTrainer none(model_for(*dataset), dataset, small_minibatches(), unsupervised);
  EXPECT_EQ(none.kl_weight(), 1);
}

/// A model whose loss is not finite whenever it is told so.
class Faulty : public VAE {
 public:
  using VAE::VAE;
  Elbo forward(const MiniBatch& batch, Noise& noise) override {
    Elbo terms = VAE::forward(batch, noise);
    if (is_training() && ++calls > first_fault) terms.reconstruction = terms.reconstruction * std::nan("");
    return terms;
  }
  int calls = 0;
  int first_fault = 0;
};

TEST(Trainer, LeavesOutUpdatesThatAreNotFiniteAndGivesUpAfterTooMany) {
  const auto dataset = clusters();
  const auto model = std::make_shared<Faulty>(VaeOptions{.n_input = dataset->nb_genes(), .n_hidden = 8}, 1);
  model->first_fault = 3;
  auto options = small_minibatches();
  options.max_nans = 2;
  UnsupervisedTrainer trainer(model, dataset, options, warmup(1));
  try {
    trainer.train({.n_epochs = 5});
    FAIL();
  } catch (const NumericError& error) {
    EXPECT_NE(std::string(error.what()).find("2 minibatches in a row"), std::string::npos);
  }
  for (const auto& [name, tensor] : named_state(*model)) {
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
  }
}

TEST(Trainer, ComputesMetricsOfSetsOfAnySizeAtTheFrequencyAskedFor) {
  const auto dataset = clusters();
  auto options = small_minibatches();
  options.split.train_size = std::int64_t{200};
  options.split.test_size = SplitSize(std::int64_t{2});
  options.frequency = 2;
  options.metrics_to_monitor = {"elbo", "reconstruction_error"};
  UnsupervisedTrainer trainer(model_for(*dataset), dataset, options, warmup(1));
  trainer.train({.n_epochs = 5});
  for (const char* series :
       {"elbo_train_set", "elbo_test_set", "elbo_validation_set", "reconstruction_error_test_set"}) {
    // Epochs 0, 2, 4 and the last.
    EXPECT_EQ(trainer.history().values(series).size(), 4U) << series;
  }
  options.benchmark = true;
  UnsupervisedTrainer silent(model_for(*dataset), dataset, options, warmup(1));
  silent.train({.n_epochs = 2});
  EXPECT_TRUE(silent.history().values("elbo_train_set").empty());
}

TEST(Trainer, TrainsOnCorruptedCountsWhenTold) {
  auto dataset = std::make_shared<GeneExpressionDataset>(*clusters());
  auto options = small_minibatches();
  options.corrupted = true;
  UnsupervisedTrainer without(model_for(*dataset), dataset, options, warmup(1));
  EXPECT_THROW(without.train({.n_epochs = 1}), InputError);
  dataset->corrupt({.rate = 1, .corruption = Corruption::binomial, .seed = 1});
  UnsupervisedTrainer corrupted(model_for(*dataset), dataset, options, warmup(1));
  corrupted.train({.n_epochs = 1});
  options.corrupted = false;
  UnsupervisedTrainer intact(model_for(*dataset), dataset, options, warmup(1));
  intact.train({.n_epochs = 1});
  EXPECT_LT(*corrupted.history().last("train_loss"), *intact.history().last("train_loss"));
}

TEST(UnsupervisedLoss, IsScaledByTheNumberOfCellsUnlessNormalised) {
  const Elbo terms{.reconstruction = at::tensor({1.0F, 3.0F}),
                   .kl_local = at::tensor({2.0F, 4.0F}),
                   .kl_global = at::scalar_tensor(8.0F)};
  EXPECT_NEAR(unsupervised_loss(terms, 0.5, 4, true).item<double>(), 3.5 + 2, 1e-6);
  EXPECT_NEAR(unsupervised_loss(terms, 0.5, 4, false).item<double>(), 14 + 8, 1e-6);
}

}  // namespace
}  // namespace scvi
