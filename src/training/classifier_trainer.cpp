#include "scvi/training/classifier_trainer.hpp"

#include <ATen/ATen.h>

#include <utility>
#include <vector>

#include "scvi/training/labelled_cells.hpp"
#include "scvi/training/semi_supervised_trainer.hpp"

namespace scvi {

ClassifierTrainer::ClassifierTrainer(std::shared_ptr<CellClassifier> model,
                                     std::shared_ptr<const GeneExpressionDataset> dataset, TrainerOptions options,
                                     bool reference_0_6_3)
    : Trainer(model, std::move(dataset), std::move(options)),
      classifier_(std::move(model)),
      reference_0_6_3_(reference_0_6_3) {
  const GeneExpressionDataset& cells = Trainer::dataset();
  std::vector<std::int64_t> labelled;
  for (const std::int64_t cell : split().train) {
    if (cells.labels()[cell] >= 0) labelled.push_back(cell);
  }
  check_labelled_cells(labelled, cells, classifier_->shape().n_labels);
}

std::string ClassifierTrainer::fingerprint() const {
  if (!classifier_->sampling_model()) return {};
  // Added up in main memory, whose order of addition a GPU does not share.
  double sum = 0;
  for (const auto& [name, values] : named_state(*classifier_->sampling_model())) {
    sum += values.cpu().sum(at::kDouble).item<double>();
  }
  return "on a latent space whose weights sum to " + to_text(HyperparameterValue(sum));
}

at::Tensor ClassifierTrainer::loss(const MiniBatch& batch, Noise& noise) {
  const bool double_softmax = reference_0_6_3_ && !classifier_->classifier().options().logits;
  if (double_softmax) return classification_loss(*classifier_, batch, noise, double_softmax);
  return classifier_->forward(batch, noise).reconstruction.mean();
}

}  // namespace scvi
