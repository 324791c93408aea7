#pragma once

#include <cstdint>

namespace scvi::kernel {

/// out[i] = log2(values[i]) to a unit or two in the last place, on the calling thread; of 0, -infinity, of negative
/// numbers and NaN, NaN, of infinity, infinity. @param out may be `values`
void log2_values(const float* values, std::int64_t n, float* out);

}  // namespace scvi::kernel
