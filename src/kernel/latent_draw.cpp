#include "scvi/kernel/latent_draw.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <numbers>
#include <tuple>
#include <utility>
#include <vector>

#include "operation.hpp"
#include "plain_cpu.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/finite_gradients.hpp"
#include "scvi/kernel/latent_sample.hpp"
#include "scvi/kernel/matrix_product.hpp"
#include "scvi/kernel/sparse_linear.hpp"

namespace scvi::kernel {
namespace {

const float* data_or_null(const at::Tensor& tensor) {
  return tensor.defined() ? tensor.data_ptr<float>() : nullptr;
}

/// Both matrices or vectors one above the other.
at::Tensor stacked(const at::Tensor& upper, const at::Tensor& lower) {
  const std::int64_t n = upper.numel();
  at::Tensor both = upper.dim() == 1 ? empty_floats({2 * n}) : empty_floats({2 * upper.size(0), upper.size(1)});
  std::copy_n(upper.data_ptr<float>(), n, both.data_ptr<float>());
  std::copy_n(lower.data_ptr<float>(), n, both.data_ptr<float>() + n);
  return both;
}

/// Both matrices side by side: (cells, 2 n_latent).
at::Tensor side_by_side(const at::Tensor& left, const at::Tensor& right) {
  const std::int64_t n = left.size(1);
  at::Tensor both = empty_floats({left.size(0), 2 * n});
  const float *from_left = left.data_ptr<float>(), *from_right = right.data_ptr<float>();
  float* to = both.data_ptr<float>();
  for (std::int64_t row = 0; row < left.size(0); ++row, from_left += n, from_right += n) {
    to = std::copy_n(from_left, n, to);
    to = std::copy_n(from_right, n, to);
  }
  return both;
}

/// The heads with their input. Few numbers come out of each, so both are computed in one product.
struct HeadsSaved {
  LatentHeads heads;
  Kept hidden, mean_weight, variance_weight;

  /// Gradients of hidden, weight and bias of the mean, weight and bias of the variance, from `first` on.
  template <class Wanted>
  void pass(const at::Tensor& by_mean, const at::Tensor& by_variance, std::size_t first, const Wanted& wanted,
            variable_list& result) const {
    const at::Tensor by_both = side_by_side(by_mean, by_variance);
    const auto give = [&](std::size_t mean, std::size_t variance, const at::Tensor& both, at::IntArrayRef sizes) {
      const std::int64_t n = both.numel() / 2;
      if (wanted(mean)) result[mean] = part_of(both, 0, sizes);
      if (wanted(variance)) result[variance] = part_of(both, n, sizes);
    };
    const at::Tensor weight = mean_weight.get();
    if (wanted(first + 1) || wanted(first + 3)) {
      const at::Tensor both = product(view_of<const float>(by_both).transposed(), hidden.get());
      give(first + 1, first + 3, both, weight.sizes());
    }
    if (wanted(first + 2) || wanted(first + 4)) {
      const at::Tensor both = empty_floats({by_both.size(1)});
      column_sums(by_both.data_ptr<float>(), by_both.size(0), by_both.size(1), by_both.size(1),
                  both.data_ptr<float>());
      give(first + 2, first + 4, both, {weight.size(0)});
    }
    if (wanted(first)) {
      result[first] = product(view_of<const float>(by_both), stacked(weight, variance_weight.get()));
    }
  }

 private:
  static at::Tensor product(const MatrixView<const float>& a, const at::Tensor& b) {
    at::Tensor result = empty_floats({a.n_rows, b.size(1)});
    if (matrix_product(a, view_of<const float>(b), nullptr, view_of<float>(result))) FiniteGradients::note(result);
    return result;
  }
};

void keep(const at::Tensor& hidden, const LatentHeads& heads, HeadsSaved& saved) {
  saved.hidden = Kept(hidden);
  saved.mean_weight = Kept(heads.mean_weight);
  saved.variance_weight = Kept(heads.variance_weight);
}

/// What the heads give, (cells, n_latent) each.
std::pair<at::Tensor, at::Tensor> head_values(const at::Tensor& hidden, const LatentHeads& heads) {
  const std::int64_t n_cells = hidden.size(0), n = heads.mean_weight.size(0);
  const at::Tensor both = empty_floats({n_cells, 2 * n});
  const at::Tensor weight = stacked(heads.mean_weight, heads.variance_weight);
  const at::Tensor bias = stacked(heads.mean_bias, heads.variance_bias);
  matrix_product(view_of<const float>(hidden), view_of<const float>(weight).transposed(), bias.data_ptr<float>(),
                 view_of<float>(both));
  std::pair values{empty_floats({n_cells, n}), empty_floats({n_cells, n})};
  const float* from = both.data_ptr<float>();
  float *mean = values.first.data_ptr<float>(), *raw_variance = values.second.data_ptr<float>();
  for (std::int64_t row = 0; row < n_cells; ++row, from += 2 * n) {
    mean = std::copy_n(from, n, mean);
    raw_variance = std::copy_n(from + n, n, raw_variance);
  }
  return values;
}

const double kHalfLogTwoPi = 0.5 * std::log(2 * std::numbers::pi);

/// In the order of the inputs: hidden, weight and bias of the mean, weight and bias of the variance.
struct LatentDrawSaved : HeadsSaved {
  static constexpr const char* kName = "LatentDraw";

