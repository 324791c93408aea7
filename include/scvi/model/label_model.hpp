#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "scvi/model/model.hpp"
#include "scvi/module/classifier.hpp"

namespace scvi {

/// The label of a cell in a minibatch whose label is not known, or not to be known.
inline constexpr std::int64_t kHiddenLabel = -1;

/// What a model that tells the labels of cells answers besides.
class LabelModel {
 public:
  virtual ~LabelModel() = default;

  /// (cells, n_labels) the probability of each label. Reads the counts alone, never the labels. Draws dropout masks
  /// in training mode, nothing else.
  virtual at::Tensor classify(const MiniBatch& batch, Noise& noise) = 0;
  /// (cells, n_labels) numbers of which these are the softmax.
  virtual at::Tensor label_logits(const MiniBatch& batch, Noise& noise) = 0;
  /// (cells, n_labels) the natural logarithms of the probabilities, without their rounding to 0.
  at::Tensor log_classify(const MiniBatch& batch, Noise& noise);
  /// The network that tells labels, for trainers that train it by itself.
  virtual Classifier& classifier() = 0;
  /// The group of each label, for hierarchical accuracy; empty where there are no groups.
  virtual const std::vector<std::int64_t>& labels_groups() const {
    static const std::vector<std::int64_t> none;
    return none;
  }
};

}  // namespace scvi
