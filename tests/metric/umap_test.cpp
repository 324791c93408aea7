#include "scvi/metric/umap.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "clouds.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using testing::Clouds;
using testing::WithThreads;

std::vector<float> map_of(const Points& points, const UmapOptions& options = {}, std::int64_t k = 14) {
  return umap(fuzzy_graph(nearest_neighbors(points, k)), points, options);
}

/// Where the optimisation starts: a step too small to leave it.
std::vector<float> start_of(const SparseGraph& graph, const Points& points) {
  return umap(graph, points, {.n_epochs = 1, .learning_rate = 1e-9});
}

TEST(UmapCurve, IsThatOfUmapLearn) {
  // umap.umap_.find_ab_params of umap-learn 0.5.
  const auto expect = [](double min_dist, double spread, double a, double b) {
    const UmapCurve curve = umap_curve(min_dist, spread);
    EXPECT_NEAR(curve.a, a, 1e-4 * a) << min_dist << ", " << spread;
    EXPECT_NEAR(curve.b, b, 1e-4 * b) << min_dist << ", " << spread;
  };
  expect(0.5, 1, 0.5830300205483709, 1.334166992455648);
  expect(0.1, 1, 1.576943460405378, 0.8950608781227859);
}

TEST(UmapCurve, RefusesWhatNoCurveFits) {
  EXPECT_THROW(umap_curve(-0.1, 1), InputError);
  EXPECT_THROW(umap_curve(1.5, 1), InputError);
  EXPECT_THROW(umap_curve(0, 0), InputError);
  EXPECT_THROW(umap_curve(std::nan(""), 1), InputError);
  EXPECT_THROW(umap_curve(0.1, std::numeric_limits<double>::infinity()), InputError);
}

TEST(Umap, KeepsCloudsTogetherAndNeighboursNear) {
  const Clouds clouds(600, 10, 6, 3);
  const std::vector<float> map = map_of(clouds.points());
  ASSERT_EQ(map.size(), 1200u);
  EXPECT_GT(testing::purity(map, clouds.labels, 15), 0.98);
  EXPECT_GT(testing::trustworthiness(clouds.points(), map, 15), 0.93);
}

TEST(Umap, UnrollsACurve) {
  // A spiral in three dimensions: neighbours along it stay neighbours on the map.
  std::vector<double> rows;
  constexpr std::int64_t kPoints = 500;
  for (std::int64_t i = 0; i < kPoints; ++i) {
    const double t = 2 + 10 * static_cast<double>(i) / kPoints;
    rows.insert(rows.end(), {t * std::cos(t), t * std::sin(t), 0.5 * std::sin(3 * t)});
  }
  const Points points(rows, kPoints, 3);
  EXPECT_GT(testing::trustworthiness(points, map_of(points), 10), 0.93);
}

TEST(Umap, StartsFromTheSpectrumOfAConnectedGraph) {
  // The spectral layout of a ring is a circle, the vertices evenly spaced.
  constexpr std::int64_t kVertices = 100;
  std::vector<double> rows;
  for (std::int64_t i = 0; i < kVertices; ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(i) / kVertices;
    rows.insert(rows.end(), {std::cos(angle), std::sin(angle)});
  }
  const Points points(rows, kVertices, 2);
  const std::vector<float> start = start_of(fuzzy_graph(nearest_neighbors(points, 4)), points);
  for (std::int64_t i = 0; i < kVertices; ++i) {
    const std::int64_t next = (i + 1) % kVertices;
    EXPECT_NEAR(std::hypot(start[2 * i] - 5, start[2 * i + 1] - 5), 5, 0.05) << i;
    EXPECT_NEAR(std::hypot(start[2 * i] - start[2 * next], start[2 * i + 1] - start[2 * next + 1]), 0.314, 0.02);
  }
}

