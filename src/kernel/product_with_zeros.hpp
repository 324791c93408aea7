#pragma once

#include <memory>
#include <span>

#include "nonzero_terms.hpp"
#include "scvi/kernel/matrix_product.hpp"

namespace scvi::kernel {

/// matrix_products() for a small factor of which many numbers are zero, as they are behind a ReLU: only the others
/// are multiplied. Where everything is finite the bits are those of the whole product; a zero times infinity is not
/// seen.
/// @param nonzeros if not null, where those of `a` are
/// @return false, and nothing is done, where this would gain nothing
bool products_with_zeros(const MatrixView<const float>& a, std::span<ProductWith> products,
                         std::shared_ptr<const NonzeroTerms>* nonzeros = nullptr);

}  // namespace scvi::kernel
