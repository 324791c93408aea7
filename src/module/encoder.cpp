#include "scvi/module/encoder.hpp"

#include <ATen/ATen.h>

#include "scvi/distribution/divergence.hpp"
#include "scvi/kernel/latent_draw.hpp"

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

Encoder::Output Encoder::forward(const kernel::LayerInput& x, const std::vector<at::Tensor>& categories, Noise& noise,
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

at::Tensor Encoder::mean(const kernel::LayerInput& x, const std::vector<at::Tensor>& categories, Noise& noise) {
  return mean_encoder_->forward(encoder_->forward(x, categories, noise));
}

Encoder::Draw Encoder::draw(const kernel::LayerInput& x, const std::vector<at::Tensor>& categories,
                            const Prior& prior, Noise& noise, bool with_log_density) {
  const at::Tensor q = encoder_->forward(x, categories, noise);
  const kernel::LatentHeads heads{.mean_weight = mean_encoder_->weight,
                                  .mean_bias = mean_encoder_->bias,
                                  .variance_weight = var_encoder_->weight,
                                  .variance_bias = var_encoder_->bias,
                                  .variance_floor = kSmallestVariance,
                                  .prior_mean = prior.mean,
                                  .prior_variance = prior.variance};
  if (kernel::can_fuse(q, heads)) {
    const at::Tensor eps =
        noise.standard_normal(options_.sample_name, {q.size(0), options_.n_output}, q.options().requires_grad(false));
    const auto fused = kernel::latent_draw(q, heads, eps, with_log_density);
    return {z_transformation(fused.z), fused.kl, fused.log_density};
  }
  const at::Tensor mean = mean_encoder_->forward(q);
  const at::Tensor variance = at::exp(var_encoder_->forward(q)) + kSmallestVariance;
  const at::Tensor kl = prior.mean.defined() ? kl_normal(mean, variance, prior.mean, prior.variance)
                                             : kl_standard_normal(mean, variance);
  const at::Tensor sample = reparameterize_gaussian(mean, variance, options_.sample_name, noise);
  return {z_transformation(sample), kl.sum(1),
          with_log_density ? normal_log_prob(sample, mean, variance).sum(1) : at::Tensor()};
}

at::Tensor Encoder::z_transformation(const at::Tensor& sample) const {
  return options_.distribution == LatentDistribution::ln ? at::softmax(sample, -1) : sample;
}

}  // namespace scvi
