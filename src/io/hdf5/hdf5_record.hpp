#pragma once

// Record arrays (compound datasets), as which anndata up to 0.6 stored data frames.

#include <string>
#include <vector>

#include "scvi/io/frame.hpp"
#include "scvi/io/hdf5.hpp"

namespace scvi::io {

/// Rewrites a record array with these columns added after its own; a field of the same name gives way. All other
/// fields keep their types and values. Columns must be as long as the array, without nulls, and not categorical.
void add_record_fields(Hdf5File& file, const std::string& path, const std::vector<Column>& columns);

}  // namespace scvi::io
