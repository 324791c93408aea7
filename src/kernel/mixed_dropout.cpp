#include "scvi/kernel/mixed_dropout.hpp"

#include <ATen/ATen.h>

#include <memory>
#include <utility>

#include "gradient_rows.hpp"
#include "mixed_dropout_rows.hpp"
#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

/// Adds the rows of g, or minus g times `factor`, to the row of their category.
void add_by_category(const at::Tensor& g, const float* factor, const at::Tensor& category, const at::Tensor& sums) {
  const std::int64_t n = g.size(1);
  const float* from = g.data_ptr<float>();
  for (std::int64_t row = 0; row < g.size(0); ++row, from += n) {
    const std::int64_t table = category.defined() ? category.data_ptr<std::int64_t>()[row] : 0;
    float* const to = sums.data_ptr<float>() + table * n;
    if (factor == nullptr) {
      for (std::int64_t i = 0; i < n; ++i) to[i] += from[i];
    } else {
      for (std::int64_t i = 0; i < n; ++i) to[i] -= from[i] * factor[row * n + i];
    }
  }
}

/// In the order of the inputs: logits, log_inflated, log_plain.
struct MixedDropoutSaved {
  static constexpr const char* kName = "MixedDropout";

  at::Tensor by_logit, by_plain, category;
  std::int64_t n_categories = 0;

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted& wanted) {
    const ProfileSection section("dropout: gradients");
    const at::Tensor g = grads[0].contiguous();
    variable_list result(3);
    if (wanted(0)) result[0] = g * by_logit;
    const auto sums = [&](const float* factor) {
      at::Tensor total = at::zeros({n_categories, g.size(1)}, g.options());
      add_by_category(g, factor, category, total);
      return total;
    };
    if (wanted(1)) result[1] = sums(nullptr);
    if (wanted(2)) result[2] = sums(by_plain.data_ptr<float>());
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
  const bool differentiable = torch::autograd::compute_requires_grad(what.logits, what.log_inflated, what.log_plain);
  auto saved = std::make_unique<MixedDropoutSaved>();
  at::Tensor out;
  {
    at::NoGradGuard no_grad;
    const ProfileSection section("dropout: mixed");
    const at::TensorOptions options = what.logits.options().requires_grad(false);
    out = at::empty(what.logits.sizes(), options);
    saved->by_logit = at::empty(what.logits.sizes(), options);
    saved->by_plain = at::empty(what.logits.sizes(), options);
    mixed_dropout_rows({.n_rows = what.logits.size(0),
                        .n_genes = what.logits.size(1),
                        .logits = what.logits.data_ptr<float>(),
                        .minimum = static_cast<float>(what.minimum),
                        .log_inflated = what.log_inflated.data_ptr<float>(),
                        .log_plain = what.log_plain.data_ptr<float>(),
                        .category = what.category.defined() ? what.category.data_ptr<std::int64_t>() : nullptr,
                        .out = out.data_ptr<float>(),
                        .by_logit = saved->by_logit.data_ptr<float>(),
                        .by_plain = saved->by_plain.data_ptr<float>()});
  }
  if (!differentiable) return out;
  saved->category = what.category;
  saved->n_categories = what.log_plain.size(0);
  connect({out}, std::move(saved), what.logits, what.log_inflated, what.log_plain);
  return out;
}

}  // namespace scvi::kernel
