#include "scvi/dataset/loess.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

using Values = std::vector<double>;

/// Sixty points out of order, no two with the same x.
struct Points {
  Values x, y;
  Points() {
    for (int i = 0; i < 60; ++i) {
      x.push_back(std::pow(i * 37 % 60, 1.3));
      y.push_back(10 * std::sin(x.back() / 40) + i * 7 % 5);
    }
  }
};

void expect_fit(const LoessOptions& options, const std::vector<std::pair<int, double>>& expected) {
  const Points points;
  const Values fitted = loess_fit(points.x, points.y, options);
  for (const auto& [at, value] : expected) EXPECT_NEAR(fitted[static_cast<std::size_t>(at)], value, 1e-10) << at;
}

// The expected values are those of the Fortran code behind R's loess, through scikit-misc 0.5.
TEST(Loess, EqualsTheInterpolatedFitOfNetlib) {
  expect_fit({.span = 0.3}, {{0, 1.2173384268367229},
                             {1, 5.98836735484454},
                             {7, 11.088349913673747},
                             {30, 10.746426185325303},
                             {44, 5.674136486459389},
                             {59, 11.910518480958237}});
  expect_fit({.span = 0.75}, {{0, 1.295470368901333},
                              {1, 5.9579276996818304},
                              {7, 11.101740893710794},
                              {30, 10.665517645246979},
                              {44, 5.717626513905753},
                              {59, 11.817292750220282}});
}

TEST(Loess, EqualsTheDirectFitOfNetlib) {
  expect_fit({.span = 0.3, .cell = 0}, {{0, 1.218299026616817},
                                        {1, 5.988367354844534},
                                        {7, 11.022546155210392},
                                        {30, 10.783204597693363},
                                        {44, 5.68569635756237},
                                        {59, 11.822546158722048}});
}

TEST(Loess, AParabolaIsItsOwnFit) {
  Values x, y;
  for (int i = 0; i < 200; ++i) {
    x.push_back(0.1 * i);
    y.push_back(3 - 2 * x.back() + 0.5 * x.back() * x.back());
  }
  for (const double cell : {0.0, 0.2}) {
    const Values direct = loess_fit(x, y, {.cell = cell});
    // Between the borders of the grid a cubic with exact values and slopes is exact, too.
    for (std::size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(direct[i], y[i], 1e-9) << i;
  }
}

TEST(Loess, PointsThatShareTheirXAreFittedByWhatTheyAllow) {
  EXPECT_EQ(loess_fit(Values{}, Values{}), Values{});
  EXPECT_EQ(loess_fit(Values{2}, Values{5}), Values{5});
  const Values same = loess_fit(Values{1, 1, 1, 1}, Values{1, 2, 3, 6}, {.span = 1});
  for (const double value : same) EXPECT_NEAR(value, 3, 1e-12);
  const Values two = loess_fit(Values{0, 0, 1, 1}, Values{1, 3, 5, 7}, {.span = 1});
  for (std::size_t i = 0; i < 4; ++i) EXPECT_TRUE(std::isfinite(two[i]));
  Values x, y;
  for (int i = 0; i < 300; ++i) {
    x.push_back(i < 200 ? 0 : i % 7);
    y.push_back(i % 3);
  }
  for (const double value : loess_fit(x, y)) {
    EXPECT_GT(value, -1);
    EXPECT_LT(value, 3);
  }
}

TEST(Loess, DoesNotDependOnTheOrderOfPointsOrOnThreads) {
  const Points points;
  const Values fitted = loess_fit(points.x, points.y);
  const Values reversed_x(points.x.rbegin(), points.x.rend());
  const Values reversed_y(points.y.rbegin(), points.y.rend());
  const Values reversed = loess_fit(reversed_x, reversed_y);
  EXPECT_EQ(Values(reversed.rbegin(), reversed.rend()), fitted);
  const int threads_before = settings().n_threads;
  settings().n_threads = 3;
  EXPECT_EQ(loess_fit(points.x, points.y), fitted);
  settings().n_threads = threads_before;
}

TEST(Loess, RefusesWhatMakesNoSense) {
  const Values three = {1, 2, 3};
  EXPECT_THROW(loess_fit(three, Values{1, 2}), InputError);
  EXPECT_THROW(loess_fit(three, three, {.span = 0}), InputError);
  EXPECT_THROW(loess_fit(three, three, {.span = 1.5}), InputError);
  EXPECT_THROW(loess_fit(three, three, {.cell = -1}), InputError);
  EXPECT_THROW(loess_fit(three, Values{1, 2, std::nan("")}), InputError);
  EXPECT_THROW(loess_fit(Values{1, 2, std::numeric_limits<double>::infinity()}, three), InputError);
}

}  // namespace
}  // namespace scvi
