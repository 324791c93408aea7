#pragma once

#include <span>

#include "scvi/kernel/matrix_product.hpp"

namespace scvi::kernel {

/// Two factors, (m, k) and (k, n); k may differ from pair to pair.
struct Factors {
  MatrixView<const float> a;  ///< the numbers of a row side by side
  MatrixView<const float> b;
};

/// Writes out = the sum of the products a b of all pairs where the mask is not zero, and zero elsewhere, where
/// nothing is computed: the gradient of what a ReLU puts out, the mask, needs no more. Sums run in float32 in an
/// order given by the sizes alone, so the bits do not depend on the number of threads.
/// @param mask (m, n), the numbers of a row side by side
/// @param out (m, n), the same
/// @param nonzeros of the mask, where they are known
/// @pre the sizes match, and `out` shares no memory with the others
void sampled_product(const MatrixView<const float>& mask, std::span<const Factors> pairs,
                     const MatrixView<float>& out, const NonzeroTerms* nonzeros = nullptr);

}  // namespace scvi::kernel
