#include "scvi/kernel/mixed_dropout.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "gradient_rows.hpp"
#include "mixed_dropout_rows.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

/// Adds the rows of g, or minus g times `factor`, to the row of their category.
void add_by_category(const at::Tensor& g, const float* factor, const at::Tensor& category, const at::Tensor& sums) {
  const std::int64_t n = g.size(1);
  const float* from = g.data_ptr<float>();
  for (std::int64_t row = 0; row < g.size(0); ++row, from += n) {
    const std::int64_t table = category.numel() == 0 ? 0 : category.data_ptr<std::int64_t>()[row];
    float* const to = sums.data_ptr<float>() + table * n;
    if (factor == nullptr) {
      for (std::int64_t i = 0; i < n; ++i) to[i] += from[i];
    } else {
      for (std::int64_t i = 0; i < n; ++i) to[i] -= from[i] * factor[row * n + i];
    }
  }
}

struct MixedDropoutFunction : public torch::autograd::Function<MixedDropoutFunction> {
  /// @param category empty where there is none
  static Variable forward(AutogradContext* context, const Variable& logits, const Variable& log_inflated,
                          const Variable& log_plain, const Variable& category, double minimum) {
    const ProfileSection section("dropout: mixed");
    at::Tensor out = at::empty_like(logits), by_logit = at::empty_like(logits), by_plain = at::empty_like(logits);
    mixed_dropout_rows({.n_rows = logits.size(0),
                        .n_genes = logits.size(1),
                        .logits = logits.data_ptr<float>(),
                        .minimum = static_cast<float>(minimum),
                        .log_inflated = log_inflated.data_ptr<float>(),
                        .log_plain = log_plain.data_ptr<float>(),
                        .category = category.numel() == 0 ? nullptr : category.data_ptr<std::int64_t>(),
                        .out = out.data_ptr<float>(),
                        .by_logit = by_logit.data_ptr<float>(),
                        .by_plain = by_plain.data_ptr<float>()});
    context->save_for_backward({by_logit, by_plain, category});
    context->saved_data["categories"] = log_plain.size(0);
    return out;
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    at::NoGradGuard no_grad;
    const ProfileSection section("dropout: gradients");
    const auto saved = context->get_saved_variables();
    const at::Tensor &by_logit = saved[0], &by_plain = saved[1], &category = saved[2];
    const at::Tensor g = grads[0].contiguous();
    tensor_list result(5);
    if (context->needs_input_grad(0)) result[0] = g * by_logit;
    const auto sums = [&](const float* factor) {
      at::Tensor total = at::zeros({context->saved_data["categories"].toInt(), g.size(1)}, g.options());
      add_by_category(g, factor, category, total);
      return total;
    };
    if (context->needs_input_grad(1)) result[1] = sums(nullptr);
    if (context->needs_input_grad(2)) result[2] = sums(by_plain.data_ptr<float>());
    return result;
  }
};

}  // namespace

bool can_fuse(const MixedDropout& what) {
  if (settings().kernel != KernelRoad::fused || what.logits.dim() != 2 || what.log_plain.dim() != 2) return false;
  return is_plain_cpu_float(what.logits) && is_plain_cpu_float(what.log_inflated) &&
         is_plain_cpu_float(what.log_plain) && is_plain_index(what.category, what.logits.size(0));
}

at::Tensor mixed_dropout(const MixedDropout& what) {
  check_category(what.category, what.log_plain);
  const at::Tensor category = what.category.defined() ? what.category : at::empty({0}, at::kLong);
  return MixedDropoutFunction::apply(what.logits, what.log_inflated, what.log_plain, category, what.minimum);
}

}  // namespace scvi::kernel
