#include "scvi/metric/gaussian_mixture.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "clouds.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/metric/clustering.hpp"
#include "scvi/metric/kmeans.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

#include "golden_case.inc"

Points latent() {
  return {std::span<const float>(kLatentValues), kCells, kLatent};
}

/// Two long, thin clouds side by side, which k-means cuts across.
struct Stripes {
  std::vector<double> rows;
  std::vector<std::int64_t> labels;

  Stripes() {
    RandomStream random(2, "stripes");
    for (std::int64_t i = 0; i < 800; ++i) {
      labels.push_back(i % 2);
      rows.push_back(12 * random.standard_normal());
      rows.push_back(0.5 * random.standard_normal() + (i % 2 == 0 ? -3 : 3));
    }
  }
  Points points() const { return {std::span<const double>(rows), 800, 2}; }
};

TEST(GaussianMixture, TellsStretchedCloudsApartThatKMeansCannot) {
  const Stripes stripes;
  GaussianMixtureOptions options;
  options.n_init = 3;
  options.max_iterations = 500;
  options.tolerance = 1e-6;
  const GaussianMixtureResult result = gaussian_mixture(stripes.points(), 2, options);
  EXPECT_GT(adjusted_rand_index(stripes.labels, result.labels), 0.95);
  EXPECT_LT(adjusted_rand_index(stripes.labels, kmeans(stripes.points(), 2).labels), 0.2);
  EXPECT_TRUE(result.converged);
  EXPECT_NEAR(result.weights[0], 0.5, 0.02);
  EXPECT_NEAR(result.covariances[0], 144, 20);
  EXPECT_NEAR(result.covariances[3], 0.25, 0.05);
  EXPECT_EQ(result.covariances[1], result.covariances[2]);
  EXPECT_NEAR(std::abs(result.means[1]), 3, 0.1);
}

TEST(GaussianMixture, OneComponentIsTheMeanAndCovariance) {
  const std::vector<double> rows = {0, 0, 2, 0, 0, 4, 2, 4};
  const GaussianMixtureResult result = gaussian_mixture(Points(rows, 4, 2), 1);
  EXPECT_NEAR(result.means[0], 1, 1e-12);
  EXPECT_NEAR(result.means[1], 2, 1e-12);
  EXPECT_NEAR(result.covariances[0], 1, 1e-5);
  EXPECT_NEAR(result.covariances[1], 0, 1e-5);
  EXPECT_NEAR(result.covariances[3], 4, 1e-5);
  // log of 1 / (2 pi sqrt(1 * 4)), minus half of 1/1 + 4/4 at every point.
  EXPECT_NEAR(result.log_likelihood, -std::log(2 * M_PI * 2) - 1, 1e-5);
  EXPECT_EQ(result.labels, (std::vector<std::int64_t>{0, 0, 0, 0}));
}

TEST(GaussianMixture, LikelihoodNeverFalls) {
  double before = -std::numeric_limits<double>::infinity();
  for (int i = 1; i <= 20; ++i) {
    GaussianMixtureOptions options;
    options.max_iterations = i;
    options.tolerance = 0;
    const double now = gaussian_mixture(latent(), 4, options).log_likelihood;
    EXPECT_GE(now, before - 1e-9) << i;
    before = now;
  }
}

TEST(GaussianMixture, FindsTheOptimaThatScikitLearnFinds) {
  // The largest score() of 60 starts of sklearn.mixture.GaussianMixture(k, tol=1e-9).
  GaussianMixtureOptions options;
  options.n_init = 200;
  options.max_iterations = 2000;
  options.tolerance = 1e-9;
  const GaussianMixtureResult result = gaussian_mixture(latent(), 2, options);
  EXPECT_NEAR(result.log_likelihood, -7.843101011, 1e-6);
}

TEST(GaussianMixture, DoesNotDependOnTheNumberOfThreads) {
  const testing::Clouds clouds(2500, 5, 3, 1);
  const auto run = [&](int n_threads) {
    const testing::WithThreads with(n_threads);
    return gaussian_mixture(clouds.points(), 3);
  };
  const GaussianMixtureResult one = run(1), four = run(4);
  EXPECT_EQ(one.labels, four.labels);
  EXPECT_EQ(one.log_likelihood, four.log_likelihood);
  EXPECT_EQ(one.covariances, four.covariances);
}

TEST(GaussianMixture, EveryPointMayHaveItsOwnComponentAndAllMayBeEqual) {
  const std::vector<double> rows = {0, 1, 5, 9};
  const GaussianMixtureResult own = gaussian_mixture(Points(rows, 4, 1), 4);
  EXPECT_NEAR(std::accumulate(own.weights.begin(), own.weights.end(), 0.0), 1, 1e-12);
  const std::vector<double> same(20, 3);
  const GaussianMixtureResult heap = gaussian_mixture(Points(same, 10, 2), 1);
  EXPECT_TRUE(std::isfinite(heap.log_likelihood));
}

TEST(GaussianMixture, SaysWhenACovarianceCannotBeInverted) {
  const std::vector<double> same(20, 3);
  GaussianMixtureOptions options;
  options.regularisation = 0;
  EXPECT_THROW(gaussian_mixture(Points(same, 10, 2), 1, options), NumericError);
}

TEST(GaussianMixture, RefusesWhatItCannotFit) {
  const std::vector<double> rows = {0, 1, 2};
  const Points points(rows, 3, 1);
  EXPECT_THROW(gaussian_mixture(points, 0), InputError);
  EXPECT_THROW(gaussian_mixture(points, 4), InputError);
  GaussianMixtureOptions options;
  options.n_init = 0;
  EXPECT_THROW(gaussian_mixture(points, 1, options), InputError);
  options = {};
  options.tolerance = -1;
  EXPECT_THROW(gaussian_mixture(points, 1, options), InputError);
  options = {};
  options.regularisation = std::nan("");
  EXPECT_THROW(gaussian_mixture(points, 1, options), InputError);
  const std::vector<double> odd = {0, std::nan(""), 2};
  EXPECT_THROW(gaussian_mixture(Points(odd, 3, 1), 1), InputError);
}

TEST(GaussianMixture, StopsWhenInterrupted) {
  set_interrupt(true);
  EXPECT_THROW(gaussian_mixture(latent(), 2), Interrupted);
  set_interrupt(false);
}

}  // namespace
}  // namespace scvi
