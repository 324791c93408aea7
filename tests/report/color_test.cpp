#include "scvi/report/color.hpp"

#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace scvi::report {
namespace {

double least_distance(int n, double (*distance)(Color, Color)) {
  double least = INFINITY;
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < i; ++j) least = std::min(least, distance(category_color(i), category_color(j)));
  }
  return least;
}

TEST(CategoryColors, AreToldApartWithAnyColourVision) {
  const auto normal = [](Color a, Color b) { return color_distance(a, b); };
  const auto protanope = [](Color a, Color b) {
    return color_distance(as_seen_with(ColorVision::protanopia, a), as_seen_with(ColorVision::protanopia, b));
  };
  const auto deuteranope = [](Color a, Color b) {
    return color_distance(as_seen_with(ColorVision::deuteranopia, a), as_seen_with(ColorVision::deuteranopia, b));
  };
  // 0.02 is about the least difference that is noticed.
  EXPECT_GT(least_distance(8, normal), 0.15);
  EXPECT_GT(least_distance(8, protanope), 0.08);
  EXPECT_GT(least_distance(8, deuteranope), 0.07);
  EXPECT_GT(least_distance(40, normal), 0.075);
  EXPECT_GT(least_distance(40, protanope), 0.035);
  EXPECT_GT(least_distance(40, deuteranope), 0.035);
  EXPECT_GT(least_distance(kMostCategoryColors, normal), 0.06);
}

TEST(CategoryColors, AreNeitherThePageNorWhatIsMissing) {
  for (int i = 0; i < kMostCategoryColors; ++i) {
    EXPECT_GT(color_distance(category_color(i), kWhite), 0.1) << i;
    EXPECT_GT(color_distance(category_color(i), kMissingColor), 0.05) << i;
  }
}

TEST(CategoryColors, BeginWithThoseOfOkabeAndIto) {
  EXPECT_EQ(category_color(0), rgb(0x0072B2));
  EXPECT_EQ(category_color(6), rgb(0xF0E442));
  EXPECT_EQ(category_color(kMostCategoryColors), category_color(0));
}

/// Steps of a ramp look equally long, as far as eight bits allow.
void expect_even(Color (*ramp)(double), bool rising) {
  constexpr int kSteps = 16;
  double whole = 0;
  std::vector<double> steps;
  for (int i = 0; i < kSteps; ++i) {
    const Color from = ramp(static_cast<double>(i) / kSteps), to = ramp(static_cast<double>(i + 1) / kSteps);
    steps.push_back(color_distance(from, to));
    whole += steps.back();
    EXPECT_EQ(lightness_of(to) > lightness_of(from), rising) << i;
  }
  for (const double step : steps) EXPECT_NEAR(step, whole / kSteps, 0.25 * whole / kSteps);
}

TEST(SequentialColors, GetLighterInEvenSteps) {
  expect_even(sequential_color, true);
  expect_even(sequential_color_on_white, false);
  EXPECT_LT(lightness_of(sequential_color(0)), 0.35);
  EXPECT_GT(lightness_of(sequential_color(1)), 0.85);
}

TEST(SequentialColors, KeepTheirOrderWithAnyColourVision) {
  for (const ColorVision vision : {ColorVision::protanopia, ColorVision::deuteranopia}) {
    for (int i = 0; i < 16; ++i) {
      EXPECT_LT(lightness_of(as_seen_with(vision, sequential_color(i / 16.0))),
                lightness_of(as_seen_with(vision, sequential_color((i + 1) / 16.0))));
    }
  }
}

TEST(SequentialColors, AreClippedAtTheirEnds) {
  EXPECT_EQ(sequential_color(-3), sequential_color(0));
  EXPECT_EQ(sequential_color(7), sequential_color(1));
  EXPECT_EQ(sequential_color(NAN), sequential_color(0));
}

TEST(DivergingColors, AreLightInTheMiddleAndAsDarkAtBothEnds) {
  EXPECT_GT(lightness_of(diverging_color(0)), 0.94);
  EXPECT_NEAR(lightness_of(diverging_color(-1)), lightness_of(diverging_color(1)), 0.02);
  EXPECT_GT(color_distance(diverging_color(-1), diverging_color(1)), 0.25);
  for (const ColorVision vision : {ColorVision::protanopia, ColorVision::deuteranopia}) {
    EXPECT_GT(color_distance(as_seen_with(vision, diverging_color(-1)), as_seen_with(vision, diverging_color(1))),
              0.2);
  }
  for (int i = 0; i < 8; ++i) {
    EXPECT_GT(lightness_of(diverging_color(i / 8.0)), lightness_of(diverging_color((i + 1) / 8.0)));
    EXPECT_GT(lightness_of(diverging_color(-i / 8.0)), lightness_of(diverging_color(-(i + 1) / 8.0)));
  }
}

TEST(ColorDistance, OfBlackAndWhiteIsOne) {
  EXPECT_NEAR(color_distance(rgb(0), kWhite), 1, 1e-6);
  EXPECT_EQ(color_distance(kInk, kInk), 0);
}

}  // namespace
}  // namespace scvi::report
