#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "scvi/kernel/adam_settings.hpp"

namespace scvi::kernel {

/// One step of Adam on one parameter, in place (Kingma and Ba 2015, algorithm 1).
/// @param step number of this step, counted from 1
void adam_step(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment, at::Tensor& second_moment,
               std::int64_t step, const AdamSettings& settings);

/// The same in plain ATen operations, for every device and type.
void adam_step_aten(at::Tensor& parameter, const at::Tensor& gradient, at::Tensor& first_moment,
                    at::Tensor& second_moment, std::int64_t step, const AdamSettings& settings);

}  // namespace scvi::kernel
