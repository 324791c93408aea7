#include "scvi/model/label_model.hpp"

#include <ATen/ATen.h>

namespace scvi {

at::Tensor LabelModel::log_classify(const MiniBatch& batch, Noise& noise) {
  return at::log_softmax(label_logits(batch, noise), -1);
}

}  // namespace scvi
