#pragma once

#include <cstdint>
#include <memory>

#include "scvi/model/label_model.hpp"

namespace scvi {

/// What a CellClassifier reads of a cell.
struct CellClassifierOptions {
  /// Its network. n_input is filled in: the genes, or the dimensions of the sampling model's latent space.
  ClassifierOptions classifier = {};
  std::int64_t n_genes = 0;
  bool log_variational = true;  ///< without a sampling model: read log(1 + x); scVI's classifier reads the counts
  /// Read the latent mean of this model instead of the counts. It is put into evaluation mode, never trained, and
  /// never told the label of a cell.
  std::shared_ptr<Model> sampling_model = {};
  bool sampling_zl = false;  ///< with a sampling model: the mean log library size, too, behind the latent mean
};

/// scVI's Classifier as a model by itself, on the counts of cells or on the latent space of another model, so that
/// trainers, posteriors and metrics take it. Its bound is the cross-entropy of the labels, in nats. It has no latent
/// space and decodes nothing. The weights are those of the classifier alone, under scVI's names; those of a sampling
/// model are saved beside them (SavedModel::latent).
class CellClassifier : public Model, public LabelModel {
 public:
  /// @throws InputError for fewer than two labels, or a sampling model of other genes
  /// @param seed of the initial weights
  explicit CellClassifier(const CellClassifierOptions& options, std::uint64_t seed = 0);

  /// reconstruction: -log of the probability of the label, 0 for a hidden one; kl_local: 0.
  Elbo forward(const MiniBatch& batch, Noise& noise) override;
  at::Tensor classify(const MiniBatch& batch, Noise& noise) override;
  at::Tensor label_logits(const MiniBatch& batch, Noise& noise) override;
  Classifier& classifier() override { return *classifier_; }
  /// The model whose latent space it reads; none: it reads counts.
  const std::shared_ptr<Model>& sampling_model() const { return options_.sampling_model; }
  /// Takes the sampling model along.
  void to(torch::Device device, bool non_blocking = false) override;
  using torch::nn::Module::to;

  /// The specification under which this model is registered.
  static ModelSpec spec();

  /// @throws InputError: a classifier has none of these
  InferenceOutputs inference(const MiniBatch& batch, Noise& noise, const InferenceOptions& options = {}) override;
  at::Tensor get_reconstruction_loss(const MiniBatch& batch, const InferenceOutputs& outputs) override;
  at::Tensor sample_from_posterior_z(const MiniBatch& batch, Noise& noise, bool give_mean,
                                     std::int64_t n_samples = 5000) override;
  at::Tensor sample_from_posterior_l(const MiniBatch& batch, Noise& noise, bool give_mean = false) override;

 private:
  kernel::LayerInput input(const MiniBatch& batch, Noise& noise) const;

  CellClassifierOptions options_;
  std::shared_ptr<Classifier> classifier_;
};

}  // namespace scvi
