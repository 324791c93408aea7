#pragma once

#include <span>
#include <utility>

#include "scvi/io/frame.hpp"

namespace scvi::dataset_detail {

/// Columns below each other under the name of the first. The same types stay; categories come in the order in which
/// they are first seen; whole numbers and others become others; anything else becomes text. @pre not empty
io::Column stacked(std::span<const io::Column* const> columns);

}  // namespace scvi::dataset_detail
