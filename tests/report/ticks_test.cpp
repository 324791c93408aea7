#include "scvi/report/ticks.hpp"

#include <algorithm>
#include <cmath>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace scvi::report {
namespace {

std::vector<std::string> labels_of(const std::vector<Tick>& ticks) {
  std::vector<std::string> labels;
  for (const Tick& tick : ticks) labels.push_back(tick.label);
  return labels;
}

TEST(RoundTicks, AreMultiplesOfOneTwoOrFiveThatCoverTheRange) {
  for (const auto& [least, most] : std::vector<std::pair<double, double>>{{0, 1},
                                                                          {-3.2, 17.9},
                                                                          {1234.5, 1290},
                                                                          {1e-9, 3e-9},
                                                                          {-7e6, 9e8},
                                                                          {0.1, 0.30001},
                                                                          {5, 5.001},
                                                                          {-1e-3, 1e5}}) {
    SCOPED_TRACE(std::to_string(least) + " to " + std::to_string(most));
    const std::vector<Tick> ticks = round_ticks(least, most);
    ASSERT_GE(ticks.size(), 3U);
    EXPECT_LE(ticks.size(), 9U);
    const double step = ticks[1].value - ticks[0].value;
    const double lead = step / std::pow(10, std::floor(std::log10(step) + 1e-6));
    EXPECT_TRUE(std::abs(lead - 1) < 1e-3 || std::abs(lead - 2) < 1e-3 || std::abs(lead - 5) < 1e-3) << step;
    for (const Tick& tick : ticks) {
      EXPECT_NEAR(tick.value / step, std::round(tick.value / step), 1e-4);
      EXPECT_GE(tick.value, least);
      EXPECT_LE(tick.value, most);
    }
    EXPECT_GT(ticks.front().value - step, least - 2 * step);
    EXPECT_LT(ticks.front().value, least + 1.001 * step);
    EXPECT_GT(ticks.back().value, most - 1.001 * step);
    const auto labels = labels_of(ticks);
    EXPECT_EQ(std::set<std::string>(labels.begin(), labels.end()).size(), labels.size());
  }
}

TEST(RoundTicks, HaveLabelsForPeople) {
  EXPECT_EQ(labels_of(round_ticks(0, 1)), (std::vector<std::string>{"0.0", "0.2", "0.4", "0.6", "0.8", "1.0"}));
  EXPECT_EQ(labels_of(round_ticks(0, 20000, 4)),
            (std::vector<std::string>{"0", "5,000", "10,000", "15,000", "20,000"}));
  EXPECT_EQ(labels_of(round_ticks(-1, 1, 2)), (std::vector<std::string>{"\u22121", "0", "1"}));
  EXPECT_EQ(labels_of(round_ticks(0, 3e-7, 3)),
            (std::vector<std::string>{"0", "1e\u22127", "2e\u22127", "3e\u22127"}));
}

TEST(RoundTicks, OfASingleValueIsThatValue) {
  EXPECT_EQ(labels_of(round_ticks(3.25, 3.25)), std::vector<std::string>{"3.25"});
  EXPECT_EQ(round_ticks(0, 0).size(), 1U);
  EXPECT_EQ(round_ticks(1e15, std::nextafter(1e15, 2e15)).size(), 1U);
  EXPECT_EQ(round_ticks(-1.7e308, 1.7e308).size(), 1U);
}

TEST(LogTicks, ArePowersOfTenOrRoundPartsOfThem) {
  EXPECT_EQ(labels_of(log_ticks(0.5, 2000)), (std::vector<std::string>{"1", "10", "100", "1,000"}));
  EXPECT_EQ(labels_of(log_ticks(90, 1100)), (std::vector<std::string>{"100", "200", "500", "1,000"}));
  EXPECT_GE(log_ticks(1000, 1200).size(), 2U);
  EXPECT_LE(log_ticks(1e-30, 1e30).size(), 8U);
  for (const Tick& tick : log_ticks(0.03, 7)) {
    EXPECT_GE(tick.value, 0.03);
    EXPECT_LE(tick.value, 7);
  }
}

TEST(ShortNumber, IsBriefAndTrue) {
  EXPECT_EQ(short_number(0), "0");
  EXPECT_EQ(short_number(12345), "12,345");
  EXPECT_EQ(short_number(1.5), "1.5");
  EXPECT_EQ(short_number(2.0), "2");
  EXPECT_EQ(short_number(0.012345), "0.0123");
  EXPECT_EQ(short_number(-0.5), "\u22120.5");
  EXPECT_EQ(short_number(1.23e-7), "1.23e\u22127");
  EXPECT_EQ(short_number(2e12), "2e12");
  EXPECT_EQ(short_number(INFINITY), "inf");
  EXPECT_EQ(short_number(NAN), "nan");
}

}  // namespace
}  // namespace scvi::report
