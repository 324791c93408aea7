#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <string>
#include <vector>

#include "scvi/kernel/noise.hpp"
#include "scvi/module/layers.hpp"

namespace scvi {

/// What lies between a normal sample and the latent variable.
enum class LatentDistribution {
  normal,  ///< nothing
  ln,      ///< a softmax: logistic normal, points of a simplex
};

struct EncoderOptions {
  std::int64_t n_input = 0;
  std::int64_t n_output = 0;
  std::vector<std::int64_t> n_cat_list = {};
  std::int64_t n_layers = 1;
  std::int64_t n_hidden = 128;
  double dropout_rate = 0.1;
  LatentDistribution distribution = LatentDistribution::normal;
  std::string noise_name = {};   ///< of its dropout draws: "z_encoder"
  std::string sample_name = {};  ///< of its sample: "z"
};

/// Encodes cells as normal distributions of a latent variable.
class Encoder : public torch::nn::Module {
 public:
  struct Output {
    at::Tensor q_m;     ///< (cells, n_output) mean
    at::Tensor q_v;     ///< (cells, n_output) variance: exp(linear) + 1e-4
    at::Tensor latent;  ///< a sample, transformed; undefined when none was asked for
  };

  /// A sample and what it costs.
  struct Draw {
    at::Tensor latent;  ///< (cells, n_output) a sample, transformed
    at::Tensor kl;      ///< (cells) KL of the normal distribution from the prior, in nats
    /// (cells) log density of the normal distribution at the sample, in nats; undefined if not asked for.
    at::Tensor log_density;
  };
  /// A normal prior, (cells, 1) each, the same for every dimension; undefined: Normal(0, 1).
  struct Prior {
    at::Tensor mean;
    at::Tensor variance;
  };

  Encoder(const EncoderOptions& options, Initializer& initializer);

  /// @param x (cells, n_input), which may be sparse
  /// @param draw_sample false: only the distribution, no draw
  Output forward(const kernel::LayerInput& x, const std::vector<at::Tensor>& categories, Noise& noise,
                 bool draw_sample = true);
  /// Output::q_m alone. @param x (cells, n_input), which may be sparse
  at::Tensor mean(const kernel::LayerInput& x, const std::vector<at::Tensor>& categories, Noise& noise);
  /// What the bound needs of forward(), with the same draws.
  Draw draw(const kernel::LayerInput& x, const std::vector<at::Tensor>& categories, const Prior& prior, Noise& noise,
            bool with_log_density = false);
  /// What the latent distribution makes of a normal sample.
  at::Tensor z_transformation(const at::Tensor& sample) const;

 private:
  EncoderOptions options_;
  std::shared_ptr<FCLayers> encoder_;
  std::shared_ptr<LinearLayer> mean_encoder_;
  std::shared_ptr<LinearLayer> var_encoder_;
};

/// mean + sqrt(variance) * eps, eps being the draw `name`.
at::Tensor reparameterize_gaussian(const at::Tensor& mean, const at::Tensor& variance, std::string_view name,
                                   Noise& noise);

}  // namespace scvi
