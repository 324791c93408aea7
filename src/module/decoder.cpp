#include "scvi/module/decoder.hpp"

#include <ATen/ATen.h>

namespace scvi {

DecoderSCVI::DecoderSCVI(const DecoderOptions& options, Initializer& initializer) {
  const auto head = [&] {
    return std::make_shared<LinearLayer>(options.n_hidden, options.n_output, true, initializer);
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
  output.px_scale = at::softmax(px_scale_decoder_->forward(px), -1);
  output.px_rate = at::exp(library) * output.px_scale;
  if (heads.px_dropout) output.px_dropout = px_dropout_decoder_->forward(px);
  if (heads.px_r) output.px_r = px_r_decoder_->forward(px);
  return output;
}

}  // namespace scvi
