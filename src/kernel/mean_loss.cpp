#include "scvi/kernel/mean_loss.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "plain_cpu.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

struct MeanLossFunction : public torch::autograd::Function<MeanLossFunction> {
  static Variable forward(AutogradContext* context, const Variable& reconstruction, const Variable& divergence,
                          double weight) {
    context->saved_data["n"] = reconstruction.numel();
    context->saved_data["weight"] = weight;
    const float* const first = reconstruction.data_ptr<float>();
    const float* const second = divergence.data_ptr<float>();
    double sum = 0;
    for (std::int64_t i = 0; i < reconstruction.numel(); ++i) {
      sum += static_cast<double>(first[i]) + weight * static_cast<double>(second[i]);
    }
    return at::full({}, sum / static_cast<double>(reconstruction.numel()),
                    reconstruction.options().requires_grad(false));
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const std::int64_t n = context->saved_data["n"].toInt();
    const double share = grads[0].item<double>() / static_cast<double>(n);
    return {at::full({n}, share, grads[0].options()),
            at::full({n}, share * context->saved_data["weight"].toDouble(), grads[0].options()),
            {}};
  }
};

}  // namespace

at::Tensor mean_loss(const at::Tensor& reconstruction, const at::Tensor& divergence, double weight) {
  const auto fits = [](const at::Tensor& tensor) { return tensor.dim() == 1 && is_plain_cpu_float(tensor); };
  if (settings().kernel == KernelRoad::fused && fits(reconstruction) && fits(divergence) &&
      reconstruction.sizes() == divergence.sizes()) {
    return MeanLossFunction::apply(reconstruction, divergence, weight);
  }
  return (reconstruction + weight * divergence).mean();
}

}  // namespace scvi::kernel
