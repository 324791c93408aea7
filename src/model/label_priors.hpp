#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "scvi/model/vae.hpp"

namespace scvi {

/// (1, n_labels) the prior probability of each label; all alike where none are given.
/// @throws InputError for another number of them, or one that is not above 0
at::Tensor label_prior(const std::vector<double>& y_prior, std::int64_t n_labels);

/// Refuses options that leave a model nothing to tell apart. @throws InputError
/// @param model its name in messages
void check_label_options(const VaeOptions& options, const std::string& model);

/// The hyperparameters of VAE that models with labels share, and "y_prior".
std::vector<Hyperparameter> label_hyperparameters();

}  // namespace scvi
