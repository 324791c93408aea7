#include "scvi/kernel/count_heads.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gradient_rows.hpp"
#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/finite_gradients.hpp"
#include "scvi/kernel/linear.hpp"
#include "scvi/kernel/matrix_product.hpp"
#include "scvi/kernel/sampled_product.hpp"

namespace scvi::kernel {
namespace {

/// What the heads give for some cells; count_nll() turns it into gradients.
struct Logits {
  at::Tensor scale;                              ///< (cells, genes)
  at::Tensor dropout;                            ///< the same, or undefined
  at::Tensor r;                                  ///< the same, or undefined
  std::shared_ptr<const NonzeroTerms> nonzeros;  ///< of what they come from, where they were looked for
};

Logits logits_of(const at::Tensor& hidden, const CountHeads& heads) {
  const ProfileSection section("heads: product");
  std::vector<ProductWith> products;
  const auto head = [&](const at::Tensor& weight, const at::Tensor& bias) -> at::Tensor {
    if (!weight.defined()) return {};
    at::Tensor logits = empty_floats({hidden.size(0), weight.size(0)});
    products.push_back(
        {.b = view_of<const float>(weight).transposed(), .bias = data_of(bias), .out = view_of<float>(logits)});
    return logits;
  };
  Logits logits{head(heads.scale_weight, heads.scale_bias), head(heads.dropout_weight, heads.dropout_bias),
                head(heads.r_weight, heads.r_bias), nullptr};
  matrix_products(view_of<const float>(hidden), products, &logits.nonzeros);
  return logits;
}

Dispersion<float> dispersion_of(const at::Tensor& per_cell, const CountHeads& heads) {
  if (per_cell.defined()) return {.rows = DispersionRows::per_cell, .values = per_cell.data_ptr<float>()};
  if (!heads.log_theta.defined()) return {};
  Dispersion<float> dispersion{.values = heads.log_theta.data_ptr<float>()};
  if (heads.category.defined()) {
    dispersion.rows = DispersionRows::by_category;
    dispersion.n_categories = heads.log_theta.size(0);
    dispersion.category = heads.category.data_ptr<std::int64_t>();
  }
  return dispersion;
}

CountNll<float> nll_of(const Logits& logits, const at::Tensor& library, const CountHeads& heads,
                       const SparseRows& counts) {
  return {.likelihood = heads.likelihood,
          .counts = counts.view,
          .scale_logits = logits.scale.data_ptr<float>(),
          .dropout_logits = data_of(logits.dropout),
          .library = library.data_ptr<float>(),
          .log_theta = dispersion_of(logits.r, heads)};
}

/// Heads, and what the likelihood said of their logits.
struct HeadsState {
  CountHeads heads;
  SparseRows counts;
  Logits gradients;  ///< of the sum of all losses
  at::Tensor library_gradient;
  at::Tensor theta_gradient;
};

/// Runs the likelihood; the logits become gradients.
at::Tensor run(const at::Tensor& library, HeadsState& state, Logits& logits, const float* weights) {
  const ProfileSection section("heads: likelihood, gradients");
  at::Tensor nll = empty_floats({logits.scale.size(0)});
  state.library_gradient = empty_floats(nll.sizes());
  if (logits.r.defined()) {
    state.theta_gradient = logits.r;
  } else if (state.heads.log_theta.defined()) {
    state.theta_gradient = empty_floats(state.heads.log_theta.sizes());
  }
  count_nll(nll_of(logits, library, state.heads, state.counts), nll.data_ptr<float>(),
            {.weights = weights,
             .scale_logits = logits.scale.data_ptr<float>(),
             .dropout_logits = data_of(logits.dropout),
             .library = state.library_gradient.data_ptr<float>(),
             .log_theta = data_of(state.theta_gradient)});
  return nll;
}

/// (cells, n_hidden + 1): the rows of `hidden` and a one behind each, times the weights. Multiplied with gradients it
/// gives those of weights and biases.
at::Tensor weighted_inputs(const at::Tensor& hidden, const at::Tensor& weights) {
  constexpr std::int64_t kLeastRows = 32;
  const std::int64_t n_rows = hidden.size(0), n = hidden.size(1);
  at::Tensor result = empty_floats({n_rows, n + 1});
  const float *const inputs = hidden.data_ptr<float>(), *const weight = weights.data_ptr<float>();
  float* const out = result.data_ptr<float>();
  parallel_for(n_rows, chunk_of_independent(n_rows, kLeastRows), [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      float* const to = out + row * (n + 1);
      for (std::int64_t i = 0; i < n; ++i) to[i] = inputs[row * n + i] * weight[row];
      to[n] = weight[row];
    }
  });
  return result;
}

/// That of all cells together is at hand only where all weigh the same; else the likelihood runs once more.
at::Tensor theta_gradient(const HeadsState& state, const at::Tensor& hidden, const at::Tensor& library,
                          const at::Tensor& weights) {
  const float* const weight = weights.data_ptr<float>();
  if (all_same(weights) && weights.numel() > 0) {
    at::Tensor gradient = empty_floats(state.theta_gradient.sizes());
    const float* const from = state.theta_gradient.data_ptr<float>();
    const float factor = weight[0];
    std::transform(from, from + gradient.numel(), gradient.data_ptr<float>(), [=](float g) { return g * factor; });
    return gradient;
  }
  HeadsState again;
  again.heads = state.heads;
  again.counts = state.counts;
  Logits logits = logits_of(hidden, again.heads);
  run(library, again, logits, weight);
  return again.theta_gradient;
}

/// In the order of the inputs: hidden, library, scale weight and bias, dropout weight and bias, r weight and bias,
/// log_theta.
struct CountHeadsSaved {
  static constexpr const char* kName = "CountHeads";

