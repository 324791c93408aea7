#include "scvi/kernel/count_nll.hpp"

#include <gtest/gtest.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "scvi/core/settings.hpp"
#include "scvi/kernel/count_nll_plain.hpp"

namespace scvi::kernel {
namespace {

constexpr auto kZinb = CountLikelihood::zinb;
constexpr auto kNb = CountLikelihood::nb;
constexpr auto kPoisson = CountLikelihood::poisson;
constexpr CountLikelihood kLikelihoods[] = {kZinb, kNb, kPoisson};
constexpr DispersionRows kForms[] = {DispersionRows::shared, DispersionRows::by_category, DispersionRows::per_cell};

template <class T>
std::vector<T> convert(const std::vector<float>& values) {
  return {values.begin(), values.end()};
}

/// Arrays of a problem; whoever makes one fills in what the test is about.
struct Problem {
  CountLikelihood likelihood = kZinb;
  DispersionRows form = DispersionRows::shared;
  std::int64_t n_rows = 0, n_genes = 0, n_categories = 1;
  std::vector<float> scale = {}, dropout = {}, library = {}, log_theta = {}, weights = {};
  std::vector<std::int64_t> category = {}, indptr = {0};
  std::vector<std::int32_t> indices = {};
  std::vector<float> counts = {};

  CsrView view() const {
    return {.n_rows = n_rows,
            .n_columns = n_genes,
            .indptr = indptr.data(),
            .indices = indices.data(),
            .values = counts.data()};
  }
  std::size_t size() const { return static_cast<std::size_t>(n_rows * n_genes); }
};

/// Results of either road, in double.
struct Results {
  std::vector<double> nll, scale, dropout, library, log_theta;
};

template <class T>
CountNll<T> cells_of(const Problem& problem, const T* scale, const T* dropout, const T* library, const T* log_theta) {
  return {.likelihood = problem.likelihood,
          .counts = problem.view(),
          .log_factorials = nullptr,
          .scale_logits = scale,
          .dropout_logits = dropout,
          .library = library,
          .log_theta = {.rows = problem.form,
                        .values = log_theta,
                        .n_categories = problem.n_categories,
                        .category = problem.category.data()}};
}

template <class T>
Results plain_results(const Problem& problem) {
  const auto scale = convert<T>(problem.scale), dropout = convert<T>(problem.dropout);
  const auto library = convert<T>(problem.library), theta = convert<T>(problem.log_theta);
  const auto weights = convert<T>(problem.weights);
  std::vector<T> nll(library.size()), dscale(scale.size()), ddropout(scale.size()), dlibrary(library.size());
  std::vector<T> dtheta(theta.size());
  plain::count_nll<T>(cells_of<T>(problem, scale.data(), dropout.data(), library.data(), theta.data()), nll.data(),
                      {.weights = weights.empty() ? nullptr : weights.data(),
                       .scale_logits = dscale.data(),
                       .dropout_logits = ddropout.data(),
                       .library = dlibrary.data(),
                       .log_theta = dtheta.data()});
  const auto narrow = [](const std::vector<T>& v) { return std::vector<double>(v.begin(), v.end()); };
  return {narrow(nll), narrow(dscale), narrow(ddropout), narrow(dlibrary), narrow(dtheta)};
}

/// A copy that starts `offset` numbers behind an aligned address, with nothing behind its end.
class Shifted {
 public:
  Shifted(const std::vector<float>& values, std::size_t offset) : offset_(offset), memory_(offset) {
    memory_.insert(memory_.end(), values.begin(), values.end());
    memory_.shrink_to_fit();
  }
  float* data() { return memory_.data() + offset_; }
  std::vector<double> values() const {
    return {memory_.begin() + static_cast<std::ptrdiff_t>(offset_), memory_.end()};
  }

