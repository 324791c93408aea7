#include "scvi/kernel/latent_sample.hpp"

#include <algorithm>

#include "scvi/core/parallel.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "latent_sample.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// After highway.h, which it needs.
#include <hwy/contrib/math/math-inl.h>

#include "lanes_inl.hpp"

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

/// e^x over the whole line: Highway's holds up to 104 and makes a number of NaN.
template <class D, class V>
HWY_INLINE V exponential(D d, V x) {
  const auto largest = hn::Set(d, 104.0f);  // beyond the logarithm of the largest float: infinite
  return hn::IfThenElse(hn::IsNaN(x), x, hn::Exp(d, hn::Min(x, largest)));
}

void sample_rows(const LatentSample<float>& latent, std::int64_t first_row, std::int64_t last_row, float* variance,
                 float* z, float* kl) {
  constexpr std::int64_t kPiece = 256;
  alignas(64) float terms[kPiece];
  for (std::int64_t row = first_row; row < last_row; ++row) {
    const float prior_mean = latent.prior_mean == nullptr ? 0.0f : latent.prior_mean[row];
    const float prior_variance = latent.prior_variance == nullptr ? 1.0f : latent.prior_variance[row];
    const std::int64_t end = (row + 1) * latent.n_latent;
    double sum = 0;
    for (std::int64_t begin = row * latent.n_latent; begin < end; begin += kPiece) {
      const std::int64_t n = std::min(kPiece, end - begin);
      for_lanes<float>(0, n, [&](auto d, std::int64_t k) HWY_ATTR {
        const std::int64_t i = begin + k;
        const auto mean = hn::LoadU(d, latent.mean + i);
        const auto var = hn::Add(exponential(d, hn::LoadU(d, latent.raw_variance + i)),
                                 hn::Set(d, static_cast<float>(latent.variance_floor)));
        hn::StoreU(var, d, variance + i);
        hn::StoreU(hn::MulAdd(hn::Sqrt(var), hn::LoadU(d, latent.noise + i), mean), d, z + i);
        const auto distance = hn::Sub(mean, hn::Set(d, prior_mean));
        const auto ratio = hn::Div(var, hn::Set(d, prior_variance));
        const auto square = hn::Div(hn::Mul(distance, distance), hn::Set(d, prior_variance));
        // Near ratio 1 both ratio - 1 and its logarithm are small: their difference is taken before the square comes.
        const auto excess = hn::Sub(hn::Sub(ratio, hn::Set(d, 1.0f)), hn::Log(d, ratio));
        hn::StoreU(hn::Mul(hn::Set(d, 0.5f), hn::Add(excess, square)), d, terms + k);
      });
      for (std::int64_t k = 0; k < n; ++k) sum += static_cast<double>(terms[k]);
    }
    kl[row] = static_cast<float>(sum);
  }
}

void sample_rows_backward(const LatentSample<float>& latent, std::int64_t first_row, std::int64_t last_row,
                          const float* dz, const float* dkl, float* dmean, float* draw_variance) {
  for (std::int64_t row = first_row; row < last_row; ++row) {
    const float prior_mean = latent.prior_mean == nullptr ? 0.0f : latent.prior_mean[row];
    const float inverse_prior = latent.prior_variance == nullptr ? 1.0f : 1.0f / latent.prior_variance[row];
    const float row_dkl = dkl == nullptr ? 0.0f : dkl[row];
    for_lanes<float>(row * latent.n_latent, (row + 1) * latent.n_latent, [&](auto d, std::int64_t i) HWY_ATTR {
      const auto exponent = exponential(d, hn::LoadU(d, latent.raw_variance + i));
      const auto var = hn::Add(exponent, hn::Set(d, static_cast<float>(latent.variance_floor)));
      const auto element_dz = dz == nullptr ? hn::Zero(d) : hn::LoadU(d, dz + i);
      const auto distance = hn::Sub(hn::LoadU(d, latent.mean + i), hn::Set(d, prior_mean));
      hn::StoreU(hn::MulAdd(hn::Set(d, row_dkl * inverse_prior), distance, element_dz), d, dmean + i);
      const auto by_sample = hn::Div(hn::Mul(element_dz, hn::LoadU(d, latent.noise + i)), hn::Sqrt(var));
      const auto slope = hn::Sub(hn::Set(d, inverse_prior), hn::Div(hn::Set(d, 1.0f), var));
      const auto dvariance = hn::Mul(hn::Set(d, 0.5f), hn::MulAdd(hn::Set(d, row_dkl), slope, by_sample));
      hn::StoreU(hn::Mul(dvariance, exponent), d, draw_variance + i);
    });
  }
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(sample_rows);
HWY_EXPORT(sample_rows_backward);

/// Rows of a chunk: about 8,192 elements.
std::int64_t rows_per_chunk(std::int64_t n_latent) {
  return std::max<std::int64_t>(1, 8192 / std::max<std::int64_t>(1, n_latent));
}

}  // namespace

void latent_sample(const LatentSample<float>& latent, float* variance, float* z, float* kl) {
  parallel_for(latent.n_rows, rows_per_chunk(latent.n_latent), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(sample_rows)(latent, begin, end, variance, z, kl);
  });
}

void latent_sample_backward(const LatentSample<float>& latent, const float* dz, const float* dkl, float* dmean,
                            float* draw_variance) {
  parallel_for(latent.n_rows, rows_per_chunk(latent.n_latent), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(sample_rows_backward)(latent, begin, end, dz, dkl, dmean, draw_variance);
  });
}

}  // namespace scvi::kernel
#endif
