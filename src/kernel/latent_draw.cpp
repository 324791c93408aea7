#include "scvi/kernel/latent_draw.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <utility>

#include "plain_cpu.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/latent_sample.hpp"
#include "scvi/kernel/linear.hpp"
#include "scvi/kernel/sparse_linear.hpp"

namespace scvi::kernel {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

const float* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

/// What the backward pass needs beside the tensors that autograd keeps.
struct DrawState : public torch::CustomClassHolder {
  LatentHeads heads;
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
};

at::Tensor head(const at::Tensor& hidden, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor result = at::empty({hidden.size(0), weight.size(0)}, hidden.options().requires_grad(false));
  pooled_linear_out(result, hidden, weight, bias);
  return result;
}

at::Tensor bias_gradient(const at::Tensor& gradient) {
  at::Tensor sums = at::empty({gradient.size(1)}, gradient.options());
  column_sums(gradient.data_ptr<float>(), gradient.size(0), gradient.size(1), gradient.size(1),
              sums.data_ptr<float>());
  return sums;
}

struct LatentDrawFunction : public torch::autograd::Function<LatentDrawFunction> {
  static tensor_list forward(AutogradContext* context, const Variable& hidden, const Variable& mean_weight,
                             const Variable& mean_bias, const Variable& variance_weight,
                             const Variable& variance_bias, c10::intrusive_ptr<DrawState> state) {
    context->save_for_backward({hidden, mean_weight, mean_bias, variance_weight, variance_bias});
    state->mean = head(hidden, state->heads.mean_weight, state->heads.mean_bias);
    state->raw_variance = head(hidden, state->heads.variance_weight, state->heads.variance_bias);
    const at::Tensor variance = at::empty_like(state->mean);
    const at::Tensor z = at::empty_like(state->mean);
    const at::Tensor kl = at::empty({z.size(0)}, z.options());
    latent_sample(state->sample(), variance.data_ptr<float>(), z.data_ptr<float>(), kl.data_ptr<float>());
    context->saved_data["state"] = c10::IValue::make_capsule(std::move(state));
    return {z, kl};
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    at::NoGradGuard no_grad;
    const auto saved = context->get_saved_variables();
    const auto state = c10::static_intrusive_pointer_cast<DrawState>(context->saved_data["state"].toCapsule());
    const at::Tensor dz = grads[0].defined() ? grads[0].contiguous() : at::Tensor();
    const at::Tensor dkl = grads[1].defined() ? grads[1].contiguous() : at::Tensor();
    const at::Tensor by_mean = at::empty_like(state->mean);
    const at::Tensor by_variance = at::empty_like(state->mean);
    latent_sample_backward(state->sample(), data_or_null(dz), data_or_null(dkl), by_mean.data_ptr<float>(),
                           by_variance.data_ptr<float>());
    tensor_list result(6);
    const auto pass = [&](const at::Tensor& gradient, std::size_t weight, const at::Tensor& matrix) {
      if (context->needs_input_grad(weight)) result[weight] = pooled_matmul(gradient.t(), saved[0]);
      if (context->needs_input_grad(weight + 1)) result[weight + 1] = bias_gradient(gradient);
      if (!context->needs_input_grad(0)) return;
      const at::Tensor part = pooled_matmul(gradient, matrix);
      result[0] = result[0].defined() ? result[0].add_(part) : part;
    };
    pass(by_mean, 1, state->heads.mean_weight);
    pass(by_variance, 3, state->heads.variance_weight);
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
  auto state = c10::make_intrusive<DrawState>();
  // In the state the parameters themselves would be a cycle through the graph; only their memory is needed.
  state->heads = {.mean_weight = heads.mean_weight.detach(),
                  .mean_bias = heads.mean_bias.detach(),
                  .variance_weight = heads.variance_weight.detach(),
                  .variance_bias = heads.variance_bias.detach(),
                  .variance_floor = heads.variance_floor,
                  .prior_mean = heads.prior_mean,
                  .prior_variance = heads.prior_variance};
  state->noise = noise;
  const auto outputs = LatentDrawFunction::apply(hidden, heads.mean_weight, heads.mean_bias, heads.variance_weight,
                                                 heads.variance_bias, std::move(state));
  return {outputs[0], outputs[1]};
}

}  // namespace scvi::kernel
