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

LinearLayer::LinearLayer(std::int64_t n_in, std::int64_t n_out, bool has_bias, Initializer& initializer) {
  const double bound = 1 / std::sqrt(static_cast<double>(n_in));
  weight = register_parameter("weight", initializer.uniform({n_out, n_in}, bound));
  if (has_bias) bias = register_parameter("bias", initializer.uniform({n_out}, bound));
}

at::Tensor LinearLayer::forward(const at::Tensor& x) const {
  return kernel::linear(x, weight, bias);
}

BatchNormLayer::BatchNormLayer(std::int64_t n_features, double momentum_, double eps_)
    : momentum(momentum_), eps(eps_) {
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
    layer.linear =
        parts->register_module("0", std::make_shared<LinearLayer>(n_in, n_out, options_.bias, initializer));
    if (options_.use_batch_norm) {
      layer.batch_norm = parts->register_module(
          "1", std::make_shared<BatchNormLayer>(n_out, options_.batch_norm_momentum, options_.batch_norm_eps));
    }
    layers_.push_back(std::move(layer));
  }
}

at::Tensor FCLayers::forward(const at::Tensor& x, const std::vector<at::Tensor>& categories, Noise& noise) {
  if (categories.size() < options_.n_cat_list.size()) {
    throw InputError({.problem = "got fewer categories than it was built for", .field = "FCLayers"});
  }
  at::Tensor h = x;
  for (std::size_t i = 0; i < layers_.size(); ++i) {
    h = linear_with_categories(*layers_[i].linear, h, categories);
    if (layers_[i].batch_norm) h = layers_[i].batch_norm->forward(h);
    if (options_.use_relu) h = at::relu(h);
    if (options_.dropout_rate > 0 && is_training()) h = dropout(h, i, noise);
  }
  return h;
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
                        : weight.t().index_select(0, categories[i].reshape(-1)));
    column += n;
  }
  return y;
}

at::Tensor FCLayers::dropout(const at::Tensor& x, std::size_t layer, Noise& noise) const {
  const at::Tensor draw =
      noise.uniform("dropout_" + options_.noise_name + "_" + std::to_string(layer), x.sizes(), x.options());
  const at::Tensor keep = (draw >= options_.dropout_rate).to(x.scalar_type()).mul_(1 / (1 - options_.dropout_rate));
  return x * keep;
}

at::Tensor one_hot(const at::Tensor& index, std::int64_t n) {
  const at::Tensor flat = index.reshape({-1, 1});
  if (flat.numel() > 0 && (flat.min().item<std::int64_t>() < 0 || flat.max().item<std::int64_t>() >= n)) {
    throw InputError(
        {.problem = "holds a category outside 0.." + std::to_string(n - 1), .field = "a category index"});
  }
  return at::zeros({flat.size(0), n}, flat.options().dtype(at::kFloat)).scatter_(1, flat, 1);
}

}  // namespace scvi
