#include "scvi/training/classifier_trainer.hpp"

#include <ATen/ATen.h>

#include <utility>

#include "scvi/training/semi_supervised_trainer.hpp"

namespace scvi {

ClassifierTrainer::ClassifierTrainer(std::shared_ptr<CellClassifier> model,
                                     std::shared_ptr<const GeneExpressionDataset> dataset, TrainerOptions options,
                                     bool reference_0_6_3)
    : Trainer(model, std::move(dataset), std::move(options)),
      classifier_(std::move(model)),
      reference_0_6_3_(reference_0_6_3) {}

at::Tensor ClassifierTrainer::loss(const MiniBatch& batch, Noise& noise) {
  const bool double_softmax = reference_0_6_3_ && !classifier_->classifier().options().logits;
  if (double_softmax) return classification_loss(*classifier_, batch, noise, double_softmax);
  return classifier_->forward(batch, noise).reconstruction.mean();
}

}  // namespace scvi
