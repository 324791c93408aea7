#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <functional>
#include <memory>
#include <vector>

#include "scvi/kernel/count_nll.hpp"
#include "scvi/kernel/noise.hpp"
#include "scvi/kernel/sparse_rows.hpp"
#include "scvi/module/layers.hpp"

namespace scvi {

struct DecoderOptions {
  std::int64_t n_input = 0;   ///< latent dimensions
  std::int64_t n_output = 0;  ///< genes
  std::vector<std::int64_t> n_cat_list = {};
  std::int64_t n_layers = 1;
  std::int64_t n_hidden = 128;
};

/// Decodes latent variables into the parameters of the count distribution.
class CountDecoder : public torch::nn::Module {
 public:
  /// Which of the heads are wanted; the others stay undefined and get no gradient.
  struct Heads {
    bool px_rate = true;
    bool px_r = false;  ///< dispersion of every gene in every cell (dispersion gene-cell)
    bool px_dropout = true;
  };
  struct Output {
    at::Tensor px_scale;    ///< (..., genes) expected frequencies, they sum to 1
    at::Tensor px_r;        ///< (..., genes) log inverse dispersion
    at::Tensor px_rate;     ///< (..., genes) mean: exp(library) * px_scale
    at::Tensor px_dropout;  ///< (..., genes) logit of an extra zero
  };

  /// How the counts are distributed around the means.
  struct Counts {
    kernel::CountLikelihood likelihood = kernel::CountLikelihood::zinb;
    /// Log inverse dispersions: (genes), or (categories, genes) with `category`; undefined: one of every gene in
    /// every cell, from the decoder's own head. Not for poisson.
    at::Tensor log_theta = {};
    at::Tensor category = {};  ///< (cells, 1) int64
    /// What the likelihood sees of the dropout logits (cells, genes); none: the logits themselves.
    std::function<at::Tensor(const at::Tensor&)> map_dropout = {};
  };

  /// @param z (cells, n_input) or (samples, cells, n_input)
  /// @param library (..., 1) natural log of the library size
  virtual Output forward(const at::Tensor& z, const at::Tensor& library, const std::vector<at::Tensor>& categories,
                         const Heads& heads, Noise& noise) = 0;
  /// (cells) -log p(counts) of the distribution that forward() describes, in nats.
  /// @param x (cells, genes) the counts
  at::Tensor nll(const at::Tensor& z, const at::Tensor& library, const std::vector<at::Tensor>& categories,
                 const kernel::LayerInput& x, const Counts& counts, Noise& noise);
  /// (cells, units) what the heads of nll() read; z itself where there is no layer before them.
  virtual at::Tensor hidden(const at::Tensor& z, const std::vector<at::Tensor>& categories, Noise& noise) = 0;
  /// nll() from hidden() on.
  virtual at::Tensor nll_from(const at::Tensor& hidden, const at::Tensor& library,
                              const std::vector<at::Tensor>& categories, const kernel::LayerInput& x,
                              const Counts& counts, Noise& noise) = 0;
};

/// The decoder of VAE: fully-connected layers, and a linear head for each parameter.
class DecoderSCVI : public CountDecoder {
 public:
  DecoderSCVI(const DecoderOptions& options, Initializer& initializer);

  Output forward(const at::Tensor& z, const at::Tensor& library, const std::vector<at::Tensor>& categories,
                 const Heads& heads, Noise& noise) override;
  at::Tensor hidden(const at::Tensor& z, const std::vector<at::Tensor>& categories, Noise& noise) override;
  at::Tensor nll_from(const at::Tensor& hidden, const at::Tensor& library, const std::vector<at::Tensor>& categories,
                      const kernel::LayerInput& x, const Counts& counts, Noise& noise) override;

 private:
  std::shared_ptr<FCLayers> px_decoder_;
  std::shared_ptr<LinearLayer> px_scale_decoder_;
  std::shared_ptr<LinearLayer> px_r_decoder_;
  std::shared_ptr<LinearLayer> px_dropout_decoder_;
};

struct LinearDecoderOptions {
  std::int64_t n_input = 0;   ///< latent dimensions
  std::int64_t n_output = 0;  ///< genes
  std::vector<std::int64_t> n_cat_list = {};
  bool use_batch_norm = true;
  bool bias = false;
  bool has_px_r = false;  ///< a dispersion of every gene in every cell, which scVI's lacks
};

/// The decoder of LDVAE: each parameter is a linear function of latent variables and category, with a batch norm
/// behind it if wished. The frequencies are a softmax of theirs.
class LinearDecoderSCVI : public CountDecoder {
 public:
  LinearDecoderSCVI(const LinearDecoderOptions& options, Initializer& initializer);

  Output forward(const at::Tensor& z, const at::Tensor& library, const std::vector<at::Tensor>& categories,
                 const Heads& heads, Noise& noise) override;
  at::Tensor hidden(const at::Tensor& z, const std::vector<at::Tensor>& categories, Noise& noise) override;
  at::Tensor nll_from(const at::Tensor& hidden, const at::Tensor& library, const std::vector<at::Tensor>& categories,
                      const kernel::LayerInput& x, const Counts& counts, Noise& noise) override;
  /// (genes, n_input) what a step along a latent variable adds to a gene's logit, batch norm's running scale
  /// included.
  at::Tensor loadings() const;

 private:
  /// The dropout logits, or nothing but what training makes of their running statistics.
  at::Tensor dropout_logits(const at::Tensor& z, const std::vector<at::Tensor>& categories, bool wanted,
                            Noise& noise);

  LinearDecoderOptions options_;
  std::shared_ptr<FCLayers> factor_regressor_;
  std::shared_ptr<FCLayers> px_dropout_decoder_;
  std::shared_ptr<FCLayers> px_r_decoder_;
};

}  // namespace scvi
