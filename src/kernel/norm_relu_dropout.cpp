#include "scvi/kernel/norm_relu_dropout.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "rows.hpp"
#include "scvi/core/parallel.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "norm_relu_dropout.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "lanes_inl.hpp"

#ifndef SCVI_KERNEL_NORM_TYPES
#define SCVI_KERNEL_NORM_TYPES
namespace scvi::kernel {

using FloatLayer = NormReluDropout<float>;
using FloatStatistics = NormStatistics<float>;

/// The arrays of a backward pass.
struct NormGradients {
  const float* h;
  const float* y;
  const float* dy;
  float* dh;
  // Per feature: what batch norm in training takes off every gradient, and off it times the normalised value.
  float* mean_gradient;
  float* mean_product;
  float* dgamma;
  float* dbeta;
};

}  // namespace scvi::kernel
#endif

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

template <class D>
HWY_INLINE auto load_or(D d, const float* values, std::int64_t j, float otherwise) {
  return values == nullptr ? hn::Set(d, otherwise) : hn::LoadU(d, values + j);
}

/// As many floats as there are doubles in a vector: column statistics are added in float64.
template <class D>
using FloatsOf = hn::Rebind<float, D>;

/// Vectors of columns that are gone through together, so that whole lines of the cache are.
constexpr int kColumnVectors = HWY_MAX_BYTES == 64 ? 8 : 4;

/// Calls body.operator()<K>(tag, j) over [begin, end): K vectors of doubles from j on.
template <class Body>
HWY_INLINE void for_columns(std::int64_t begin, std::int64_t end, const Body& body) {
  const hn::ScalableTag<double> d;
  const std::int64_t width = kColumnVectors * static_cast<std::int64_t>(hn::Lanes(d));
  for (; begin + width <= end; begin += width) body.template operator()<kColumnVectors>(d, begin);
  for_lanes<double>(begin, end, [&](auto part, std::int64_t j) HWY_ATTR { body.template operator()<1>(part, j); });
}

template <class D>
HWY_INLINE void write_statistics(const FloatLayer& layer, D d, std::int64_t j, hn::Vec<D> mean, hn::Vec<D> squares,
                                 const FloatStatistics& out) {
  const FloatsOf<D> df;
  const auto n = static_cast<double>(layer.n_rows);
  const auto variance = hn::Div(squares, hn::Set(d, n));
  const auto inverse_std = hn::Div(hn::Set(d, 1.0), hn::Sqrt(hn::Add(variance, hn::Set(d, layer.eps))));
  hn::StoreU(hn::DemoteTo(df, mean), df, out.mean + j);
  hn::StoreU(hn::DemoteTo(df, inverse_std), df, out.inverse_std + j);
  if (layer.running_mean == nullptr) return;
  const auto move = [&](float* running, auto value) HWY_ATTR {
    const auto before = hn::PromoteTo(d, hn::LoadU(df, running + j));
    const auto kept = hn::Mul(hn::Set(d, 1 - layer.momentum), before);
    hn::StoreU(hn::DemoteTo(df, hn::MulAdd(hn::Set(d, layer.momentum), value, kept)), df, running + j);
  };
  move(layer.running_mean, mean);
  move(layer.running_var, hn::Div(squares, hn::Set(d, n - 1)));
}

template <int K, class D>
HWY_INLINE void take_statistics(const FloatLayer& layer, const float* h, D d, std::int64_t j,
                                const FloatStatistics& out) {
  const FloatsOf<D> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  const std::int64_t stride = layer.n_features;
  const float* const begin = h + j;
  const float* const end = begin + layer.n_rows * stride;
  const auto n = static_cast<double>(layer.n_rows);
  hn::Vec<D> mean[K], squares[K];
  for (int k = 0; k < K; ++k) mean[k] = squares[k] = hn::Zero(d);
  for (const float* row = begin; row != end; row += stride) {
    for (int k = 0; k < K; ++k) mean[k] = hn::Add(mean[k], hn::PromoteTo(d, hn::LoadU(df, row + k * lanes)));
  }
  for (int k = 0; k < K; ++k) mean[k] = hn::Div(mean[k], hn::Set(d, n));
  for (const float* row = begin; row != end; row += stride) {
    for (int k = 0; k < K; ++k) {
      const auto deviation = hn::Sub(hn::PromoteTo(d, hn::LoadU(df, row + k * lanes)), mean[k]);
      squares[k] = hn::MulAdd(deviation, deviation, squares[k]);
    }
  }
  for (int k = 0; k < K; ++k) write_statistics(layer, d, j + k * lanes, mean[k], squares[k], out);
}

void norm_statistics(const FloatLayer& layer, const float* h, Range features, const FloatStatistics& out) {
  for_columns(features.begin, features.end,
              [&]<int K>(auto d, std::int64_t j) HWY_ATTR { take_statistics<K>(layer, h, d, j, out); });
}

