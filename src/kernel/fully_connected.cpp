#include "scvi/kernel/fully_connected.hpp"

#include <ATen/ATen.h>

#include <memory>
#include <string>
#include <utility>

#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/finite_gradients.hpp"
#include "scvi/kernel/matrix_product.hpp"
#include "scvi/kernel/norm_relu_dropout.hpp"
#include "scvi/kernel/sampled_product.hpp"
#include "scvi/kernel/sparse_linear.hpp"

namespace scvi::kernel {
namespace {

bool is_input_major(const at::Tensor& weight) {
  return weight.device().is_cpu() && weight.scalar_type() == at::kFloat && weight.dim() == 2 &&
         weight.stride(0) == 1 && weight.stride(1) == weight.size(0);
}

/// Up to this share of values that are not 0 sparse rows are read as such; denser ones are quicker multiplied whole.
constexpr double kLargestDensity = 0.33;

bool is_read_sparse(const LayerInput& x) {
  if (x.sparse() == nullptr) return false;
  const CsrView& view = x.sparse()->view;
  return static_cast<double>(x.sparse()->n_entries()) <=
         kLargestDensity * static_cast<double>(view.n_rows) * static_cast<double>(view.n_columns);
}

/// The layer and its input.
struct LayerState {
  FullyConnected layer;
  std::optional<SparseRows> rows;  ///< the input, where it is read sparse
  std::int64_t n_features = 0;
};

NormReluDropout<float> after_product(const FullyConnected& layer, std::int64_t n_rows) {
  NormReluDropout<float> after{.n_rows = n_rows, .n_features = layer.weight.size(0), .batch_norm = false};
  if (layer.batch_norm) {
    const auto& norm = *layer.batch_norm;
    after.batch_norm = true;
    after.training = norm.training;
    after.gamma = norm.weight.data_ptr<float>();
    after.beta = norm.bias.data_ptr<float>();
    after.running_mean = norm.running_mean.data_ptr<float>();
    after.running_var = norm.running_var.data_ptr<float>();
    after.momentum = norm.momentum;
    after.eps = norm.eps;
  }
  after.relu = layer.relu;
  if (layer.dropout_draws.defined()) after.draws = layer.dropout_draws.data_ptr<float>();
  after.dropout_rate = layer.dropout_rate;
  return after;
}

std::vector<CategoryRows<float>> category_rows(const FullyConnected& layer, std::int64_t n_features) {
  std::vector<CategoryRows<float>> categories;
  const std::int64_t n_out = layer.weight.size(0);
  const float* weight = layer.weight.data_ptr<float>() + n_features * n_out;
  for (const auto& category : layer.categories) {
    categories.push_back({category.index.data_ptr<std::int64_t>(), weight, n_out});
    weight += category.n * n_out;
  }
  return categories;
}

/// What is added to the product of a dense input: a sparse product without entries.
void add_bias_and_categories(const FullyConnected& layer, std::int64_t n_features, at::Tensor& h) {
  const std::int64_t n_rows = h.size(0);
  const std::int64_t n_out = h.size(1);
  if (!layer.bias.defined() && layer.categories.empty()) return;
  const auto categories = category_rows(layer, n_features);
  const float* const bias = layer.bias.defined() ? layer.bias.data_ptr<float>() : nullptr;
  float* out = h.data_ptr<float>();
  for (std::int64_t row = 0; row < n_rows; ++row, out += n_out) {
    if (bias != nullptr) {
      for (std::int64_t i = 0; i < n_out; ++i) out[i] += bias[i];
    }
    for (const auto& category : categories) {
      const float* const picked = category.weight + category.index[row] * category.weight_stride;
      for (std::int64_t i = 0; i < n_out; ++i) out[i] += picked[i];
    }
  }
}

/// (features, out): the weight without its categories.
MatrixView<const float> of_features(const LayerState& state) {
  const std::int64_t n_out = state.layer.weight.size(0);
  return {state.layer.weight.data_ptr<float>(), state.n_features, n_out, n_out};
}

at::Tensor product(const LayerState& state, const at::Tensor& x) {
  const ProfileSection section(state.rows ? "layer: sparse product" : "layer: dense product");
  const FullyConnected& layer = state.layer;
  const std::int64_t n_out = layer.weight.size(0);
  at::Tensor h = empty_floats({state.rows ? state.rows->view.n_rows : x.size(0), n_out});
  if (!state.rows) {
    matrix_product(view_of<const float>(x), of_features(state), nullptr, view_of<float>(h));
    add_bias_and_categories(layer, state.n_features, h);
    return h;
  }
  const auto categories = category_rows(layer, state.n_features);
  sparse_linear({.x = state.rows->view,
                 .weight = layer.weight.data_ptr<float>(),
                 .weight_stride = n_out,
                 .n_out = n_out,
                 .bias = layer.bias.defined() ? layer.bias.data_ptr<float>() : nullptr,
                 .categories = categories,
                 .in_halves = true},
                h.data_ptr<float>(), n_out);
  return h;
}

/// (out, in) in input-major memory.
at::Tensor weight_gradient(const LayerState& state, const at::Tensor& x, const at::Tensor& dh) {
  const ProfileSection section(state.rows ? "layer: sparse weight gradient" : "layer: dense weight gradient");
  const FullyConnected& layer = state.layer;
  const std::int64_t n_out = layer.weight.size(0);
  const float* const gradient = dh.data_ptr<float>();
  at::Tensor result = empty_input_major(n_out, layer.weight.size(1));
  float* out = result.data_ptr<float>();
  bool finite = false;
  if (state.rows) {
    finite = sparse_linear(
        {.x = state.rows->transposed(), .weight = gradient, .weight_stride = n_out, .n_out = n_out}, out, n_out);
  } else {
    finite = matrix_product(view_of<const float>(x).transposed(), view_of<const float>(dh), nullptr,
                            {out, state.n_features, n_out, n_out});
  }
  if (finite && layer.categories.empty()) FiniteGradients::note(result);
  out += state.n_features * n_out;
  for (const auto& category : layer.categories) {
    category_rows_gradient(category.index.data_ptr<std::int64_t>(), dh.size(0), category.n, gradient, n_out, n_out,
                           out, n_out);
    out += category.n * n_out;
  }
  return result;
}

/// In the order of the inputs: x, weight, bias, batch norm's weight and bias.
struct FullyConnectedSaved {
  static constexpr const char* kName = "FullyConnected";

