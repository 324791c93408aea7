#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "scvi/training/trainer.hpp"

namespace scvi {

/// Adapts the z and l encoders of a trained model to other cells, the decoder staying as it is: scVI's
/// AdapterTrainer. Several paths start from the encoders that the model came with.
class AdapterTrainer : public UnsupervisedTrainer {
 public:
  /// @param options the test set (explicit_split, or split) is where the bound is looked at
  /// @throws InputError as UnsupervisedTrainer, for a model without encoders of these names, and for a test set
  /// without
  ///         cells
  AdapterTrainer(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                 TrainerOptions options = {.frequency = 5}, UnsupervisedTrainerOptions unsupervised = {});

  /// Trains n_path times, each time from the first encoders. The model ends with the encoders of the last path.
  /// @return the smallest elbo of the test set (nats per cell) that any path came to see
  double train_paths(std::int64_t n_path = 10, const TrainOptions& options = {.n_epochs = 50});

 protected:
  std::vector<std::pair<std::string, at::Tensor>> trained_parameters() const override;
  std::string kind() const override { return "AdapterTrainer"; }

 private:
  std::vector<io::NamedTensor> first_state_;
};

}  // namespace scvi