template <class D, class V>
HWY_INLINE V normalised(const FloatLayer& layer, const FloatStatistics& statistics, D d, std::int64_t j, V value) {
  const auto slope = hn::Mul(hn::LoadU(d, statistics.inverse_std + j), load_or(d, layer.gamma, j, 1));
  return hn::MulAdd(hn::Sub(value, hn::LoadU(d, statistics.mean + j)), slope, load_or(d, layer.beta, j, 0));
}

void norm_apply(const FloatLayer& layer, const float* h, float* y, const FloatStatistics& statistics, Range rows,
                Range features) {
  const auto rate = static_cast<float>(layer.dropout_rate);
  const auto scale = static_cast<float>(1 / (1 - layer.dropout_rate));
  for (std::int64_t row = rows.begin; row < rows.end; ++row) {
    const std::int64_t start = row * layer.n_features;
    for_lanes<float>(features.begin, features.end, [&](auto d, std::int64_t j) HWY_ATTR {
      auto value = hn::LoadU(d, h + start + j);
      if (layer.batch_norm) value = normalised(layer, statistics, d, j, value);
      if (layer.relu) value = hn::IfThenZeroElse(hn::Le(value, hn::Zero(d)), value);
      if (layer.draws != nullptr) {
        const auto kept = hn::Ge(hn::LoadU(d, layer.draws + start + j), hn::Set(d, rate));
        value = hn::IfThenElseZero(kept, hn::Mul(value, hn::Set(d, scale)));
      }
      hn::StoreU(value, d, y + start + j);
    });
  }
}

/// The gradient behind dropout and ReLU, of the elements i to i + lanes.
template <class D>
HWY_INLINE auto passed_gradient(const FloatLayer& layer, const NormGradients& g, D d, std::int64_t i) {
  auto gradient = hn::LoadU(d, g.dy + i);
  if (layer.draws != nullptr)
    gradient = hn::Mul(gradient, hn::Set(d, static_cast<float>(1 / (1 - layer.dropout_rate))));
  if (layer.relu) return hn::IfThenZeroElse(hn::Le(hn::LoadU(d, g.y + i), hn::Zero(d)), gradient);
  if (layer.draws == nullptr) return gradient;
  const auto kept = hn::Ge(hn::LoadU(d, layer.draws + i), hn::Set(d, static_cast<float>(layer.dropout_rate)));
  return hn::IfThenElseZero(kept, gradient);
}

void pass_gradient(const FloatLayer& layer, const NormGradients& g, Range elements) {
  for_lanes<float>(elements.begin, elements.end, [&](auto d, std::int64_t i) HWY_ATTR {
    hn::StoreU(passed_gradient(layer, g, d, i), d, g.dh + i);
  });
}

template <class D>
HWY_INLINE void write_gradient_sums(const FloatLayer& layer, const FloatStatistics& statistics,
                                    const NormGradients& g, D d, std::int64_t j, hn::Vec<D> sum,
                                    hn::Vec<D> product_sum) {
  const FloatsOf<D> df;
  product_sum = hn::Mul(product_sum, hn::PromoteTo(d, hn::LoadU(df, statistics.inverse_std + j)));
  if (g.dbeta != nullptr) hn::StoreU(hn::DemoteTo(df, sum), df, g.dbeta + j);
  if (g.dgamma != nullptr) hn::StoreU(hn::DemoteTo(df, product_sum), df, g.dgamma + j);
  // Running statistics are constants: nothing flows through them.
  const auto share = hn::Set(d, layer.training ? 1 / static_cast<double>(layer.n_rows) : 0.0);
  hn::StoreU(hn::DemoteTo(df, hn::Mul(sum, share)), df, g.mean_gradient + j);
  hn::StoreU(hn::DemoteTo(df, hn::Mul(product_sum, share)), df, g.mean_product + j);
}

/// Writes the passed gradients of K vectors of features to dh and takes their sums.
template <int K, class D>
HWY_INLINE void sum_gradients(const FloatLayer& layer, const FloatStatistics& statistics, const NormGradients& g, D d,
                              std::int64_t j) {
  const FloatsOf<D> df;
  const auto lanes = static_cast<std::int64_t>(hn::Lanes(d));
  hn::Vec<D> sum[K], product_sum[K];
  for (int k = 0; k < K; ++k) sum[k] = product_sum[k] = hn::Zero(d);
  for (std::int64_t row = 0; row < layer.n_rows; ++row) {
    for (int k = 0; k < K; ++k) {
      const std::int64_t column = j + k * lanes;
      const std::int64_t i = row * layer.n_features + column;
      const auto gradient = passed_gradient(layer, g, df, i);
      const auto deviation = hn::Sub(hn::LoadU(df, g.h + i), hn::LoadU(df, statistics.mean + column));
      hn::StoreU(gradient, df, g.dh + i);
      const auto wide = hn::PromoteTo(d, gradient);
      sum[k] = hn::Add(sum[k], wide);
      product_sum[k] = hn::MulAdd(wide, hn::PromoteTo(d, deviation), product_sum[k]);
    }
  }
  for (int k = 0; k < K; ++k) write_gradient_sums(layer, statistics, g, d, j + k * lanes, sum[k], product_sum[k]);
}