  HeadsState state;
  Kept hidden, library, scale_weight, dropout_weight, r_weight, log_theta;

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted& wanted) {
    const at::Tensor& inputs = hidden.get();
    const at::Tensor weights = grads[0].contiguous();
    variable_list result(9);
    weight_gradients(inputs, weights, wanted, result);
    if (wanted(0)) result[0] = passed_gradient(weights);
    if (wanted(1)) {
      result[1] = empty_floats(library.get().sizes());
      scale_rows(state.library_gradient, 1, weights, result[1]);
    }
    log_theta.get();
    if (wanted(8)) result[8] = theta_gradient(state, inputs, library.get(), weights);
    return result;
  }

 private:
  struct Head {
    std::size_t input;  ///< number of its weight among the inputs; the bias comes next
    at::Tensor weight;
    at::Tensor gradient;  ///< of its logits
  };

  std::vector<Head> heads() const {
    std::vector<Head> heads;
    const auto add = [&](std::size_t input, const at::Tensor& weight, const at::Tensor& gradient) {
      if (gradient.defined()) heads.push_back({input, weight, gradient});
    };
    add(2, scale_weight.get(), state.gradients.scale);
    add(4, dropout_weight.get(), state.gradients.dropout);
    add(6, r_weight.get(), state.gradients.r);
    return heads;
  }

  template <class Wanted>
  void weight_gradients(const at::Tensor& inputs, const at::Tensor& weights, const Wanted& wanted,
                        variable_list& result) const {
    const ProfileSection section("heads: weight gradient");
    // The losses' weights scale the rows of `hidden`, which are short, instead of those of the gradients.
    const at::Tensor weighted = weighted_inputs(inputs, weights);
    const std::int64_t n_hidden = inputs.size(1);
    std::vector<ProductWith> products;
    std::vector<std::pair<std::size_t, at::Tensor>>
        of_both;  // weight and bias of a head, with the number of its input
    for (const Head& head : heads()) {
      if (!wanted(head.input) && !wanted(head.input + 1)) continue;
      const at::Tensor both = empty_floats({n_hidden + 1, head.gradient.size(1)});
      products.push_back({.b = view_of<const float>(head.gradient), .out = view_of<float>(both)});
      of_both.emplace_back(head.input, both);
    }
    matrix_products(view_of<const float>(weighted).transposed(), products);
    for (std::size_t i = 0; i < products.size(); ++i) {
      const auto& [input, both] = of_both[i];
      if (products[i].finite) FiniteGradients::note(both);
      const std::int64_t n_genes = both.size(1);
      if (wanted(input + 1)) result[input + 1] = part_of(both, n_hidden * n_genes, {n_genes});
      // Input-major, as the weights are; the tensor itself, which costs less than a view of it.
      const std::array<std::int64_t, 2> sizes{n_genes, n_hidden}, strides{1, n_genes};
      both.unsafeGetTensorImpl()->set_sizes_and_strides(at::IntArrayRef(sizes), at::IntArrayRef(strides));
      if (wanted(input)) result[input] = both;
    }
  }

  at::Tensor passed_gradient(const at::Tensor& weights) const {
    const ProfileSection section("heads: gradient passed on");
    const at::Tensor sum = state.heads.hidden_is_rectified ? rectified_gradient() : whole_gradient();
    scale_rows(sum, sum.size(1), weights, sum);
    return sum;
  }

  at::Tensor rectified_gradient() const {
    at::Tensor sum = empty_floats(hidden.get().sizes());
    std::vector<Factors> pairs;
    for (const Head& head : heads())
      pairs.push_back({view_of<const float>(head.gradient), view_of<const float>(head.weight)});
    sampled_product(view_of<const float>(hidden.get()), pairs, view_of<float>(sum), state.gradients.nonzeros.get());
    return sum;
  }

  at::Tensor whole_gradient() const {
    at::Tensor sum;
    for (const Head& head : heads()) {
      const at::Tensor part = pooled_matmul(head.gradient, head.weight);
      sum = sum.defined() ? sum.add_(part) : part;
    }
    return sum;
  }
};

}  // namespace

