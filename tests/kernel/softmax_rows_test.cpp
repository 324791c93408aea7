#include "scvi/kernel/softmax_rows.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "kernel/layer_testing.hpp"
#include "scvi/kernel/plain_layers.hpp"
#include "scvi/kernel/softmax.hpp"

namespace scvi {
namespace {

using testing::Numbers;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Case {
  Case(std::int64_t rows_, std::int64_t columns_, float size) : rows(rows_), columns(columns_) {
    for (std::int64_t i = 0; i < n; ++i) logits[i] *= size;
  }
  void run() { kernel::softmax_rows({rows, columns, logits.data(), scale.data(), log_factor.data(), rate.data()}); }
  void twin() {
    const std::vector<double> x = logits.doubles(), factors = log_factor.doubles();
    kernel::plain::softmax_rows<double>({rows, columns, x.data(), scale64.data(), factors.data(), rate64.data()});
  }

  std::int64_t rows, columns, n = rows * columns;
  Numbers logits{n, "logits"}, log_factor{rows, "factors", 3}, scale{n, 2}, rate{n, 5};
  std::vector<double> scale64 = std::vector<double>(n), rate64 = scale64;
};

/// Largest relative error, where numbers below 1e-30 count as equal.
double worst_relative(const Numbers& found, const std::vector<double>& expected) {
  double worst = 0;
  for (std::int64_t i = 0; i < found.size(); ++i) {
    const double error = std::fabs(found[i] - expected[i]) / std::max(expected[i], 1e-30);
    worst = std::isnan(error) ? kInfinity : std::max(worst, error);
  }
  return worst;
}

TEST(SoftmaxRows, EqualsItsTwinInFloat64) {
  testing::on_every_instruction_set([] {
    for (const auto& [rows, columns] : std::vector<std::pair<std::int64_t, std::int64_t>>{
             {1, 1}, {5, 3}, {128, 128}, {33, 31}, {7, 100}, {2, 4001}, {0, 5}, {1, 16}, {1, 15}}) {
      for (const float size : {0.01F, 1.0F, 12.0F}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << columns << ", logits times " << size);
        Case c(rows, columns, size);
        c.run();
        c.twin();
        // An error of a logit, half a unit in its last place, is one of its frequency.
        EXPECT_LT(worst_relative(c.scale, c.scale64), 1e-6 + 3e-7 * size);
        EXPECT_LT(worst_relative(c.rate, c.rate64), 2e-6 + 3e-7 * size);
      }
    }
  });
}

TEST(SoftmaxRows, SumToOneWhateverTheLogits) {
  testing::on_every_instruction_set([] {
    for (const float size : {1.0F, 1e3F, 1e30F}) {
      Case c(9, 77, size);
      c.run();
      for (std::int64_t row = 0; row < 9; ++row) {
        double sum = 0;
        for (std::int64_t j = 0; j < 77; ++j) sum += c.scale[row * 77 + j];
        EXPECT_NEAR(sum, 1, 1e-5);
      }
    }
  });
}

TEST(SoftmaxRows, WriteOverTheirLogitsAndWithoutRates) {
  testing::on_every_instruction_set([] {
    Case c(6, 45, 2);
    c.run();
    kernel::softmax_rows({6, 45, c.logits.data(), c.logits.data(), nullptr, nullptr});
    EXPECT_EQ(c.logits.floats(), c.scale.floats());
  });
}

TEST(SoftmaxRows, TreatWhatIsNotFiniteAsPlainArithmeticDoes) {
  testing::on_every_instruction_set([] {
    for (const std::int64_t place : {0, 30, 36}) {
      for (const float value : {kNan, kInfinity, -kInfinity}) {
        SCOPED_TRACE(::testing::Message() << value << " in column " << place);
        Case c(3, 37, 1);
        c.logits[37 + place] = value;
        c.run();
        const bool stays = value == -kInfinity;
        EXPECT_EQ(std::isnan(c.scale[37 + 5]), !stays);
        if (stays) {
          EXPECT_EQ(c.scale[37 + place], 0);
        }
        for (std::int64_t j = 0; j < 37; ++j) EXPECT_TRUE(std::isfinite(c.scale[j]) && std::isfinite(c.rate[74 + j]));
      }
    }
  });
}

TEST(SoftmaxRows, GiveTheSameBitsForAnyNumberOfThreads) {
  testing::expect_same_bits_for_any_thread_count([] {
    Case c(300, 700, 3);
    c.run();
    auto all = c.scale.floats();
    const auto rate = c.rate.floats();
    all.insert(all.end(), rate.begin(), rate.end());
    return all;
  });
}

TEST(Softmax, AgreesOnBothRoadsAndLeavesGradientsToLibTorch) {
  const at::Tensor logits = at::randn({3, 5, 41}).set_requires_grad(true);
  const at::Tensor log_factor = at::randn({3, 5, 1});
  const auto with_gradients = kernel::softmax(logits, log_factor);
  EXPECT_TRUE(with_gradients.scale.requires_grad());
  at::NoGradGuard no_grad;
  const auto fused = kernel::softmax(logits, log_factor);
  EXPECT_TRUE(at::allclose(fused.scale, with_gradients.scale, 1e-5, 1e-8));
  EXPECT_TRUE(at::allclose(fused.rate, with_gradients.rate, 1e-5, 1e-8));
  EXPECT_FALSE(kernel::softmax(logits, {}).rate.defined());
  EXPECT_TRUE(at::allclose(kernel::softmax(logits.transpose(0, 1), {}).scale, fused.scale.transpose(0, 1)));
  EXPECT_EQ(kernel::softmax(logits.to(at::kDouble), {}).scale.scalar_type(), at::kDouble);
}

}  // namespace
}  // namespace scvi
