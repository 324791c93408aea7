#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "same_bits.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/training/trainer.hpp"
#include "testing.hpp"
#include "with_gpu.hpp"

namespace scvi {
namespace {

using DatasetPtr = std::shared_ptr<const GeneExpressionDataset>;
using testing::same_bits;

DatasetPtr clusters() {
  SyntheticDatasetCorrOptions options;
  options.n_cells_cluster = 100;
  options.n_genes_high = 20;
  options.n_batches = 3;
  options.batch_effect = 0.3;
  options.seed = 1;
  return std::make_shared<GeneExpressionDataset>(synthetic_dataset_corr(options).dataset);
}

std::shared_ptr<Model> model_for(const GeneExpressionDataset& dataset, c10::Device device,
                                 Dispersion dispersion = Dispersion::gene) {
  auto model = std::make_shared<VAE>(VaeOptions{.n_input = dataset.nb_genes(),
                                                .n_batch = dataset.n_batches(),
                                                .n_labels = dataset.n_labels(),
                                                .n_layers = 2,
                                                .dispersion = dispersion},
                                     3);
  model->to(device);
  return model;
}

TrainerOptions minibatches_of_128() {
  TrainerOptions options;
  options.split.train_size = 0.9;
  options.seed = 5;
  return options;
}

class TrainerOnGpu : public testing::WithGpu {
 protected:
  const DatasetPtr dataset_ = clusters();
};

TEST_F(TrainerOnGpu, TakesTheCourseOfTheCpuForEveryDispersion) {
  for (const Dispersion dispersion :
       {Dispersion::gene, Dispersion::gene_batch, Dispersion::gene_label, Dispersion::gene_cell}) {
    std::vector<std::vector<double>> losses;
    for (const c10::Device device : {c10::Device(c10::kCPU), gpu_}) {
      auto options = minibatches_of_128();
      options.frequency = 5;
      const auto model = model_for(*dataset_, device, dispersion);
      UnsupervisedTrainer trainer(model, dataset_, options);
      trainer.train({.n_epochs = 5});
      EXPECT_EQ(model->device(), device);
      losses.push_back(trainer.history().values("train_loss"));
      losses.back().push_back(*trainer.history().last("elbo_test_set"));
    }
    ASSERT_EQ(losses[1].size(), 6U);
    for (std::size_t i = 0; i < losses[0].size(); ++i) {
      EXPECT_NEAR(losses[0][i], losses[1][i], 1e-3 * std::abs(losses[0][i])) << i;
    }
  }
}

TEST_F(TrainerOnGpu, GivesTheSameBitsOnARepeatAndForAnyNumberOfThreads) {
  for (const Dispersion dispersion : {Dispersion::gene, Dispersion::gene_batch}) {
    const int before = settings().n_threads;
    std::vector<std::shared_ptr<Model>> models;
    std::vector<std::string> histories;
    for (const int threads : {1, 1, 7}) {
      settings().n_threads = threads;
      models.push_back(model_for(*dataset_, gpu_, dispersion));
      auto options = minibatches_of_128();
      options.frequency = 1;
      UnsupervisedTrainer trainer(models.back(), dataset_, options);
      trainer.train({.n_epochs = 10});
      histories.push_back(trainer.history().to_tsv());
    }
    settings().n_threads = before;
    for (std::size_t i = 1; i < models.size(); ++i) {
      EXPECT_TRUE(same_bits(*models[0], *models[i])) << i;
      EXPECT_EQ(histories[0], histories[i]) << i;
    }
  }
}

TEST_F(TrainerOnGpu, EndsBitIdenticalWhenResumedAndMayGoOnOnTheCpu) {
  const TrainOptions plan{.n_epochs = 4};
  const auto whole_model = model_for(*dataset_, gpu_);
  UnsupervisedTrainer whole(whole_model, dataset_, minibatches_of_128());
  whole.train(plan);

  const testing::TemporaryDirectory folder;
  UnsupervisedTrainer first(model_for(*dataset_, gpu_), dataset_, minibatches_of_128());
  TrainOptions interrupted = plan;
  interrupted.checkpoint_seconds = 0;
  interrupted.checkpoint = [&] {
    if (first.n_iter() != whole.n_iter() / 2) return;
    first.save_checkpoint(folder.path("checkpoint"));
    set_interrupt(true);
  };
  EXPECT_THROW(first.train(interrupted), Interrupted);
  set_interrupt(false);
  for (const c10::Device device : {gpu_, c10::Device(c10::kCPU)}) {
    const auto model = model_for(*dataset_, device);
    UnsupervisedTrainer second(model, dataset_, minibatches_of_128());
    second.load_checkpoint(folder.path("checkpoint"));
    second.train(plan);
    EXPECT_EQ(same_bits(*whole_model, *model), device.is_cuda());
    const double expected = *whole.history().last("train_loss");
    EXPECT_NEAR(*second.history().last("train_loss"), expected, 1e-3 * std::abs(expected));
  }
}

TEST_F(TrainerOnGpu, LeavesAModelThatCanBeMovedAndTrainedAgain) {
  const auto model = model_for(*dataset_, gpu_);
  for (const c10::Device device : {gpu_, c10::Device(c10::kCPU), gpu_}) {
    model->to(device);
    UnsupervisedTrainer trainer(model, dataset_, minibatches_of_128());
    trainer.train({.n_epochs = 2});
    EXPECT_TRUE(std::isfinite(*trainer.history().last("train_loss")));
  }
}

/// A model whose loss is not finite in its second step.
class Faulty : public VAE {
 public:
  using VAE::VAE;
  Elbo forward(const MiniBatch& batch, Noise& noise) override {
    Elbo terms = VAE::forward(batch, noise);
    if (is_training() && ++calls_ == 2) terms.reconstruction = terms.reconstruction * std::nan("");
    return terms;
  }

 private:
  int calls_ = 0;
};

TEST_F(TrainerOnGpu, LeavesOutAnUpdateThatIsNotFinite) {
  const auto model = std::make_shared<Faulty>(VaeOptions{.n_input = dataset_->nb_genes()}, 1);
  model->to(gpu_);
  UnsupervisedTrainer trainer(model, dataset_, minibatches_of_128());
  trainer.train({.n_epochs = 2});
  for (const auto& [name, tensor] : named_state(*model)) {
    EXPECT_TRUE(at::isfinite(tensor).all().item<bool>()) << name;
  }
  EXPECT_TRUE(std::isfinite(*trainer.history().last("train_loss")));
}

}  // namespace
}  // namespace scvi
