#include "scvi/kernel/log2_values.hpp"

#include <cmath>
#include <limits>

#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "log2_values.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h.
#include <hwy/contrib/math/math-inl.h>

#include "lanes_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

void log2_range(const float* values, std::int64_t n, float* out) {
  for_lanes<float>(0, n, [&](auto d, std::int64_t i) HWY_ATTR {
    const auto x = hn::LoadU(d, values + i);
    const auto is_regular = hn::And(hn::Ge(x, hn::Set(d, std::numeric_limits<float>::min())),
                                    hn::Le(x, hn::Set(d, std::numeric_limits<float>::max())));
    if (hn::AllTrue(d, is_regular)) {
      hn::StoreU(hn::Log2(d, x), d, out + i);
    } else {
      for (std::size_t lane = 0; lane < hn::Lanes(d); ++lane) out[i + lane] = std::log2(values[i + lane]);
    }
  });
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {

HWY_EXPORT(log2_range);

void log2_values(const float* values, std::int64_t n, float* out) {
  HWY_DYNAMIC_DISPATCH(log2_range)(values, n, out);
}

}  // namespace scvi::kernel
#endif
