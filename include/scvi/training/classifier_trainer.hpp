#pragma once

#include <memory>
#include <string>

#include "scvi/model/cell_classifier.hpp"
#include "scvi/training/trainer.hpp"

namespace scvi {

/// Trains a CellClassifier on the labels of the training cells, on counts or on the latent space of another model.
/// Every cell of the training set should have a label (split_by_label()); those with a hidden one teach nothing.
class ClassifierTrainer : public Trainer {
 public:
  /// Warns of labels with less than two training cells.
  /// @throws InputError as Trainer, and for fewer than three training cells with a label
  /// @param reference_0_6_3 take the softmax of probabilities once more before the cross-entropy, as scVI 0.6.3 does
  ///        unless the classifier gives logits
  ClassifierTrainer(std::shared_ptr<CellClassifier> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                    TrainerOptions options = {.metrics_to_monitor = {"accuracy"}}, bool reference_0_6_3 = false);

 protected:
  at::Tensor loss(const MiniBatch& batch, Noise& noise) override;
  std::string kind() const override { return "ClassifierTrainer"; }
  std::string fingerprint() const override;

 private:
  std::shared_ptr<CellClassifier> classifier_;
  bool reference_0_6_3_;
};

}  // namespace scvi
