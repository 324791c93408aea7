#include "scvi/kernel/linear.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "scvi/core/settings.hpp"
#include "scvi/kernel/finite_gradients.hpp"
#include "scvi/kernel/matrix_product.hpp"

namespace scvi::kernel {
namespace {

bool can_fuse(const at::Tensor& tensor) {
  return settings().kernel == KernelRoad::fused && tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat;
}

template <class T>
MatrixView<T> view_of(const at::Tensor& matrix) {
  return {matrix.data_ptr<float>(), matrix.size(0), matrix.size(1), matrix.stride(0), matrix.stride(1)};
}

bool can_fuse(const PooledProduct& product) {
  return can_fuse(product.out) && can_fuse(product.b) &&
         (!product.bias.defined() || (can_fuse(product.bias) && product.bias.is_contiguous()));
}

void product_op_by_op(const at::Tensor& a, PooledProduct& product) {
  if (product.bias.defined()) {
    at::addmm_out(product.out, product.bias, a, product.b);
  } else {
    at::mm_out(product.out, a, product.b);
  }
}

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

struct LinearFunction : public torch::autograd::Function<LinearFunction> {
  /// @param bias (out), or no numbers at all: autograd takes no undefined tensors
  static Variable forward(AutogradContext* context, const Variable& x, const Variable& weight, const Variable& bias) {
    context->save_for_backward({x, weight});
    context->saved_data["has_bias"] = bias.numel() > 0;
    const at::Tensor rows = x.reshape({-1, x.size(-1)});
    at::Tensor y = at::empty({rows.size(0), weight.size(0)}, rows.options().requires_grad(false));
    pooled_linear_out(y, rows, weight, bias.numel() > 0 ? bias : at::Tensor());
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    return y.view(shape);
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    const auto saved = context->get_saved_variables();
    const at::Tensor x = saved[0].reshape({-1, saved[0].size(-1)});
    const at::Tensor grad = grads[0].reshape({-1, grads[0].size(-1)});
    tensor_list result(3);
    if (context->needs_input_grad(0)) result[0] = pooled_matmul(grad, saved[1]).view(saved[0].sizes());
    if (context->needs_input_grad(1)) result[1] = pooled_matmul(grad.t(), x);
    if (context->saved_data["has_bias"].toBool() && context->needs_input_grad(2)) result[2] = grad.sum(0);
    return result;
  }
};

}  // namespace

at::Tensor pooled_matmul(const at::Tensor& a, const at::Tensor& b) {
  at::NoGradGuard no_grad;
  at::Tensor result = at::empty({a.size(0), b.size(1)}, a.options());
  pooled_matmul_out(result, a, b);
  return result;
}

void pooled_matmul_out(at::Tensor& result, const at::Tensor& a, const at::Tensor& b) {
  pooled_products(a, {{.out = result, .b = b, .bias = {}}});
}

void pooled_linear_out(at::Tensor& out, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  pooled_products(x, {{.out = out, .b = weight.t(), .bias = bias}});
}

void pooled_products(const at::Tensor& a, std::vector<PooledProduct> products) {
  at::NoGradGuard no_grad;
  const auto fused = [](const PooledProduct& product) { return can_fuse(product); };
  if (!can_fuse(a) || !std::all_of(products.begin(), products.end(), fused)) {
    for (PooledProduct& product : products) product_op_by_op(a, product);
    return;
  }
  std::vector<ProductWith> with;
  for (const PooledProduct& product : products) {
    with.push_back({.b = view_of<const float>(product.b),
                    .bias = product.bias.defined() ? product.bias.data_ptr<float>() : nullptr,
                    .out = view_of<float>(product.out)});
  }
  matrix_products(view_of<const float>(a), with);
  for (std::size_t i = 0; i < with.size(); ++i) {
    if (with[i].finite) FiniteGradients::note(products[i].out);
  }
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return LinearFunction::apply(x, weight, bias.defined() ? bias : at::empty({0}, weight.options()));
}

}  // namespace scvi::kernel
