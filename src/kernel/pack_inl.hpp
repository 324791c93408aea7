// Included once per instruction set, after <hwy/highway.h>, lanes_inl.hpp and "scvi/kernel/matrix_product.hpp".
#if defined(SCVI_KERNEL_PACK_INL_HPP) == defined(HWY_TARGET_TOGGLE)
#ifdef SCVI_KERNEL_PACK_INL_HPP
#undef SCVI_KERNEL_PACK_INL_HPP
#else
#define SCVI_KERNEL_PACK_INL_HPP
#endif

#include <algorithm>
#include <cstdint>

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {

/// out[k stride + j] = from[j row_stride + k] for j < n_rows, k < n_columns.
inline void transpose(const float* from, std::int64_t row_stride, std::int64_t n_rows, std::int64_t n_columns,
                      float* out, std::int64_t stride) {
  std::int64_t j = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::Full128<float> d;
  const hn::Repartition<double, decltype(d)> dd;
  const auto pairs = [&](auto v) HWY_ATTR { return hn::BitCast(dd, v); };
  for (; j + 4 <= n_rows; j += 4) {
    const float* row = from + j * row_stride;
    std::int64_t k = 0;
    for (; k + 4 <= n_columns; k += 4) {
      const auto r0 = hn::LoadU(d, row + k);
      const auto r1 = hn::LoadU(d, row + row_stride + k);
      const auto r2 = hn::LoadU(d, row + 2 * row_stride + k);
      const auto r3 = hn::LoadU(d, row + 3 * row_stride + k);
      const auto low01 = pairs(hn::InterleaveLower(d, r0, r1)), low23 = pairs(hn::InterleaveLower(d, r2, r3));
      const auto high01 = pairs(hn::InterleaveUpper(d, r0, r1)), high23 = pairs(hn::InterleaveUpper(d, r2, r3));
      float* to = out + k * stride + j;
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dd, low01, low23)), d, to);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dd, low01, low23)), d, to + stride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveLower(dd, high01, high23)), d, to + 2 * stride);
      hn::StoreU(hn::BitCast(d, hn::InterleaveUpper(dd, high01, high23)), d, to + 3 * stride);
    }
    for (; k < n_columns; ++k) {
      for (std::int64_t i = 0; i < 4; ++i) out[k * stride + j + i] = row[i * row_stride + k];
    }
  }
#endif
  for (; j < n_rows; ++j) {
    for (std::int64_t k = 0; k < n_columns; ++k) out[k * stride + j] = from[j * row_stride + k];
  }
}

/// Copies a matrix of at most `width` columns into rows of `width` numbers, filled up with zeros.
inline void pack_panel(const MatrixView<const float>& panel, std::int64_t width, float* out) {
  const std::int64_t n_rows = panel.n_rows, n = panel.n_columns;
  if (n < width) std::fill_n(out, n_rows * width, 0.0F);
  if (panel.row_stride == 1) return transpose(panel.data, panel.column_stride, n, n_rows, out, width);
  for (std::int64_t k = 0; k < n_rows; ++k) {
    const float* from = panel.data + k * panel.row_stride;
    float* to = out + k * width;
    if (panel.column_stride == 1 && n == width) {
      for (std::int64_t j = 0; j < n; j += kN) hn::StoreU(hn::LoadU(kTag, from + j), kTag, to + j);
    } else {
      for (std::int64_t j = 0; j < n; ++j) to[j] = from[j * panel.column_stride];
    }
  }
}

}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
