#pragma once

#include <ATen/core/Tensor.h>

#include <utility>
#include <vector>

#include "scvi/model/model.hpp"

namespace scvi {

/// Copies of a model's buffers (batch-norm statistics), to undo a step that went wrong.
class BufferBackup {
 public:
  BufferBackup() = default;
  /// @pre the model lives longer, and its buffers stay where they are
  explicit BufferBackup(const Model& model);
  void save();
  void restore();

 private:
  std::vector<std::pair<at::Tensor, at::Tensor>> buffers_;  // and their copies
};

}  // namespace scvi
