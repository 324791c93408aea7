#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "scvi/model/label_model.hpp"
#include "scvi/model/vae.hpp"

namespace scvi {

/// Constructor arguments of scVI's VAEC.
struct VaecOptions {
  VaeOptions vae = {};  ///< needs two labels or more; the latent distribution is normal
  /// Prior probability of each label, above 0; they are made to sum to 1. Empty: all alike.
  std::vector<double> y_prior = {};
  /// Compute as scVI 0.6.3 does: the library encoder runs twice, so that its batch norm moves twice in training and
  /// every label has a library size of its own, and log_variational is ignored by the first of the two runs and by
  /// the classifier. Default: once, and log_variational everywhere.
  bool reference_0_6_3 = false;
};

/// Semi-supervised auto-encoder of counts after the M2 model of Kingma et al. (2014, arXiv:1406.5298): the label of a
/// cell stands beside z, seen by the z encoder and by the decoder, and a classifier tells it from the counts.
///
/// A cell with label kHiddenLabel is weighed under every label, as probable as the classifier finds it. Where a
/// single label is needed (inference(), sample_from_posterior_z()) it is the most probable one.
class VAEC : public VAE, public LabelModel {
 public:
  /// @throws InputError as VAE, for fewer than two labels, and for a y_prior of another length or not above 0
  /// @param seed of the initial weights
  explicit VAEC(const VaecOptions& options, std::uint64_t seed = 0);

  Elbo forward(const MiniBatch& batch, Noise& noise) override;
  InferenceOutputs inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options = {}) override;
  at::Tensor sample_from_posterior_z(const MiniBatch& batch, Noise& noise, bool give_mean,
                                     std::int64_t n_samples = 5000) override;

  at::Tensor classify(const MiniBatch& batch, Noise& noise) override;
  at::Tensor label_logits(const MiniBatch& batch, Noise& noise) override;
  Classifier& classifier() override { return *classifier_; }

  /// The specification under which this model is registered.
  static ModelSpec spec();

 private:
  kernel::LayerInput classifier_input(const kernel::LayerInput& counts) const;
  at::Tensor probable_labels(const MiniBatch& batch, Noise& noise);

  bool reference_0_6_3_;
  at::Tensor y_prior_;
  std::shared_ptr<Classifier> classifier_;
};

}  // namespace scvi
