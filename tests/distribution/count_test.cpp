#include "scvi/distribution/count.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <cmath>
#include <functional>

namespace scvi {
namespace {

using LogProb = std::function<at::Tensor(const at::Tensor& x, const at::Tensor& mu, const at::Tensor& theta,
                                         const at::Tensor& pi)>;

const LogProb kNb = [](const auto& x, const auto& mu, const auto& theta, const auto&) {
  return NegativeBinomial{mu, theta}.log_prob(x);
};
const LogProb kZinb = [](const auto& x, const auto& mu, const auto& theta, const auto& pi) {
  return ZeroInflatedNegativeBinomial{mu, theta, pi}.log_prob(x);
};
const LogProb kPoisson = [](const auto& x, const auto& mu, const auto&, const auto&) {
  return Poisson{mu}.log_prob(x);
};
const LogProb kMixture = [](const auto& x, const auto& mu, const auto& theta, const auto& pi) {
  return NegativeBinomialMixture{mu, mu * 3, theta, theta * 2, pi}.log_prob(x);
};

at::Tensor scalar(double value) {
  return at::full({1}, value, at::kDouble);
}

TEST(CountDistributions, SumToOneOverAllCounts) {
  const at::Tensor x = at::arange(4000, at::kDouble);
  for (const auto& log_prob : {kNb, kZinb, kPoisson, kMixture}) {
    for (const double mu : {0.1, 5.0, 60.0}) {
      for (const double theta : {0.3, 2.0, 40.0}) {
        const double total = log_prob(x, scalar(mu), scalar(theta), scalar(-0.7)).exp().sum().item<double>();
        EXPECT_NEAR(total, 1, 1e-6) << "mu " << mu << " theta " << theta;
      }
    }
  }
}

TEST(CountDistributions, HaveTheGradientsOfFiniteDifferences) {
  const at::Tensor x = at::tensor({0.0, 1.0, 3.0, 40.0}, at::kDouble);
  constexpr double kStep = 1e-6;
  for (const auto& log_prob : {kNb, kZinb, kMixture}) {
    for (const double mu : {0.01, 2.0, 300.0}) {
      for (const double theta : {0.05, 1.0, 1000.0}) {
        std::array<at::Tensor, 3> parameters = {scalar(mu), scalar(theta), scalar(0.4)};
        for (auto& parameter : parameters) parameter.requires_grad_(true);
        log_prob(x, parameters[0], parameters[1], parameters[2]).sum().backward();
        for (std::size_t i = 0; i < parameters.size(); ++i) {
          const auto value_at = [&](double shift) {
            auto moved = std::array{parameters[0].detach().clone(), parameters[1].detach().clone(),
                                    parameters[2].detach().clone()};
            moved[i] += shift;
            return log_prob(x, moved[0], moved[1], moved[2]).sum().item<double>();
          };
          const double step = kStep * std::max(1e-2, std::abs(parameters[i].item<double>()));
          const double numeric = (value_at(step) - value_at(-step)) / (2 * step);
          if (!parameters[i].grad().defined()) {
            EXPECT_NEAR(numeric, 0, 1e-9);
            continue;
          }
          EXPECT_NEAR(parameters[i].grad().item<double>(), numeric, 1e-4 * std::max(1.0, std::abs(numeric)))
              << "mu " << mu << " theta " << theta << " parameter " << i;
        }
      }
    }
  }
}

TEST(CountDistributions, DrawCountsWithTheMomentsTheyPromise) {
  RandomNoise noise(1, "test");
  const at::Tensor mu = at::full({200, 300}, 6.0F);
  const at::Tensor theta = at::full({300}, 3.0F);
  const at::Tensor nb = NegativeBinomial{mu, theta}.sample(noise);
  EXPECT_EQ(nb.sizes(), mu.sizes());
  EXPECT_NEAR(nb.mean().item<double>(), 6, 0.08);
  EXPECT_NEAR(nb.var().item<double>(), 6 + 36.0 / 3, 0.6);
  const at::Tensor zinb = ZeroInflatedNegativeBinomial{mu, theta, at::zeros({300})}.sample(noise);
  EXPECT_NEAR(zinb.mean().item<double>(), 3, 0.08);
  EXPECT_NEAR((Poisson{mu}.sample(noise)).var().item<double>(), 6, 0.15);
}

TEST(NegativeBinomial, StaysFiniteAtTheBordersOfItsDomain) {
  for (const double mu : {0.0, 1e-30, 1e8}) {
    for (const double theta : {1e-6, 1e6}) {
      const at::Tensor value =
          NegativeBinomial{at::full({2}, mu, at::kFloat), at::full({2}, theta, at::kFloat)}.log_prob(
              at::tensor({0.0F, 7.0F}));
      EXPECT_TRUE(at::isfinite(value).all().item<bool>()) << mu << " " << theta;
    }
  }
}

}  // namespace
}  // namespace scvi
