#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "scvi/io/torch_archive.hpp"
#include "scvi/kernel/adam.hpp"
#include "scvi/kernel/finite_gradients.hpp"

namespace scvi {

/// Adam as the reference uses it. A parameter is first stepped when it first has a gradient; from then on always,
/// with a gradient of 0 where it has none.
class Adam {
 public:
  Adam(const std::vector<std::pair<std::string, at::Tensor>>& parameters, const kernel::AdamSettings& settings);

  /// Removes the gradients, so that the next ones need not be added to anything.
  void zero_grad();
  /// Whether those that are there hold neither NaN nor infinity.
  bool gradients_are_finite(const kernel::FiniteGradients& seen) const;
  void step();
  double lr() const { return settings_.lr; }
  void set_lr(double lr) { settings_.lr = lr; }

  /// Moments and step counts by name, for checkpoints.
  std::vector<io::NamedTensor> state() const;
  /// @throws FormatError when the state is not that of these parameters
  void restore(std::span<const io::NamedTensor> state, const std::string& source);

 private:
  struct Slot {
    std::string name;
    at::Tensor parameter;
    at::Tensor first_moment;  // undefined until the first step
    at::Tensor second_moment;
    std::int64_t steps = 0;
    at::Tensor no_gradient;  // zeros, once needed
  };

  std::vector<Slot> slots_;
  kernel::AdamSettings settings_;
};

}  // namespace scvi