void norm_backward(const FloatLayer& layer, const FloatStatistics& statistics, const NormGradients& g,
                   Range features) {
  for_columns(features.begin, features.end,
              [&]<int K>(auto d, std::int64_t j) HWY_ATTR { sum_gradients<K>(layer, statistics, g, d, j); });
  for (std::int64_t row = 0; row < layer.n_rows; ++row) {
    const std::int64_t start = row * layer.n_features;
    for_lanes<float>(features.begin, features.end, [&](auto d, std::int64_t j) HWY_ATTR {
      const auto inverse_std = hn::LoadU(d, statistics.inverse_std + j);
      const auto value =
          hn::Mul(hn::Sub(hn::LoadU(d, g.h + start + j), hn::LoadU(d, statistics.mean + j)), inverse_std);
      const auto centred = hn::Sub(hn::LoadU(d, g.dh + start + j), hn::LoadU(d, g.mean_gradient + j));
      const auto slope = hn::Mul(inverse_std, load_or(d, layer.gamma, j, 1));
      hn::StoreU(hn::Mul(slope, hn::NegMulAdd(value, hn::LoadU(d, g.mean_product + j), centred)), d,
                 g.dh + start + j);
    });
  }
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(norm_statistics);
HWY_EXPORT(norm_apply);
HWY_EXPORT(pass_gradient);
HWY_EXPORT(norm_backward);

/// Elements that are worth a chunk of their own.
constexpr std::int64_t kChunk = 32768;
constexpr std::int64_t kLeastFeatures = 64;

std::int64_t rows_per_chunk(const FloatLayer& layer) {
  return std::max<std::int64_t>(1, kChunk / std::max<std::int64_t>(1, layer.n_features));
}

/// Whole cache lines, so that no two threads write to one.
std::int64_t features_per_chunk(const FloatLayer& layer) {
  if (layer.n_rows * layer.n_features <= kChunk) return std::max<std::int64_t>(1, layer.n_features);
  return chunk_of_independent(layer.n_features, kLeastFeatures);
}

}  // namespace

void norm_relu_dropout(const FloatLayer& layer, const float* h, float* y, const FloatStatistics& statistics) {
  if (layer.batch_norm && layer.training) {
    parallel_for(layer.n_features, features_per_chunk(layer), [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(norm_statistics)(layer, h, {begin, end}, statistics);
      HWY_DYNAMIC_DISPATCH(norm_apply)(layer, h, y, statistics, {0, layer.n_rows}, {begin, end});
    });
    return;
  }
  if (layer.batch_norm) {
    for (std::int64_t j = 0; j < layer.n_features; ++j) {
      statistics.mean[j] = layer.running_mean[j];
      statistics.inverse_std[j] =
          static_cast<float>(1 / std::sqrt(static_cast<double>(layer.running_var[j]) + layer.eps));
    }
  }
  parallel_for(layer.n_rows, rows_per_chunk(layer), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(norm_apply)(layer, h, y, statistics, {begin, end}, {0, layer.n_features});
  });
}

void norm_relu_dropout_backward(const FloatLayer& layer, const float* h, const float* y,
                                const FloatStatistics& statistics, const float* dy, float* dh, float* dgamma,
                                float* dbeta) {
  NormGradients gradients{.h = h,
                          .y = y,
                          .dy = dy,
                          .dh = dh,
                          .mean_gradient = nullptr,
                          .mean_product = nullptr,
                          .dgamma = dgamma,
                          .dbeta = dbeta};
  if (!layer.batch_norm) {
    parallel_for(layer.n_rows * layer.n_features, kChunk, [&](std::int64_t begin, std::int64_t end) {
      HWY_DYNAMIC_DISPATCH(pass_gradient)(layer, gradients, {begin, end});
    });
    return;
  }
  std::vector<float> means(static_cast<std::size_t>(2 * layer.n_features));
  gradients.mean_gradient = means.data();
  gradients.mean_product = means.data() + layer.n_features;
  parallel_for(layer.n_features, features_per_chunk(layer), [&](std::int64_t begin, std::int64_t end) {
    HWY_DYNAMIC_DISPATCH(norm_backward)(layer, statistics, gradients, {begin, end});
  });
}

}  // namespace scvi::kernel
#endif
