#include "scvi/module/layers.hpp"

#include <ATen/ATen.h>

#include <cmath>

#include "scvi/core/error.hpp"
#include "scvi/kernel/linear.hpp"

namespace scvi {

RandomNoise Initializer::next() {
  return RandomNoise(seed_, "initial weights", {drawn_++, 0});
}

at::Tensor Initializer::uniform(at::IntArrayRef shape, double bound) {
  return next().uniform("uniform", shape, at::TensorOptions().dtype(at::kFloat)).mul_(2 * bound).sub_(bound);
}

at::Tensor Initializer::standard_normal(at::IntArrayRef shape) {
  return next().standard_normal("normal", shape, at::TensorOptions().dtype(at::kFloat));
}

LinearLayer::LinearLayer(std::int64_t n_in, std::int64_t n_out, bool has_bias, Initializer& initializer,
                         WeightLayout layout) {
  const double bound = 1 / std::sqrt(static_cast<double>(n_in));
  const at::Tensor start = initializer.uniform({n_out, n_in}, bound);
  weight = register_parameter("weight", layout == WeightLayout::input_major ? kernel::input_major(start) : start);
  if (has_bias) bias = register_parameter("bias", initializer.uniform({n_out}, bound));
}

at::Tensor LinearLayer::forward(const at::Tensor& x) const {
  return kernel::linear(x, weight, bias);
}

BatchNormLayer::BatchNormLayer(std::int64_t n_features, double momentum, double eps) : momentum(momentum), eps(eps) {
  weight = register_parameter("weight", at::ones({n_features}));
  bias = register_parameter("bias", at::zeros({n_features}));
  running_mean = register_buffer("running_mean", at::zeros({n_features}));
  running_var = register_buffer("running_var", at::ones({n_features}));
  num_batches_tracked = register_buffer("num_batches_tracked", at::zeros({}, at::kLong));
}

at::Tensor BatchNormLayer::forward(const at::Tensor& x) {
  const auto normalize = [&](const at::Tensor& slice) {
    if (is_training()) num_batches_tracked.add_(1);
    return at::batch_norm(slice, weight, bias, running_mean, running_var, is_training(), momentum, eps,
                          /*cudnn_enabled=*/false);
  };
  if (x.dim() == 2) return normalize(x);
  if (!is_training()) return normalize(x.reshape({-1, x.size(-1)})).view(x.sizes());
  std::vector<at::Tensor> slices;
  for (const at::Tensor& slice : x.unbind(0)) slices.push_back(normalize(slice));
  return at::stack(slices);
}

kernel::FullyConnected::BatchNorm BatchNormLayer::as_part() {
  // In main memory, as all that is fused: an operation of LibTorch for one number takes a thousand times as long.
  if (is_training()) ++*num_batches_tracked.data_ptr<std::int64_t>();
  return {.weight = weight,
          .bias = bias,
          .running_mean = running_mean,
          .running_var = running_var,
          .momentum = momentum,
          .eps = eps,
          .training = is_training()};
}

FCLayers::FCLayers(const FCLayersOptions& options, Initializer& initializer) : options_(options) {
  for (auto& n : options_.n_cat_list) n = n > 1 ? n : 0;
  std::int64_t n_category_columns = 0;
  for (const auto n : options_.n_cat_list) n_category_columns += n;

  auto sequence = register_module("fc_layers", std::make_shared<torch::nn::Module>());
  for (std::int64_t i = 0; i < options_.n_layers; ++i) {
    const std::int64_t n_in = (i == 0 ? options_.n_in : options_.n_hidden) + n_category_columns;
    const std::int64_t n_out = i + 1 == options_.n_layers ? options_.n_out : options_.n_hidden;
    auto parts = sequence->register_module("Layer " + std::to_string(i), std::make_shared<torch::nn::Module>());
    Layer layer;
    layer.linear = parts->register_module(
        "0", std::make_shared<LinearLayer>(n_in, n_out, options_.bias, initializer, WeightLayout::input_major));
    if (options_.use_batch_norm) {
      layer.batch_norm = parts->register_module(
          "1", std::make_shared<BatchNormLayer>(n_out, options_.batch_norm_momentum, options_.batch_norm_eps));
    }
    layers_.push_back(std::move(layer));
  }
}

at::Tensor FCLayers::forward(const kernel::LayerInput& x, const std::vector<at::Tensor>& categories, Noise& noise) {
  if (categories.size() < options_.n_cat_list.size()) {
    throw InputError({.problem = "got fewer categories than it was built for", .field = "FCLayers"});
  }
  kernel::LayerInput h = x;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    auto fused = fused_layer(layers_[i], h, categories);
    if (!fused) {
      h = op_by_op(i, h.dense(), categories, noise);
      continue;
    }
    const at::Tensor& weight = fused->weight;
    if (layers_[i].batch_norm) fused->batch_norm = layers_[i].batch_norm->as_part();
    if (drops()) fused->dropout_draws = dropout_draws(i, {h.n_rows(), weight.size(0)}, weight.options(), noise);
    h = kernel::fully_connected(h, *fused);
  }
  return h.dense();
}

