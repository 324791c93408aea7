#include "scvi/training/adam.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

TEST(Adam, SkipsAParameterUntilItHasHadAGradientAndNeverAfter) {
  at::Tensor used = at::ones({2}).requires_grad_(true);
  at::Tensor late = at::ones({2}).requires_grad_(true);
  Adam adam({{"used", used}, {"late", late}}, {.weight_decay = 0});
  const auto step = [&](const at::Tensor& loss) {
    adam.zero_grad();
    loss.backward();
    adam.step();
  };
  step(used.sum());
  EXPECT_TRUE(at::equal(late, at::ones({2})));
  step(late.sum());
  const at::Tensor after = late.detach().clone();
  step(used.sum());
  // Its gradient is zero now, but its momentum still moves it.
  EXPECT_FALSE(at::equal(late, after));
}

TEST(Adam, GoesOnFromItsSavedStateAsIfItHadNotStopped) {
  const auto run = [](bool interrupted) {
    at::Tensor p = at::ones({3}).requires_grad_(true);
    auto adam =
        std::make_unique<Adam>(std::vector<std::pair<std::string, at::Tensor>>{{"p", p}}, kernel::AdamSettings{});
    for (int i = 0; i < 6; ++i) {
      if (interrupted && i == 3) {
        const auto state = adam->state();
        adam =
            std::make_unique<Adam>(std::vector<std::pair<std::string, at::Tensor>>{{"p", p}}, kernel::AdamSettings{});
        adam->restore(state, "test");
      }
      adam->zero_grad();
      (p * p * (i + 1)).sum().backward();
      adam->step();
    }
    return p.detach().clone();
  };
  EXPECT_TRUE(at::equal(run(false), run(true)));
}

TEST(Adam, RefusesAStateOfAnotherShape) {
  at::Tensor p = at::ones({3}).requires_grad_(true);
  Adam adam({{"p", p}}, {});
  p.sum().backward();
  adam.step();
  at::Tensor q = at::ones({4}).requires_grad_(true);
  Adam other({{"p", q}}, {});
  EXPECT_THROW(other.restore(adam.state(), "test"), FormatError);
}

}  // namespace
}  // namespace scvi