 private:
  std::size_t offset_;
  std::vector<float> memory_;
};

/// In place, as a layer would.
Results fused_results(const Problem& problem, std::size_t offset = 0) {
  Shifted scale(problem.scale, offset), dropout(problem.dropout, offset), theta(problem.log_theta, offset);
  Shifted library(problem.library, offset), nll(problem.library, offset), dlibrary(problem.library, offset);
  Shifted dtheta(problem.log_theta, offset);
  const bool own = problem.form == DispersionRows::per_cell;
  count_nll(cells_of<float>(problem, scale.data(), dropout.data(), library.data(), theta.data()), nll.data(),
            {.weights = problem.weights.empty() ? nullptr : problem.weights.data(),
             .scale_logits = scale.data(),
             .dropout_logits = dropout.data(),
             .library = dlibrary.data(),
             .log_theta = own ? theta.data() : dtheta.data()});
  return {nll.values(), scale.values(), dropout.values(), dlibrary.values(), own ? theta.values() : dtheta.values()};
}

struct Shape {
  std::int64_t rows = 9, genes = 100, categories = 3;
  double density = 0.3;
  bool fractional = false;
  float mean_theta = 0.5F, spread_theta = 1.5F;
  float mean_library = 5, spread_scale = 1.5F, spread_dropout = 2;
  double largest_count = 40;
};

Problem random_problem(CountLikelihood likelihood, DispersionRows form, const Shape& shape, unsigned seed) {
  std::mt19937_64 engine(seed);
  std::normal_distribution<float> normal;
  std::uniform_real_distribution<double> uniform;
  Problem problem{.likelihood = likelihood,
                  .form = form,
                  .n_rows = shape.rows,
                  .n_genes = shape.genes,
                  .n_categories = form == DispersionRows::by_category ? shape.categories : 1};
  const auto fill = [&](std::vector<float>& values, std::int64_t n, float mean, float spread) {
    for (std::int64_t i = 0; i < n; ++i) values.push_back(mean + spread * normal(engine));
  };
  const std::int64_t theta_rows = form == DispersionRows::per_cell ? shape.rows : problem.n_categories;
  fill(problem.scale, shape.rows * shape.genes, 0, shape.spread_scale);
  fill(problem.dropout, shape.rows * shape.genes, 0, shape.spread_dropout);
  fill(problem.library, shape.rows, shape.mean_library, 0.5F);
  fill(problem.log_theta, theta_rows * shape.genes, shape.mean_theta, shape.spread_theta);
  fill(problem.weights, shape.rows, 1, 0.3F);
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    problem.category.push_back(static_cast<std::int64_t>(engine() % static_cast<unsigned>(problem.n_categories)));
    for (std::int64_t j = 0; j < shape.genes; ++j) {
      if (uniform(engine) >= shape.density) continue;
      const double x = std::exp(uniform(engine) * std::log(shape.largest_count + 1)) - (shape.fractional ? 0.9 : 0.0);
      problem.indices.push_back(static_cast<std::int32_t>(j));
      problem.counts.push_back(static_cast<float>(shape.fractional ? x : std::floor(x)));
    }
    problem.indptr.push_back(static_cast<std::int64_t>(problem.counts.size()));
  }
  return problem;
}

/// The largest difference as a part of the largest value.
double difference(const std::vector<double>& a, const std::vector<double>& b, std::size_t begin, std::size_t n) {
  double largest = 0, difference = 0;
  for (std::size_t i = begin; i < begin + n; ++i) {
    largest = std::max(largest, std::abs(b[i]));
    difference = std::max(difference, std::isfinite(a[i]) ? std::abs(a[i] - b[i]) : 1e300);
  }
  return n == 0 ? 0 : difference / (largest + 0.1);
}

struct Errors {
  double nll = 0, scale = 0, dropout = 0, library = 0, log_theta = 0;
};

/// Errors row by row: of the loss relative to itself, of gradients to the row's largest.
Errors errors_of(const Problem& problem, const Results& got, const Results& want) {
  Errors errors;
  const auto n = static_cast<std::size_t>(problem.n_genes);
  const auto take = [](double& most, double value) { most = std::max(most, value); };
  for (std::size_t r = 0; r < static_cast<std::size_t>(problem.n_rows); ++r) {
    take(errors.nll, difference(got.nll, want.nll, r, 1));
    take(errors.scale, difference(got.scale, want.scale, r * n, n));
    // A sum over the genes, good to the largest of them.
    double largest = std::abs(want.library[r]) + 0.1;
    for (std::size_t i = r * n; i < (r + 1) * n; ++i) largest = std::max(largest, std::abs(want.scale[i]));
    take(errors.library, std::abs(got.library[r] - want.library[r]) / largest);
    if (problem.likelihood == kZinb) take(errors.dropout, difference(got.dropout, want.dropout, r * n, n));
  }
  if (problem.likelihood == kPoisson) return errors;
  for (std::size_t i = 0; i + n <= want.log_theta.size() && n > 0; i += n)
    take(errors.log_theta, difference(got.log_theta, want.log_theta, i, n));
  return errors;
}

/// Tolerances: what the kernels reach is about half of these.
void expect_small(const Errors& errors, const std::string& where) {
  EXPECT_LT(errors.nll, 5e-7) << where;
  EXPECT_LT(errors.scale, 4e-6) << where;
  EXPECT_LT(errors.dropout, 1e-6) << where;
  EXPECT_LT(errors.library, 4e-6) << where;
  EXPECT_LT(errors.log_theta, 4e-6) << where;
}

void expect_matches_twin(const Problem& problem, const std::string& where, std::size_t offset = 0) {
  expect_small(errors_of(problem, fused_results(problem, offset), plain_results<long double>(problem)), where);
}

/// Runs the body with every instruction set that is compiled and that this machine has.
void for_each_instruction_set(const std::function<void(const std::string&)>& body) {
  for (std::int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1) {
    const std::int64_t target = left & -left;
    hwy::SetSupportedTargetsForTest(target);
    body(hwy::TargetName(target));
  }
  hwy::SetSupportedTargetsForTest(0);
}

std::string name_of(const Problem& problem) {
  return "likelihood " + std::to_string(static_cast<int>(problem.likelihood)) + ", dispersion " +
         std::to_string(static_cast<int>(problem.form)) + ", " + std::to_string(problem.n_rows) + " x " +
         std::to_string(problem.n_genes);
}

void for_each_kind(const std::function<void(CountLikelihood, DispersionRows)>& body) {
  for (const CountLikelihood likelihood : kLikelihoods)
    for (const DispersionRows form : kForms) body(likelihood, form);
}

TEST(CountNll, MatchesTheTwinForEveryShapeAndInstructionSet) {
  const std::pair<std::int64_t, std::int64_t> shapes[] = {{1, 1}, {1, 17}, {7, 16}, {2, 31}, {3, 33}, {2, 1023}};
  for_each_instruction_set([&](const std::string& target) {
    unsigned seed = 0;
    for (const auto& [rows, genes] : shapes)
      for (const double density : {0.0, 0.3, 1.0})
        for_each_kind([&](CountLikelihood likelihood, DispersionRows form) {
          const Shape shape{.rows = rows, .genes = genes, .density = density, .fractional = seed % 2 == 1};
          const Problem problem = random_problem(likelihood, form, shape, ++seed);
          expect_matches_twin(problem, target + ", " + name_of(problem), seed % 3);
        });
  });
}

TEST(CountNll, MatchesTheTwinForSmallAndLargeThetaAndCounts) {
  unsigned seed = 100;
  for (const float theta : {-9.2F, -4.0F, 0.0F, 5.0F, 10.0F, 18.0F})
    for (const double largest : {3.0, 8.0, 40.0, 3000.0, 1e6})
      for (const bool fractional : {false, true})
        for (const CountLikelihood likelihood : kLikelihoods) {
          const Shape shape{.fractional = fractional,
                            .mean_theta = theta,
                            .mean_library = largest > 1e5 ? 14.0F : 5.0F,
                            .largest_count = largest};
          const Problem problem = random_problem(likelihood, DispersionRows::shared, shape, ++seed);
          expect_matches_twin(problem, name_of(problem) + ", theta " + std::to_string(theta) + ", counts to " +
                                           std::to_string(largest));
        }
}

/// One gene in a row of its own with a second one that takes up the rest of the softmax: mu is as asked for.
Problem single_counts(CountLikelihood likelihood, double mu, double log_theta, float dropout,
                      const std::vector<float>& counts) {
  Problem problem{.likelihood = likelihood,
                  .form = DispersionRows::shared,
                  .n_rows = static_cast<std::int64_t>(counts.size()),
                  .n_genes = 2};
  problem.log_theta = {static_cast<float>(log_theta), 0};
  for (const float count : counts) {
    problem.scale.insert(problem.scale.end(), {static_cast<float>(std::log(mu)) - 19, 0});
    problem.dropout.insert(problem.dropout.end(), {dropout, dropout});
    problem.library.push_back(19);
    problem.category.push_back(0);
    if (count > 0) {
      problem.indices.push_back(0);
      problem.counts.push_back(count);
    }
    problem.indptr.push_back(static_cast<std::int64_t>(problem.counts.size()));
  }
  return problem;
}

const std::vector<float> kManyCounts = {0, 1, 2, 3, 4, 5, 8, 9, 100, 1e4F, 1e6F, 1e8F, 1e-3F, 0.5F, 1.5F, 2.5e-8F};

TEST(CountNll, ExtremesMatchTheTwin) {
  for_each_instruction_set([](const std::string& target) {
    for (const CountLikelihood likelihood : kLikelihoods)
      for (const double mu : {1e-30, 1e-9, 1e-3, 1.0, 1e3, 1e7})
        for (const double theta : {1e-12, 1e-8, 1e-4, 1.0, 3.99, 4.01, 1e4, 1e8})
          for (const float dropout : {-100.0F, -3.0F, 0.0F, 100.0F}) {
            const Problem problem = single_counts(likelihood, mu, std::log(theta), dropout, kManyCounts);
            expect_matches_twin(problem, target + ", likelihood " + std::to_string(static_cast<int>(likelihood)) +
                                             ", mu " + std::to_string(mu) + ", theta " + std::to_string(theta) +
                                             ", dropout " + std::to_string(dropout));
          }
  });
}

TEST(CountNll, StaysFiniteWhereThetaLeavesTheFloats) {
  for_each_instruction_set([](const std::string& target) {
    for (const CountLikelihood likelihood : {kZinb, kNb})
      for (const double log_theta : {-300.0, -95.0, -60.0, 40.0, 54.0, 56.0, 95.0, 300.0})
        for (const double mu : {1e-30, 1e-9, 1.0, 1e8}) {
          const Results got = fused_results(single_counts(likelihood, mu, log_theta, -1, kManyCounts));
          for (const auto& values : {got.nll, got.scale, got.dropout, got.library, got.log_theta})
            for (const double value : values) EXPECT_TRUE(std::isfinite(value)) << target << ' ' << log_theta;
        }
  });
}

TEST(CountNll, BecomesPoissonAsThetaGrows) {
  for (const float log_theta : {40.0F, 60.0F, 200.0F}) {
    Problem problem = random_problem(kPoisson, DispersionRows::shared, {.largest_count = 100}, 5);
    const Results poisson = fused_results(problem);
    problem.likelihood = kNb;
    std::fill(problem.log_theta.begin(), problem.log_theta.end(), log_theta);
    const Results nb = fused_results(problem);
    Problem only_mean = problem;
    only_mean.likelihood = kPoisson;
    expect_small(errors_of(only_mean, nb, poisson), std::to_string(log_theta));
    for (const double gradient : nb.log_theta) EXPECT_NEAR(gradient, 0, 1e-6);
  }
}

TEST(CountNll, TwinsGradientsAreThoseOfItsLoss) {
  for_each_kind([](CountLikelihood likelihood, DispersionRows form) {
    const Shape shape{.rows = 3, .genes = 5, .categories = 2, .density = 0.6};
    const Problem problem = random_problem(likelihood, form, shape, 77);
    const Results want = plain_results<long double>(problem);
    const auto loss = [&](const Problem& of) {
      const Results results = plain_results<long double>(of);
      double sum = 0;
      for (std::size_t r = 0; r < results.nll.size(); ++r) sum += results.nll[r] * static_cast<double>(of.weights[r]);
      return sum;
    };
    const auto check = [&](std::vector<float> Problem::*array, const std::vector<double>& gradient) {
      for (std::size_t i = 0; i < (problem.*array).size(); ++i) {
        Problem up = problem, down = problem;
        (up.*array)[i] += 1e-3F;
        (down.*array)[i] -= 1e-3F;
        const auto step = static_cast<double>((up.*array)[i]) - static_cast<double>((down.*array)[i]);
        EXPECT_NEAR((loss(up) - loss(down)) / step, gradient[i], 1e-5 * (1 + std::abs(gradient[i])));
      }
    };
    check(&Problem::scale, want.scale);
    check(&Problem::library, want.library);
    if (likelihood == kZinb) check(&Problem::dropout, want.dropout);
    if (likelihood != kPoisson) check(&Problem::log_theta, want.log_theta);
  });
}

TEST(CountNll, TakesNoRowsAndNoGenes) {
  for_each_kind([](CountLikelihood likelihood, DispersionRows form) {
    const Problem no_rows = random_problem(likelihood, form, {.rows = 0, .genes = 20}, 1);
    EXPECT_TRUE(fused_results(no_rows).nll.empty());
    // What is summed over no cells is zero.
    if (likelihood != kPoisson) {
      for (const double gradient : fused_results(no_rows).log_theta) EXPECT_EQ(gradient, 0);
    }
    const Results no_genes = fused_results(random_problem(likelihood, form, {.rows = 3, .genes = 0}, 1));
    EXPECT_EQ(no_genes.nll, std::vector<double>(3, 0.0));
    EXPECT_EQ(no_genes.library, std::vector<double>(3, 0.0));
  });
}

TEST(CountNll, StoredZerosAreZeros) {
  for (const CountLikelihood likelihood : kLikelihoods) {
    Problem problem = random_problem(likelihood, DispersionRows::shared, {.genes = 40, .density = 0.5}, 3);
    for (std::size_t i = 0; i < problem.counts.size(); i += 2) problem.counts[i] = 0;
    Problem without = problem;
    without.indptr = {0};
    without.indices.clear();
    without.counts.clear();
    for (std::size_t r = 0; r < static_cast<std::size_t>(problem.n_rows); ++r) {
      for (auto i = static_cast<std::size_t>(problem.indptr[r]); i < static_cast<std::size_t>(problem.indptr[r + 1]);
           ++i) {
        if (problem.counts[i] == 0) continue;
        without.indices.push_back(problem.indices[i]);
        without.counts.push_back(problem.counts[i]);
      }
      without.indptr.push_back(static_cast<std::int64_t>(without.counts.size()));
    }
    const Results a = fused_results(problem), b = fused_results(without);
    expect_small(errors_of(problem, a, b), name_of(problem));
    expect_matches_twin(problem, name_of(problem));
  }
}

TEST(CountNll, WhatIsNotANumberStaysInItsRow) {
  constexpr float kBad[] = {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                            -std::numeric_limits<float>::infinity()};
  const auto check = [](const Problem& problem, std::size_t bad_row) {
    const Results got = fused_results(problem);
    const auto n = static_cast<std::size_t>(problem.n_genes);
    for (std::size_t r = 0; r < got.nll.size(); ++r) {
      EXPECT_EQ(std::isnan(got.nll[r]), r == bad_row);
      EXPECT_EQ(std::isnan(got.library[r]), r == bad_row);
      for (std::size_t j = 0; j < n; ++j) EXPECT_EQ(std::isnan(got.scale[r * n + j]), r == bad_row);
    }
  };
  for_each_instruction_set([&](const std::string&) {
    for (const CountLikelihood likelihood : kLikelihoods)
      for (const float bad : kBad) {
        const Problem good = random_problem(likelihood, DispersionRows::per_cell, {.rows = 4, .genes = 37}, 8);
        for (const std::size_t gene : {0, 20, 36}) {
          Problem problem = good;
          problem.scale[2 * 37 + gene] = bad;
          check(problem, 2);
          if (likelihood == kPoisson) continue;
          problem = good;
          problem.log_theta[37 + gene] = bad;
          check(problem, 1);
          if (likelihood == kNb) continue;
          problem = good;
          problem.dropout[3 * 37 + gene] = bad;
          check(problem, 3);
        }
        Problem problem = good;
        problem.library[0] = bad;
        check(problem, 0);
      }
  });
}

TEST(CountNll, ACountThatIsNotANumberGivesNanAndNoCrash) {
  for (const CountLikelihood likelihood : kLikelihoods)
    for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      Problem problem = random_problem(likelihood, DispersionRows::shared, {.rows = 3, .genes = 37, .density = 1}, 8);
      problem.counts[40] = bad;
      const Results got = fused_results(problem);
      EXPECT_TRUE(std::isnan(got.nll[1])) << bad;
      EXPECT_TRUE(std::isfinite(got.nll[0]) && std::isfinite(got.nll[2]));
    }
}

