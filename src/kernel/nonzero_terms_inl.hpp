// Included once per instruction set, after <hwy/highway.h>, lanes_inl.hpp and nonzero_terms.hpp.
#if defined(SCVI_KERNEL_NONZERO_TERMS_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef SCVI_KERNEL_NONZERO_TERMS_INL_HPP
#undef SCVI_KERNEL_NONZERO_TERMS_INL_HPP
#else
#define SCVI_KERNEL_NONZERO_TERMS_INL_HPP
#endif

#include <algorithm>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {

/// The widest strip: its vectors and what they are multiplied with stay in registers.
inline constexpr int kStripVectors = 8;

/// Calls body.operator()<K>(from, to) for strips of columns [begin, end), each of K vectors; only the last may be
/// cut.
template <class Body>
HWY_INLINE void for_strips(std::int64_t begin, std::int64_t end, const Body& body) {
  for (; end - begin > kStripVectors / 2 * kN; begin += kStripVectors * kN)
    body.template operator()<kStripVectors>(begin, std::min(begin + kStripVectors * kN, end));
  if (end - begin > kStripVectors / 4 * kN) {
    body.template operator()<kStripVectors / 2>(begin, end);
  } else if (end > begin) {
    body.template operator()<kStripVectors / 4>(begin, end);
  }
}

/// Moves the numbers of a vector that are not zero to the front, with the terms that they are of.
/// @return how many those are
HWY_INLINE std::size_t store_nonzeros(V numbers, hn::Vec<hn::RebindToSigned<decltype(kTag)>> which, float* values,
                                      std::int32_t* terms) {
  const hn::RebindToSigned<decltype(kTag)> tag;
  const auto kept = hn::Ne(numbers, hn::Zero(kTag));
  hn::StoreU(hn::Compress(numbers, kept), kTag, values);
  hn::StoreU(hn::Compress(which, hn::RebindMask(tag, kept)), tag, terms);
  return hn::CountTrue(kTag, kept);
}

/// @param a rows of the factor, from its row `first` on; the numbers of a row side by side
/// @return how many there are in all
inline std::int64_t collect_nonzeros(const MatrixView<const float>& a, std::int64_t first, NonzeroTerms& found) {
  const hn::RebindToSigned<decltype(kTag)> tag;
  std::int64_t n_in_all = 0;
  for (std::int64_t pass = 0; pass < found.n_passes; ++pass) {
    const std::int64_t begin = pass * kTermsPerPass;
    const std::int64_t end = std::min(begin + kTermsPerPass, a.n_columns);
    for (std::int64_t row = 0; row < a.n_rows; ++row) {
      const float* from = a.data + row * a.row_stride;
      std::int32_t* terms = found.terms.get() + found.place(first + row, pass);
      float* values = found.values.get() + found.place(first + row, pass);
      std::size_t n = 0;
      std::int64_t k = begin;
      for (; k + kN <= end; k += kN) {
        const auto which = hn::Iota(tag, static_cast<std::int32_t>(k - begin));
        n += store_nonzeros(hn::LoadU(kTag, from + k), which, values + n, terms + n);
      }
      // Written in any case, it stays if it counts.
      for (; k < end; ++k) {
        terms[n] = static_cast<std::int32_t>(k - begin);
        values[n] = from[k];
        n += from[k] != 0 ? 1 : 0;
      }
      found.counts[static_cast<std::size_t>(pass * found.n_rows + first + row)] = static_cast<std::int32_t>(n);
      std::fill(terms + n, terms + found.filled_up(first + row, pass), 0);
      n_in_all += static_cast<std::int64_t>(n);
    }
  }
  return n_in_all;
}

}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
