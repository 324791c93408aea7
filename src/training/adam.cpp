#include "scvi/training/adam.hpp"

#include <ATen/ATen.h>

#include <cmath>
#include <map>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/model/model.hpp"

namespace scvi {

Adam::Adam(const std::vector<std::pair<std::string, at::Tensor>>& parameters, const kernel::AdamSettings& settings)
    : settings_(settings) {
  for (const auto& [name, parameter] : parameters) {
    parameter.mutable_grad().reset();
    slots_.push_back({.name = name,
                      .parameter = parameter,
                      .first_moment = {},
                      .second_moment = {},
                      .steps = 0,
                      .no_gradient = {}});
  }
}

void Adam::zero_grad() {
  for (auto& slot : slots_) slot.parameter.mutable_grad().reset();
}

bool Adam::gradients_are_finite(const kernel::FiniteGradients& seen) const {
  at::NoGradGuard no_grad;
  std::vector<at::Tensor> sums;
  for (const Slot& slot : slots_) {
    const at::Tensor& gradient = slot.parameter.grad();
    if (!gradient.defined()) continue;
    if (gradient.is_cuda()) {
      sums.push_back(gradient.sum());
    } else if (!seen.all_finite(gradient)) {
      return false;
    }
  }
  // A GPU is waited for once, not once for each parameter.
  return sums.empty() || std::isfinite(at::stack(sums).sum().item<double>());
}

void Adam::step() {
  at::NoGradGuard no_grad;
  std::vector<kernel::AdamStep> steps;
  for (auto& slot : slots_) {
    at::Tensor gradient = slot.parameter.grad();
    if (!gradient.defined()) {
      if (slot.steps == 0) continue;
      if (!slot.no_gradient.defined()) slot.no_gradient = at::zeros_like(slot.parameter);
      gradient = slot.no_gradient;
    }
    if (slot.steps == 0) {
      slot.first_moment = at::zeros_like(slot.parameter);
      slot.second_moment = at::zeros_like(slot.parameter);
    }
    ++slot.steps;
    steps.push_back({slot.parameter, gradient, slot.first_moment, slot.second_moment, slot.steps});
  }
  kernel::adam_steps(steps, settings_);
}

std::vector<io::NamedTensor> Adam::state() const {
  std::vector<io::NamedTensor> state;
  for (const auto& slot : slots_) {
    if (slot.steps == 0) continue;
    state.push_back(to_named_tensor("first_moment/" + slot.name, slot.first_moment));
    state.push_back(to_named_tensor("second_moment/" + slot.name, slot.second_moment));
    state.push_back(to_named_tensor("steps/" + slot.name, at::tensor(slot.steps, at::kLong)));
  }
  return state;
}

void Adam::restore(std::span<const io::NamedTensor> state, const std::string& source) {
  std::map<std::string, const io::NamedTensor*> given;
  for (const auto& tensor : state) given[tensor.name] = &tensor;
  for (auto& slot : slots_) {
    const auto found = given.find("steps/" + slot.name);
    if (found == given.end()) continue;
    slot.steps = to_tensor(*found->second).item<std::int64_t>();
    const auto moment = [&](const std::string& kind) {
      const auto stored = given.find(kind + slot.name);
      if (stored == given.end() || at::IntArrayRef(stored->second->shape) != slot.parameter.sizes()) {
        throw FormatError({.problem = "is missing or has another shape than its parameter",
                           .file = source,
                           .field = kind + slot.name});
      }
      // Like the parameter in memory, too.
      at::Tensor moment = at::empty_like(slot.parameter).requires_grad_(false);
      at::NoGradGuard no_grad;
      moment.copy_(to_tensor(*stored->second));
      return moment;
    };
    slot.first_moment = moment("first_moment/");
    slot.second_moment = moment("second_moment/");
  }
}

}  // namespace scvi
