#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "scvi/model/label_model.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/module/latent_decoder.hpp"

namespace scvi {

/// Constructor arguments of scVI's SCANVI.
struct ScanviOptions {
  VaeOptions vae = {};  ///< needs two labels or more; the latent distribution is normal
  /// Prior probability of each label, above 0; they are made to sum to 1. Empty: all alike.
  std::vector<double> y_prior = {};
  /// The group of each label, 0 to the number of groups - 1, for use_labels_groups and hierarchical accuracy.
  std::vector<std::int64_t> labels_groups = {};
  /// Tell the group of a cell first, by a classifier of its own, then its label within the group.
  bool use_labels_groups = false;
  // scVI's classifier_parameters. Unset: as in `vae`.
  std::optional<std::int64_t> classifier_n_layers = {};
  std::optional<std::int64_t> classifier_n_hidden = {};
  std::optional<double> classifier_dropout_rate = {};
};

/// Single-cell annotation by variational inference (Xu et al. 2021, Mol Syst Biol 17, e9620): above the latent state
/// z1 of VAE stands its label together with z2, the state beside the label, and a classifier tells the label from z1.
/// inference() and sample_from_posterior_z() speak of z1.
///
/// A cell with label kHiddenLabel is weighed under every label, as probable as the classifier finds it. Where a
/// single label is needed (get_latents(), dispersion gene_label) it is the most probable one.
class SCANVI : public VAE, public LabelModel {
 public:
  /// @throws InputError as VAE, for fewer than two labels, and for a y_prior or labels_groups that do not fit them
  /// @param seed of the initial weights
  explicit SCANVI(const ScanviOptions& options, std::uint64_t seed = 0);

  /// The bound of the cells of a minibatch. Draws "z1", "z2", "l" and the dropout masks.
  Elbo forward(const MiniBatch& batch, Noise& noise) override;
  InferenceOutputs inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options = {}) override;
  /// Samples of z1 and z2; in evaluation mode, of z1 and the mean of z2 given it.
  std::vector<at::Tensor> get_latents(const MiniBatch& batch, Noise& noise) override;

  /// q(z2 | z1, label) and a sample of it.
  /// @param z1 (cells, n_latent)
  /// @param labels (cells, 1)
  Encoder::Output z2_given(const at::Tensor& z1, const at::Tensor& labels, Noise& noise);
  /// p(z1 | z2, label).
  Decoder::Output z1_given(const at::Tensor& z2, const at::Tensor& labels, Noise& noise);

  /// Of the mean of z1.
  at::Tensor classify(const MiniBatch& batch, Noise& noise) override;
  at::Tensor label_logits(const MiniBatch& batch, Noise& noise) override;
  Classifier& classifier() override { return *classifier_; }
  /// The group of each label; empty where none are known.
  const std::vector<std::int64_t>& labels_groups() const override { return labels_groups_; }

  /// The specification under which this model is registered.
  static ModelSpec spec();

 private:
  void add_groups(const ScanviOptions& options);
  at::Tensor mean_z1(const MiniBatch& batch, Noise& noise);
  at::Tensor probable_labels(const MiniBatch& batch, Noise& noise);

  std::vector<std::int64_t> labels_groups_;
  at::Tensor y_prior_;
  std::shared_ptr<Classifier> classifier_;
  std::shared_ptr<Encoder> encoder_z2_z1_;
  std::shared_ptr<Decoder> decoder_z1_z2_;
  std::shared_ptr<Classifier> classifier_groups_;  // only where groups are used
  std::vector<at::Tensor> groups_index_;           // (n_labels) 1 for the labels of each group
};

}  // namespace scvi
