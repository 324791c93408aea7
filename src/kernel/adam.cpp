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

/// Of a matrix as it lies in memory; 0 for other tensors.
std::int64_t row_length(const at::Tensor& parameter) {
  if (parameter.dim() != 2) return 0;
  return parameter.stride(0) == 1 ? parameter.size(0) : parameter.size(1);
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

/// The same on a GPU, where launching an operation costs more than doing it: one for all tensors at a time.
void step_together(const std::vector<AdamStep>& steps, const AdamSettings& settings) {
  std::vector<at::Tensor> parameters, gradients, first_moments, second_moments;
  for (const AdamStep& step : steps) {
    const at::Tensor& p = step.parameter;
    parameters.push_back(p);
    // Tensors that lie in memory alike are what LibTorch takes together.
    gradients.push_back(step.gradient.strides() == p.strides() ? step.gradient
                                                               : at::empty_like(p).copy_(step.gradient));
    first_moments.push_back(step.first_moment);
    second_moments.push_back(step.second_moment);
  }
  if (settings.weight_decay != 0) gradients = at::_foreach_add(gradients, parameters, settings.weight_decay);
  at::_foreach_mul_(first_moments, settings.beta1);
  at::_foreach_add_(first_moments, gradients, 1 - settings.beta1);
  at::_foreach_mul_(second_moments, settings.beta2);
  at::_foreach_addcmul_(second_moments, gradients, gradients, 1 - settings.beta2);
  const auto number = static_cast<double>(steps.front().number);
  const double correction1 = 1 - std::pow(settings.beta1, number);
  const double correction2 = 1 - std::pow(settings.beta2, number);
  std::vector<at::Tensor> denominators = at::_foreach_sqrt(second_moments);
  at::_foreach_div_(denominators, std::sqrt(correction2));
  at::_foreach_add_(denominators, settings.eps);
  at::_foreach_addcdiv_(parameters, first_moments, denominators, -settings.lr / correction1);
}

}  // namespace

void adam_steps(std::span<const AdamStep> steps, const AdamSettings& settings) {
  at::NoGradGuard no_grad;
  std::map<std::int64_t, std::vector<AdamBuffer<float>>> fused;  // by the number of the step
  std::map<std::int64_t, std::vector<AdamStep>> on_gpu;
  for (const AdamStep& step : steps) {
    if (step.parameter.is_cuda()) {
      on_gpu[step.number].push_back(step);
      continue;
    }
    if (!can_fuse(step)) {
      step_op_by_op(step, settings);
      continue;
    }
    fused[step.number].push_back({.parameter = step.parameter.data_ptr<float>(),
                                  .gradient = step.gradient.data_ptr<float>(),
                                  .first_moment = step.first_moment.data_ptr<float>(),
                                  .second_moment = step.second_moment.data_ptr<float>(),
                                  .size = step.parameter.numel(),
                                  .row_length = row_length(step.parameter)});
  }
  for (const auto& [number, buffers] : fused) fused_adam(buffers, number, settings);
  for (const auto& [number, together] : on_gpu) step_together(together, settings);
}

}  // namespace scvi::kernel
