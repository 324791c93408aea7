#include "scvi/kernel/linear.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "operation.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/finite_gradients.hpp"
#include "scvi/kernel/matrix_product.hpp"
#include "scvi/kernel/sampled_product.hpp"

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

at::Tensor as_rows(const at::Tensor& x) {
  return x.reshape({-1, x.size(-1)});
}

/// In the order of the inputs: x, weight, bias.
struct LinearSaved {
  static constexpr const char* kName = "Linear";

  Kept x, weight;

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted& wanted) {
    const at::Tensor grad = as_rows(grads[0]);
    variable_list result(3);
    if (wanted(0)) result[0] = pooled_matmul(grad, weight.get()).view(x.get().sizes());
    if (wanted(1)) result[1] = pooled_matmul(grad.t(), as_rows(x.get()));
    if (wanted(2)) result[2] = grad.sum(0);
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

at::Tensor pooled_sampled_product(const at::Tensor& mask,
                                  const std::vector<std::pair<at::Tensor, at::Tensor>>& pairs) {
  at::NoGradGuard no_grad;
  at::Tensor result = at::empty(mask.sizes(), mask.options().requires_grad(false));
  std::vector<Factors> factors;
  for (const auto& [a, b] : pairs) factors.push_back({view_of<const float>(a), view_of<const float>(b)});
  sampled_product(view_of<const float>(mask), factors, view_of<float>(result));
  return result;
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  at::Tensor y;
  {
    at::NoGradGuard no_grad;
    auto shape = x.sizes().vec();
    shape.back() = weight.size(0);
    y = at::empty(shape, x.options().requires_grad(false));
    at::Tensor rows = as_rows(y);
    pooled_linear_out(rows, as_rows(x), weight, bias);
  }
  if (torch::autograd::compute_requires_grad(x, weight, bias)) {
    auto saved = std::make_unique<LinearSaved>();
    saved->x = Kept(x);
    saved->weight = Kept(weight);
    connect({y}, std::move(saved), x, weight, bias);
  }
  return y;
}

}  // namespace scvi::kernel