  at::Tensor mean, raw_variance, noise;  ///< (cells, n_latent)

  LatentSample<float> sample() const {
    return {.n_rows = mean.size(0),
            .n_latent = mean.size(1),
            .mean = mean.data_ptr<float>(),
            .raw_variance = raw_variance.data_ptr<float>(),
            .noise = noise.data_ptr<float>(),
            .variance_floor = heads.variance_floor,
            .prior_mean = data_or_null(heads.prior_mean),
            .prior_variance = data_or_null(heads.prior_variance)};
  }

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted& wanted) {
    const auto given = [&](std::size_t i) {
      return i < grads.size() && grads[i].defined() ? grads[i].contiguous() : at::Tensor();
    };
    const at::Tensor dz = given(0), dkl = given(1), ddensity = given(2);
    const at::Tensor by_mean = empty_floats(mean.sizes());
    const at::Tensor by_variance = empty_floats(mean.sizes());
    latent_sample_backward(sample(), data_or_null(dz), data_or_null(dkl), by_mean.data_ptr<float>(),
                           by_variance.data_ptr<float>());
    if (ddensity.defined()) add_density_gradient(ddensity, by_variance);
    variable_list result(5);
    pass(by_mean, by_variance, 0, wanted, result);
    return result;
  }

  /// log density of the draw: -(noise^2 + log(variance) + log(2 pi)) / 2, so that the mean has no part in it.
  at::Tensor log_density(const at::Tensor& variance) const {
    at::Tensor result = empty_floats({mean.size(0)});
    const std::int64_t n = mean.size(1);
    const float *eps = noise.data_ptr<float>(), *of = variance.data_ptr<float>();
    for (std::int64_t row = 0; row < mean.size(0); ++row, eps += n, of += n) {
      double sum = 0;
      for (std::int64_t i = 0; i < n; ++i) {
        sum += static_cast<double>(eps[i]) * static_cast<double>(eps[i]) + std::log(static_cast<double>(of[i]));
      }
      result.data_ptr<float>()[row] = static_cast<float>(-0.5 * sum - static_cast<double>(n) * kHalfLogTwoPi);
    }
    return result;
  }

 private:
  void add_density_gradient(const at::Tensor& ddensity, const at::Tensor& by_variance) const {
    const auto floor = static_cast<float>(heads.variance_floor);
    const std::int64_t n = mean.size(1);
    const float *raw = raw_variance.data_ptr<float>(), *by_row = ddensity.data_ptr<float>();
    float* to = by_variance.data_ptr<float>();
    for (std::int64_t i = 0; i < mean.numel(); ++i) {
      const float exponent = std::exp(raw[i]);
      to[i] -= 0.5F * by_row[i / n] * exponent / (exponent + floor);
    }
  }
};

/// In the order of the inputs: z, hidden, weight and bias of the mean, weight and bias of the variance.
struct LatentDensitySaved : HeadsSaved {
  static constexpr const char* kName = "LatentDensity";

  Kept z;
  at::Tensor mean, variance;  ///< (cells, n_latent)

  /// Calls body(cell, i) for every number of z.
  template <class Body>
  void for_numbers(const Body& body) const {
    const std::int64_t n = mean.size(1);
    for (std::int64_t i = 0; i < mean.numel(); ++i) body(i / n, i);
  }

