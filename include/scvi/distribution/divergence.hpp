#pragma once

#include <ATen/core/Tensor.h>

#include "scvi/kernel/noise.hpp"

namespace scvi {

/// log density of Normal(mean, variance) at x, element by element.
at::Tensor normal_log_prob(const at::Tensor& x, const at::Tensor& mean, const at::Tensor& variance);

/// KL(Normal(q_mean, q_variance) || Normal(p_mean, p_variance)) in nats, element by element.
at::Tensor kl_normal(const at::Tensor& q_mean, const at::Tensor& q_variance, const at::Tensor& p_mean,
                     const at::Tensor& p_variance);

/// The same against the standard normal.
at::Tensor kl_standard_normal(const at::Tensor& q_mean, const at::Tensor& q_variance);

/// KL between categorical distributions along the last dimension: (..., k) and (..., k) give (...). Probabilities are
/// normalised first; a term with q = 0 counts as 0 (the conventions of torch.distributions, which scVI uses).
at::Tensor kl_categorical(const at::Tensor& q, const at::Tensor& p);

/// KL(Beta(q_alpha, q_beta) || Beta(p_alpha, p_beta)), element by element.
at::Tensor kl_beta(const at::Tensor& q_alpha, const at::Tensor& q_beta, const at::Tensor& p_alpha,
                   const at::Tensor& p_beta);

/// A draw of Gamma(concentration, rate 1) that is differentiable in the concentration, by implicit differentiation:
/// d sample / d concentration = -(dF/da) / density (Figurnov et al. 2018).
at::Tensor gamma_sample(const at::Tensor& concentration, std::string_view name, Noise& noise);

/// d sample / d concentration of a Gamma draw with that value.
at::Tensor gamma_sample_gradient(const at::Tensor& concentration, const at::Tensor& sample);

}  // namespace scvi
