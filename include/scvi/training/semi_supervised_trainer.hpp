#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "scvi/model/label_model.hpp"
#include "scvi/training/labelled_cells.hpp"
#include "scvi/training/trainer.hpp"

namespace scvi {

/// What the semi-supervised trainers add; scVI's names and defaults.
struct SemiSupervisedOptions {
  /// The labelled cells, positions in the data set, where they are not to be chosen.
  std::optional<std::vector<std::int64_t>> labelled_cells = {};
  /// Else so many of each class, chosen by choose_labelled_cells(). Unset: every cell that has a label.
  std::optional<std::int64_t> n_labelled_samples_per_class = 50;
  std::uint32_t seed = 0;                ///< of that choice
  std::int64_t n_epochs_classifier = 1;  ///< epochs of the classifier alone, on labelled cells, after each epoch
  double lr_classification = 5e-3;       ///< their learning rate
  double classification_ratio = 50;      ///< weight of the classification loss beside the bound; 0: none
  /// Show the model the labels of all cells, hidden ones too, and take the softmax of the classifier's probabilities
  /// once more, as scVI 0.6.3 does. Default: a cell that is not labelled is kHiddenLabel to the model, and the loss
  /// is the cross-entropy.
  bool reference_0_6_3 = false;
};

/// The mean cross-entropy of the labels of cells, nats. @pre every cell has a label
/// @param double_softmax of probabilities, as scVI 0.6.3 computes it
at::Tensor classification_loss(LabelModel& model, const MiniBatch& batch, Noise& noise, bool double_softmax = false);

/// Trains VAEC or SCANVI: the bound of all training cells plus the classification loss of the labelled ones among
/// them, in step (the labelled ones are repeated as an epoch needs), and after each epoch the classifier alone with
/// the rest of the model fixed.
///
/// Only cells of the training set are trained on, labelled or not; scVI trains on all. For that, make train_size 1.0.
class SemiSupervisedTrainer : public UnsupervisedTrainer {
 public:
  /// @throws InputError as the trainers before it, for a model that is no LabelModel, a data set with more labels
  /// than
  ///         the model knows, and fewer than three labelled training cells
  SemiSupervisedTrainer(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                        TrainerOptions options = {}, UnsupervisedTrainerOptions unsupervised = {},
                        SemiSupervisedOptions semi_supervised = {});

  const Posterior& labelled_set() const { return *labelled_set_; }      ///< of the training cells
  const Posterior& unlabelled_set() const { return *unlabelled_set_; }  ///< all other cells

  using Trainer::train_on;
  /// One update from a minibatch and this one of labelled cells, for hosts that drive the steps themselves.
  double train_on(const MiniBatch& batch, const MiniBatch& labelled, Noise& noise);

 protected:
  /// Whether the classification loss is part of each step.
  virtual bool is_joint() const { return true; }
  at::Tensor loss(const MiniBatch& batch, Noise& noise) override;
  void on_epoch_trained() override;
  std::string kind() const override { return "SemiSupervisedTrainer"; }
  std::string fingerprint() const override;

 private:
  LabelModel& label_model() const { return *label_model_; }
  /// The minibatch with hidden labels hidden.
  MiniBatch as_seen(const MiniBatch& batch) const;
  Epoch labelled_epoch(std::uint64_t number) const;
  const MiniBatch& labelled_minibatch();

  std::shared_ptr<const GeneExpressionDataset> dataset_;
  LabelModel* label_model_;
  SemiSupervisedOptions semi_supervised_;
  std::vector<std::int64_t> visible_labels_;  // of the cells of the data set
  std::unique_ptr<Posterior> labelled_set_;
  std::unique_ptr<Posterior> unlabelled_set_;
  std::optional<Epoch> labelled_;  // of epoch labelled_position_
  std::uint64_t labelled_position_ = 0;
  std::map<std::int64_t, MiniBatch> made_;  // of labelled_, by number
  const MiniBatch* given_ = nullptr;
};

/// SemiSupervisedTrainer without epochs of the classifier alone.
class JointSemiSupervisedTrainer : public SemiSupervisedTrainer {
 public:
  JointSemiSupervisedTrainer(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                             TrainerOptions options = {}, UnsupervisedTrainerOptions unsupervised = {},
                             SemiSupervisedOptions semi_supervised = {});

 protected:
  std::string kind() const override { return "JointSemiSupervisedTrainer"; }
};

/// SemiSupervisedTrainer that leaves the classification loss to the epochs of the classifier alone. Such an epoch
/// takes as many steps as the labelled cells fill minibatches: where that is one, a short training ends before the
/// classifier has learned anything, unless n_epochs_classifier is raised.
class AlternateSemiSupervisedTrainer : public SemiSupervisedTrainer {
 public:
  using SemiSupervisedTrainer::SemiSupervisedTrainer;

 protected:
  bool is_joint() const override { return false; }
  std::string kind() const override { return "AlternateSemiSupervisedTrainer"; }
};

}  // namespace scvi
