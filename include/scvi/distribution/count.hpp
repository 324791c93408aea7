#pragma once

#include <ATen/core/Tensor.h>

#include <string_view>

#include "scvi/kernel/noise.hpp"

namespace scvi {

/// The small number that keeps logarithms finite in all count likelihoods, as in the reference.
inline constexpr double kCountEps = 1e-8;

/// Negative binomial by mean and inverse dispersion: variance mu + mu^2 / theta. All log-probabilities are natural
/// logarithms, element by element, and differentiable in every parameter; parameters broadcast.
struct NegativeBinomial {
  at::Tensor mu;     ///< mean, >= 0
  at::Tensor theta;  ///< inverse dispersion, > 0

  /// log p(x); scVI's `log_nb_positive`.
  at::Tensor log_prob(const at::Tensor& x) const;
  /// Counts, drawn as Poisson(Gamma(theta, rate theta / mu)) with the Poisson rate capped at 1e8. Draws "gamma" and
  /// "poisson" of `noise`. Shape: mu and theta broadcast.
  at::Tensor sample(Noise& noise) const;
};

/// Negative binomial that is zero by other causes with probability sigmoid(zi_logits).
struct ZeroInflatedNegativeBinomial {
  at::Tensor mu;
  at::Tensor theta;
  at::Tensor zi_logits;  ///< logit of the probability of an extra zero

  /// log p(x); scVI's `log_zinb_positive`.
  at::Tensor log_prob(const at::Tensor& x) const;
  /// As for the negative binomial, then zeroed where "uniform_zero" <= sigmoid(zi_logits).
  at::Tensor sample(Noise& noise) const;
};

struct Poisson {
  at::Tensor rate;

  /// log p(x) = x log(rate) - rate - lgamma(x + 1).
  at::Tensor log_prob(const at::Tensor& x) const;
  /// Draws "poisson" of `noise`.
  at::Tensor sample(Noise& noise) const;
};

/// Mixture of two negative binomials, component 1 with probability sigmoid(pi_logits); scVI's `log_mixture_nb`
/// (totalVI: component 1 is the background).
struct NegativeBinomialMixture {
  at::Tensor mu_1;
  at::Tensor mu_2;
  at::Tensor theta_1;
  at::Tensor theta_2;  ///< undefined: both components share theta_1
  at::Tensor pi_logits;

  at::Tensor log_prob(const at::Tensor& x) const;
};

}  // namespace scvi
