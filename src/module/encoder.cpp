#include "scvi/module/encoder.hpp"

#include <ATen/ATen.h>

namespace scvi {
namespace {

constexpr double kSmallestVariance = 1e-4;

}  // namespace

at::Tensor reparameterize_gaussian(const at::Tensor& mean, const at::Tensor& variance, std::string_view name,
                                   Noise& noise) {
  return mean + variance.sqrt() * noise.standard_normal(name, mean.sizes(), mean.options());
}

Encoder::Encoder(const EncoderOptions& options, Initializer& initializer) : options_(options) {
  encoder_ =
      register_module("encoder", std::make_shared<FCLayers>(FCLayersOptions{.n_in = options.n_input,
                                                                            .n_out = options.n_hidden,
                                                                            .n_cat_list = options.n_cat_list,
                                                                            .n_layers = options.n_layers,
                                                                            .n_hidden = options.n_hidden,
                                                                            .dropout_rate = options.dropout_rate,
                                                                            .noise_name = options.noise_name},
                                                            initializer));
  mean_encoder_ = register_module(
      "mean_encoder", std::make_shared<LinearLayer>(options.n_hidden, options.n_output, true, initializer));
  var_encoder_ = register_module(
      "var_encoder", std::make_shared<LinearLayer>(options.n_hidden, options.n_output, true, initializer));
}

Encoder::Output Encoder::forward(const at::Tensor& x, const std::vector<at::Tensor>& categories, Noise& noise,
                                 bool draw_sample) {
  const at::Tensor q = encoder_->forward(x, categories, noise);
  Output output;
  output.q_m = mean_encoder_->forward(q);
  output.q_v = at::exp(var_encoder_->forward(q)) + kSmallestVariance;
  if (draw_sample) {
    output.latent = z_transformation(reparameterize_gaussian(output.q_m, output.q_v, options_.sample_name, noise));
  }
  return output;
}

at::Tensor Encoder::z_transformation(const at::Tensor& sample) const {
  return options_.distribution == LatentDistribution::ln ? at::softmax(sample, -1) : sample;
}

}  // namespace scvi