  LayerState state;
  Kept x, weight, gamma;
  at::Tensor h, mean, inverse_std;
  // Not the tensor, whose history leads here.
  const float* y = nullptr;
  c10::Storage y_memory;

  void make_ready() const {
    if (state.rows) state.rows->transposed();
  }

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted& wanted) {
    variable_list result = passed_gradients(grads, wanted);
    add_late_gradients(wanted, result);
    return result;
  }

  /// Those of x and batch norm.
  template <class Wanted>
  variable_list passed_gradients(const variable_list& grads, const Wanted& wanted) {
    const at::Tensor dy = grads[0].contiguous();
    weight.get(), gamma.get();
    variable_list result(5);
    dh = empty_floats(h.sizes());
    const bool normalizes = state.layer.batch_norm.has_value();
    if (normalizes) {
      result[3] = empty_floats(mean.sizes());
      result[4] = empty_floats(mean.sizes());
    }
    norm_relu_dropout_backward(after_product(state.layer, h.size(0)), h.data_ptr<float>(), y, statistics(),
                               dy.data_ptr<float>(), dh.data_ptr<float>(),
                               normalizes ? result[3].data_ptr<float>() : nullptr,
                               normalizes ? result[4].data_ptr<float>() : nullptr);
    if (wanted(0) && !state.rows) result[0] = passed_gradient();
    return result;
  }

  /// Those of weight and bias, for which nobody waits.
  template <class Wanted>
  void add_late_gradients(const Wanted& wanted, variable_list& result) {
    if (wanted(1)) result[1] = weight_gradient(state, x.get(), dh);
    if (wanted(2)) {
      result[2] = empty_floats(state.layer.bias.sizes());
      column_sums(dh.data_ptr<float>(), dh.size(0), dh.size(1), dh.size(1), result[2].data_ptr<float>());
    }
    dh.reset();
  }

  NormStatistics<float> statistics() const {
    if (!mean.defined()) return {nullptr, nullptr};
    return {mean.data_ptr<float>(), inverse_std.data_ptr<float>()};
  }

 private:
  at::Tensor passed_gradient() const {
    const ProfileSection section("layer: gradient passed on");
    const at::Tensor& input = x.get();
    at::Tensor result = empty_floats(input.sizes());
    const Factors factors{view_of<const float>(dh), of_features(state).transposed()};
    if (state.layer.input_is_rectified) {
      sampled_product(view_of<const float>(input), {&factors, 1}, view_of<float>(result));
    } else {
      matrix_product(factors.a, factors.b, nullptr, view_of<float>(result));
    }
    return result;
  }

