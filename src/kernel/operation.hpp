#pragma once

#include <ATen/ATen.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

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

/// The backward step of an operation.
/// @tparam Saved what it needs; given up after the pass
template <class Saved>
class BackwardStep : public torch::autograd::Node {
 public:
  std::string name() const override { return Saved::kName; }

  /// Saved::gradients(grads, wanted): a gradient for each input, undefined where wanted(i) does not hold.
  variable_list apply(variable_list&& grads) override {
    at::NoGradGuard no_grad;
    if (saved == nullptr) {
      throw std::logic_error(name() + ": the backward pass ran already, and what it needs is gone");
    }
    bool any = false;
    for (const at::Tensor& grad : grads) any = any || grad.defined();
    if (!any) return variable_list(num_outputs());
    return saved->gradients(grads, [this](std::size_t input) { return should_compute_output(input); });
  }

  void release_variables() override { saved.reset(); }

  std::unique_ptr<Saved> saved;
};

/// Makes `outputs` results of an operation with these inputs; undefined ones stand for those that it does not have.
/// @pre autograd::compute_requires_grad(inputs...)
template <class Saved, class... Inputs>
void connect(std::initializer_list<at::Tensor> outputs, std::unique_ptr<Saved> saved, const Inputs&... inputs) {
  const std::shared_ptr<BackwardStep<Saved>> step(new BackwardStep<Saved>, torch::autograd::deleteNode);
  step->set_next_edges(torch::autograd::collect_next_edges(inputs...));
  step->saved = std::move(saved);
  for (at::Tensor output : outputs) {
    if (output.defined()) torch::autograd::set_history(output, step);
  }
}

}  // namespace scvi::kernel
