#include "scvi/training/adam.hpp"

#include <ATen/ATen.h>

#include <map>

#include "scvi/core/error.hpp"
#include "scvi/model/model.hpp"

namespace scvi {

Adam::Adam(std::vector<std::pair<std::string, at::Tensor>> parameters, const kernel::AdamSettings& settings)
    : settings_(settings) {
  for (auto& [name, parameter] : parameters) {
    parameter.mutable_grad().reset();
    slots_.push_back({.name = name, .parameter = parameter, .first_moment = {}, .second_moment = {}, .steps = 0});
  }
}

void Adam::zero_grad() {
  for (auto& slot : slots_) {
    if (slot.parameter.grad().defined()) slot.parameter.mutable_grad().zero_();
  }
}

void Adam::step() {
  at::NoGradGuard no_grad;
  for (auto& slot : slots_) {
    const at::Tensor& gradient = slot.parameter.grad();
    if (!gradient.defined()) continue;
    if (slot.steps == 0) {
      slot.first_moment = at::zeros_like(slot.parameter);
      slot.second_moment = at::zeros_like(slot.parameter);
    }
    ++slot.steps;
    kernel::adam_step(slot.parameter, gradient.contiguous(), slot.first_moment, slot.second_moment, slot.steps,
                      settings_);
  }
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
      return to_tensor(*stored->second).to(slot.parameter.options());
    };
    slot.first_moment = moment("first_moment/");
    slot.second_moment = moment("second_moment/");
    // A parameter that has had a gradient keeps one, zeroed, so that it is stepped from now on as before.
    slot.parameter.mutable_grad() = at::zeros_like(slot.parameter);
  }
}

}  // namespace scvi
