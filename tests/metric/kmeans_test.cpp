#include "scvi/metric/kmeans.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/random.hpp"
#include "scvi/metric/clustering.hpp"

namespace scvi {
namespace {

#include "golden_case.inc"

Points latent() {
  return {std::span<const float>(kLatentValues), kCells, kLatent};
}
Points other() {
  return {std::span<const float>(kOtherValues), kCells, kOther};
}

struct Blobs {
  std::vector<double> rows;
  std::vector<std::int64_t> labels;
};

/// Clouds of standard deviation 1 around centres that lie `distance` apart on the axes.
Blobs blobs(std::int64_t n, std::int64_t dim, std::int64_t k, double distance) {
  RandomStream random(1, "blobs");
  Blobs made;
  for (std::int64_t i = 0; i < n; ++i) {
    made.labels.push_back(i % k);
    for (std::int64_t d = 0; d < dim; ++d)
      made.rows.push_back(random.standard_normal() + (i % k == d ? distance : 0));
  }
  return made;
}

std::vector<std::int64_t> sorted_sizes(const KMeansResult& result) {
  std::map<std::int64_t, std::int64_t> counts;
  for (const std::int64_t label : result.labels) ++counts[label];
  std::vector<std::int64_t> sizes;
  for (const auto& [label, count] : counts) sizes.push_back(count);
  std::sort(sizes.begin(), sizes.end());
  return sizes;
}

/// Labels name the nearest centre, centres are means, and the inertia is the sum of squared distances.
void expect_consistent(const Points& points, const KMeansResult& result, std::int64_t k, double tolerance) {
  const std::vector<double> rows = points.to_double();
  const std::int64_t dim = points.dim();
  double inertia = 0;
  std::vector<double> sums(k * dim), counts(k);
  for (std::int64_t i = 0; i < points.n(); ++i) {
    std::vector<double> squared(k);
    for (std::int64_t c = 0; c < k; ++c)
      for (std::int64_t d = 0; d < dim; ++d)
        squared[c] += std::pow(rows[i * dim + d] - result.centers[c * dim + d], 2);
    EXPECT_LE(squared[result.labels[i]], *std::min_element(squared.begin(), squared.end()) + 1e-9);
    inertia += squared[result.labels[i]];
    ++counts[result.labels[i]];
    for (std::int64_t d = 0; d < dim; ++d) sums[result.labels[i] * dim + d] += rows[i * dim + d];
  }
  EXPECT_NEAR(result.inertia, inertia, 1e-9 * inertia);
  for (std::int64_t c = 0; c < k; ++c)
    for (std::int64_t d = 0; d < dim; ++d)
      EXPECT_NEAR(result.centers[c * dim + d], sums[c * dim + d] / counts[c], tolerance);
}

TEST(KMeans, FindsTheOptimaThatScikitLearnFinds) {
  // Least inertia over thousands of starts of sklearn.cluster.KMeans, and the sizes of its clusters.
  const KMeansOptions options{.n_init = 200, .tolerance = 0, .seed = 3};
  const auto expect = [&](const Points& points, std::int64_t k, double inertia, std::vector<std::int64_t> sizes) {
    const KMeansResult result = kmeans(points, k, options);
    EXPECT_NEAR(result.inertia, inertia, 1e-9 * inertia) << k;
    EXPECT_EQ(sorted_sizes(result), sizes) << k;
    expect_consistent(points, result, k, 1e-9);
  };
  expect(latent(), 2, 789.2360404607405, {42, 98});
  expect(latent(), 4, 604.7406438259789, {31, 34, 37, 38});
  expect(other(), 2, 5388.772983204526, {53, 87});
  expect(other(), 4, 3861.435658014313, {28, 33, 39, 40});
}

TEST(KMeans, ComesAsCloseToTheOptimumAsScikitLearnWithManyClusters) {
  // Of six runs of sklearn.cluster.KMeans(9, n_init=200) the worst reached 428.87 and 2606.5.
  EXPECT_LT(kmeans(latent(), 9, {.n_init = 200, .seed = 3}).inertia, 430);
  EXPECT_LT(kmeans(other(), 9, {.n_init = 200, .seed = 3}).inertia, 2610);
}

TEST(KMeans, OneStartIsAsGoodOnAverageAsOneOfScikitLearn) {
  // Means and standard deviations of the inertia over 400 runs of sklearn.cluster.KMeans(k, n_init=1).
  const auto expect = [](const Points& points, std::int64_t k, double mean, double deviation) {
    double sum = 0;
    for (std::uint64_t seed = 0; seed < 400; ++seed) sum += kmeans(points, k, {.n_init = 1, .seed = seed}).inertia;
    EXPECT_NEAR(sum / 400, mean, 5 * deviation * std::sqrt(2.0 / 400)) << k;
  };
  expect(latent(), 9, 445.79, 9.51);
  expect(other(), 9, 2718.2, 59.1);
}

TEST(KMeans, RecoversCloudsWellApartFromFiftyStarts) {
  const Blobs made = blobs(450, 10, 7, 12);
  const Points points(made.rows, 450, 10);
  const KMeansResult result = kmeans(points, 7, {.n_init = 50});
  EXPECT_EQ(adjusted_rand_index(made.labels, result.labels), 1);
  expect_consistent(points, result, 7, 1e-9);
}

TEST(KMeans, GreedySeedingFindsManyCloudsInOneStart) {
  // Plain random centres would miss some of 15 clouds almost always.
  const Blobs made = blobs(1500, 15, 15, 40);
  const KMeansResult result = kmeans(Points(made.rows, 1500, 15), 15, {.n_init = 1});
  EXPECT_EQ(adjusted_rand_index(made.labels, result.labels), 1);
}

TEST(KMeans, LabelsFitTheCentresEvenWhenStoppedEarly) {
  const KMeansResult result = kmeans(latent(), 5, {.n_init = 1, .max_iterations = 1});
  EXPECT_EQ(result.n_iterations, 1);
  const std::vector<double> rows = latent().to_double();
  for (std::int64_t i = 0; i < kCells; ++i) {
    std::vector<double> squared(5);
    for (std::int64_t c = 0; c < 5; ++c)
      for (std::int64_t d = 0; d < kLatent; ++d)
        squared[c] += std::pow(rows[i * kLatent + d] - result.centers[c * kLatent + d], 2);
    EXPECT_EQ(std::min_element(squared.begin(), squared.end()) - squared.begin(), result.labels[i]);
  }
}

TEST(KMeans, MoreStartsAreNeverWorse) {
  double before = 1e300;
  for (const int n_init : {1, 2, 5, 20, 60}) {
    const double inertia = kmeans(other(), 8, {.n_init = n_init, .seed = 5}).inertia;
    EXPECT_LE(inertia, before);
    before = inertia;
  }
}

TEST(KMeans, DoesNotDependOnTheNumberOfThreads) {
  const Blobs made = blobs(5000, 6, 4, 2);
  const Points points(made.rows, 5000, 6);
  for (const int n_init : {1, 3, 8}) {
    settings().n_threads = 1;
    const KMeansResult one = kmeans(points, 9, {.n_init = n_init, .max_iterations = 20});
    settings().n_threads = 4;
    const KMeansResult four = kmeans(points, 9, {.n_init = n_init, .max_iterations = 20});
    settings().n_threads = 0;
    EXPECT_EQ(one.labels, four.labels);
    EXPECT_EQ(one.centers, four.centers);
    EXPECT_EQ(one.inertia, four.inertia);
  }
}

TEST(KMeans, FollowsItsSeed) {
  const KMeansOptions options{.n_init = 1, .max_iterations = 1, .seed = 11};
  EXPECT_EQ(kmeans(other(), 9, options).centers, kmeans(other(), 9, options).centers);
  EXPECT_NE(kmeans(other(), 9, options).centers,
            kmeans(other(), 9, {.n_init = 1, .max_iterations = 1, .seed = 12}).centers);
}

TEST(KMeans, IsAsGoodFarFromTheOrigin) {
  std::vector<double> rows = latent().to_double();
  for (double& value : rows) value += 1e6;
  const KMeansResult result = kmeans(Points(rows, kCells, kLatent), 2, {.n_init = 50, .tolerance = 0});
  EXPECT_NEAR(result.inertia, 789.2360404607405, 1e-4);
}

TEST(KMeans, GivesEveryPointItsOwnClusterWhenThereAreAsMany) {
  const std::vector<double> rows = {0, 1, 5, 9, 2};
  const KMeansResult result = kmeans(Points(rows, 5, 1), 5);
  EXPECT_EQ(std::set<std::int64_t>(result.labels.begin(), result.labels.end()).size(), 5u);
  EXPECT_NEAR(result.inertia, 0, 1e-20);
}

TEST(KMeans, OneClusterIsTheMean) {
  const std::vector<double> rows = {0, 1, 5, 10};
  const KMeansResult result = kmeans(Points(rows, 4, 1), 1);
  EXPECT_NEAR(result.centers[0], 4, 1e-12);
  EXPECT_NEAR(result.inertia, 62, 1e-12);
}

TEST(KMeans, WarnsWhenThereAreFewerDifferentPointsThanClusters) {
  std::vector<std::string> warnings;
  set_verbosity(LogLevel::off);
  const ScopedLogSink sink([&](LogLevel, std::string_view message) { warnings.emplace_back(message); });
  const std::vector<double> rows = {1, 1, 1, 7, 7, 7};
  const KMeansResult result = kmeans(Points(rows, 6, 1), 4);
  set_verbosity(LogLevel::info);
  EXPECT_NEAR(result.inertia, 0, 1e-20);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_NE(warnings[0].find("2 clusters instead of 4"), std::string::npos) << warnings[0];
}

TEST(KMeans, RefusesWhatItCannotCluster) {
  const std::vector<double> rows = {0, 1, 2};
  const Points points(rows, 3, 1);
  EXPECT_THROW(kmeans(points, 0), InputError);
  EXPECT_THROW(kmeans(points, 4), InputError);
  EXPECT_THROW(kmeans(points, 2, {.n_init = 0}), InputError);
  EXPECT_THROW(kmeans(points, 2, {.max_iterations = 0}), InputError);
  EXPECT_THROW(kmeans(points, 2, {.tolerance = -1}), InputError);
  EXPECT_THROW(kmeans(points, 2, {.tolerance = std::nan("")}), InputError);
  EXPECT_THROW(kmeans(Points(std::vector<double>{}, 0, 1), 1), InputError);
}

TEST(KMeans, StopsWhenInterrupted) {
  set_interrupt(true);
  EXPECT_THROW(kmeans(latent(), 3), Interrupted);
  set_interrupt(false);
}

}  // namespace
}  // namespace scvi
