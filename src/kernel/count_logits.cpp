#include "scvi/kernel/count_logits.hpp"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "gradient_rows.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;
using torch::autograd::Variable;

bool has_row_per_cell(const CountLogits& logits) {
  return logits.log_theta.defined() && logits.log_theta.dim() == 2 && !logits.category.defined();
}

Dispersion<float> dispersion_of(const CountLogits& logits) {
  Dispersion<float> dispersion{.values = data_of(logits.log_theta)};
  if (has_row_per_cell(logits)) dispersion.rows = DispersionRows::per_cell;
  if (logits.category.defined()) {
    dispersion.rows = DispersionRows::by_category;
    dispersion.n_categories = logits.log_theta.size(0);
    dispersion.category = logits.category.data_ptr<std::int64_t>();
  }
  return dispersion;
}

CountNll<float> nll_of(const CountLogits& logits, const at::Tensor& library, const SparseRows& counts) {
  return {.likelihood = logits.likelihood,
          .counts = counts.view,
          .scale_logits = logits.scale.data_ptr<float>(),
          .dropout_logits = data_of(logits.dropout),
          .library = library.data_ptr<float>(),
          .log_theta = dispersion_of(logits)};
}

/// Of the sum of all losses; undefined where the likelihood lacks the parameter.
struct Gradients {
  at::Tensor scale, dropout, library, log_theta;
};

/// What the backward pass needs beside tensors that autograd keeps.
struct LogitsState : public torch::CustomClassHolder {
  CountLogits logits;
  SparseRows counts;
  Gradients gradients;
};

at::Tensor empty_for(const at::Tensor& tensor) {
  return tensor.defined() ? at::empty_like(tensor) : at::Tensor();
}

/// Runs the likelihood with its gradients.
at::Tensor run(const CountLogits& logits, const at::Tensor& library, const SparseRows& counts, const float* weights,
               Gradients& gradients) {
  const ProfileSection section("logits: likelihood, gradients");
  gradients = {.scale = empty_for(logits.scale),
               .dropout = empty_for(logits.dropout),
               .library = empty_for(library),
               .log_theta = empty_for(logits.log_theta)};
  at::Tensor nll = at::empty({logits.scale.size(0)}, logits.scale.options());
  count_nll(nll_of(logits, library, counts), nll.data_ptr<float>(),
            {.weights = weights,
             .scale_logits = gradients.scale.data_ptr<float>(),
             .dropout_logits = data_of(gradients.dropout),
             .library = gradients.library.data_ptr<float>(),
             .log_theta = data_of(gradients.log_theta)});
  return nll;
}

at::Tensor scaled_rows(const at::Tensor& rows, const at::Tensor& weights) {
  at::Tensor result = at::empty_like(rows);
  scale_rows(rows, weights, result);
  return result;
}

struct CountLogitsFunction : public torch::autograd::Function<CountLogitsFunction> {
  /// Absent tensors come empty: autograd takes no undefined ones.
  static Variable forward(AutogradContext* context, const Variable& scale, const Variable& dropout,
                          const Variable& library, const Variable& log_theta, c10::intrusive_ptr<LogitsState> state) {
    at::Tensor nll = run(state->logits, library, state->counts, nullptr, state->gradients);
    context->save_for_backward({scale, dropout, library, log_theta});
    context->saved_data["state"] = c10::IValue::make_capsule(std::move(state));
    return nll;
  }

  static tensor_list backward(AutogradContext* context, tensor_list grads) {
    at::NoGradGuard no_grad;
    const ProfileSection section("logits: gradients weighted");
    const auto saved = context->get_saved_variables();
    const auto state = c10::static_intrusive_pointer_cast<LogitsState>(context->saved_data["state"].toCapsule());
    const at::Tensor weights = grads[0].contiguous();
    const Gradients& gradients = state->gradients;
    tensor_list result(5);
    if (context->needs_input_grad(0)) result[0] = scaled_rows(gradients.scale, weights);
    if (gradients.dropout.defined() && context->needs_input_grad(1)) {
      result[1] = scaled_rows(gradients.dropout, weights);
    }
    if (context->needs_input_grad(2)) result[2] = scaled_rows(gradients.library, weights);
    if (gradients.log_theta.defined() && context->needs_input_grad(3)) {
      result[3] = theta_gradient(*state, saved[2], weights);
    }
    return result;
  }

 private:
  /// That of all cells together is at hand only where all weigh the same; else the likelihood runs once more.
  static at::Tensor theta_gradient(const LogitsState& state, const at::Tensor& library, const at::Tensor& weights) {
    if (has_row_per_cell(state.logits)) return scaled_rows(state.gradients.log_theta, weights);
    if (all_same(weights) && weights.numel() > 0) return state.gradients.log_theta * weights[0];
    Gradients again;
    run(state.logits, library, state.counts, weights.data_ptr<float>(), again);
    return again.log_theta;
  }
};

CountLogits detached(const CountLogits& logits) {
  CountLogits result = logits;
  for (at::Tensor* tensor : {&result.scale, &result.dropout, &result.log_theta}) {
    if (tensor->defined()) *tensor = tensor->detach();
  }
  return result;
}

}  // namespace

bool can_fuse(const CountLogits& logits, const at::Tensor& library) {
  if (settings().kernel != KernelRoad::fused || logits.scale.dim() != 2) return false;
  const auto is_plain = [](const at::Tensor& tensor) { return !tensor.defined() || is_plain_cpu_float(tensor); };
  return is_plain(logits.scale) && is_plain(logits.dropout) && is_plain(library) && is_plain(logits.log_theta) &&
         is_plain_index(logits.category, logits.scale.size(0));
}

at::Tensor count_logits_nll(const CountLogits& logits, const at::Tensor& library, const SparseRows& counts) {
  check_category(logits.category, logits.log_theta);
  if (!at::GradMode::is_enabled() || !any_requires_grad({logits.scale, logits.dropout, library, logits.log_theta})) {
    at::Tensor nll = at::empty({logits.scale.size(0)}, logits.scale.options().requires_grad(false));
    count_nll(nll_of(logits, library, counts), nll.data_ptr<float>());
    return nll;
  }
  auto state = c10::make_intrusive<LogitsState>();
  state->logits = detached(logits);
  state->counts = counts;
  const at::Tensor none = at::empty({0}, logits.scale.options().requires_grad(false));
  const auto given = [&](const at::Tensor& tensor) { return tensor.defined() ? tensor : none; };
  return CountLogitsFunction::apply(logits.scale, given(logits.dropout), library, given(logits.log_theta),
                                    std::move(state));
}

}  // namespace scvi::kernel
