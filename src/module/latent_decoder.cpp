#include "scvi/module/latent_decoder.hpp"

#include <ATen/ATen.h>

#include "scvi/distribution/divergence.hpp"
#include "scvi/kernel/latent_draw.hpp"

namespace scvi {

Decoder::Decoder(const DecoderOptions& options, Initializer& initializer) {
  decoder_ = register_module("decoder", std::make_shared<FCLayers>(FCLayersOptions{.n_in = options.n_input,
                                                                                   .n_out = options.n_hidden,
                                                                                   .n_cat_list = options.n_cat_list,
                                                                                   .n_layers = options.n_layers,
                                                                                   .n_hidden = options.n_hidden,
                                                                                   .dropout_rate = 0,
                                                                                   .noise_name = "latent_decoder"},
                                                                   initializer));
  mean_decoder_ = register_module(
      "mean_decoder", std::make_shared<LinearLayer>(options.n_hidden, options.n_output, true, initializer));
  var_decoder_ = register_module(
      "var_decoder", std::make_shared<LinearLayer>(options.n_hidden, options.n_output, true, initializer));
}

Decoder::Output Decoder::forward(const at::Tensor& x, const std::vector<at::Tensor>& categories, Noise& noise) {
  const at::Tensor p = decoder_->forward(x, categories, noise);
  return {.p_m = mean_decoder_->forward(p), .p_v = at::exp(var_decoder_->forward(p))};
}

at::Tensor Decoder::log_density(const at::Tensor& value, const at::Tensor& x,
                                const std::vector<at::Tensor>& categories, Noise& noise) {
  const at::Tensor p = decoder_->forward(x, categories, noise);
  const kernel::LatentHeads heads{.mean_weight = mean_decoder_->weight,
                                  .mean_bias = mean_decoder_->bias,
                                  .variance_weight = var_decoder_->weight,
                                  .variance_bias = var_decoder_->bias};
  if (kernel::can_fuse(p, heads)) return kernel::latent_log_density(value.contiguous(), p, heads);
  return normal_log_prob(value, mean_decoder_->forward(p), at::exp(var_decoder_->forward(p))).sum(-1);
}

}  // namespace scvi
