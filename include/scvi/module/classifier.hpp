#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <string>

#include "scvi/kernel/noise.hpp"
#include "scvi/module/layers.hpp"

namespace scvi {

/// Constructor arguments of scVI's Classifier, with its names and defaults.
struct ClassifierOptions {
  std::int64_t n_input = 0;  ///< features of a cell: genes, or latent dimensions
  std::int64_t n_hidden = 128;
  std::int64_t n_labels = 5;
  std::int64_t n_layers = 1;
  double dropout_rate = 0.1;
  bool logits = false;                    ///< forward() gives logits instead of probabilities
  std::string noise_name = "classifier";  ///< of its dropout draws: "dropout_<noise_name>_<layer>"
};

/// Tells the labels of cells from their features: fully-connected layers with batch norm, and a softmax. Parameters
/// are named as in scVI, "classifier.0.fc_layers.Layer 0.0.weight" and so on.
class Classifier : public torch::nn::Module {
 public:
  Classifier(const ClassifierOptions& options, Initializer& initializer);

  /// (cells, n_labels) probabilities, or logits where the options say so.
  /// @param x (cells, n_input), which may be sparse
  at::Tensor forward(const kernel::LayerInput& x, Noise& noise);
  /// (cells, n_labels) logits, whatever the options say.
  at::Tensor logits(const kernel::LayerInput& x, Noise& noise);

  const ClassifierOptions& options() const { return options_; }

 private:
  ClassifierOptions options_;
  std::shared_ptr<FCLayers> layers_;
  std::shared_ptr<LinearLayer> head_;
};

}  // namespace scvi
