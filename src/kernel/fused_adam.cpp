#include "scvi/kernel/fused_adam.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "fetcher.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/settings.hpp"
#include "simd_targets.hpp"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "fused_adam.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include "lanes_inl.hpp"

#ifndef SCVI_KERNEL_ADAM_CONSTANTS
#define SCVI_KERNEL_ADAM_CONSTANTS
namespace scvi::kernel {

/// How far before their turn numbers are fetched.
constexpr std::int64_t kAhead = 512;

/// The numbers of one step, rounded as src/kernel/plain_layers.cpp does it.
struct AdamConstants {
  float beta1, beta2, rest1, rest2, decay, eps, root_scale, rate;
};

}  // namespace scvi::kernel
#endif

HWY_BEFORE_NAMESPACE();
namespace scvi::kernel::HWY_NAMESPACE {
namespace {

// This file is compiled without contraction: a product and a sum that were fused would round once instead of twice.
void adam_range(const AdamBuffer<float>& buffer, std::int64_t begin, std::int64_t end, const AdamConstants& c) {
  float* HWY_RESTRICT p = buffer.parameter;
  const float* HWY_RESTRICT g = buffer.gradient;
  float* HWY_RESTRICT m = buffer.first_moment;
  float* HWY_RESTRICT v = buffer.second_moment;
  for_lanes<float>(begin, end, [&](auto d, std::int64_t i) HWY_ATTR {
    // The processor's own foresight ends with each page.
    for (float* stream : {p, m, v}) __builtin_prefetch(stream + i + kAhead, 1);
    __builtin_prefetch(g + i + kAhead, 0);
    const auto parameter = hn::LoadU(d, p + i);
    const auto gradient = hn::Add(hn::LoadU(d, g + i), hn::Mul(hn::Set(d, c.decay), parameter));
    const auto first =
        hn::Add(hn::Mul(hn::Set(d, c.beta1), hn::LoadU(d, m + i)), hn::Mul(hn::Set(d, c.rest1), gradient));
    const auto second = hn::Add(hn::Mul(hn::Set(d, c.beta2), hn::LoadU(d, v + i)),
                                hn::Mul(hn::Mul(hn::Set(d, c.rest2), gradient), gradient));
    const auto root = hn::Add(hn::Mul(hn::Sqrt(second), hn::Set(d, c.root_scale)), hn::Set(d, c.eps));
    hn::StoreU(first, d, m + i);
    hn::StoreU(second, d, v + i);
    hn::StoreU(hn::Sub(parameter, hn::Div(hn::Mul(hn::Set(d, c.rate), first), root)), d, p + i);
  });
}

}  // namespace
}  // namespace scvi::kernel::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace scvi::kernel {
namespace {

HWY_EXPORT(adam_range);

/// Numbers of a part.
constexpr std::int64_t kLeast = 8192, kMost = 65536;

AdamConstants constants_of(std::int64_t step, const AdamSettings& settings) {
  const double correction1 = 1 - std::pow(settings.beta1, static_cast<double>(step));
  const double correction2 = 1 - std::pow(settings.beta2, static_cast<double>(step));
  return {.beta1 = static_cast<float>(settings.beta1),
          .beta2 = static_cast<float>(settings.beta2),
          .rest1 = static_cast<float>(1 - settings.beta1),
          .rest2 = static_cast<float>(1 - settings.beta2),
          .decay = static_cast<float>(settings.weight_decay),
          .eps = static_cast<float>(settings.eps),
          .root_scale = static_cast<float>(1 / std::sqrt(correction2)),
          .rate = static_cast<float>(settings.lr / correction1)};
}

/// Buffers one after the other, in cache lines, so that no vector lies in two parts.
class Row {
 public:
  void add(const AdamBuffer<float>& buffer) {
    buffers_.push_back(buffer);
    ends_.push_back(n_lines() + chunk_count(buffer.size, kLine));
  }

  /// Part `part` of `n_parts`, all about as long.
  void run(std::int64_t part, std::int64_t n_parts, const AdamConstants& constants) const {
    std::int64_t line = n_lines() * part / n_parts;
    const std::int64_t last = n_lines() * (part + 1) / n_parts;
    auto b = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), line) - ends_.begin());
    for (; line < last; ++b) {
      const std::int64_t start = b == 0 ? 0 : ends_[b - 1];
      const std::int64_t stop = std::min(last, ends_[b]);
      HWY_DYNAMIC_DISPATCH(adam_range)
      (buffers_[b], (line - start) * kLine, std::min((stop - start) * kLine, buffers_[b].size), constants);
      line = stop;
    }
  }

 private:
  std::int64_t n_lines() const { return ends_.empty() ? 0 : ends_.back(); }

  std::vector<AdamBuffer<float>> buffers_;
  std::vector<std::int64_t> ends_;  ///< [b]: lines of the buffers up to and with b
};

/// The buffers in the order that suits the caches: gradients of heads that write genes are made head by head
/// (product_with_zeros.cpp); those of layers that read genes, on two threads encoder by encoder (branches.hpp), on
/// more the first genes by some threads and the last by others.
std::vector<Row> rows_of(std::span<const AdamBuffer<float>> buffers) {
  std::vector<Row> rows(1);
  for (const auto& buffer : buffers) {
    if (buffer.row_length * buffer.row_length > buffer.size) {
      rows.front().add(buffer);
    } else if (effective_threads() == 2 && rows.size() > 1) {
      rows.back().add(buffer);
    } else {
      rows.emplace_back().add(buffer);
    }
  }
  return rows;
}

}  // namespace

void fused_adam(std::span<const AdamBuffer<float>> buffers, std::int64_t step, const AdamSettings& settings) {
  const AdamConstants constants = constants_of(step, settings);
  const std::vector<Row> rows = rows_of(buffers);
  std::int64_t total = 0;
  for (const auto& buffer : buffers) total += buffer.size;
  const std::int64_t n_parts = chunk_count(total, chunk_of_independent(total, kLeast, kMost));
  parallel_for(n_parts, 1, [&](std::int64_t part, std::int64_t) {
    for (const Row& row : rows) row.run(part, n_parts, constants);
  });
}

}  // namespace scvi::kernel
#endif
