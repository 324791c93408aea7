#include "scvi/kernel/branches.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/finite_gradients.hpp"
#include "scvi/kernel/fully_connected.hpp"
#include "scvi/kernel/latent_draw.hpp"
#include "scvi/kernel/mean_loss.hpp"

namespace scvi::kernel {
namespace {

constexpr std::int64_t kRows = 130, kGenes = 300, kHidden = 40, kLatent = 6;

/// An encoder with two layers, and a layer that reads its draw.
struct Encoder {
  explicit Encoder(std::uint64_t seed) {
    torch::manual_seed(seed);
    first = weight(kHidden, kGenes), second = weight(kHidden, kHidden), decoder = weight(kHidden, kLatent);
    heads = {.mean_weight = torch::randn({kLatent, kHidden}).requires_grad_(),
             .mean_bias = torch::randn({kLatent}).requires_grad_(),
             .variance_weight = torch::randn({kLatent, kHidden}).mul_(0.01).requires_grad_(),
             .variance_bias = torch::randn({kLatent}).requires_grad_(),
             .variance_floor = 1e-4};
    noise = torch::randn({kRows, kLatent});
  }

  static at::Tensor weight(std::int64_t n_out, std::int64_t n_in) {
    return input_major(torch::randn({n_out, n_in}).mul_(0.1)).requires_grad_();
  }

  LatentDraw draw(const LayerInput& x) const {
    const at::Tensor h = fully_connected(x, {.weight = first});
    return latent_draw(fully_connected(h, {.weight = second, .input_is_rectified = true}), heads, noise, true);
  }

  at::Tensor decoded(const at::Tensor& z) const { return fully_connected(z, {.weight = decoder}); }

  std::vector<at::Tensor> parameters() const {
    return {first, second, heads.mean_weight, heads.mean_bias, heads.variance_weight, heads.variance_bias, decoder};
  }

  at::Tensor first, second, decoder, noise;
  LatentHeads heads;
};

LayerInput counts(double density) {
  torch::manual_seed(3);
  const at::Tensor dense = torch::rand({kRows, kGenes}).lt(density).to(at::kFloat) * torch::rand({kRows, kGenes});
  return {sparse_rows(dense), [dense] { return dense; }};
}

/// Draws of two encoders, one in each branch.
struct TwoDraws {
  explicit TwoDraws(const LayerInput& x) {
    at::Tensor undefined;
    run_branches(
        [&] {
          of_a = a.draw(x).z;
          return std::vector{&of_a, &undefined};
        },
        [&] {
          of_b = b.draw(x).z;
          return std::vector{&of_b};
        });
  }

  Encoder a{1}, b{2};
  at::Tensor of_a, of_b;
};

/// The losses of the cells, and the gradients of all parameters.
using Results = std::vector<at::Tensor>;

Results results_of(const at::Tensor& loss, const std::vector<const Encoder*>& encoders) {
  loss.mean().backward();
  Results results = {loss.detach()};
  for (const Encoder* encoder : encoders) {
    for (const at::Tensor& parameter : encoder->parameters()) {
      results.push_back(parameter.grad().defined() ? parameter.grad() : at::zeros_like(parameter));
    }
  }
  return results;
}

void expect_same(const Results& found, const Results& expected, int threads) {
  ASSERT_EQ(found.size(), expected.size());
  for (std::size_t i = 0; i < found.size(); ++i)
    EXPECT_TRUE(at::equal(found[i], expected[i])) << i << ", " << threads;
}

class Branches : public ::testing::Test {
 protected:
  void TearDown() override { settings().n_threads = 0; }

