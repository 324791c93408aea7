#include "scvi/kernel/label_rows.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <numeric>
#include <utility>
#include <vector>

#include "gradient_rows.hpp"
#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/settings.hpp"

namespace scvi::kernel {
namespace {

/// Numbers that are worth a chunk of their own.
constexpr std::int64_t kChunk = 8192;

/// Calls body(cell, its first row, whether its label is hidden) for each.
/// @param work numbers that a cell takes
template <class Body>
void for_cells(const LabelRows& rows, std::int64_t work, const Body& body) {
  const std::int64_t* const first = rows.first.data_ptr<std::int64_t>();
  const std::int64_t per_chunk = std::max<std::int64_t>(1, kChunk / std::max<std::int64_t>(1, work));
  parallel_for(rows.first.numel(), per_chunk, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t cell = begin; cell < end; ++cell) body(cell, first[cell], first[cell] >= rows.n_known);
  });
}

struct RowsOfLabelsSaved {
  static constexpr const char* kName = "RowsOfLabels";

  LabelRows rows;

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted&) {
    const at::Tensor given = grads[0].contiguous();
    const std::int64_t n = given.size(1);
    const float* const from = given.data_ptr<float>();
    at::Tensor result = empty_floats({rows.first.numel(), n});
    float* const sums = result.data_ptr<float>();
    for_cells(rows, n * rows.n_labels, [&](std::int64_t cell, std::int64_t row, bool hidden) {
      float* const sum = sums + cell * n;
      std::copy_n(from + row * n, n, sum);
      for (std::int64_t label = 1; hidden && label < rows.n_labels; ++label) {
        const float* const part = from + (row + label * rows.n_hidden) * n;
        for (std::int64_t i = 0; i < n; ++i) sum[i] += part[i];
      }
    });
    return {result};
  }
};

/// In the order of the inputs: of_rows, probabilities.
struct ExpectationSaved {
  static constexpr const char* kName = "ExpectationOverLabels";

  LabelRows rows;
  Kept of_rows, probabilities;

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted&) {
    const at::Tensor given = grads[0].contiguous();
    const at::Tensor by_row = empty_floats(of_rows.get().sizes());
    const at::Tensor by_probability = empty_floats(probabilities.get().sizes());
    const float *grad = given.data_ptr<float>(), *value = of_rows.get().data_ptr<float>();
    const float* const p = probabilities.get().data_ptr<float>();
    float *to_row = by_row.data_ptr<float>(), *to_p = by_probability.data_ptr<float>();
    const std::int64_t n = rows.n_labels;
    for_cells(rows, n, [&](std::int64_t cell, std::int64_t row, bool hidden) {
      if (!hidden) {
        to_row[row] = grad[cell];
        std::fill_n(to_p + cell * n, n, 0.0F);
        return;
      }
      for (std::int64_t label = 0; label < n; ++label, row += rows.n_hidden) {
        to_row[row] = grad[cell] * p[cell * n + label];
        to_p[cell * n + label] = grad[cell] * value[row];
      }
    });
    return {by_row, by_probability};
  }
};

constexpr double kEps = std::numeric_limits<float>::epsilon();

double clamped_log(double probability) {
  return std::log(std::clamp(probability, kEps, 1 - kEps));
}

/// Of a distribution from a fixed one.
class Divergence {
 public:
  /// @param prior weights of the fixed one
  Divergence(const float* prior, std::int64_t n) : prior_logs_(static_cast<std::size_t>(n)) {
    const double sum = std::accumulate(prior, prior + n, 0.0);
    std::transform(prior, prior + n, prior_logs_.begin(), [&](double weight) { return clamped_log(weight / sum); });
  }

  /// @param slope where to write its derivatives with respect to the weights
  double operator()(const float* weights, float* slope) const {
    const std::size_t n = prior_logs_.size();
    const double sum = std::accumulate(weights, weights + n, 0.0);
    // First with respect to the normalised weights, then through their sum.
    double divergence = 0, mean_slope = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double q = static_cast<double>(weights[i]) / sum;
      const double log_ratio = q == 0 ? 0 : clamped_log(q) - prior_logs_[i];
      const double of_log = q < kEps || q > 1 - kEps ? 0 : 1;
      slope[i] = static_cast<float>(log_ratio + of_log);
      divergence += q * log_ratio;
      mean_slope += q * (log_ratio + of_log);
    }
    for (std::size_t i = 0; i < n; ++i) slope[i] = static_cast<float>((slope[i] - mean_slope) / sum);
    return divergence;
  }

 private:
  std::vector<double> prior_logs_;
};

