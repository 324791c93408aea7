#pragma once

#include <ATen/core/Tensor.h>
#include <c10/util/intrusive_ptr.h>

#include <cstdint>
#include <mutex>
#include <vector>

namespace scvi::kernel {

/// Knows which gradients are finite without reading all of them again: operations of the fused road look at the large
/// ones while they make them and tell the one that listens on their thread: the thread where it was made, or where it
/// is Listening. One at a time on a thread.
class FiniteGradients {
 public:
  FiniteGradients();
  ~FiniteGradients();
  FiniteGradients(const FiniteGradients&) = delete;
  FiniteGradients& operator=(const FiniteGradients&) = delete;

  /// The one that listens on this thread, or nullptr.
  static FiniteGradients* on_this_thread();

  /// Lets it hear of this thread, too, or nullptr for none.
  class Listening {
   public:
    explicit Listening(FiniteGradients* listener);
    ~Listening();
    Listening(const Listening&) = delete;
    Listening& operator=(const Listening&) = delete;

   private:
    FiniteGradients* before_;
  };

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

  std::mutex mutex_;
  std::vector<Note> notes_;
};

}  // namespace scvi::kernel
