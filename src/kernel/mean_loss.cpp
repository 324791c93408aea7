#include "scvi/kernel/mean_loss.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <utility>

#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

struct MeanLossSaved {
  static constexpr const char* kName = "MeanLoss";

  std::int64_t n = 0;
  double weight = 1;

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted& wanted) {
    const double share = static_cast<double>(*grads[0].data_ptr<float>()) / static_cast<double>(n);
    variable_list result(2);
    if (wanted(0)) result[0] = all(share);
    if (wanted(1)) result[1] = all(share * weight);
    return result;
  }

 private:
  at::Tensor all(double value) const {
    at::Tensor result = empty_floats({n});
    std::fill_n(result.data_ptr<float>(), n, static_cast<float>(value));
    return result;
  }
};

struct SumOfLossesSaved {
  static constexpr const char* kName = "SumOfLosses";

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted&) {
    return {grads[0], grads[0]};
  }
};

bool can_fuse(const at::Tensor& a, const at::Tensor& b) {
  const auto fits = [](const at::Tensor& tensor) { return tensor.dim() == 1 && is_plain_cpu_float(tensor); };
  return settings().kernel == KernelRoad::fused && fits(a) && fits(b) && a.sizes() == b.sizes();
}

at::Tensor mean_of_both(const at::Tensor& reconstruction, const at::Tensor& divergence, double weight) {
  const float* const first = reconstruction.data_ptr<float>();
  const float* const second = divergence.data_ptr<float>();
  double sum = 0;
  for (std::int64_t i = 0; i < reconstruction.numel(); ++i) {
    sum += static_cast<double>(first[i]) + weight * static_cast<double>(second[i]);
  }
  at::Tensor mean = empty_floats({});
  *mean.data_ptr<float>() = static_cast<float>(sum / static_cast<double>(reconstruction.numel()));
  return mean;
}

}  // namespace

at::Tensor mean_loss(const at::Tensor& reconstruction, const at::Tensor& divergence, double weight) {
  if (can_fuse(reconstruction, divergence)) {
    const at::Tensor mean = mean_of_both(reconstruction, divergence, weight);
    if (torch::autograd::compute_requires_grad(reconstruction, divergence)) {
      auto saved = std::make_unique<MeanLossSaved>();
      saved->n = reconstruction.numel();
      saved->weight = weight;
      connect({mean}, std::move(saved), reconstruction, divergence);
    }
    return mean;
  }
  return (reconstruction + weight * divergence).mean();
}

at::Tensor sum_of_losses(const at::Tensor& a, const at::Tensor& b) {
  if (!can_fuse(a, b)) return a + b;
  at::Tensor sum = empty_floats(a.sizes());
  std::transform(a.data_ptr<float>(), a.data_ptr<float>() + a.numel(), b.data_ptr<float>(), sum.data_ptr<float>(),
                 std::plus<>());
  if (torch::autograd::compute_requires_grad(a, b)) connect({sum}, std::make_unique<SumOfLossesSaved>(), a, b);
  return sum;
}

}  // namespace scvi::kernel
