#pragma once

#include <span>

#include "scvi/kernel/matrix_product.hpp"

namespace scvi::kernel {

/// matrix_products() for a small factor of which many numbers are zero, as they are behind a ReLU: only the others
/// are multiplied. Where everything is finite the bits are those of the whole product; a zero times infinity is not
/// seen.
/// @return false, and nothing is done, where this would gain nothing
bool products_with_zeros(const MatrixView<const float>& a, std::span<ProductWith> products);

}  // namespace scvi::kernel
