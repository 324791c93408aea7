#include "scvi/module/decoder.hpp"

#include <ATen/ATen.h>

#include "scvi/distribution/count.hpp"
#include "scvi/kernel/count_heads.hpp"
#include "scvi/kernel/count_logits.hpp"
#include "scvi/kernel/fully_connected.hpp"
#include "scvi/kernel/softmax.hpp"

namespace scvi {
namespace {

using kernel::CountLikelihood;

/// (cells) -log p(x)
at::Tensor nll_of(const kernel::CountLogits& logits, const at::Tensor& library, const kernel::LayerInput& x) {
  if (x.sparse() != nullptr && kernel::can_fuse(logits, library)) {
    return kernel::count_logits_nll(logits, library, *x.sparse());
  }
  const at::Tensor mean = at::exp(library) * at::softmax(logits.scale, -1);
  if (logits.likelihood == CountLikelihood::poisson) return -Poisson{mean}.log_prob(x.dense()).sum(-1);
  const at::Tensor theta =
      at::exp(logits.category.defined() ? rows_of_categories(logits.log_theta, logits.category) : logits.log_theta);
  if (logits.likelihood == CountLikelihood::nb) return -NegativeBinomial{mean, theta}.log_prob(x.dense()).sum(-1);
  return -ZeroInflatedNegativeBinomial{mean, theta, logits.dropout}.log_prob(x.dense()).sum(-1);
}

/// A head of its own, behind a ReLU, by the library's products where they can be had.
at::Tensor head_of(const at::Tensor& px, const LinearLayer& layer) {
  const kernel::FullyConnected fused{
      .weight = layer.weight, .bias = layer.bias, .relu = false, .input_is_rectified = true};
  return kernel::can_fuse(px, fused) ? kernel::fully_connected(px, fused) : layer.forward(px);
}

at::Tensor mapped(const CountDecoder::Counts& counts, const at::Tensor& dropout) {
  return counts.map_dropout ? counts.map_dropout(dropout) : dropout;
}

/// Whether the decoder itself gives the dispersions.
bool wants_own_r(const CountDecoder::Counts& counts) {
  return counts.likelihood != CountLikelihood::poisson && !counts.log_theta.defined();
}

}  // namespace

at::Tensor CountDecoder::nll(const at::Tensor& z, const at::Tensor& library,
                             const std::vector<at::Tensor>& categories, const kernel::LayerInput& x,
                             const Counts& counts, Noise& noise) {
  return nll_from(hidden(z, categories, noise), library, categories, x, counts, noise);
}

DecoderSCVI::DecoderSCVI(const DecoderOptions& options, Initializer& initializer) {
  const auto head = [&] {
    return std::make_shared<LinearLayer>(options.n_hidden, options.n_output, true, initializer,
                                         WeightLayout::input_major);
  };
  px_decoder_ =
      register_module("px_decoder", std::make_shared<FCLayers>(FCLayersOptions{.n_in = options.n_input,
                                                                               .n_out = options.n_hidden,
                                                                               .n_cat_list = options.n_cat_list,
                                                                               .n_layers = options.n_layers,
                                                                               .n_hidden = options.n_hidden,
                                                                               .dropout_rate = 0,
                                                                               .noise_name = "decoder"},
                                                               initializer));
  // scVI keeps this head in a sequence with its softmax, which its parameter's name shows.
  auto scale_sequence = register_module("px_scale_decoder", std::make_shared<torch::nn::Module>());
  px_scale_decoder_ = scale_sequence->register_module("0", head());
  px_r_decoder_ = register_module("px_r_decoder", head());
  px_dropout_decoder_ = register_module("px_dropout_decoder", head());
}

DecoderSCVI::Output DecoderSCVI::forward(const at::Tensor& z, const at::Tensor& library,
                                         const std::vector<at::Tensor>& categories, const Heads& heads,
                                         Noise& noise) {
  const at::Tensor px = px_decoder_->forward(z, categories, noise);
  Output output;
  const auto [scale, rate] = kernel::softmax(px_scale_decoder_->forward(px), heads.px_rate ? library : at::Tensor());
  output.px_scale = scale;
  output.px_rate = rate;
  if (heads.px_dropout) output.px_dropout = px_dropout_decoder_->forward(px);
  if (heads.px_r) output.px_r = px_r_decoder_->forward(px);
  return output;
}

at::Tensor DecoderSCVI::hidden(const at::Tensor& z, const std::vector<at::Tensor>& categories, Noise& noise) {
  return px_decoder_->forward(z, categories, noise);
}

at::Tensor DecoderSCVI::nll_from(const at::Tensor& px, const at::Tensor& library, const std::vector<at::Tensor>&,
                                 const kernel::LayerInput& x, const Counts& counts, Noise&) {
  const bool has_dropout = counts.likelihood == CountLikelihood::zinb;
  const bool has_own_r = wants_own_r(counts);
  kernel::CountHeads heads{.likelihood = counts.likelihood,
                           .scale_weight = px_scale_decoder_->weight,
                           .scale_bias = px_scale_decoder_->bias,
                           .log_theta = counts.log_theta,
                           .category = counts.category,
                           .hidden_is_rectified = true};
  if (has_dropout) heads.dropout_weight = px_dropout_decoder_->weight, heads.dropout_bias = px_dropout_decoder_->bias;
  if (has_own_r) heads.r_weight = px_r_decoder_->weight, heads.r_bias = px_r_decoder_->bias;
  if (!counts.map_dropout && x.sparse() != nullptr && kernel::can_fuse(px, library, heads)) {
    return kernel::count_heads_nll(px, library, heads, *x.sparse());
  }
  return nll_of({.likelihood = counts.likelihood,
                 .scale = head_of(px, *px_scale_decoder_),
                 .dropout = has_dropout ? mapped(counts, head_of(px, *px_dropout_decoder_)) : at::Tensor(),
                 .log_theta = has_own_r ? head_of(px, *px_r_decoder_) : counts.log_theta,
                 .category = counts.category},
                library, x);
}

LinearDecoderSCVI::LinearDecoderSCVI(const LinearDecoderOptions& options, Initializer& initializer)
    : options_(options) {
  const auto linear = [&](const char* name) {
    return register_module(name, std::make_shared<FCLayers>(FCLayersOptions{.n_in = options.n_input,
                                                                            .n_out = options.n_output,
                                                                            .n_cat_list = options.n_cat_list,
                                                                            .n_layers = 1,
                                                                            .dropout_rate = 0,
                                                                            .use_batch_norm = options.use_batch_norm,
                                                                            .use_relu = false,
                                                                            .bias = options.bias,
                                                                            .noise_name = "decoder"},
                                                            initializer));
  };
  factor_regressor_ = linear("factor_regressor");
  px_dropout_decoder_ = linear("px_dropout_decoder");
  if (options.has_px_r) px_r_decoder_ = linear("px_r_decoder");
}

at::Tensor LinearDecoderSCVI::dropout_logits(const at::Tensor& z, const std::vector<at::Tensor>& categories,
                                             bool wanted, Noise& noise) {
  if (wanted) return px_dropout_decoder_->forward(z, categories, noise);
  if (is_training() && options_.use_batch_norm) {
    // The reference moves them for a likelihood without dropout, too, and they are saved with the model.
    at::NoGradGuard no_grad;
    px_dropout_decoder_->forward(z, categories, noise);
  }
  return {};
}

CountDecoder::Output LinearDecoderSCVI::forward(const at::Tensor& z, const at::Tensor& library,
                                                const std::vector<at::Tensor>& categories, const Heads& heads,
                                                Noise& noise) {
  Output output;
  const auto [scale, rate] =
      kernel::softmax(factor_regressor_->forward(z, categories, noise), heads.px_rate ? library : at::Tensor());
  output.px_scale = scale;
  output.px_rate = rate;
  output.px_dropout = dropout_logits(z, categories, heads.px_dropout, noise);
  if (heads.px_r) output.px_r = px_r_decoder_->forward(z, categories, noise);
  return output;
}

at::Tensor LinearDecoderSCVI::hidden(const at::Tensor& z, const std::vector<at::Tensor>&, Noise&) {
  return z;
}

at::Tensor LinearDecoderSCVI::nll_from(const at::Tensor& z, const at::Tensor& library,
                                       const std::vector<at::Tensor>& categories, const kernel::LayerInput& x,
                                       const Counts& counts, Noise& noise) {
  const bool has_dropout = counts.likelihood == CountLikelihood::zinb;
  const at::Tensor dropout = dropout_logits(z, categories, has_dropout, noise);
  return nll_of({.likelihood = counts.likelihood,
                 .scale = factor_regressor_->forward(z, categories, noise),
                 .dropout = has_dropout ? mapped(counts, dropout) : at::Tensor(),
                 .log_theta = wants_own_r(counts) ? px_r_decoder_->forward(z, categories, noise) : counts.log_theta,
                 .category = counts.category},
                library, x);
}

at::Tensor LinearDecoderSCVI::loadings() const {
  return factor_regressor_->effective_weight(0).narrow(1, 0, options_.n_input);
}

}  // namespace scvi
