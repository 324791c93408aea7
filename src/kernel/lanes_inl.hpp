// Included once per instruction set, after <hwy/highway.h>.
#if defined(SCVI_KERNEL_LANES_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef SCVI_KERNEL_LANES_INL_HPP
#undef SCVI_KERNEL_LANES_INL_HPP
#else
#define SCVI_KERNEL_LANES_INL_HPP
#endif

#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Whole vectors of float32.
inline constexpr hn::ScalableTag<float> kTag{};
inline constexpr std::int64_t kN = HWY_LANES(float);
using V = hn::Vec<decltype(kTag)>;

/// Calls body(tag, i) for the elements [i, i + lanes of the tag) of a range: vectors of at most kLanes while they
/// fit, then ever shorter ones, so that nothing beyond the range is touched. Which vector an element falls into
/// changes no bit of what is done to it by itself.
template <class T, std::size_t kLanes, class Body>
HWY_INLINE void for_lanes(std::int64_t begin, std::int64_t end, const Body& body) {
  const hn::CappedTag<T, kLanes> tag;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(tag));
  for (; begin + lanes <= end; begin += lanes) body(tag, begin);
  if constexpr (kLanes > 1) {
    if (begin < end) for_lanes<T, kLanes / 2>(begin, end, body);
  }
}

template <class T, class Body>
HWY_INLINE void for_lanes(std::int64_t begin, std::int64_t end, const Body& body) {
  for_lanes<T, HWY_MAX_BYTES / sizeof(T)>(begin, end, body);
}

}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
