#include "scvi/module/classifier.hpp"

#include "scvi/kernel/label_probabilities.hpp"

namespace scvi {

Classifier::Classifier(const ClassifierOptions& options, Initializer& initializer) : options_(options) {
  auto sequence = register_module("classifier", std::make_shared<torch::nn::Module>());
  layers_ =
      sequence->register_module("0", std::make_shared<FCLayers>(FCLayersOptions{.n_in = options.n_input,
                                                                                .n_out = options.n_hidden,
                                                                                .n_layers = options.n_layers,
                                                                                .n_hidden = options.n_hidden,
                                                                                .dropout_rate = options.dropout_rate,
                                                                                .noise_name = options.noise_name},
                                                                initializer));
  head_ = sequence->register_module(
      "1", std::make_shared<LinearLayer>(options.n_hidden, options.n_labels, true, initializer));
}

at::Tensor Classifier::logits(const kernel::LayerInput& x, Noise& noise) {
  return head_->forward(layers_->forward(x, {}, noise));
}

at::Tensor Classifier::forward(const kernel::LayerInput& x, Noise& noise) {
  const at::Tensor output = logits(x, noise);
  return options_.logits ? output : kernel::label_probabilities(output);
}

}  // namespace scvi
