#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/loader/data_loader.hpp"
#include "scvi/loader/split.hpp"
#include "scvi/model/model.hpp"
#include "scvi/posterior/metrics.hpp"
#include "scvi/posterior/posterior.hpp"
#include "scvi/training/adam.hpp"
#include "scvi/training/buffer_backup.hpp"
#include "scvi/training/early_stopping.hpp"
#include "scvi/training/history.hpp"

namespace scvi {

/// How a model is trained; scVI's names and defaults.
struct TrainerOptions {
  SplitOptions split = {};                   ///< which cells train, test, validate
  std::optional<Split> explicit_split = {};  ///< used instead of `split` where given
  std::int64_t batch_size = 128;
  double weight_decay = 1e-6;
  std::uint64_t seed = 0;  ///< of the order of cells and of every draw
  /// Metrics (posterior/metrics.hpp) computed on each set every `frequency` epochs.
  std::vector<std::string> metrics_to_monitor = {"elbo"};
  std::int64_t frequency = 0;  ///< 0: never, unless early stopping needs them
  bool benchmark = false;      ///< no metrics and no early stopping: nothing but training
  EarlyStoppingOptions early_stopping = {};
  /// Consecutive minibatches whose loss or gradient is not finite before training is given up. Their updates are left
  /// out, so that the weights stay usable.
  std::int64_t max_nans = 10;
  bool corrupted = false;  ///< train on the corrupted counts
  /// Minibatches that a worker thread makes ahead while a step runs; no worker where settings() allow one thread
  /// only. Never changes a result.
  std::int64_t prefetch = 2;
  /// Leave out minibatches of fewer than three cells, as scVI 0.6.3 does. Default: they join the one before.
  bool reference_0_6_3 = false;
};

/// One call of train().
struct TrainOptions {
  std::int64_t n_epochs = 400;
  double lr = 1e-3;
  double eps = 0.01;  ///< of Adam
  Progress* progress = nullptr;
  /// Called about every `checkpoint_seconds` and when the user interrupts; saves the trainer where the caller likes.
  std::function<void()> checkpoint = {};
  double checkpoint_seconds = 600;
};

/// Trains a model on a data set. Results depend on the options alone: the same bits for any number of threads, and
/// for a run that was interrupted and resumed.
///
/// Where the counts are on disk, training shuffles within windows (WindowedSampler with CountStore::windows()), and
/// the cells of each set of the split are in ascending order.
class Trainer {
 public:
  /// @throws InputError for options that cannot work, e.g. fewer than three training cells (batch norm needs them)
  Trainer(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset, TrainerOptions options);
  virtual ~Trainer() = default;
  Trainer(const Trainer&) = delete;
  Trainer& operator=(const Trainer&) = delete;

  /// Trains with a new optimizer from epoch 0 of this call, or, right after load_checkpoint(), goes on where that
  /// left off. The model ends in evaluation mode.
  /// @throws Interrupted after the running minibatch when the user asks to stop (`checkpoint` has been called then)
  /// @throws NumericError when the loss stays not finite
  void train(const TrainOptions& options = {});

  const Posterior& train_set() const { return *train_set_; }
  const Posterior& test_set() const { return *test_set_; }
  const Posterior& validation_set() const { return *validation_set_; }
  const Split& split() const { return split_; }
  const History& history() const { return history_; }
  const TrainerOptions& options() const { return options_; }
  Model& model() const { return *model_; }
  /// Epochs finished in this call of train().
  std::int64_t epoch() const { return progress_.epoch; }
  /// Minibatches trained on in all calls.
  std::int64_t n_iter() const { return progress_.n_iter; }
  /// The epoch whose weights the best state holds; -1 without one.
  std::int64_t best_epoch() const { return best_epoch_; }
  /// Seconds spent in training steps.
  double training_seconds() const { return training_seconds_; }

  // For hosts that drive the steps themselves, such as the parity tool.
  /// What train() does before its first epoch.
  void begin(const TrainOptions& options);
  void set_epoch(std::int64_t epoch) { progress_.epoch = epoch; }
  /// One update from one minibatch. @return the loss, computed with the weights before the update
  double train_on(const MiniBatch& batch, Noise& noise);
  /// The weight of the local KL divergence in the next step.
  virtual double kl_weight() const { return 1; }

  /// Saves everything that train() needs to go on, as a folder that appears whole or not at all.
  void save_checkpoint(const std::string& path) const;
  /// @throws FormatError for a damaged checkpoint, InputError for one of another model, data set or other options
  void load_checkpoint(const std::string& path);

