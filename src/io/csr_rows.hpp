#pragma once

#include <cstdint>
#include <string>

#include "scvi/io/matrix.hpp"

namespace scvi::io {

/// Brings rows into the form that CsrBlock promises: columns strictly increasing, entries of the same column added
/// up, zeros left out. Indices must be within range already.
void normalize_rows(CsrBlock& block);

/// For writers: @throws InputError when the block is not in the form that CsrBlock promises
void check_block(const CsrBlock& block, std::int64_t n_cols, const std::string& where);

}  // namespace scvi::io
