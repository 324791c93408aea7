#include "scvi/kernel/count_logits.hpp"

#include <ATen/ATen.h>

#include <memory>
#include <utility>

#include "gradient_rows.hpp"
#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

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

at::Tensor empty_for(const at::Tensor& tensor) {
  return tensor.defined() ? empty_floats(tensor.sizes()) : at::Tensor();
}

/// Runs the likelihood with its gradients.
at::Tensor run(const CountLogits& logits, const at::Tensor& library, const SparseRows& counts, const float* weights,
               Gradients& gradients) {
  const ProfileSection section("logits: likelihood, gradients");
  gradients = {.scale = empty_for(logits.scale),
               .dropout = empty_for(logits.dropout),
               .library = empty_for(library),
               .log_theta = empty_for(logits.log_theta)};
  at::Tensor nll = empty_floats({logits.scale.size(0)});
  count_nll(nll_of(logits, library, counts), nll.data_ptr<float>(),
            {.weights = weights,
             .scale_logits = gradients.scale.data_ptr<float>(),
             .dropout_logits = data_of(gradients.dropout),
             .library = gradients.library.data_ptr<float>(),
             .log_theta = data_of(gradients.log_theta)});
  return nll;
}

at::Tensor scaled_rows(const at::Tensor& rows, const at::Tensor& weights) {
  at::Tensor result = empty_floats(rows.sizes());
  scale_rows(rows, rows.size(1), weights, result);
  return result;
}

/// In the order of the inputs: scale, dropout, library, log_theta.
struct CountLogitsSaved {
  static constexpr const char* kName = "CountLogits";

  CountLogits logits;
  Kept scale, dropout, library, log_theta;
  SparseRows counts;
  Gradients of_sum;

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted& wanted) {
    const ProfileSection section("logits: gradients weighted");
    const at::Tensor weights = grads[0].contiguous();
    variable_list result(4);
    if (wanted(0)) result[0] = scaled_rows(of_sum.scale, weights);
    if (wanted(1)) result[1] = scaled_rows(of_sum.dropout, weights);
    if (wanted(2)) result[2] = scaled_rows(of_sum.library, weights);
    if (wanted(3)) result[3] = theta_gradient(weights);
    return result;
  }

 private:
  /// That of all cells together is at hand only where all weigh the same; else the likelihood runs once more.
  at::Tensor theta_gradient(const at::Tensor& weights) const {
    if (has_row_per_cell(logits)) return scaled_rows(of_sum.log_theta, weights);
    if (all_same(weights) && weights.numel() > 0) return of_sum.log_theta * weights[0];
    for (const Kept* input : {&scale, &dropout, &log_theta}) input->get();
    Gradients again;
    run(logits, library.get(), counts, weights.data_ptr<float>(), again);
    return again.log_theta;
  }
};

}  // namespace

bool can_fuse(const CountLogits& logits, const at::Tensor& library) {
  if (settings().kernel != KernelRoad::fused || logits.scale.dim() != 2) return false;
  const auto is_plain = [](const at::Tensor& tensor) { return !tensor.defined() || is_plain_cpu_float(tensor); };
  return is_plain(logits.scale) && is_plain(logits.dropout) && is_plain(library) && is_plain(logits.log_theta) &&
         is_plain_index(logits.category, logits.scale.size(0));
}

at::Tensor count_logits_nll(const CountLogits& logits, const at::Tensor& library, const SparseRows& counts) {
  check_category(logits.category, logits.log_theta);
  const bool differentiable =
      torch::autograd::compute_requires_grad(logits.scale, logits.dropout, library, logits.log_theta);
  auto saved = std::make_unique<CountLogitsSaved>();
  at::Tensor nll;
  {
    at::NoGradGuard no_grad;
    if (!differentiable) {
      nll = empty_floats({logits.scale.size(0)});
      count_nll(nll_of(logits, library, counts), nll.data_ptr<float>());
      return nll;
    }
    nll = run(logits, library, counts, nullptr, saved->of_sum);
  }
  saved->logits = logits;
  saved->counts = counts;
  saved->scale = Kept(logits.scale);
  saved->dropout = Kept(logits.dropout);
  saved->library = Kept(library);
  saved->log_theta = Kept(logits.log_theta);
  connect({nll}, std::move(saved), logits.scale, logits.dropout, library, logits.log_theta);
  return nll;
}

}  // namespace scvi::kernel
