#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include "scvi/kernel/noise.hpp"
#include "scvi/module/decoder.hpp"
#include "scvi/module/layers.hpp"

namespace scvi {

/// Decodes a latent variable into a normal distribution of another one: scVI's Decoder. Its variance is exp(linear),
/// without the floor that encoders have.
class Decoder : public torch::nn::Module {
 public:
  struct Output {
    at::Tensor p_m;  ///< (cells, n_output) mean
    at::Tensor p_v;  ///< (cells, n_output) variance
  };

  /// @param options n_output counts latent dimensions here
  Decoder(const DecoderOptions& options, Initializer& initializer);

  /// @param x (cells, n_input)
  Output forward(const at::Tensor& x, const std::vector<at::Tensor>& categories, Noise& noise);
  /// (cells) log density, in nats, of the decoded distribution at some values. @param value (cells, n_output)
  at::Tensor log_density(const at::Tensor& value, const at::Tensor& x, const std::vector<at::Tensor>& categories,
                         Noise& noise);

 private:
  std::shared_ptr<FCLayers> decoder_;
  std::shared_ptr<LinearLayer> mean_decoder_;
  std::shared_ptr<LinearLayer> var_decoder_;
};

}  // namespace scvi
