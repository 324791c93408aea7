#pragma once

#include <ATen/core/Tensor.h>
#include <torch/nn/module.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "scvi/io/torch_archive.hpp"
#include "scvi/kernel/noise.hpp"
#include "scvi/kernel/sparse_rows.hpp"
#include "scvi/loader/minibatch.hpp"
#include "scvi/model/spec.hpp"

namespace scvi {

/// The terms of the evidence lower bound for the cells of a minibatch, in nats, as `forward()` of the reference
/// returns them.
struct Elbo {
  at::Tensor reconstruction;  ///< (cells) what is not weighted by the KL warm-up: for VAE, -log p(x) plus KL of l
  at::Tensor kl_local;        ///< (cells) what is: for VAE, KL of z
  at::Tensor kl_global = {};  ///< scalar, of variables that all cells share; undefined where there are none
};

/// All that a forward pass computes on the way; what a model lacks stays undefined. With n_samples > 1 the sampled
/// quantities have a leading dimension of that size.
struct InferenceOutputs {
  at::Tensor px_scale;    ///< (cells, genes) expected frequencies
  at::Tensor px_r;        ///< inverse dispersion: (genes) or (cells, genes)
  at::Tensor px_rate;     ///< (cells, genes) mean counts
  at::Tensor px_dropout;  ///< (cells, genes) logit of an extra zero
  at::Tensor qz_m;        ///< (cells, n_latent)
  at::Tensor qz_v;        ///< (cells, n_latent) variance
  at::Tensor z;           ///< (cells, n_latent) sample, transformed
  at::Tensor ql_m;        ///< (cells, 1)
  at::Tensor ql_v;        ///< (cells, 1)
  at::Tensor library;     ///< (cells, 1) sample of the log library size
  /// AutoZI: probability that a gene is not zero-inflated, a sample: (genes) or (cells, genes); of several samples
  /// (n_samples, 1 or cells, genes)
  at::Tensor bernoulli_params = {};
  /// (cells, 1) the labels that were gone by, where a model needs them to decode: in place of a hidden one, the most
  /// probable; undefined: those of the minibatch
  at::Tensor labels = {};
};

/// A draw of the variables that all cells share, for importance sampling.
struct GlobalDraw {
  at::Tensor value = {};  ///< as InferenceOptions::global takes it; undefined where a model has no such variables
  at::Tensor log_weight = {};  ///< scalar, log p(value) - log q(value)
};

/// What is wanted of a decoder; the rest of InferenceOutputs may then stay undefined.
enum class Decode {
  all,
  rate,    ///< px_rate and px_scale
  scale,   ///< px_scale, without the library size
  latent,  ///< nothing: z and labels are enough
};

struct InferenceOptions {
  /// Samples of the latent variables for each cell. From 2 on, outputs gain a leading dimension.
  std::int64_t n_samples = 1;
  /// Decode every cell as if it came from this batch.
  std::optional<std::int64_t> transform_batch = {};
  Decode decode = Decode::all;
  /// (cells, n_latent) z of cells, drawn before: only decoded, for Decode::scale, with the batches and labels of the
  /// minibatch. Its counts are not looked at, unless a label is hidden from a model that needs it.
  at::Tensor z = {};
  /// What the variables that all cells share are; undefined: drawn anew. With a leading dimension for several
  /// samples.
  at::Tensor global = {};
};

/// What every model answers. Parameters and buffers carry scVI's names.
class Model : public torch::nn::Module {
 public:
  ~Model() override = default;

  /// The bound of the cells of a minibatch. Draws "z", "l" and the dropout masks.
  virtual Elbo forward(const MiniBatch& batch, Noise& noise) = 0;
  /// Draws as forward(), of shape (n_samples, cells, ...) where n_samples > 1.
  virtual InferenceOutputs inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options = {}) = 0;
  /// (..., cells) -log p(x | z, l) of the counts under what inference() returned.
  virtual at::Tensor get_reconstruction_loss(const MiniBatch& batch, const InferenceOutputs& outputs) = 0;
  /// (cells, n_latent). @param give_mean the mean instead of a sample; for `ln`, the average of n_samples draws
  virtual at::Tensor sample_from_posterior_z(const MiniBatch& batch, Noise& noise, bool give_mean,
                                             std::int64_t n_samples = 5000) = 0;
  /// (cells, 1) sample of the natural log of the library size, or its mean.
  virtual at::Tensor sample_from_posterior_l(const MiniBatch& batch, Noise& noise, bool give_mean = false) = 0;

  /// Draws from the posterior of what all cells share.
  virtual GlobalDraw draw_global(Noise& /*noise*/) { return {}; }
  /// Whether trainers divide its loss by the number of training cells unless they are told.
  virtual bool normalizes_loss() const { return true; }

  const std::string& name() const { return name_; }
  const DataShape& shape() const { return shape_; }
  const Hyperparameters& hyperparameters() const { return hyperparameters_; }
  /// The device of the parameters.
  c10::Device device() const;

 protected:
  Model(std::string name, DataShape shape, Hyperparameters hyperparameters)
      : name_(std::move(name)), shape_(shape), hyperparameters_(std::move(hyperparameters)) {}

 private:
  std::string name_;
  DataShape shape_;
  Hyperparameters hyperparameters_;
};

/// Counts as the layers of a model read them: sparse on the fused road, else dense.
kernel::LayerInput layer_input(const CountTensor& counts);
/// log(1 + x), as sparse as x.
kernel::LayerInput log1p(const kernel::LayerInput& counts);

/// Parameters and buffers by scVI's names, in scVI's order within each module.
std::vector<std::pair<std::string, at::Tensor>> named_state(const torch::nn::Module& module);

/// A copy of the state, on the CPU, in the form that files hold.
std::vector<io::NamedTensor> state_dict(const torch::nn::Module& module);

/// Copies values into the module. @throws InputError that names what is missing, not expected, or of another shape
/// @param source where the state came from, for messages
void load_state_dict(torch::nn::Module& module, std::span<const io::NamedTensor> state, const std::string& source);

/// Conversions between LibTorch's tensors and the form that files hold.
io::NamedTensor to_named_tensor(std::string name, const at::Tensor& tensor);
at::Tensor to_tensor(const io::NamedTensor& tensor);

}  // namespace scvi
