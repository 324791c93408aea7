#include "scvi/training/adapter_trainer.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <utility>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

constexpr const char* kWatched = "elbo";

bool of_encoder(const std::string& name) {
  return name.starts_with("z_encoder.") || name.starts_with("l_encoder.");
}

TrainerOptions watching(TrainerOptions options) {
  options.metrics_to_monitor = {kWatched};
  options.frequency = std::max<std::int64_t>(options.frequency, 1);
  return options;
}

}  // namespace

AdapterTrainer::AdapterTrainer(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                               TrainerOptions options, UnsupervisedTrainerOptions unsupervised)
    : UnsupervisedTrainer(std::move(model), std::move(dataset), watching(std::move(options)), unsupervised),
      first_state_(state_dict(this->model())) {
  if (AdapterTrainer::trained_parameters().empty()) {
    throw InputError({.problem = "has no encoders to adapt", .field = "model " + this->model().name()});
  }
  if (test_set().nb_cells() == 0) throw InputError({.problem = "has no cells", .field = "the test set"});
}

std::vector<std::pair<std::string, at::Tensor>> AdapterTrainer::trained_parameters() const {
  auto parameters = UnsupervisedTrainer::trained_parameters();
  std::erase_if(parameters, [](const auto& parameter) { return !of_encoder(parameter.first); });
  return parameters;
}

double AdapterTrainer::train_paths(std::int64_t n_path, const TrainOptions& options) {
  if (n_path < 1) throw InputError({.problem = "must be at least 1", .field = "n_path"});
  double smallest = std::numeric_limits<double>::infinity();
  for (std::int64_t path = 0; path < n_path; ++path) {
    // Batch norm of the decoder moves in training too, and would carry one path over to the next.
    load_state_dict(model(), first_state_, "the model before it was adapted");
    train(options);
    for (const double elbo : history().values(std::string(kWatched) + "_test_set")) {
      smallest = std::min(smallest, elbo);
    }
  }
  return smallest;
}

}  // namespace scvi