TEST(CountNll, ThreadsChangeNoBit) {
  for_each_kind([](CountLikelihood likelihood, DispersionRows form) {
    const Problem problem = random_problem(likelihood, form, {.rows = 130, .genes = 203, .categories = 7}, 11);
    settings().n_threads = 1;
    const Results one = fused_results(problem);
    for (const int threads : {2, 7}) {
      settings().n_threads = threads;
      const Results many = fused_results(problem);
      EXPECT_EQ(many.nll, one.nll);
      EXPECT_EQ(many.scale, one.scale);
      EXPECT_EQ(many.dropout, one.dropout);
      EXPECT_EQ(many.library, one.library);
      EXPECT_EQ(many.log_theta, one.log_theta);
    }
    settings().n_threads = 0;
    expect_matches_twin(problem, name_of(problem));
  });
}

TEST(CountNll, MoreCategoriesThanCellsAreSummedTheSameWay) {
  const Shape shape{.rows = 6, .genes = 50, .categories = 40};
  for (const CountLikelihood likelihood : {kZinb, kNb})
    expect_matches_twin(random_problem(likelihood, DispersionRows::by_category, shape, 2), "40 categories");
}

TEST(CountNll, LossAloneIsThatOfTheGradients) {
  for_each_kind([](CountLikelihood likelihood, DispersionRows form) {
    const Problem problem = random_problem(likelihood, form, {.genes = 133}, 21);
    std::vector<float> nll(problem.library.size());
    auto cells = cells_of<float>(problem, problem.scale.data(), problem.dropout.data(), problem.library.data(),
                                 problem.log_theta.data());
    count_nll(cells, nll.data());
    EXPECT_EQ(convert<double>(nll), fused_results(problem).nll);
    std::vector<double> factorials(nll.size());
    log_factorials(problem.view(), factorials.data());
    cells.log_factorials = factorials.data();
    std::vector<float> again(nll.size());
    count_nll(cells, again.data());
    EXPECT_EQ(again, nll);
  });
}

