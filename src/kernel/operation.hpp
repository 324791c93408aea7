#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/variable.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

// Operations with a gradient of their own, as steps of LibTorch's backward pass. torch::autograd::Function would do,
// too, but keeps what it needs in maps and wraps every tensor: at a few hundred genes that takes as long as a kernel.
namespace scvi::kernel {

using torch::autograd::variable_list;

/// A tensor that the backward pass reads; get() sees to it that nobody has written to it in between.
class Kept {
 public:
  Kept() = default;
  explicit Kept(at::Tensor tensor) : tensor_(std::move(tensor)) {
    if (tensor_.defined()) version_ = tensor_._version();
  }

  /// @throws std::logic_error if it was changed
  const at::Tensor& get() const {
    if (tensor_.defined() && tensor_._version() != version_) {
      throw std::logic_error("a tensor that the backward pass needs was changed in place after the forward pass");
    }
    return tensor_;
  }

 private:
  at::Tensor tensor_;
  std::int64_t version_ = 0;
};

/// Whether gradients of this input can go straight to it: a parameter that nobody listens to. The engine's own way to
/// it, a node for each parameter, takes as long as a small kernel.
inline bool takes_gradients(const at::Tensor& input) {
  return input.defined() && input.requires_grad() && input.is_leaf() && torch::autograd::impl::hooks(input).empty();
}

/// What LibTorch's AccumulateGrad does. @param gradient undefined for none
inline void add_gradient(const at::Tensor& parameter, const at::Tensor& gradient) {
  if (!gradient.defined()) return;
  at::Tensor& sum = parameter.mutable_grad();
  if (sum.defined()) {
    sum.add_(gradient);
  } else if (gradient.use_count() == 1 && gradient.strides() == parameter.strides()) {
    sum = gradient.is_view() ? gradient.detach() : gradient;
  } else {
    sum = at::empty_like(parameter).copy_(gradient);
  }
}

/// A backward step of ours, which others may run in the engine's place.
class OperationStep : public torch::autograd::Node {
 public:
  variable_list apply(variable_list&& grads) override = 0;
  /// The same, but for gradients that no other step waits for. @return whether there are some left
  virtual bool apply_first(variable_list&& grads, variable_list& passed) {
    passed = apply(std::move(grads));
    return false;
  }
  /// What apply_first() left.
  virtual void apply_rest() {}
  /// Makes what steps share, before several threads run them.
  virtual void make_ready() {}
};

/// The backward step of an operation.
/// @tparam Saved what it needs; given up after the pass
template <class Saved>
class BackwardStep : public OperationStep {
 public:
  std::string name() const override { return Saved::kName; }

  void add_input(const at::Tensor& input) {
    const bool is_parameter = takes_gradients(input);
    parameters_.push_back(is_parameter ? input : at::Tensor());
    const bool goes_on = !is_parameter && input.defined() && input.requires_grad();
    add_next_edge(goes_on ? torch::autograd::impl::gradient_edge(input) : torch::autograd::Edge());
  }

  /// Saved::gradients(grads, wanted): a gradient for each input, undefined where wanted(i) does not hold.
  variable_list apply(variable_list&& grads) override {
    at::NoGradGuard no_grad;
    if (!has_work(grads)) return variable_list(num_outputs());
    variable_list result = saved->gradients(grads, wanted());
    give_to_parameters(result);
    return result;
  }

  bool apply_first(variable_list&& grads, variable_list& passed) override {
    if constexpr (requires { saved->add_late_gradients(wanted(), passed); }) {
      at::NoGradGuard no_grad;
      const bool any = has_work(grads);
      passed = any ? saved->passed_gradients(grads, wanted()) : variable_list(num_outputs());
      give_to_parameters(passed);
      return any;
    } else {
      return OperationStep::apply_first(std::move(grads), passed);
    }
  }

  void apply_rest() override {
    if constexpr (requires(variable_list result) { saved->add_late_gradients(wanted(), result); }) {
      at::NoGradGuard no_grad;
      variable_list result(num_outputs());
      saved->add_late_gradients(wanted(), result);
      give_to_parameters(result);
    }
  }

  void release_variables() override { saved.reset(); }

  void make_ready() override {
    if constexpr (requires { saved->make_ready(); }) {
      if (saved != nullptr) saved->make_ready();
    }
  }

  std::unique_ptr<Saved> saved;

 private:
  /// @throws std::logic_error if the pass ran already
  bool has_work(const variable_list& grads) const {
    if (saved == nullptr) {
      throw std::logic_error(name() + ": the backward pass ran already, and what it needs is gone");
    }
    return std::any_of(grads.begin(), grads.end(), [](const at::Tensor& grad) { return grad.defined(); });
  }

  auto wanted() const {
    return [this](std::size_t input) { return parameters_[input].defined() || should_compute_output(input); };
  }

  void give_to_parameters(variable_list& gradients) const {
    for (std::size_t i = 0; i < parameters_.size(); ++i) {
      if (parameters_[i].defined()) add_gradient(parameters_[i], std::exchange(gradients[i], {}));
    }
  }

  variable_list parameters_;  ///< the inputs that are
};

/// Makes `outputs` results of an operation with these inputs; undefined ones stand for those that it does not have.
/// Gradients of parameters appear in their grad() by backward(); torch::autograd::grad() does not find them.
/// @pre autograd::compute_requires_grad(inputs...)
template <class Saved, class... Inputs>
void connect(std::initializer_list<at::Tensor> outputs, std::unique_ptr<Saved> saved, const Inputs&... inputs) {
  const std::shared_ptr<BackwardStep<Saved>> step(new BackwardStep<Saved>, torch::autograd::deleteNode);
  (step->add_input(inputs), ...);
  step->saved = std::move(saved);
  for (at::Tensor output : outputs) {
    if (output.defined()) torch::autograd::set_history(output, step);
  }
}

}  // namespace scvi::kernel
