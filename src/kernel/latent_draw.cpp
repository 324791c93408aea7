#include "scvi/kernel/latent_draw.hpp"

#include <ATen/ATen.h>

#include <memory>
#include <utility>
#include <vector>

#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/latent_sample.hpp"
#include "scvi/kernel/linear.hpp"
#include "scvi/kernel/sparse_linear.hpp"

namespace scvi::kernel {
namespace {

const float* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

at::Tensor bias_gradient(const at::Tensor& gradient) {
  at::Tensor sums = at::empty({gradient.size(1)}, gradient.options());
  column_sums(gradient.data_ptr<float>(), gradient.size(0), gradient.size(1), gradient.size(1),
              sums.data_ptr<float>());
  return sums;
}

/// In the order of the inputs: hidden, weight and bias of the mean, weight and bias of the variance.
struct LatentDrawSaved {
  static constexpr const char* kName = "LatentDraw";

  LatentHeads heads;
  Kept hidden, mean_weight, variance_weight;
  at::Tensor mean;          ///< (cells, n_latent)
  at::Tensor raw_variance;  ///< the same
  at::Tensor noise;

  LatentSample<float> sample() const {
    return {.n_rows = mean.size(0),
            .n_latent = mean.size(1),
            .mean = mean.data_ptr<float>(),
            .raw_variance = raw_variance.data_ptr<float>(),
            .noise = noise.data_ptr<float>(),
            .variance_floor = heads.variance_floor,
            .prior_mean = data_or_null(heads.prior_mean),
            .prior_variance = data_or_null(heads.prior_variance)};
  }

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted& wanted) {
    const at::Tensor dz = grads[0].defined() ? grads[0].contiguous() : at::Tensor();
    const at::Tensor dkl = grads[1].defined() ? grads[1].contiguous() : at::Tensor();
    const at::Tensor by_mean = at::empty_like(mean);
    const at::Tensor by_variance = at::empty_like(mean);
    latent_sample_backward(sample(), data_or_null(dz), data_or_null(dkl), by_mean.data_ptr<float>(),
                           by_variance.data_ptr<float>());
    variable_list result(5);
    const auto pass = [&](const at::Tensor& gradient, std::size_t weight, const at::Tensor& matrix) {
      if (wanted(weight)) result[weight] = pooled_matmul(gradient.t(), hidden.get());
      if (wanted(weight + 1)) result[weight + 1] = bias_gradient(gradient);
      if (!wanted(0)) return;
      const at::Tensor part = pooled_matmul(gradient, matrix);
      result[0] = result[0].defined() ? result[0].add_(part) : part;
    };
    pass(by_mean, 1, mean_weight.get());
    pass(by_variance, 3, variance_weight.get());
    return result;
  }
};

}  // namespace

bool can_fuse(const at::Tensor& hidden, const LatentHeads& heads) {
  const auto fits = [](const at::Tensor& prior) { return !prior.defined() || is_plain_cpu_float(prior); };
  return settings().kernel == KernelRoad::fused && hidden.dim() == 2 && is_plain_cpu_float(hidden) &&
         is_plain_cpu_float(heads.mean_weight) && is_plain_cpu_float(heads.mean_bias) &&
         is_plain_cpu_float(heads.variance_weight) && is_plain_cpu_float(heads.variance_bias) &&
         fits(heads.prior_mean) && fits(heads.prior_variance);
}

LatentDraw latent_draw(const at::Tensor& hidden, const LatentHeads& heads, const at::Tensor& noise) {
  const bool differentiable = torch::autograd::compute_requires_grad(hidden, heads.mean_weight, heads.mean_bias,
                                                                     heads.variance_weight, heads.variance_bias);
  auto saved = std::make_unique<LatentDrawSaved>();
  LatentDraw draw;
  {
    at::NoGradGuard no_grad;
    saved->heads = heads;
    saved->noise = noise;
    const at::TensorOptions options = hidden.options().requires_grad(false);
    saved->mean = at::empty({hidden.size(0), heads.mean_weight.size(0)}, options);
    saved->raw_variance = at::empty_like(saved->mean);
    pooled_products(hidden, {{saved->mean, heads.mean_weight.t(), heads.mean_bias},
                             {saved->raw_variance, heads.variance_weight.t(), heads.variance_bias}});
    const at::Tensor variance = at::empty_like(saved->mean);
    draw.z = at::empty_like(saved->mean);
    draw.kl = at::empty({hidden.size(0)}, options);
    latent_sample(saved->sample(), variance.data_ptr<float>(), draw.z.data_ptr<float>(), draw.kl.data_ptr<float>());
  }
  if (!differentiable) return draw;
  saved->hidden = Kept(hidden);
  saved->mean_weight = Kept(heads.mean_weight);
  saved->variance_weight = Kept(heads.variance_weight);
  connect({draw.z, draw.kl}, std::move(saved), hidden, heads.mean_weight, heads.mean_bias, heads.variance_weight,
          heads.variance_bias);
  return draw;
}

}  // namespace scvi::kernel
