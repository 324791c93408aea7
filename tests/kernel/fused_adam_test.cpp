#include "scvi/kernel/fused_adam.hpp"

#include <gtest/gtest.h>

#include "kernel/layer_testing.hpp"
#include "scvi/kernel/plain_layers.hpp"

namespace scvi {
namespace {

using kernel::AdamBuffer;
using testing::Numbers;

const std::vector<std::int64_t> kSizes = {0, 1, 7, 128, 0, 33000, 65, 40001, 16, 0};

/// Parameters of several sizes at odd addresses.
struct Parameters {
  Parameters() {
    for (const std::int64_t n : kSizes) {
      p.emplace_back(n, "p" + std::to_string(n));
      g.emplace_back(n, "g" + std::to_string(n), 2);
      m.emplace_back(n, 3);
      v.emplace_back(n, 1);
    }
  }
  std::vector<AdamBuffer<float>> buffers() {
    std::vector<AdamBuffer<float>> result;
    for (std::size_t b = 0; b < p.size(); ++b)
      result.push_back({p[b].data(), g[b].data(), m[b].data(), v[b].data(), p[b].size(), row_length(p[b].size())});
    return result;
  }
  /// Wide matrices, a tall one, and none.
  static std::int64_t row_length(std::int64_t size) {
    return size == 33000 ? 330 : size == 128 ? 64 : size == 65 ? 5 : 0;
  }
  std::vector<float> bits() const {
    std::vector<float> all;
    for (const auto* arrays : {&p, &m, &v})
      for (const Numbers& numbers : *arrays) {
        const auto more = numbers.floats();
        all.insert(all.end(), more.begin(), more.end());
      }
    return all;
  }

  std::vector<Numbers> p, g, m, v;
};

TEST(FusedAdam, HasTheBitsOfThePlainLoopOnEveryInstructionSet) {
  const kernel::AdamSettings settings{.lr = 0.01, .weight_decay = 0.1};
  Parameters expected;
  for (std::int64_t step = 1; step <= 5; ++step) {
    const auto buffers = expected.buffers();
    kernel::plain::fused_adam<float>(buffers, step, settings);
  }
  testing::on_every_instruction_set([&] {
    Parameters found;
    for (std::int64_t step = 1; step <= 5; ++step) kernel::fused_adam(found.buffers(), step, settings);
    EXPECT_EQ(found.bits(), expected.bits());
  });
}

TEST(FusedAdam, FollowsTheFormulaInFloat64) {
  Parameters start;
  const Numbers& p = start.p[5];
  auto p64 = p.doubles(), g64 = start.g[5].doubles();
  std::vector<double> m64(p64.size()), v64(p64.size());
  Numbers g = start.g[5];
  for (std::int64_t step = 1; step <= 50; ++step) {
    kernel::fused_adam(start.buffers(), step, {});
    const AdamBuffer<double> buffer{p64.data(), g64.data(), m64.data(), v64.data(), p.size()};
    kernel::plain::fused_adam<double>({&buffer, 1}, step, {});
  }
  EXPECT_LT(testing::worst_error(p, p64), 5e-6);  // fifty roundings
  EXPECT_LT(testing::worst_error(start.m[5], m64), 1e-6);
  EXPECT_LT(testing::worst_error(start.v[5], v64), 1e-6);
}

TEST(FusedAdam, AddsEpsAfterTheCorrectedRootAndDecayToTheGradient) {
  float p = 2, g = 3, m = 0, v = 0;
  const AdamBuffer<float> buffer{&p, &g, &m, &v, 1};
  kernel::fused_adam({&buffer, 1}, 1, {.lr = 0.1, .eps = 0.01, .weight_decay = 0.5});
  // g = 3 + 0.5 * 2 = 4; the corrected moments of a first step are g and g^2.
  EXPECT_NEAR(p, 2.0 - 0.1 * 4.0 / (4.0 + 0.01), 1e-6);
  EXPECT_NEAR(m, 0.4, 1e-6);
  EXPECT_NEAR(v, 0.016, 1e-6);
}

TEST(FusedAdam, DoesNothingWithoutBuffers) {
  kernel::fused_adam({}, 1, {});
  const AdamBuffer<float> none{};
  kernel::fused_adam({&none, 1}, 1, {});
}

TEST(FusedAdam, HasTheSameBitsForAnyThreadCount) {
  testing::expect_same_bits_for_any_thread_count([] {
    Parameters parameters;
    for (std::int64_t step = 1; step <= 3; ++step) kernel::fused_adam(parameters.buffers(), step, {});
    return parameters.bits();
  });
}

}  // namespace
}  // namespace scvi
