#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scvi/kernel/fully_connected.hpp"
#include "scvi/kernel/noise.hpp"

namespace scvi {

/// Draws the initial values of parameters, one after the other, from a seed.
class Initializer {
 public:
  explicit Initializer(std::uint64_t seed) : seed_(seed) {}
  /// Uniform(-bound, bound).
  at::Tensor uniform(at::IntArrayRef shape, double bound);
  at::Tensor standard_normal(at::IntArrayRef shape);

 private:
  RandomNoise next();

  std::uint64_t seed_;
  std::uint64_t drawn_ = 0;
};

/// How a weight (out, in) lies in memory; nobody else notices.
enum class WeightLayout {
  output_major,  ///< the inputs of an output side by side, as in PyTorch
  input_major,   ///< the outputs of an input side by side: what kernel::fully_connected() reads
};

/// y = x W^T + b. Weight (out, in) and bias start as Uniform(-1/sqrt(in), 1/sqrt(in)).
class LinearLayer : public torch::nn::Module {
 public:
  LinearLayer(std::int64_t n_in, std::int64_t n_out, bool bias, Initializer& initializer,
              WeightLayout layout = WeightLayout::output_major);
  at::Tensor forward(const at::Tensor& x) const;

  at::Tensor weight;  ///< (n_out, n_in)
  at::Tensor bias;    ///< (n_out), or undefined
};

/// Batch norm over cells. Train mode normalises with the biased variance of the minibatch and moves the running
/// statistics (unbiased variance) by `momentum`; eval mode normalises with the running statistics.
class BatchNormLayer : public torch::nn::Module {
 public:
  BatchNormLayer(std::int64_t n_features, double momentum, double eps);
  /// @param x (cells, n_features), or (samples, cells, n_features) where every sample is normalised by itself
  at::Tensor forward(const at::Tensor& x);
  /// What kernel::fully_connected() needs to do the same. @pre it will be called with it
  kernel::FullyConnected::BatchNorm as_part();

  at::Tensor weight;               ///< (n_features), starts at 1
  at::Tensor bias;                 ///< (n_features), starts at 0
  at::Tensor running_mean;         ///< (n_features), starts at 0
  at::Tensor running_var;          ///< (n_features), starts at 1
  at::Tensor num_batches_tracked;  ///< scalar int64
  double momentum;
  double eps;
};

/// Sizes and parts of a block of fully-connected layers.
struct FCLayersOptions {
  std::int64_t n_in = 0;
  std::int64_t n_out = 0;
  /// Number of values of each category that is appended to the input of every layer, one-hot. A category with fewer
  /// than two values adds nothing.
  std::vector<std::int64_t> n_cat_list = {};
  std::int64_t n_layers = 1;
  std::int64_t n_hidden = 128;  ///< width of the layers before the last
  double dropout_rate = 0.1;    ///< share of units dropped in train mode; 0: no dropout layer
  bool use_batch_norm = true;
  bool use_relu = true;
  bool bias = true;
  double batch_norm_momentum = 0.01;
  double batch_norm_eps = 1e-3;
  /// Dropout of layer i draws "dropout_<noise_name>_<i>".
  std::string noise_name = {};
};

/// Fully-connected layers: append categories, linear, batch norm, ReLU, dropout. Parameters are named as in scVI,
/// "fc_layers.Layer <i>.0.weight" and so on.
class FCLayers : public torch::nn::Module {
 public:
  FCLayers(const FCLayersOptions& options, Initializer& initializer);

  /// @param x (cells, n_in), which may be sparse, or (samples, cells, n_in)
  /// @param categories one tensor per category that counts (those beyond the list are ignored): indices (cells, 1),
  /// or
  ///        one-hot rows (cells, n). May be undefined only where the category has fewer than two values.
  at::Tensor forward(const kernel::LayerInput& x, const std::vector<at::Tensor>& categories, Noise& noise);
  /// (out, in) the weight of a layer with the factor that its batch norm, if any, applies in evaluation mode.
  at::Tensor effective_weight(std::size_t layer) const;

 private:
  struct Layer {
    std::shared_ptr<LinearLayer> linear;
    std::shared_ptr<BatchNormLayer> batch_norm;
  };
  at::Tensor linear_with_categories(const LinearLayer& linear, const at::Tensor& x,
                                    const std::vector<at::Tensor>& categories) const;
  bool drops() const { return options_.dropout_rate > 0 && is_training(); }
  at::Tensor dropout_draws(std::size_t layer, at::IntArrayRef shape, const at::TensorOptions& like,
                           Noise& noise) const;
  /// The layer as one operation, or nothing where its parts do not allow that.
  std::optional<kernel::FullyConnected> fused_layer(const Layer& layer, const kernel::LayerInput& x,
                                                    const std::vector<at::Tensor>& categories) const;
  at::Tensor op_by_op(std::size_t layer, const at::Tensor& x, const std::vector<at::Tensor>& categories,
                      Noise& noise);

  FCLayersOptions options_;
  std::vector<Layer> layers_;
};

/// One-hot rows, (cells, n), of indices (cells, 1). @throws InputError for an index out of range
at::Tensor one_hot(const at::Tensor& index, std::int64_t n);

/// For every cell the row of `table` (n_categories, n) that `index` (cells, 1) names: (cells, n). Adds the gradients
/// of a row up in the order of the cells, on a GPU, too, where at::index_select would add them in any order.
at::Tensor rows_of_categories(const at::Tensor& table, const at::Tensor& index);

}  // namespace scvi
