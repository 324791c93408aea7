#include "scvi/distribution/divergence.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace scvi {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

/// Attaches the implicit gradient to a value that was drawn elsewhere.
struct GammaSample : public torch::autograd::Function<GammaSample> {
  static Variable forward(AutogradContext* context, const Variable& concentration, const Variable& value) {
    context->save_for_backward({concentration, value});
    return value.clone();
  }
  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const auto saved = context->get_saved_variables();
    return {grads[0] * gamma_sample_gradient(saved[0], saved[1]), Variable()};
  }
};

/// Normalised probabilities, and their logarithms after clamping away 0 and 1.
struct Probabilities {
  explicit Probabilities(const at::Tensor& weights) : value(weights / weights.sum(-1, true)) {
    const double eps = value.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                                          : std::numeric_limits<float>::epsilon();
    logarithm = at::log(value.clamp(eps, 1 - eps));
  }
  at::Tensor value;
  at::Tensor logarithm;
};

}  // namespace

at::Tensor normal_log_prob(const at::Tensor& x, const at::Tensor& mean, const at::Tensor& variance) {
  const double half_log_two_pi = 0.5 * std::log(2 * std::numbers::pi);
  return -(x - mean).square() / (2 * variance) - 0.5 * at::log(variance) - half_log_two_pi;
}

at::Tensor kl_normal(const at::Tensor& q_mean, const at::Tensor& q_variance, const at::Tensor& p_mean,
                     const at::Tensor& p_variance) {
  const at::Tensor ratio = q_variance / p_variance;
  return 0.5 * (ratio + (q_mean - p_mean).square() / p_variance - 1 - at::log(ratio));
}

at::Tensor kl_standard_normal(const at::Tensor& q_mean, const at::Tensor& q_variance) {
  return 0.5 * (q_variance + q_mean.square() - 1 - at::log(q_variance));
}

at::Tensor kl_categorical(const at::Tensor& q, const at::Tensor& p) {
  const Probabilities of_q(q);
  const Probabilities of_p(p);
  const at::Tensor terms = of_q.value * (of_q.logarithm - of_p.logarithm);
  const at::Tensor infinite = at::full_like(terms, std::numeric_limits<double>::infinity());
  const at::Tensor where_p_allows = at::where((of_p.value == 0).expand_as(terms), infinite, terms);
  return at::where((of_q.value == 0).expand_as(terms), at::zeros_like(terms), where_p_allows).sum(-1);
}

at::Tensor kl_beta(const at::Tensor& q_alpha, const at::Tensor& q_beta, const at::Tensor& p_alpha,
                   const at::Tensor& p_beta) {
  const at::Tensor q_sum = q_alpha + q_beta;
  const at::Tensor p_sum = p_alpha + p_beta;
  const at::Tensor log_normalizers = at::lgamma(q_sum) + at::lgamma(p_alpha) + at::lgamma(p_beta) -
                                     (at::lgamma(p_sum) + at::lgamma(q_alpha) + at::lgamma(q_beta));
  return log_normalizers + (q_alpha - p_alpha) * at::digamma(q_alpha) + (q_beta - p_beta) * at::digamma(q_beta) +
         (p_sum - q_sum) * at::digamma(q_sum);
}

at::Tensor gamma_sample(const at::Tensor& concentration, std::string_view name, Noise& noise) {
  const double smallest = std::numeric_limits<float>::min();
  return GammaSample::apply(concentration, noise.standard_gamma(name, concentration).clamp_min(smallest));
}

at::Tensor gamma_sample_gradient(const at::Tensor& concentration, const at::Tensor& sample) {
  return at::_standard_gamma_grad(concentration, sample);
}

}  // namespace scvi
