#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace scvi {

/// The values that occur, ascending.
std::vector<std::int64_t> distinct(std::vector<std::int64_t> values);

/// The position of every label in the sorted `classes`, which must hold it.
std::vector<std::int64_t> codes_of(std::span<const std::int64_t> labels, const std::vector<std::int64_t>& classes);

}  // namespace scvi
