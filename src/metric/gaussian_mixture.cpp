#include "scvi/metric/gaussian_mixture.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>
#include <string>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"
#include "scvi/metric/kmeans.hpp"

namespace scvi {
namespace {

constexpr std::int64_t kPointsAtOnce = 512;

/// A Gaussian in the form in which densities are computed.
struct Density {
  const double* mean = nullptr;
  std::vector<double> cholesky;  // (dim, dim), lower triangle
  double constant = 0;           // log of weight and normalisation
};

/// L with L L' = matrix. @throws NumericError when there is none
std::vector<double> cholesky_of(const double* matrix, std::int64_t dim) {
  std::vector<double> lower(static_cast<std::size_t>(dim * dim));
  for (std::int64_t i = 0; i < dim; ++i) {
    for (std::int64_t j = 0; j <= i; ++j) {
      double rest = matrix[i * dim + j];
      for (std::int64_t k = 0; k < j; ++k) rest -= lower[i * dim + k] * lower[j * dim + k];
      if (i != j) {
        lower[i * dim + j] = rest / lower[j * dim + j];
      } else if (rest > 0) {
        lower[i * dim + i] = std::sqrt(rest);
      } else {
        throw NumericError({.problem = "has a covariance that cannot be inverted",
                            .field = "Gaussian mixture",
                            .remedy = "use fewer components or a larger regularisation"});
      }
    }
  }
  return lower;
}

/// log(weight * density) at a point. @param scratch room for dim
double log_density(const Density& density, const double* point, std::int64_t dim, double* scratch) {
  double squared = 0;
  for (std::int64_t i = 0; i < dim; ++i) {
    double rest = point[i] - density.mean[i];
    for (std::int64_t k = 0; k < i; ++k) rest -= density.cholesky[i * dim + k] * scratch[k];
    scratch[i] = rest / density.cholesky[i * dim + i];
    squared += scratch[i] * scratch[i];
  }
  return density.constant - squared / 2;
}

/// One start.
class Fit {
 public:
  Fit(const std::vector<double>& rows, std::int64_t n, std::int64_t dim, std::int64_t n_components,
      const GaussianMixtureOptions& options)
      : rows_(rows),
        n_(n),
        dim_(dim),
        count_(n_components),
        options_(options),
        shares_(static_cast<std::size_t>(n * n_components)) {
    result_.weights.resize(static_cast<std::size_t>(count_));
    result_.means.resize(static_cast<std::size_t>(count_ * dim_));
    result_.covariances.resize(static_cast<std::size_t>(count_ * dim_ * dim_));
    result_.labels.resize(static_cast<std::size_t>(n));
  }

  GaussianMixtureResult run(const std::vector<std::int64_t>& labels) {
    for (std::int64_t i = 0; i < n_; ++i) shares_[i * count_ + labels[i]] = 1;
    double before = -std::numeric_limits<double>::infinity();
    while (result_.n_iterations < options_.max_iterations && !result_.converged) {
      throw_if_interrupted();
      maximise();
      result_.log_likelihood = expect();
      ++result_.n_iterations;
      result_.converged = std::abs(result_.log_likelihood - before) < options_.tolerance;
      before = result_.log_likelihood;
    }
    return std::move(result_);
  }

 private:
  void maximise() {
    parallel_for(count_, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t c = begin; c < end; ++c) maximise(c);
    });
    const double total = std::accumulate(result_.weights.begin(), result_.weights.end(), 0.0);
    for (double& weight : result_.weights) weight /= total;
  }

  void maximise(std::int64_t c) {
    double size = 10 * std::numeric_limits<double>::epsilon();  // an empty component must not divide by 0
    double* const mean = result_.means.data() + c * dim_;
    std::fill_n(mean, dim_, 0.0);
    for (std::int64_t i = 0; i < n_; ++i) {
      const double share = shares_[i * count_ + c];
      size += share;
      for (std::int64_t d = 0; d < dim_; ++d) mean[d] += share * rows_[i * dim_ + d];
    }
    for (std::int64_t d = 0; d < dim_; ++d) mean[d] /= size;
    result_.weights[c] = size;
    set_covariance(c, size, mean);
  }