  template <class Wanted>
  variable_list gradients(const variable_list& grads, const Wanted& wanted) {
    const at::Tensor by_row = grads[0].contiguous();
    const at::Tensor by_z = empty_floats(mean.sizes()), by_mean = empty_floats(mean.sizes());
    const at::Tensor by_variance = empty_floats(mean.sizes());
    const float *weight = by_row.data_ptr<float>(), *at = z.get().data_ptr<float>();
    const float *m = mean.data_ptr<float>(), *v = variance.data_ptr<float>();
    float *to_z = by_z.data_ptr<float>(), *to_mean = by_mean.data_ptr<float>();
    float* to_variance = by_variance.data_ptr<float>();
    const auto floor = static_cast<float>(heads.variance_floor);
    for_numbers([&](std::int64_t cell, std::int64_t i) {
      const float distance = (at[i] - m[i]) / v[i];
      to_mean[i] = weight[cell] * distance;
      to_z[i] = -to_mean[i];
      to_variance[i] = 0.5F * weight[cell] * (distance * distance - 1 / v[i]) * (v[i] - floor);
    });
    variable_list result(6);
    if (wanted(0)) result[0] = by_z;
    pass(by_mean, by_variance, 1, wanted, result);
    return result;
  }

  at::Tensor log_density() const {
    std::vector<double> sums(static_cast<std::size_t>(mean.size(0)));
    const float *at = z.get().data_ptr<float>(), *m = mean.data_ptr<float>(), *v = variance.data_ptr<float>();
    for_numbers([&](std::int64_t cell, std::int64_t i) {
      const double distance = static_cast<double>(at[i]) - static_cast<double>(m[i]);
      const auto of = static_cast<double>(v[i]);
      sums[static_cast<std::size_t>(cell)] -= 0.5 * (distance * distance / of + std::log(of)) + kHalfLogTwoPi;
    });
    at::Tensor result = empty_floats({mean.size(0)});
    std::transform(sums.begin(), sums.end(), result.data_ptr<float>(),
                   [](double sum) { return static_cast<float>(sum); });
    return result;
  }
};

}  // namespace

bool can_fuse(const at::Tensor& hidden, const LatentHeads& heads) {
  const auto fits = [](const at::Tensor& prior) { return !prior.defined() || is_plain_cpu_float(prior); };
  return settings().kernel == KernelRoad::fused && hidden.dim() == 2 && is_plain_cpu_float(hidden) &&
         is_plain_cpu_float(heads.mean_weight) && is_plain_cpu_float(heads.mean_bias) &&
         is_plain_cpu_float(heads.variance_weight) && is_plain_cpu_float(heads.variance_bias) &&
         fits(heads.prior_mean) && fits(heads.prior_variance);
}

LatentDraw latent_draw(const at::Tensor& hidden, const LatentHeads& heads, const at::Tensor& noise,
                       bool with_log_density) {
  const bool differentiable = torch::autograd::compute_requires_grad(hidden, heads.mean_weight, heads.mean_bias,
                                                                     heads.variance_weight, heads.variance_bias);
  auto saved = std::make_unique<LatentDrawSaved>();
  LatentDraw draw;
  {
    at::NoGradGuard no_grad;
    saved->heads = heads;
    saved->noise = noise;
    std::tie(saved->mean, saved->raw_variance) = head_values(hidden, heads);
    const at::Tensor variance = empty_floats(saved->mean.sizes());
    draw.z = empty_floats(saved->mean.sizes());
    draw.kl = empty_floats({hidden.size(0)});
    latent_sample(saved->sample(), variance.data_ptr<float>(), draw.z.data_ptr<float>(), draw.kl.data_ptr<float>());
    if (with_log_density) draw.log_density = saved->log_density(variance);
  }
  if (!differentiable) return draw;
  keep(hidden, heads, *saved);
  connect({draw.z, draw.kl, draw.log_density}, std::move(saved), hidden, heads.mean_weight, heads.mean_bias,
          heads.variance_weight, heads.variance_bias);
  return draw;
}

at::Tensor latent_log_density(const at::Tensor& z, const at::Tensor& hidden, const LatentHeads& heads) {
  const bool differentiable = torch::autograd::compute_requires_grad(z, hidden, heads.mean_weight, heads.mean_bias,
                                                                     heads.variance_weight, heads.variance_bias);
  auto saved = std::make_unique<LatentDensitySaved>();
  at::Tensor density;
  {
    at::NoGradGuard no_grad;
    saved->heads = heads;
    saved->z = Kept(z);
    std::tie(saved->mean, saved->variance) = head_values(hidden, heads);
    saved->variance.exp_().add_(heads.variance_floor);
    density = saved->log_density();
  }
  if (!differentiable) return density;
  keep(hidden, heads, *saved);
  connect({density}, std::move(saved), z, hidden, heads.mean_weight, heads.mean_bias, heads.variance_weight,
          heads.variance_bias);
  return density;
}

}  // namespace scvi::kernel
