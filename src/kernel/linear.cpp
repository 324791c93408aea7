#include "scvi/kernel/linear.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <cstdint>

#include "scvi/core/parallel.hpp"
#include "scvi/kernel/threads.hpp"

namespace scvi::kernel {
namespace {

/// Below this many multiplications a product is not worth sharing out.
constexpr std::int64_t kWorkPerPiece = 1 << 20;
constexpr std::int64_t kMostPieces = 16;

/// Length of the pieces that a side of `length` is cut into; a function of the sizes alone.
std::int64_t piece_length(std::int64_t length, std::int64_t work) {
  const std::int64_t pieces = std::clamp<std::int64_t>(work / kWorkPerPiece, 1, kMostPieces);
  const std::int64_t even = (length + pieces - 1) / pieces;
  return std::max<std::int64_t>(16, (even + 15) / 16 * 16);
}

/// Calls multiply(part of result, rows of a, columns of b, first column, number of columns) for fixed pieces of a
/// product, shared out to the pool.
template <class Multiply>
void in_pieces(at::Tensor& result, const at::Tensor& a, const at::Tensor& b, const Multiply& multiply) {
  use_own_threads();
  const std::int64_t rows = a.size(0);
  const std::int64_t columns = b.size(1);
  const bool by_columns = columns >= rows;
  const std::int64_t length = by_columns ? columns : rows;
  parallel_for(length, piece_length(length, rows * columns * a.size(1)), [&](std::int64_t begin, std::int64_t end) {
    at::NoGradGuard also_on_this_thread;
    at::Tensor part = result.narrow(by_columns ? 1 : 0, begin, end - begin);
    if (by_columns) {
      multiply(part, a, b.narrow(1, begin, end - begin), begin, end - begin);
    } else {
      multiply(part, a.narrow(0, begin, end - begin), b, 0, columns);
    }
  });
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
  at::NoGradGuard no_grad;
  if (!a.device().is_cpu()) {
    at::mm_out(result, a, b);
    return;
  }
  in_pieces(result, a, b,
            [](at::Tensor& part, const at::Tensor& left, const at::Tensor& right, std::int64_t, std::int64_t) {
              at::mm_out(part, left, right);
            });
}

void pooled_linear_out(at::Tensor& out, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  at::NoGradGuard no_grad;
  if (!bias.defined()) return pooled_matmul_out(out, x, weight.t());
  if (!x.device().is_cpu()) {
    at::addmm_out(out, bias, x, weight.t());
    return;
  }
  in_pieces(
      out, x, weight.t(),
      [&](at::Tensor& part, const at::Tensor& left, const at::Tensor& right, std::int64_t first_column,
          std::int64_t n_columns) { at::addmm_out(part, bias.narrow(0, first_column, n_columns), left, right); });
}

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
  return LinearFunction::apply(x, weight, bias.defined() ? bias : at::empty({0}, weight.options()));
}

}  // namespace scvi::kernel