  void set_covariance(std::int64_t c, double size, const double* mean) {
    double* const covariance = result_.covariances.data() + c * dim_ * dim_;
    std::fill_n(covariance, dim_ * dim_, 0.0);
    for (std::int64_t i = 0; i < n_; ++i) {
      const double share = shares_[i * count_ + c] / size;
      if (share == 0) continue;
      const double* const point = rows_.data() + i * dim_;
      for (std::int64_t a = 0; a < dim_; ++a)
        for (std::int64_t b = 0; b <= a; ++b)
          covariance[a * dim_ + b] += share * (point[a] - mean[a]) * (point[b] - mean[b]);
    }
    for (std::int64_t a = 0; a < dim_; ++a) {
      covariance[a * dim_ + a] += options_.regularisation;
      for (std::int64_t b = 0; b < a; ++b) covariance[b * dim_ + a] = covariance[a * dim_ + b];
    }
  }

  /// Sets the shares of the components in every point, and labels. @returns the mean log-likelihood
  double expect() {
    std::vector<Density> densities;
    for (std::int64_t c = 0; c < count_; ++c) {
      Density density{.mean = result_.means.data() + c * dim_,
                      .cholesky = cholesky_of(result_.covariances.data() + c * dim_ * dim_, dim_)};
      density.constant =
          std::log(result_.weights[c]) - static_cast<double>(dim_) / 2 * std::log(2 * std::numbers::pi);
      for (std::int64_t d = 0; d < dim_; ++d) density.constant -= std::log(density.cholesky[d * dim_ + d]);
      densities.push_back(std::move(density));
    }
    std::vector<double> parts(static_cast<std::size_t>(chunk_count(n_, kPointsAtOnce)));
    parallel_for(n_, kPointsAtOnce, [&](std::int64_t begin, std::int64_t end) {
      std::vector<double> scratch(static_cast<std::size_t>(dim_));
      for (std::int64_t i = begin; i < end; ++i) parts[begin / kPointsAtOnce] += expect(i, densities, scratch.data());
    });
    return std::accumulate(parts.begin(), parts.end(), 0.0) / static_cast<double>(n_);
  }

  double expect(std::int64_t i, const std::vector<Density>& densities, double* scratch) {
    double* const shares = shares_.data() + i * count_;
    for (std::int64_t c = 0; c < count_; ++c)
      shares[c] = log_density(densities[c], rows_.data() + i * dim_, dim_, scratch);
    const double* const largest = std::max_element(shares, shares + count_);
    result_.labels[i] = largest - shares;
    const double shift = *largest;
    double sum = 0;
    for (std::int64_t c = 0; c < count_; ++c) sum += shares[c] = std::exp(shares[c] - shift);
    for (std::int64_t c = 0; c < count_; ++c) shares[c] /= sum;
    return shift + std::log(sum);
  }

  const std::vector<double>& rows_;
  std::int64_t n_, dim_, count_;
  const GaussianMixtureOptions& options_;
  std::vector<double> shares_;  // (n, count)
  GaussianMixtureResult result_;
};

void check(const Points& points, std::int64_t n_components, const GaussianMixtureOptions& options) {
  if (n_components < 1 || n_components > points.n())
    throw InputError({.problem = "is " + std::to_string(n_components) + ", but there are " +
                                 std::to_string(points.n()) + " points",
                      .field = "number of components"});
  if (options.n_init < 1 || options.max_iterations < 1)
    throw InputError({.problem = "are " + std::to_string(options.n_init) + " and " +
                                 std::to_string(options.max_iterations) + ", but must be at least 1",
                      .field = "starts and iterations"});
  if (!(options.tolerance >= 0) || !(options.regularisation >= 0))
    throw InputError({.problem = "are " + std::to_string(options.tolerance) + " and " +
                                 std::to_string(options.regularisation) + ", but must be at least 0",
                      .field = "tolerance and regularisation"});
}

}  // namespace

GaussianMixtureResult gaussian_mixture(const Points& points, std::int64_t n_components,
                                       const GaussianMixtureOptions& options) {
  check(points, n_components, options);
  const std::vector<double> rows = points.to_double();
  GaussianMixtureResult best;
  RandomStream seeds(options.seed, "gaussian_mixture");
  for (int start = 0; start < options.n_init; ++start) {
    KMeansOptions first{.n_init = 1};
    first.seed = seeds.next_uint64();
    GaussianMixtureResult fitted =
        Fit(rows, points.n(), points.dim(), n_components, options).run(kmeans(points, n_components, first).labels);
    if (start == 0 || fitted.log_likelihood > best.log_likelihood) best = std::move(fitted);
  }
  return best;
}

}  // namespace scvi
