#include "scvi/distribution/count.hpp"

#include <ATen/ATen.h>

#include <vector>

namespace scvi {
namespace {

constexpr double kLargestPoissonRate = 1e8;

/// lgamma(x + theta) - lgamma(theta) - lgamma(x + 1)
at::Tensor log_binomial_coefficient(const at::Tensor& x, const at::Tensor& theta) {
  return at::lgamma(x + theta) - at::lgamma(theta) - at::lgamma(x + 1);
}

}  // namespace

at::Tensor NegativeBinomial::log_prob(const at::Tensor& x) const {
  const at::Tensor log_theta_mu = at::log(theta + mu + kCountEps);
  return theta * (at::log(theta + kCountEps) - log_theta_mu) + x * (at::log(mu + kCountEps) - log_theta_mu) +
         log_binomial_coefficient(x, theta);
}

at::Tensor NegativeBinomial::sample(Noise& noise) const {
  const auto both = at::broadcast_tensors({theta, mu});
  const at::Tensor gamma = noise.standard_gamma("gamma", both[0].contiguous()) * both[1] / both[0];
  return noise.poisson("poisson", gamma.clamp_max(kLargestPoissonRate));
}

at::Tensor ZeroInflatedNegativeBinomial::log_prob(const at::Tensor& x) const {
  const at::Tensor softplus_pi = at::softplus(-zi_logits);
  const at::Tensor log_theta_mu = at::log(theta + mu + kCountEps);
  const at::Tensor log_zero_of_nb = -zi_logits + theta * (at::log(theta + kCountEps) - log_theta_mu);
  const at::Tensor if_zero = at::softplus(log_zero_of_nb) - softplus_pi;
  const at::Tensor if_positive = -softplus_pi + log_zero_of_nb + x * (at::log(mu + kCountEps) - log_theta_mu) +
                                 log_binomial_coefficient(x, theta);
  return at::where(x < kCountEps, if_zero, if_positive);
}

at::Tensor ZeroInflatedNegativeBinomial::sample(Noise& noise) const {
  const at::Tensor counts = NegativeBinomial{mu, theta}.sample(noise);
  const at::Tensor extra_zero = at::sigmoid(zi_logits).expand_as(counts);
  const at::Tensor draw = noise.uniform("uniform_zero", counts.sizes(), counts.options());
  return at::where(draw <= extra_zero, at::zeros_like(counts), counts);
}

at::Tensor Poisson::log_prob(const at::Tensor& x) const {
  return at::xlogy(x, rate) - rate - at::lgamma(x + 1);
}

at::Tensor Poisson::sample(Noise& noise) const {
  return noise.poisson("poisson", rate);
}

at::Tensor NegativeBinomialMixture::log_prob(const at::Tensor& x) const {
  const at::Tensor& theta_of_2 = theta_2.defined() ? theta_2 : theta_1;
  const at::Tensor log_nb_1 = NegativeBinomial{mu_1, theta_1}.log_prob(x);
  const at::Tensor log_nb_2 = NegativeBinomial{mu_2, theta_of_2}.log_prob(x);
  return at::logaddexp(log_nb_1, log_nb_2 - pi_logits) - at::softplus(-pi_logits);
}

}  // namespace scvi
