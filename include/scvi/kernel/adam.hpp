#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace scvi::kernel {

/// Settings of the reference's Adam: eps is added after the bias-corrected root, weight decay is added to the
/// gradient.
struct AdamSettings {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 0.01;
  double weight_decay = 1e-6;
};

/// One step of Adam on one parameter, in place (Kingma and Ba 2015, algorithm 1).
/// @param step number of this step, counted from 1
void adam_step(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment, at::Tensor& second_moment,
               std::int64_t step, const AdamSettings& settings);

/// The same in plain ATen operations, for every device and type.
void adam_step_aten(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment,
                    at::Tensor& second_moment, std::int64_t step, const AdamSettings& settings);

}  // namespace scvi::kernel