TEST(CountNll, NoWeightsAreOnesAndTheLibraryMayBeConstant) {
  Problem problem = random_problem(kZinb, DispersionRows::shared, {}, 31);
  std::fill(problem.weights.begin(), problem.weights.end(), 1.0F);
  const Results with = fused_results(problem);
  std::vector<float> nll(problem.library.size()), scale = problem.scale, dropout = problem.dropout;
  std::vector<float> theta(problem.log_theta.size());
  count_nll(cells_of<float>(problem, scale.data(), dropout.data(), problem.library.data(), problem.log_theta.data()),
            nll.data(), {.scale_logits = scale.data(), .dropout_logits = dropout.data(), .log_theta = theta.data()});
  EXPECT_EQ(convert<double>(scale), with.scale);
  EXPECT_EQ(convert<double>(dropout), with.dropout);
  EXPECT_EQ(convert<double>(theta), with.log_theta);
}

/// exp(values) that stays within what a decoder would give.
std::vector<float> exponentials(const std::vector<float>& values) {
  std::vector<float> result;
  for (const float value : values) result.push_back(std::exp(value));
  return result;
}

TEST(CountLogLikelihood, MatchesTheTwinWithSamplesThatShareCounts) {
  for_each_instruction_set([](const std::string& target) {
    for_each_kind([&](CountLikelihood likelihood, DispersionRows form) {
      const Shape parameters{.rows = 12, .genes = 55};
      const Problem of = random_problem(likelihood, form, parameters, 41);
      const Problem counts = random_problem(likelihood, form, {.rows = 5, .genes = 55, .largest_count = 100}, 42);
      std::vector<std::int64_t> count_row;
      for (std::int64_t r = 0; r < 12; ++r) count_row.push_back(r * 3 % 5);
      const auto mean = exponentials(of.scale), theta = exponentials(of.log_theta);
      const auto compute = [&]<class T>(T) {
        const auto wide_mean = convert<T>(mean), wide_theta = convert<T>(theta), dropout = convert<T>(of.dropout);
        std::vector<T> result(12);
        const CountMeans<T> cells{.likelihood = likelihood,
                                  .counts = counts.view(),
                                  .n_rows = 12,
                                  .count_row = count_row.data(),
                                  .mean = wide_mean.data(),
                                  .dropout_logits = dropout.data(),
                                  .theta = {.rows = form,
                                            .values = wide_theta.data(),
                                            .n_categories = of.n_categories,
                                            .category = counts.category.data()}};
        if constexpr (std::is_same_v<T, float>)
          count_log_likelihood(cells, result.data());
        else
          plain::count_log_likelihood(cells, result.data());
        return std::vector<double>(result.begin(), result.end());
      };
      const auto got = compute(float{}), want = compute(static_cast<long double>(0));
      for (std::size_t r = 0; r < 12; ++r) EXPECT_NEAR(got[r] / want[r], 1, 5e-7) << target << ", " << name_of(of);
    });
  });
}

