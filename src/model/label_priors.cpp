#include "label_priors.hpp"

#include <ATen/ATen.h>

#include <cmath>

#include "scvi/core/error.hpp"

namespace scvi {

at::Tensor label_prior(const std::vector<double>& y_prior, std::int64_t n_labels) {
  if (y_prior.empty()) return at::full({1, n_labels}, 1.0 / static_cast<double>(n_labels), at::kFloat);
  if (std::ssize(y_prior) != n_labels) {
    throw InputError({.problem = "holds " + std::to_string(y_prior.size()) + " numbers, but there are " +
                                 std::to_string(n_labels) + " labels",
                      .field = "y_prior"});
  }
  double sum = 0;
  for (const double probability : y_prior) {
    sum += probability;
    if (probability > 0 && std::isfinite(probability)) continue;
    throw InputError({.problem = "holds " + to_text(HyperparameterValue(probability)) +
                                 ", but every label needs a probability above 0",
                      .field = "y_prior"});
  }
  at::Tensor prior = at::empty({1, n_labels}, at::kFloat);
  for (std::int64_t label = 0; label < n_labels; ++label) prior[0][label] = y_prior[label] / sum;
  return prior;
}

void check_label_options(const VaeOptions& options, const std::string& model) {
  if (options.n_labels < 2) {
    throw InputError({.problem = "learns to tell labels apart, and there " +
                                 std::string(options.n_labels == 1 ? "is one" : "are none"),
                      .field = "model " + model,
                      .remedy = "name a column with two cell types or more with --labels-key"});
  }
  if (options.latent_distribution != LatentDistribution::normal) {
    throw InputError({.problem = "is ln, but model " + model + " has a normal one", .field = "latent_distribution"});
  }
}

std::vector<Hyperparameter> label_hyperparameters() {
  std::vector<Hyperparameter> result = VAE::spec().hyperparameters;
  std::erase_if(result, [](const auto& hyperparameter) { return hyperparameter.name == "latent_distribution"; });
  result.push_back({.name = "y_prior",
                    .default_value = std::string(),
                    .help = "prior probability of each label, e.g. 0.1,0.5,0.4; default: all alike"});
  return result;
}

}  // namespace scvi
