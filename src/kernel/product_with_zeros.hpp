#pragma once

#include <optional>

#include "scvi/kernel/matrix_product.hpp"

namespace scvi::kernel {

/// matrix_product() for a small factor of which many numbers are zero, as they are behind a ReLU: only the others are
/// multiplied. Where everything is finite the bits are those of the whole product; a zero times infinity is not seen.
/// @return what matrix_product() does, or nothing, and nothing is done, where this would gain nothing
std::optional<bool> product_with_zeros(const MatrixView<const float>& a, const MatrixView<const float>& b,
                                       const float* bias, const MatrixView<float>& out);

}  // namespace scvi::kernel