bool can_fuse(const at::Tensor& hidden, const at::Tensor& library, const CountHeads& heads) {
  if (settings().kernel != KernelRoad::fused || hidden.dim() != 2 || !is_plain_cpu_float(hidden)) return false;
  const auto is_matrix = [](const at::Tensor& weight) {
    return !weight.defined() || (weight.device().is_cpu() && weight.scalar_type() == at::kFloat && weight.dim() == 2);
  };
  const auto is_plain = [](const at::Tensor& tensor) { return !tensor.defined() || is_plain_cpu_float(tensor); };
  const auto all = [](const auto& holds, std::initializer_list<at::Tensor> tensors) {
    return std::all_of(tensors.begin(), tensors.end(), holds);
  };
  return is_plain_index(heads.category, hidden.size(0)) &&
         all(is_matrix, {heads.scale_weight, heads.dropout_weight, heads.r_weight}) &&
         all(is_plain, {library, heads.scale_bias, heads.dropout_bias, heads.r_bias, heads.log_theta});
}

at::Tensor count_heads_nll(const at::Tensor& hidden, const at::Tensor& library, const CountHeads& heads,
                           const SparseRows& counts) {
  check_category(heads.category, heads.log_theta);
  const bool differentiable = torch::autograd::compute_requires_grad(
      hidden, library, heads.scale_weight, heads.scale_bias, heads.dropout_weight, heads.dropout_bias, heads.r_weight,
      heads.r_bias, heads.log_theta);
  auto saved = std::make_unique<CountHeadsSaved>();
  HeadsState& state = saved->state;
  at::Tensor nll;
  {
    at::NoGradGuard no_grad;
    state.heads = heads;
    state.counts = counts;
    Logits logits = logits_of(hidden, state.heads);
    if (!differentiable) {
      nll = empty_floats({hidden.size(0)});
      count_nll(nll_of(logits, library, state.heads, counts), nll.data_ptr<float>());
      return nll;
    }
    nll = run(library, state, logits, nullptr);
    state.gradients = {logits.scale, logits.dropout, logits.r.defined() ? state.theta_gradient : at::Tensor(),
                       logits.nonzeros};
  }
  saved->hidden = Kept(hidden);
  saved->library = Kept(library);
  saved->scale_weight = Kept(heads.scale_weight);
  saved->dropout_weight = Kept(heads.dropout_weight);
  saved->r_weight = Kept(heads.r_weight);
  saved->log_theta = Kept(heads.log_theta);
  connect({nll}, std::move(saved), hidden, library, heads.scale_weight, heads.scale_bias, heads.dropout_weight,
          heads.dropout_bias, heads.r_weight, heads.r_bias, heads.log_theta);
  return nll;
}

bool can_fuse(const CountMeansTensors& means, const SparseRows* counts) {
  if (counts == nullptr || settings().kernel != KernelRoad::fused || counts->view.n_rows == 0) return false;
  const auto fits = [](const at::Tensor& tensor) { return !tensor.defined() || is_plain_cpu_float(tensor); };
  const bool wants_gradient = torch::autograd::compute_requires_grad(means.mean, means.theta, means.dropout_logits);
  const std::int64_t n_genes = counts->view.n_columns;
  const std::int64_t theta_size = means.theta.defined() ? means.theta.numel() : n_genes;
  return !wants_gradient && fits(means.mean) && fits(means.theta) && fits(means.dropout_logits) &&
         means.mean.size(-1) == n_genes && means.mean.size(-2) == counts->view.n_rows &&
         (theta_size == n_genes || theta_size == n_genes * counts->view.n_rows) &&
         (!means.dropout_logits.defined() || means.dropout_logits.sizes() == means.mean.sizes());
}

at::Tensor count_means_nll(const CountMeansTensors& means, const SparseRows& counts) {
  at::Tensor log_p = at::empty(means.mean.sizes().slice(0, means.mean.dim() - 1), means.mean.options());
  const std::int64_t n_cells = counts.view.n_rows;
  // Samples of the same cells lie one after the other.
  std::vector<std::int64_t> cell(static_cast<std::size_t>(log_p.numel()));
  for (std::size_t row = 0; row < cell.size(); ++row) cell[row] = static_cast<std::int64_t>(row) % n_cells;
  CountMeans<float> what{.likelihood = means.likelihood,
                         .counts = counts.view,
                         .n_rows = log_p.numel(),
                         .count_row = cell.data(),
                         .mean = means.mean.data_ptr<float>(),
                         .dropout_logits = data_of(means.dropout_logits)};
  if (means.theta.defined()) {
    what.theta.values = means.theta.data_ptr<float>();
    if (means.theta.numel() > counts.view.n_columns) {
      what.theta.rows = DispersionRows::by_category;
      what.theta.n_categories = n_cells;
      what.theta.category = cell.data();
    }
  }
  count_log_likelihood(what, log_p.data_ptr<float>());
  return log_p.neg_();
}

}  // namespace scvi::kernel
