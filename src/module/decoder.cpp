#include "scvi/module/decoder.hpp"

#include <ATen/ATen.h>

#include "scvi/distribution/count.hpp"
#include "scvi/kernel/count_heads.hpp"
#include "scvi/kernel/softmax.hpp"

namespace scvi {

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

at::Tensor DecoderSCVI::nll(const at::Tensor& z, const at::Tensor& library, const std::vector<at::Tensor>& categories,
                            const kernel::LayerInput& x, const Counts& counts, Noise& noise) {
  using kernel::CountLikelihood;
  const bool has_dropout = counts.likelihood == CountLikelihood::zinb;
  const bool has_own_r = counts.likelihood != CountLikelihood::poisson && !counts.log_theta.defined();
  const at::Tensor px = px_decoder_->forward(z, categories, noise);
  kernel::CountHeads heads{.likelihood = counts.likelihood,
                           .scale_weight = px_scale_decoder_->weight,
                           .scale_bias = px_scale_decoder_->bias,
                           .log_theta = counts.log_theta,
                           .category = counts.category};
  if (has_dropout) heads.dropout_weight = px_dropout_decoder_->weight, heads.dropout_bias = px_dropout_decoder_->bias;
  if (has_own_r) heads.r_weight = px_r_decoder_->weight, heads.r_bias = px_r_decoder_->bias;
  if (x.sparse() != nullptr && kernel::can_fuse(px, library, heads)) {
    return kernel::count_heads_nll(px, library, heads, *x.sparse());
  }
  const at::Tensor mean = at::exp(library) * at::softmax(px_scale_decoder_->forward(px), -1);
  if (counts.likelihood == CountLikelihood::poisson) return -Poisson{mean}.log_prob(x.dense()).sum(-1);
  at::Tensor log_theta = has_own_r ? px_r_decoder_->forward(px) : counts.log_theta;
  if (counts.category.defined()) log_theta = rows_of_categories(log_theta, counts.category);
  const at::Tensor theta = at::exp(log_theta);
  if (!has_dropout) return -NegativeBinomial{mean, theta}.log_prob(x.dense()).sum(-1);
  const at::Tensor dropout = px_dropout_decoder_->forward(px);
  return -ZeroInflatedNegativeBinomial{mean, theta, dropout}.log_prob(x.dense()).sum(-1);
}

}  // namespace scvi