  at::Tensor dh;  ///< from passed_gradients() to add_late_gradients()
};

void check_categories(const FullyConnected& layer) {
  for (const auto& category : layer.categories) {
    const std::int64_t* const index = category.index.data_ptr<std::int64_t>();
    for (std::int64_t row = 0; row < category.index.numel(); ++row) {
      if (index[row] >= 0 && index[row] < category.n) continue;
      throw InputError({.problem = "is " + std::to_string(index[row]) + ", but there are " +
                                   std::to_string(category.n) + " categories",
                        .field = "a category index"});
    }
  }
}

}  // namespace

at::Tensor input_major(const at::Tensor& like) {
  return like.t().contiguous().t();
}

bool can_fuse(const LayerInput& x, const FullyConnected& layer) {
  if (settings().kernel != KernelRoad::fused || !is_input_major(layer.weight)) return false;
  if (layer.bias.defined() && !is_plain_cpu_float(layer.bias)) return false;
  if (layer.dropout_draws.defined() && !is_plain_cpu_float(layer.dropout_draws)) return false;
  for (const auto& category : layer.categories) {
    if (!category.index.device().is_cpu() || !category.index.is_contiguous() ||
        category.index.numel() != category.index.size(0))
      return false;
  }
  if (layer.batch_norm) {
    const auto& norm = *layer.batch_norm;
    for (const at::Tensor& tensor : {norm.weight, norm.bias, norm.running_mean, norm.running_var})
      if (!is_plain_cpu_float(tensor)) return false;
  }
  return is_read_sparse(x) || (x.dense().dim() == 2 && is_plain_cpu_float(x.dense()));
}

void make_ready(const LayerInput& x) {
  if (!is_read_sparse(x)) x.dense();
}

std::vector<std::function<void()>> chores_of_backward(const LayerInput& x) {
  if (!is_read_sparse(x) || !at::GradMode::is_enabled()) return {};
  const SparseRows& rows = *x.sparse();
  if (*rows.by_columns) return {};
  *rows.by_columns = CsrTransposed::room_for(rows.view);
  constexpr std::int64_t kPieces = 4;
  std::vector<std::function<void()>> chores;
  for (std::int64_t i = 0; i < kPieces; ++i) {
    chores.emplace_back([&into = **rows.by_columns, view = rows.view, i] {
      into.place(view, view.n_columns * i / kPieces, view.n_columns * (i + 1) / kPieces);
    });
  }
  return chores;
}

at::Tensor fully_connected(const LayerInput& x, const FullyConnected& layer) {
  check_categories(layer);
  const at::Tensor gamma = layer.batch_norm ? layer.batch_norm->weight : at::Tensor();
  const at::Tensor beta = layer.batch_norm ? layer.batch_norm->bias : at::Tensor();
  const bool is_sparse = is_read_sparse(x);
  const at::Tensor dense = is_sparse ? at::Tensor() : x.dense();
  const bool differentiable = torch::autograd::compute_requires_grad(dense, layer.weight, layer.bias, gamma, beta);
  auto saved = std::make_unique<FullyConnectedSaved>();
  at::Tensor y;
  {
    at::NoGradGuard no_grad;
    saved->state = {.layer = layer, .rows = {}, .n_features = x.n_features()};
    if (is_sparse) saved->state.rows = *x.sparse();
    saved->h = product(saved->state, dense);
    if (layer.batch_norm) {
      saved->mean = empty_floats({saved->h.size(1)});
      saved->inverse_std = empty_floats({saved->h.size(1)});
    }
    y = empty_floats(saved->h.sizes());
    const ProfileSection section("layer: norm, relu, dropout");
    norm_relu_dropout(after_product(saved->state.layer, saved->h.size(0)), saved->h.data_ptr<float>(),
                      y.data_ptr<float>(), saved->statistics());
  }
  if (!differentiable) return y;
  saved->y = y.data_ptr<float>();
  saved->y_memory = y.storage();
  saved->x = Kept(dense);
  saved->weight = Kept(layer.weight);
  saved->gamma = Kept(gamma);
  connect({y}, std::move(saved), dense, layer.weight, layer.bias, gamma, beta);
  return y;
}

}  // namespace scvi::kernel