  /// What `run` gives must be the same for any number of threads.
  template <class Run>
  void expect_same_for_any_thread_count(const Run& run) {
    settings().n_threads = 1;
    const Results expected = run();
    for (const int threads : {2, 2, 3, 7}) {
      settings().n_threads = threads;
      expect_same(run(), expected, threads);
    }
  }
};

/// The model of VAE: a hidden layer behind one branch's draw, costs of both.
TEST_F(Branches, GiveTheSameBitsForAnyNumberOfThreads) {
  for (const double density : {0.1, 0.9}) {  // read sparse, and not
    expect_same_for_any_thread_count([&] {
      const LayerInput x = counts(density);
      const Encoder a(1), b(2);
      LatentDraw of_a, of_b;
      at::Tensor hidden;
      make_ready(x);
      run_branches(
          [&]() -> std::vector<at::Tensor*> {
            of_a = a.draw(x);
            hidden = a.decoded(of_a.z);
            return {&hidden, &of_a.kl};
          },
          [&]() -> std::vector<at::Tensor*> {
            of_b = b.draw(x);
            return {&of_b.z, &of_b.kl, &of_b.log_density};
          },
          chores_of_backward(x));
      return results_of((hidden.sum(1) * of_b.z.sum(1)).square() + of_a.kl + of_b.kl + of_b.log_density, {&a, &b});
    });
  }
}

TEST_F(Branches, GiveTheGradientsOfTheOperationsOneByOne) {
  const LayerInput x = counts(0.1);
  const auto loss = [&](const Encoder& a, const Encoder& b, bool in_branches) {
    LatentDraw of_a, of_b;
    const auto branch = [&](const Encoder& encoder, LatentDraw& draw) {
      return [&]() -> std::vector<at::Tensor*> {
        draw = encoder.draw(x);
        return {&draw.z, &draw.kl};
      };
    };
    if (in_branches) {
      run_branches(branch(a, of_a), branch(b, of_b));
    } else {
      branch(a, of_a)(), branch(b, of_b)();
    }
    return of_a.z.sum(1) * of_b.z.sum(1) + of_a.kl;  // of_b's other result goes nowhere
  };
  settings().n_threads = 2;
  const Encoder a(1), b(2), c(1), d(2);
  expect_same(results_of(loss(a, b, true), {&a, &b}), results_of(loss(c, d, false), {&c, &d}), 2);
}

TEST_F(Branches, MayHoldOtherOperationsAndUseADrawTwice) {
  expect_same_for_any_thread_count([&] {
    const LayerInput x = counts(0.1);
    const Encoder a(1), b(2);
    at::Tensor z, hidden, simplex;
    run_branches(
        [&]() -> std::vector<at::Tensor*> {
          z = a.draw(x).z;
          hidden = a.decoded(z);
          return {&hidden, &z};
        },
        [&]() -> std::vector<at::Tensor*> {
          simplex = at::softmax(b.draw(x).z, -1);
          return {&simplex};
        },
        chores_of_backward(x));
    return results_of((hidden.sum(1) + z.sum(1) + z.square().sum(1)) * simplex.select(1, 0), {&a, &b});
  });
}

TEST_F(Branches, KnowNoGradientsWhereNoneAreWanted) {
  settings().n_threads = 2;
  const LayerInput x = counts(0.1);
  at::NoGradGuard no_grad;
  EXPECT_TRUE(chores_of_backward(x).empty());
  const TwoDraws draws(x);
  EXPECT_FALSE(draws.of_a.requires_grad());
  EXPECT_FALSE(draws.of_b.requires_grad());
  EXPECT_TRUE(at::equal(draws.of_b, draws.b.draw(x).z));
}

TEST_F(Branches, LeaveABranchAloneWhoseResultsNobodyUses) {
  settings().n_threads = 2;
  const TwoDraws draws(counts(0.1));
  draws.of_b.sum().backward();
  EXPECT_FALSE(draws.a.first.grad().defined());
  EXPECT_TRUE(draws.b.first.grad().defined());
}

TEST_F(Branches, ForgetWhatTheBackwardPassNeededAfterIt) {
  settings().n_threads = 2;
  const TwoDraws draws(counts(0.1));
  const at::Tensor loss = draws.of_a.sum() + draws.of_b.sum();
  loss.backward({}, /*keep_graph=*/true);
  const at::Tensor once = draws.a.first.grad().clone();
  loss.backward();
  EXPECT_TRUE(at::equal(draws.a.first.grad(), once + once));
  EXPECT_ANY_THROW(loss.backward());
}

TEST_F(Branches, BringFailuresToTheCaller) {
  const LayerInput x = counts(0.1);
  const Encoder a(1);
  at::Tensor z;
  for (const int threads : {1, 2, 3}) {
    settings().n_threads = threads;
    const Branch good = [&] { return z = a.draw(x).z, std::vector{&z}; };
    const Branch bad = []() -> std::vector<at::Tensor*> { throw InputError({.problem = "is wrong"}); };
    EXPECT_THROW(run_branches(good, bad), InputError) << threads;
    EXPECT_THROW(run_branches(bad, good), InputError) << threads;
  }
}

TEST_F(Branches, DoAllChoresOnce) {
  for (const int threads : {1, 2, 3}) {
    settings().n_threads = threads;
    for (std::size_t n = 0; n < 5; ++n) {
      std::vector<std::atomic<int>> done(n);
      std::vector<std::function<void()>> chores;
      for (auto& count : done) chores.emplace_back([&count] { ++count; });
      run_branches([] { return std::vector<at::Tensor*>{}; }, [] { return std::vector<at::Tensor*>{}; }, chores);
      for (const auto& count : done) EXPECT_EQ(count, 1) << threads << ", " << n;
    }
  }
}

TEST(FiniteGradientsOfOtherThreads, AreHeardOfWhereTheyAreListenedTo) {
  const FiniteGradients seen;
  EXPECT_EQ(FiniteGradients::on_this_thread(), &seen);
  const at::Tensor heard = at::full({4}, INFINITY), unheard = at::full({4}, INFINITY);  // the notes lie
  std::thread([&, listener = FiniteGradients::on_this_thread()] {
    FiniteGradients::note(unheard);
    {
      const FiniteGradients::Listening listening(listener);
      FiniteGradients::note(heard);
    }
    EXPECT_EQ(FiniteGradients::on_this_thread(), nullptr);
  }).join();
  EXPECT_TRUE(seen.all_finite(heard));
  EXPECT_FALSE(seen.all_finite(unheard));
}

}  // namespace
}  // namespace scvi::kernel