struct LabelDivergenceSaved {
  static constexpr const char* kName = "LabelDivergence";

  at::Tensor slopes;  ///< (cells, n_labels)

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted&) {
    const at::Tensor given = grads[0].contiguous();
    at::Tensor result = empty_floats(slopes.sizes());
    scale_rows(slopes, slopes.size(1), given, result);
    return {result};
  }
};

}  // namespace

bool can_fuse(const LabelRows& rows, std::initializer_list<at::Tensor> values) {
  return settings().kernel == KernelRoad::fused && rows.first.defined() && rows.first.device().is_cpu() &&
         std::all_of(values.begin(), values.end(), is_plain_cpu_float);
}

at::Tensor rows_of_labels(const at::Tensor& of_cells, const LabelRows& rows) {
  const std::int64_t n = of_cells.size(1);
  at::Tensor result = empty_floats({rows.n_rows(), n});
  const float* const from = of_cells.data_ptr<float>();
  float* const to = result.data_ptr<float>();
  for_cells(rows, n * rows.n_labels, [&](std::int64_t cell, std::int64_t row, bool hidden) {
    const std::int64_t n_times = hidden ? rows.n_labels : 1;
    for (std::int64_t i = 0; i < n_times; ++i) std::copy_n(from + cell * n, n, to + (row + i * rows.n_hidden) * n);
  });
  if (torch::autograd::compute_requires_grad(of_cells)) {
    auto saved = std::make_unique<RowsOfLabelsSaved>();
    saved->rows = rows;
    connect({result}, std::move(saved), of_cells);
  }
  return result;
}

at::Tensor expectation_over_labels(const at::Tensor& of_rows, const at::Tensor& probabilities,
                                   const LabelRows& rows) {
  at::Tensor result = empty_floats({rows.first.numel()});
  const float *value = of_rows.data_ptr<float>(), *p = probabilities.data_ptr<float>();
  float* const to = result.data_ptr<float>();
  const std::int64_t n = rows.n_labels;
  for_cells(rows, n, [&](std::int64_t cell, std::int64_t row, bool hidden) {
    if (!hidden) {
      to[cell] = value[row];
      return;
    }
    double sum = 0;
    for (std::int64_t label = 0; label < n; ++label) {
      sum += static_cast<double>(value[row + label * rows.n_hidden]) * static_cast<double>(p[cell * n + label]);
    }
    to[cell] = static_cast<float>(sum);
  });
  if (torch::autograd::compute_requires_grad(of_rows, probabilities)) {
    auto saved = std::make_unique<ExpectationSaved>();
    saved->rows = rows;
    saved->of_rows = Kept(of_rows);
    saved->probabilities = Kept(probabilities);
    connect({result}, std::move(saved), of_rows, probabilities);
  }
  return result;
}

at::Tensor label_divergence(const at::Tensor& probabilities, const at::Tensor& prior, const LabelRows& rows) {
  const std::int64_t n = rows.n_labels;
  const Divergence divergence(prior.data_ptr<float>(), n);
  auto saved = std::make_unique<LabelDivergenceSaved>();
  saved->slopes = empty_floats({rows.first.numel(), n});
  at::Tensor result = empty_floats({rows.first.numel()});
  const float* const weights = probabilities.data_ptr<float>();
  float *slopes = saved->slopes.data_ptr<float>(), *to = result.data_ptr<float>();
  for_cells(rows, n, [&](std::int64_t cell, std::int64_t, bool hidden) {
    to[cell] = 0;
    if (hidden) {
      to[cell] = static_cast<float>(divergence(weights + cell * n, slopes + cell * n));
    } else {
      std::fill_n(slopes + cell * n, n, 0.0F);
    }
  });
  if (torch::autograd::compute_requires_grad(probabilities)) connect({result}, std::move(saved), probabilities);
  return result;
}

}  // namespace scvi::kernel