 protected:
  /// The loss of one minibatch, a scalar that can be differentiated.
  virtual at::Tensor loss(const MiniBatch& batch, Noise& noise) = 0;
  /// Short name in checkpoints.
  virtual std::string kind() const = 0;
  /// Options of the descendant that a resumed run must share, as text.
  virtual std::string fingerprint() const { return {}; }
  /// The parameters that are trained, by name: by default all that take a gradient.
  virtual std::vector<std::pair<std::string, at::Tensor>> trained_parameters() const;
  virtual void on_training_begin(const TrainOptions&) {}
  /// After the minibatches of an epoch and before its metrics: further training. No checkpoint is made in it.
  virtual void on_epoch_trained() {}
  virtual void on_training_end() {}

  const GeneExpressionDataset& dataset() const { return *dataset_; }
  std::int64_t n_epochs() const { return train_options_.n_epochs; }
  /// The running epoch, with calls of train() kept apart in the upper half: where draws and samplers stand.
  std::uint64_t position() const {
    return (static_cast<std::uint64_t>(progress_.call) << 32) + static_cast<std::uint64_t>(progress_.epoch);
  }
  /// The running minibatch within the epoch.
  std::int64_t minibatch() const { return progress_.minibatch; }

 private:
  /// Where training stands.
  struct Position {
    std::int64_t epoch = 0;      ///< finished epochs, which is the number of the running one
    std::int64_t minibatch = 0;  ///< finished minibatches of the running epoch; on_epoch_trained() counts as one more
    std::int64_t n_iter = 0;
    std::int64_t call = 0;  ///< calls of train() before this one
    std::int64_t nan_counter = 0;
    double loss_sum = 0;  ///< over the cells of the running epoch
    std::int64_t cells_seen = 0;
  };

  std::unique_ptr<Posterior> make_posterior(const std::vector<std::int64_t>& cells, const std::string& name) const;
  void make_early_stopping();
  std::shared_ptr<const Sampler> training_sampler() const;
  DataLoader training_loader() const;
  const MiniBatch* next_minibatch(MiniBatchStream& stream);
  void run_epoch();
  /// @return whether to go on
  bool finish_epoch();
  /// Computes and records the metrics after so many epochs. When interrupted it records nothing, saves a checkpoint
  /// that computes them again, and throws.
  void compute_metrics(std::int64_t epoch);
  void compute_metrics_of(Posterior& posterior, std::int64_t epoch,
                          std::vector<std::pair<std::string, double>>& found);
  void handle_non_finite(const MiniBatch& batch, double loss);
  std::string first_non_finite_cell(const MiniBatch& batch) const;
  void report(double seconds, std::int64_t n_minibatches);
  void maybe_checkpoint();
  std::string full_fingerprint() const;

  std::shared_ptr<Model> model_;
  std::shared_ptr<const GeneExpressionDataset> dataset_;
  TrainerOptions options_;
  Split split_;
  std::unique_ptr<Posterior> train_set_;
  std::unique_ptr<Posterior> test_set_;
  std::unique_ptr<Posterior> validation_set_;
  TrainOptions train_options_;
  std::unique_ptr<Adam> optimizer_;
  BufferBackup buffers_;
  EarlyStopping early_stopping_;
  History history_;
  Position progress_;
  std::vector<io::NamedTensor> best_state_;
  std::int64_t best_epoch_ = -1;
  double training_seconds_ = 0;
  double last_checkpoint_ = 0;
  bool resumed_ = false;
};

/// What the unsupervised trainer adds.
struct UnsupervisedTrainerOptions {
  /// Epochs over which the weight of the KL divergence of z rises linearly from 0 to 1; unset: see the next.
  std::optional<std::int64_t> n_epochs_kl_warmup = 400;
  /// The same in minibatches, used where the number of epochs is unset; both unset: weight 1 from the start.
  std::optional<std::int64_t> n_iter_kl_warmup = {};
  /// Divide the loss by the number of training cells; unset: as the model wants it.
  std::optional<bool> normalize_loss = {};
};

/// The loss of the unsupervised trainer, a scalar: n_train * mean(reconstruction + kl_weight * kl_local) + kl_global,
/// divided by n_train where it is normalised.
at::Tensor unsupervised_loss(const Elbo& terms, double kl_weight, double n_train, bool normalize);

/// Trains an auto-encoder on counts alone, with unsupervised_loss().
class UnsupervisedTrainer : public Trainer {
 public:
  UnsupervisedTrainer(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                      TrainerOptions options = {}, UnsupervisedTrainerOptions unsupervised = {});

  double kl_weight() const override;

 protected:
  at::Tensor loss(const MiniBatch& batch, Noise& noise) override;
  std::string kind() const override { return "UnsupervisedTrainer"; }
  std::string fingerprint() const override;
  void on_training_begin(const TrainOptions& options) override;
  void on_training_end() override;

 private:
  UnsupervisedTrainerOptions unsupervised_;
};

}  // namespace scvi
