#include "scvi/metric/assignment.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

double total_cost(const std::vector<double>& cost, std::int64_t n_columns,
                  const std::vector<std::int64_t>& assignment) {
  double total = 0;
  for (std::size_t row = 0; row < assignment.size(); ++row)
    if (assignment[row] >= 0) total += cost[row * n_columns + assignment[row]];
  return total;
}

/// Least cost over all ways, tried one by one. @pre n_rows <= n_columns
double least_cost(const std::vector<double>& cost, std::int64_t n_rows, std::int64_t n_columns) {
  std::vector<std::int64_t> columns(n_columns);
  std::iota(columns.begin(), columns.end(), 0);
  double least = std::numeric_limits<double>::infinity();
  do {
    least = std::min(least, total_cost(cost, n_columns, {columns.begin(), columns.begin() + n_rows}));
  } while (std::next_permutation(columns.begin(), columns.end()));
  return least;
}

/// The matrix behind the values of scipy.optimize.linear_sum_assignment below.
std::vector<double> patterned_cost(std::int64_t n_rows, std::int64_t n_columns, double offset) {
  std::vector<double> cost;
  for (std::int64_t i = 0; i < n_rows; ++i)
    for (std::int64_t j = 0; j < n_columns; ++j)
      cost.push_back(static_cast<double>((i * i * 37 + j * j * 101 + i * j * 53) % 211) - offset);
  return cost;
}

TEST(LinearSumAssignment, IsAsCheapAsTheBestOfAllWays) {
  RandomStream random(1, "assignment");
  for (int repeat = 0; repeat < 200; ++repeat) {
    const std::int64_t n_columns = 1 + static_cast<std::int64_t>(random.below(6));
    const std::int64_t n_rows = 1 + static_cast<std::int64_t>(random.below(n_columns));
    std::vector<double> cost(n_rows * n_columns);
    // Half of them small integers, which make many ties.
    for (double& value : cost)
      value = repeat % 2 ? static_cast<double>(random.below(4)) - 2 : random.standard_normal();
    const std::vector<std::int64_t> assignment = linear_sum_assignment(cost, n_rows, n_columns);
    EXPECT_EQ(std::set<std::int64_t>(assignment.begin(), assignment.end()).size(), assignment.size());
    EXPECT_NEAR(total_cost(cost, n_columns, assignment), least_cost(cost, n_rows, n_columns), 1e-12);
  }
}

TEST(LinearSumAssignment, CostsWhatScipyFinds) {
  const std::vector<double> square = patterned_cost(20, 20, 0);
  EXPECT_EQ(total_cost(square, 20, linear_sum_assignment(square, 20, 20)), 234);
  const std::vector<double> tall = patterned_cost(20, 13, 100);
  EXPECT_EQ(total_cost(tall, 13, linear_sum_assignment(tall, 20, 13)), -1237);
}

TEST(LinearSumAssignment, LeavesRowsOutWhenThereAreMoreThanColumns) {
  const std::vector<std::int64_t> assignment = linear_sum_assignment(patterned_cost(20, 13, 100), 20, 13);
  EXPECT_EQ(std::count(assignment.begin(), assignment.end(), -1), 7);
  const std::set<std::int64_t> columns(assignment.begin(), assignment.end());
  EXPECT_EQ(columns.size(), 14u);
  EXPECT_EQ(*columns.rbegin(), 12);
}

TEST(LinearSumAssignment, HandlesEmptyProblems) {
  EXPECT_TRUE(linear_sum_assignment({}, 0, 0).empty());
  EXPECT_TRUE(linear_sum_assignment({}, 0, 3).empty());
  EXPECT_EQ(linear_sum_assignment({}, 2, 0), (std::vector<std::int64_t>{-1, -1}));
}

TEST(LinearSumAssignment, RefusesSizesThatDoNotFitAndCostsThatAreNotFinite) {
  const std::vector<double> cost = {1, 2, 3, std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THROW(linear_sum_assignment(cost, 2, 3), InputError);
  EXPECT_THROW(linear_sum_assignment(cost, -2, -2), InputError);
  EXPECT_THROW(linear_sum_assignment(cost, 2, 2), InputError);
}

}  // namespace
}  // namespace scvi
