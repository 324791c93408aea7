#include "scvi/kernel/latent_draw.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "plain_cpu.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/latent_sample.hpp"

namespace scvi::kernel {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

const float* data_or_null(const at::Tensor& tensor) {
  return tensor.numel() > 0 ? tensor.data_ptr<float>() : nullptr;
}

LatentSample<float> sample_of(const at::Tensor& mean, const at::Tensor& raw_variance, const at::Tensor& noise,
                              double variance_floor, const at::Tensor& prior_mean, const at::Tensor& prior_variance) {
  return {.n_rows = mean.size(0),
          .n_latent = mean.size(1),
          .mean = mean.data_ptr<float>(),
          .raw_variance = raw_variance.data_ptr<float>(),
          .noise = noise.data_ptr<float>(),
          .variance_floor = variance_floor,
          .prior_mean = data_or_null(prior_mean),
          .prior_variance = data_or_null(prior_variance)};
}

struct LatentDrawFunction : public torch::autograd::Function<LatentDrawFunction> {
  /// The prior of Normal(0, 1) comes as empty tensors.
  static tensor_list forward(AutogradContext* context, const Variable& mean, const Variable& raw_variance,
                             const Variable& noise, double variance_floor, const Variable& prior_mean,
                             const Variable& prior_variance) {
    context->save_for_backward({mean, raw_variance, noise, prior_mean, prior_variance});
    context->saved_data["variance_floor"] = variance_floor;
    const at::Tensor variance = at::empty_like(mean);
    const at::Tensor z = at::empty_like(mean);
    const at::Tensor kl = at::empty({mean.size(0)}, mean.options());
    latent_sample(sample_of(mean, raw_variance, noise, variance_floor, prior_mean, prior_variance),
                  variance.data_ptr<float>(), z.data_ptr<float>(), kl.data_ptr<float>());
    return {z, kl};
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const auto saved = context->get_saved_variables();
    tensor_list result(6);
    result[0] = at::empty_like(saved[0]);
    result[1] = at::empty_like(saved[1]);
    const at::Tensor dz = grads[0].defined() ? grads[0].contiguous() : at::Tensor();
    const at::Tensor dkl = grads[1].defined() ? grads[1].contiguous() : at::Tensor();
    latent_sample_backward(
        sample_of(saved[0], saved[1], saved[2], context->saved_data["variance_floor"].toDouble(), saved[3], saved[4]),
        dz.defined() ? dz.data_ptr<float>() : nullptr, dkl.defined() ? dkl.data_ptr<float>() : nullptr,
        result[0].data_ptr<float>(), result[1].data_ptr<float>());
    return result;
  }
};

}  // namespace

bool can_fuse_latent_draw(const at::Tensor& mean, const at::Tensor& raw_variance, const at::Tensor& prior_mean,
                          const at::Tensor& prior_variance) {
  const auto fits = [](const at::Tensor& prior) { return !prior.defined() || is_plain_cpu_float(prior); };
  return settings().kernel == KernelRoad::fused && mean.dim() == 2 && is_plain_cpu_float(mean) &&
         is_plain_cpu_float(raw_variance) && fits(prior_mean) && fits(prior_variance);
}

LatentDraw latent_draw(const at::Tensor& mean, const at::Tensor& raw_variance, const at::Tensor& noise,
                       double variance_floor, const at::Tensor& prior_mean, const at::Tensor& prior_variance) {
  const at::Tensor none = at::empty({0}, mean.options().requires_grad(false));
  const auto given = [&](const at::Tensor& prior) { return prior.defined() ? prior : none; };
  const auto outputs =
      LatentDrawFunction::apply(mean, raw_variance, noise, variance_floor, given(prior_mean), given(prior_variance));
  return {outputs[0], outputs[1]};
}

}  // namespace scvi::kernel
