#include "scvi/kernel/mean_loss.hpp"

#include <ATen/ATen.h>

#include <algorithm>
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
  const auto fits = [](const at::Tensor& tensor) { return tensor.dim() == 1 && is_plain_cpu_float(tensor); };
  if (settings().kernel == KernelRoad::fused && fits(reconstruction) && fits(divergence) &&
      reconstruction.sizes() == divergence.sizes()) {
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

}  // namespace scvi::kernel
