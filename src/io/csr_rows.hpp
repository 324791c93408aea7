#pragma once

#include <cstdint>

#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// Brings rows into the form that CsrBlock promises: columns strictly increasing, entries of the same column added
/// up, zeros left out. Indices must be within range already.
void normalize_rows(CsrBlock& block);

}  // namespace scvi::io
