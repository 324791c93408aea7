#include "scvi/kernel/linear.hpp"

#include <ATen/ATen.h>

#include <memory>
#include <utility>

#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/finite_gradients.hpp"
#include "scvi/kernel/matrix_product.hpp"

namespace scvi::kernel {
namespace {

bool can_fuse(const at::Tensor& tensor) {
  return settings().kernel == KernelRoad::fused && tensor.device().is_cpu() && tensor.scalar_type() == at::kFloat;
}

/// out = a b + bias. @param bias undefined for none
void product_out(at::Tensor& out, const at::Tensor& a, const at::Tensor& b, const at::Tensor& bias) {
  at::NoGradGuard no_grad;
  const bool has_bias = bias.defined();
  if (can_fuse(a) && can_fuse(b) && can_fuse(out) && (!has_bias || (can_fuse(bias) && bias.is_contiguous()))) {
    const bool finite = matrix_product(view_of<const float>(a), view_of<const float>(b),
                                       has_bias ? bias.data_ptr<float>() : nullptr, view_of<float>(out));
    if (finite) FiniteGradients::note(out);
  } else if (has_bias) {
    at::addmm_out(out, bias, a, b);
  } else {
    at::mm_out(out, a, b);
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
  at::Tensor result = at::empty({a.size(0), b.size(1)}, a.options().requires_grad(false));
  product_out(result, a, b, {});
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
    product_out(rows, as_rows(x), weight.t(), bias);
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
