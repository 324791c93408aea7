#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

#include <cstdint>
#include <vector>

namespace scvi::kernel {

/// Knows which gradients are finite without reading all of them again: operations of the fused road look at the large
/// ones while they make them and tell the one that lives on their thread. One at a time on a thread.
class FiniteGradients {
 public:
  FiniteGradients();
  ~FiniteGradients();
  FiniteGradients(const FiniteGradients&) = delete;
  FiniteGradients& operator=(const FiniteGradients&) = delete;

  /// Says that all numbers of a new tensor are finite; of no effect where nobody wants to know, or where the tensor
  /// is only a part of its memory.
  static void note(const at::Tensor& gradient);

  /// Whether all numbers are finite. Reads them unless that was noted and nobody changed them since.
  bool all_finite(const at::Tensor& gradient) const;

 private:
  struct Note {
    c10::weak_intrusive_ptr<c10::StorageImpl> memory;  // gradients change hands, so that only their memory stays
    std::int64_t version;
  };

  std::vector<Note> notes_;
};

}  // namespace scvi::kernel