TEST(Umap, StartsFromThePrincipalAxesOfAGraphInPieces) {
  // Two clouds far apart on the diagonal of the first two coordinates; the third has the second largest spread.
  RandomStream random(4, "pieces");
  std::vector<double> rows;
  for (int i = 0; i < 80; ++i) {
    const double side = i % 2 == 0 ? -50 : 50;
    rows.insert(rows.end(), {side + random.standard_normal(), side + random.standard_normal(),
                             4 * random.standard_normal(), 0.1 * random.standard_normal()});
  }
  const Points points(rows, 80, 4);
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(points, 5));
  const std::vector<float> start = start_of(graph, points);
  for (int i = 0; i < 80; ++i) EXPECT_EQ(start[2 * i] > 5, (start[0] > 5) == (i % 2 == 0)) << i;
  double product = 0, squares_a = 0, squares_b = 0, mean = 0;
  for (int i = 0; i < 80; ++i) mean += start[2 * i + 1] / 80;
  for (int i = 0; i < 80; ++i) {
    product += (start[2 * i + 1] - mean) * rows[4 * i + 2];
    squares_a += std::pow(start[2 * i + 1] - mean, 2);
    squares_b += std::pow(rows[4 * i + 2], 2);
  }
  EXPECT_GT(std::abs(product) / std::sqrt(squares_a * squares_b), 0.95);
}

TEST(Umap, DoesNotDependOnTheNumberOfThreadsButOnTheSeed) {
  const Clouds clouds(900, 5, 3, 2);
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(clouds.points(), 14));
  const auto run = [&](int n_threads, std::uint64_t seed) {
    const WithThreads with(n_threads);
    return umap(graph, clouds.points(), {.n_epochs = 30, .seed = seed});
  };
  const std::vector<float> one = run(1, 7);
  EXPECT_EQ(one, run(4, 7));
  EXPECT_EQ(one, run(3, 7));
  EXPECT_NE(one, run(1, 8));
}

TEST(Umap, LargerMinDistSpreadsNeighboursOut) {
  const Clouds clouds(300, 5, 1, 0);
  const auto nearest = [&](double min_dist) {
    const std::vector<float> map = map_of(clouds.points(), {.min_dist = min_dist});
    const Neighbors found = nearest_neighbors(Points(map, 300, 2), 1);
    std::vector<double> distances = found.distances;
    std::nth_element(distances.begin(), distances.begin() + 150, distances.end());
    return distances[150];
  };
  EXPECT_LT(nearest(0.01) * 1.5, nearest(0.8));
}

TEST(Umap, MapsWhateverItIsGiven) {
  // Nothing, one, two and three points, duplicates, all the same point, one dimension.
  EXPECT_TRUE(map_of(Points(std::vector<double>{}, 0, 3), {}, 0).empty());
  const std::vector<double> rows = {0, 0, 1, 1, 5, 5};
  EXPECT_TRUE(testing::all_finite(map_of(Points(std::span(rows).first(2), 1, 2), {}, 0)));
  EXPECT_TRUE(testing::all_finite(map_of(Points(std::span(rows).first(4), 2, 2), {}, 1)));
  EXPECT_TRUE(testing::all_finite(map_of(Points(rows, 3, 2), {}, 2)));
  const std::vector<double> same(90, 2.5);
  const std::vector<float> heap = map_of(Points(same, 45, 2));
  EXPECT_TRUE(testing::all_finite(heap));
  EXPECT_NE(heap[0], heap[2]);
  EXPECT_TRUE(testing::all_finite(map_of(Points(same, 90, 1))));
  std::vector<double> line(40);
  for (int i = 0; i < 40; ++i) line[i] = i / 2;
  EXPECT_TRUE(testing::all_finite(map_of(Points(line, 40, 1))));
  for (int i = 0; i < 40; ++i) line[i] = i < 20 ? 1e200 : -1e200;
  EXPECT_TRUE(testing::all_finite(map_of(Points(line, 40, 1))));
}

TEST(Umap, RefusesWhatDoesNotFit) {
  const Clouds clouds(30, 3, 1, 0);
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(clouds.points(), 5));
  EXPECT_THROW(umap(graph, Points(std::span(clouds.rows).first(60), 20, 3)), InputError);
  EXPECT_THROW(umap(graph, clouds.points(), {.min_dist = -1}), InputError);
  EXPECT_THROW(umap(graph, clouds.points(), {.n_epochs = -1}), InputError);
  EXPECT_THROW(umap(graph, clouds.points(), {.negative_sample_rate = -1}), InputError);
  EXPECT_THROW(umap(graph, clouds.points(), {.learning_rate = 0}), InputError);
}

TEST(Umap, StopsWhenInterrupted) {
  const Clouds clouds(30, 3, 1, 0);
  const SparseGraph graph = fuzzy_graph(nearest_neighbors(clouds.points(), 5));
  set_interrupt(true);
  EXPECT_THROW(umap(graph, clouds.points()), Interrupted);
  set_interrupt(false);
}

}  // namespace
}  // namespace scvi
