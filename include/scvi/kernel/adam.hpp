#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>

#include "scvi/kernel/adam_settings.hpp"

namespace scvi::kernel {

/// One parameter in one step of Adam; all four tensors are of one shape.
struct AdamStep {
  at::Tensor parameter;
  at::Tensor gradient;
  at::Tensor first_moment;
  at::Tensor second_moment;
  std::int64_t number = 1;  ///< of this step, counted from 1
};

/// Steps of Adam, in place (Kingma and Ba 2015, algorithm 1, with AdamSettings). float32 on the CPU takes the fused
/// road, all parameters together; the rest plain operations of LibTorch.
void adam_steps(std::span<const AdamStep> steps, const AdamSettings& settings);

}  // namespace scvi::kernel