TEST(CountLogLikelihood, PoissonWithoutARateExcludesCounts) {
  const std::vector<float> mean = {0, 0, 2};
  const std::vector<std::int64_t> indptr = {0, 0, 1};
  const std::vector<std::int32_t> indices = {1};
  const std::vector<float> counts = {3};
  CountMeans<float> cells{
      .likelihood = kPoisson,
      .counts = {
          .n_rows = 2, .n_columns = 3, .indptr = indptr.data(), .indices = indices.data(), .values = counts.data()}};
  const std::vector<std::int64_t> first = {0}, second = {1};
  float result = 0;
  cells.n_rows = 1;
  cells.mean = mean.data();
  cells.count_row = first.data();
  count_log_likelihood(cells, &result);
  EXPECT_FLOAT_EQ(result, -2);
  cells.count_row = second.data();
  count_log_likelihood(cells, &result);
  EXPECT_EQ(result, -std::numeric_limits<float>::infinity());
}

TEST(LogFactorials, AreSumsOfLogGammaForAnyCount) {
  const std::vector<float> counts = {0, 1, 2, 7, 1023, 1024, 1e6F, 0.25F, 3.5F, 1e-6F, 15.5F};
  std::vector<std::int64_t> indptr = {0};
  std::vector<std::int32_t> indices(counts.size(), 0);
  for (std::size_t i = 0; i < counts.size(); ++i) indptr.push_back(static_cast<std::int64_t>(i + 1));
  std::vector<double> sums(counts.size());
  log_factorials({.n_rows = static_cast<std::int64_t>(counts.size()),
                  .n_columns = 1,
                  .indptr = indptr.data(),
                  .indices = indices.data(),
                  .values = counts.data()},
                 sums.data());
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const auto want = static_cast<double>(std::lgamma(static_cast<long double>(counts[i]) + 1));
    EXPECT_NEAR(sums[i], want, 1e-13 + 1e-14 * std::abs(want)) << counts[i];
  }
}

}  // namespace
}  // namespace scvi::kernel