at::Tensor FCLayers::effective_weight(std::size_t layer) const {
  at::NoGradGuard no_grad;
  const auto& [linear, norm] = layers_.at(layer);
  if (!norm) return linear->weight;
  return linear->weight * (norm->weight / at::sqrt(norm->running_var + norm->eps)).unsqueeze(1);
}

std::optional<kernel::FullyConnected> FCLayers::fused_layer(const Layer& layer, const kernel::LayerInput& x,
                                                            const std::vector<at::Tensor>& categories) const {
  kernel::FullyConnected fused{.weight = layer.linear->weight,
                               .bias = layer.linear->bias,
                               .relu = options_.use_relu,
                               .dropout_rate = options_.dropout_rate};
  for (std::size_t i = 0; i < options_.n_cat_list.size(); ++i) {
    const std::int64_t n = options_.n_cat_list[i];
    if (n == 0) continue;
    // One-hot rows are multiplied as they are.
    if (!categories[i].defined() || categories[i].size(1) != 1) return std::nullopt;
    fused.categories.push_back({.index = categories[i], .n = n});
  }
  // One row has no variance: batch norm itself says so.
  if (layer.batch_norm && is_training() && x.n_rows() < 2) return std::nullopt;
  if (!kernel::can_fuse(x, fused)) return std::nullopt;
  return fused;
}

at::Tensor FCLayers::op_by_op(std::size_t layer, const at::Tensor& x, const std::vector<at::Tensor>& categories,
                              Noise& noise) {
  at::Tensor h = linear_with_categories(*layers_[layer].linear, x, categories);
  if (layers_[layer].batch_norm) h = layers_[layer].batch_norm->forward(h);
  if (options_.use_relu) h = at::relu(h);
  if (!drops()) return h;
  const at::Tensor draws = dropout_draws(layer, h.sizes(), h.options(), noise);
  return h * (draws >= options_.dropout_rate).to(h.scalar_type()).mul_(1 / (1 - options_.dropout_rate));
}

at::Tensor FCLayers::linear_with_categories(const LinearLayer& linear, const at::Tensor& x,
                                            const std::vector<at::Tensor>& categories) const {
  const std::int64_t n_features = x.size(-1);
  if (linear.weight.size(1) == n_features) return linear.forward(x);
  at::Tensor y = kernel::linear(x, linear.weight.narrow(1, 0, n_features), linear.bias);
  // One-hot columns of the input pick columns of the weight: gather them instead of multiplying by zeros and ones.
  std::int64_t column = n_features;
  for (std::size_t i = 0; i < options_.n_cat_list.size(); ++i) {
    const std::int64_t n = options_.n_cat_list[i];
    if (n == 0) continue;
    if (!categories[i].defined()) {
      throw InputError({.problem = "is needed by this model but was not given", .field = "the batch or label index"});
    }
    const at::Tensor weight = linear.weight.narrow(1, column, n);
    const bool is_one_hot = categories[i].size(1) == n;
    y = y + (is_one_hot ? kernel::linear(categories[i].to(weight.scalar_type()), weight, at::Tensor())
                        : rows_of_categories(weight.t(), categories[i]));
    column += n;
  }
  return y;
}

at::Tensor FCLayers::dropout_draws(std::size_t layer, at::IntArrayRef shape, const at::TensorOptions& like,
                                   Noise& noise) const {
  return noise.uniform("dropout_" + options_.noise_name + "_" + std::to_string(layer), shape,
                       like.requires_grad(false));
}

at::Tensor one_hot(const at::Tensor& index, std::int64_t n) {
  const at::Tensor flat = index.reshape({-1, 1});
  if (flat.numel() > 0 && (flat.min().item<std::int64_t>() < 0 || flat.max().item<std::int64_t>() >= n)) {
    throw InputError(
        {.problem = "holds a category outside 0.." + std::to_string(n - 1), .field = "a category index"});
  }
  return at::zeros({flat.size(0), n}, flat.options().dtype(at::kFloat)).scatter_(1, flat, 1);
}

at::Tensor rows_of_categories(const at::Tensor& table, const at::Tensor& index) {
  return at::embedding(table, index.reshape(-1));
}

}  // namespace scvi
