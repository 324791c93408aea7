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
  std::vector<float> scale, dropout, library, log_theta, weights;
  std::vector<std::int64_t> category, indptr{0};
  std::vector<std::int32_t> indices;
  std::vector<float> counts;

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
  std::vector<double> values() const { return {memory_.begin() + static_cast<std::ptrdiff_t>(offset_), memory_.end()}; }

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
    take(errors.library, difference(got.library, want.library, r, 1));
    take(errors.scale, difference(got.scale, want.scale, r * n, n));
    if (problem.likelihood == kZinb) take(errors.dropout, difference(got.dropout, want.dropout, r * n, n));
  }
  if (problem.likelihood == kPoisson) return errors;
  for (std::size_t i = 0; i + n <= want.log_theta.size() && n > 0; i += n)
    take(errors.log_theta, difference(got.log_theta, want.log_theta, i, n));
  return errors;
}

TEST(CountNll, Probe) {
  for (const CountLikelihood likelihood : kLikelihoods)
    for (const bool fractional : {false, true})
      for (const float theta : {-9.0F, -4.0F, 0.0F, 5.0F, 10.0F, 16.0F}) {
        Errors worst;
        for (unsigned seed = 0; seed < 20; ++seed)
         for (double most : {3., 8., 40., 3000.}) {
          const Problem p = random_problem(likelihood, DispersionRows::shared,
                                           {.fractional = fractional, .mean_theta = theta, .largest_count = most}, seed);
          const Errors e = errors_of(p, fused_results(p), plain_results<long double>(p));
          worst.nll = std::max(worst.nll, e.nll); worst.scale = std::max(worst.scale, e.scale);
          worst.dropout = std::max(worst.dropout, e.dropout); worst.library = std::max(worst.library, e.library);
          worst.log_theta = std::max(worst.log_theta, e.log_theta);
        }
        std::printf("lik %d frac %d theta %5.1f  nll %.1e scale %.1e drop %.1e lib %.1e theta %.1e\n", int(likelihood), fractional, theta,
                    worst.nll, worst.scale, worst.dropout, worst.library, worst.log_theta);
      }
}

}  // namespace
}  // namespace scvi::kernel
