#include "scvi/kernel/adam.hpp"

#include <ATen/ATen.h>

#include <cmath>

#include "scvi/core/parallel.hpp"

namespace scvi::kernel {
namespace {

constexpr std::int64_t kAdamChunk = 32768;

bool is_plain_cpu_float(const at::Tensor& tensor) {
  return tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat && tensor.is_contiguous();
}

}  // namespace

void adam_step_aten(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment,
                    at::Tensor& second_moment, std::int64_t step, const AdamSettings& settings) {
  at::NoGradGuard no_grad;
  const at::Tensor g = settings.weight_decay == 0 ? gradient : gradient.add(parameter, settings.weight_decay);
  first_moment.mul_(settings.beta1).add_(g, 1 - settings.beta1);
  second_moment.mul_(settings.beta2).addcmul_(g, g, 1 - settings.beta2);
  const double correction1 = 1 - std::pow(settings.beta1, static_cast<double>(step));
  const double correction2 = 1 - std::pow(settings.beta2, static_cast<double>(step));
  const at::Tensor denominator = second_moment.sqrt().div_(std::sqrt(correction2)).add_(settings.eps);
  parameter.addcdiv_(first_moment, denominator, -settings.lr / correction1);
}

void adam_step(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment, at::Tensor& second_moment,
               std::int64_t step, const AdamSettings& settings) {
  if (!is_plain_cpu_float(parameter) || !is_plain_cpu_float(gradient) || !is_plain_cpu_float(first_moment) ||
      !is_plain_cpu_float(second_moment)) {
    adam_step_aten(parameter, gradient, first_moment, second_moment, step, settings);
    return;
  }
  const auto beta1 = static_cast<float>(settings.beta1);
  const auto beta2 = static_cast<float>(settings.beta2);
  const auto rest1 = static_cast<float>(1 - settings.beta1);
  const auto rest2 = static_cast<float>(1 - settings.beta2);
  const auto decay = static_cast<float>(settings.weight_decay);
  const auto eps = static_cast<float>(settings.eps);
  const double correction1 = 1 - std::pow(settings.beta1, static_cast<double>(step));
  const double correction2 = 1 - std::pow(settings.beta2, static_cast<double>(step));
  const auto root_scale = static_cast<float>(1 / std::sqrt(correction2));
  const auto rate = static_cast<float>(settings.lr / correction1);
  float* p = parameter.data_ptr<float>();
  const float* grad = gradient.data_ptr<float>();
  float* m = first_moment.data_ptr<float>();
  float* v = second_moment.data_ptr<float>();
  parallel_for(parameter.numel(), kAdamChunk, [=](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const float g = grad[i] + decay * p[i];
      m[i] = beta1 * m[i] + rest1 * g;
      v[i] = beta2 * v[i] + rest2 * g * g;
      p[i] -= rate * m[i] / (std::sqrt(v[i]) * root_scale + eps);
    }
  });
}

}  // namespace scvi::kernel
