#pragma once

#include <cstdint>
#include <span>

#include "scvi/kernel/adam_settings.hpp"

namespace scvi::kernel {

/// One parameter as Adam sees it: four arrays of `size` numbers in the same order, whatever that order is.
template <class T>
struct AdamBuffer {
  T* parameter = nullptr;
  const T* gradient = nullptr;
  T* first_moment = nullptr;
  T* second_moment = nullptr;
  std::int64_t size = 0;
  std::int64_t row_length =
      0;  ///< numbers of a row where they are matrices, else 0; only threads are shared out by it
};

/// One step of Adam on all buffers, in place, as one parallel loop over all their elements together:
///   g = gradient + weight_decay p;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g^2
///   p = p - lr / (1 - beta1^step) m / (sqrt(v) / sqrt(1 - beta2^step) + eps)
/// Every product, sum, quotient and root is rounded by itself, to the nearest float32; nothing is fused, so the bits
/// are those of the plain loop and the same on every instruction set. The buffers may not overlap.
/// @param step number of this step, counted from 1
void fused_adam(std::span<const AdamBuffer<float>> buffers, std::int64_t step, const AdamSettings& settings);

}  // namespace scvi::kernel
