#include "scvi/kernel/adam.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <vector>

#include "scvi/core/settings.hpp"
#include "scvi/kernel/fused_adam.hpp"

namespace scvi::kernel {
namespace {

/// Adam goes element by element: all it asks of the four is that they lie in memory alike, without gaps.
bool can_fuse(const AdamStep& step) {
  const at::Tensor& p = step.parameter;
  const auto alike = [&](const at::Tensor& tensor) {
    return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.sizes() == p.sizes() &&
           tensor.strides() == p.strides();
  };
  return settings().kernel == KernelRoad::fused && p.is_non_overlapping_and_dense() && alike(p) &&
         alike(step.gradient) && alike(step.first_moment) && alike(step.second_moment);
}

void step_op_by_op(const AdamStep& step, const AdamSettings& settings) {
  const at::Tensor& p = step.parameter;
  const at::Tensor g = settings.weight_decay == 0 ? step.gradient : step.gradient.add(p, settings.weight_decay);
  step.first_moment.mul_(settings.beta1).add_(g, 1 - settings.beta1);
  step.second_moment.mul_(settings.beta2).addcmul_(g, g, 1 - settings.beta2);
  const double correction1 = 1 - std::pow(settings.beta1, static_cast<double>(step.number));
  const double correction2 = 1 - std::pow(settings.beta2, static_cast<double>(step.number));
  const at::Tensor denominator = step.second_moment.sqrt().div_(std::sqrt(correction2)).add_(settings.eps);
  p.addcdiv_(step.first_moment, denominator, -settings.lr / correction1);
}

}  // namespace

void adam_steps(std::span<const AdamStep> steps, const AdamSettings& settings) {
  at::NoGradGuard no_grad;
  std::map<std::int64_t, std::vector<AdamBuffer<float>>> fused;  // by the number of the step
  for (const AdamStep& step : steps) {
    if (!can_fuse(step)) {
      step_op_by_op(step, settings);
      continue;
    }
    fused[step.number].push_back({.parameter = step.parameter.data_ptr<float>(),
                                  .gradient = step.gradient.data_ptr<float>(),
                                  .first_moment = step.first_moment.data_ptr<float>(),
                                  .second_moment = step.second_moment.data_ptr<float>(),
                                  .size = step.parameter.numel()});
  }
  for (const auto& [number, buffers] : fused) fused_adam(buffers, number, settings);
}

}  // namespace scvi::kernel
