#include "scvi/kernel/norm_relu_dropout.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "kernel/layer_testing.hpp"
#include "scvi/kernel/plain_layers.hpp"

namespace scvi {
namespace {

using kernel::NormReluDropout;
using testing::Numbers;

struct Parts {
  bool batch_norm, training, relu, dropout;
};

std::vector<Parts> all_parts() {
  std::vector<Parts> parts;
  for (const bool batch_norm : {false, true})
    for (const bool training : {false, true})
      for (const bool relu : {false, true})
        for (const bool dropout : {false, true})
          if (batch_norm || training) parts.push_back({batch_norm, training, relu, dropout});
  return parts;
}

std::string name_of(const Parts& parts) {
  return std::string(parts.batch_norm ? "norm " : "") + (parts.training ? "training " : "") +
         (parts.relu ? "relu " : "") + (parts.dropout ? "dropout" : "");
}

/// All arrays of a layer in float, and the same in double.
struct Case {
  Case(Parts parts_, std::int64_t rows_, std::int64_t features_) : parts(parts_), rows(rows_), features(features_) {
    for (auto* variance : {&running_var})
      for (std::int64_t j = 0; j < features; ++j) (*variance)[j] = 0.5f + std::fabs((*variance)[j]);
    RandomStream(5, "draws").fill_uniform({draws.data(), draws.data() + draws.size()});
    // Columns of another size and place, as real layers have them.
    for (std::int64_t i = 0; i < h.size(); ++i) h[i] = h[i] * static_cast<float>(1 + i % features) + 3;
  }

  template <class T>
  NormReluDropout<T> layer(const T* gamma_, const T* beta_, T* mean_, T* var_) const {
    return {.n_rows = rows,
            .n_features = features,
            .batch_norm = parts.batch_norm,
            .training = parts.training,
            .gamma = gamma_,
            .beta = beta_,
            .running_mean = mean_,
            .running_var = var_,
            .momentum = 0.3,
            .relu = parts.relu,
            .draws = parts.dropout ? draws.data() : nullptr,
            .dropout_rate = 0.25};
  }

  Parts parts;
  std::int64_t rows, features, n = rows * features;
  Numbers h{n, "h"}, dy{n, "dy", 3}, gamma{features, "gamma"}, beta{features, "beta", 2};
  Numbers running_mean{features, "mean"}, running_var{features, "var"}, draws{n, 5};
  // What forward and backward write.
  Numbers y{n}, mean{features}, inverse_std{features}, dh{n}, dgamma{features}, dbeta{features};

  std::vector<double> h64 = {}, dy64 = {}, gamma64 = {}, beta64 = {}, running_mean64 = {}, running_var64 = {};
  std::vector<double> y64 = std::vector<double>(n), mean64 = std::vector<double>(features), std64 = mean64;
  std::vector<double> dh64 = y64, dgamma64 = mean64, dbeta64 = mean64;

  void run() {
    const auto fast = layer<float>(gamma.data(), beta.data(), running_mean.data(), running_var.data());
    kernel::norm_relu_dropout(fast, h.data(), y.data(), {mean.data(), inverse_std.data()});
    kernel::norm_relu_dropout_backward(fast, h.data(), y.data(), {mean.data(), inverse_std.data()}, dy.data(),
                                       dh.data(), dgamma.data(), dbeta.data());
  }
  void copy_inputs() {
    h64 = h.doubles(), dy64 = dy.doubles(), gamma64 = gamma.doubles(), beta64 = beta.doubles();
    running_mean64 = running_mean.doubles(), running_var64 = running_var.doubles();
  }
  void forward_twin() {
    kernel::plain::norm_relu_dropout<double>(
        layer<double>(gamma64.data(), beta64.data(), running_mean64.data(), running_var64.data()), h64.data(),
        y64.data(), {mean64.data(), std64.data()});
  }
  void backward_twin() {
    kernel::plain::norm_relu_dropout_backward<double>(
        layer<double>(gamma64.data(), beta64.data(), running_mean64.data(), running_var64.data()), h64.data(),
        y64.data(), {mean64.data(), std64.data()}, dy64.data(), dh64.data(), dgamma64.data(), dbeta64.data());
  }
};

TEST(NormReluDropout, EqualsItsTwinInFloat64) {
  testing::on_every_instruction_set([] {
    for (const Parts& parts : all_parts()) {
      for (const auto& [rows, features] : std::vector<std::pair<std::int64_t, std::int64_t>>{
               {2, 1}, {5, 3}, {128, 128}, {33, 31}, {7, 100}, {2000, 17}, {3, 300}, {4, 0}, {0, 5}, {1, 20}}) {
        if (parts.batch_norm && parts.training && rows < 2) continue;
        SCOPED_TRACE(::testing::Message() << name_of(parts) << " " << rows << " x " << features);
        Case c(parts, rows, features);
        c.copy_inputs();
        c.run();
        c.forward_twin();
        c.backward_twin();
        EXPECT_LT(testing::worst_error(c.y, c.y64), 1e-5);
        EXPECT_LT(testing::worst_error(c.dh, c.dh64), 1e-5);
        if (!parts.batch_norm) continue;
        EXPECT_LT(testing::worst_error(c.dgamma, c.dgamma64), 1e-5);
        EXPECT_LT(testing::worst_error(c.dbeta, c.dbeta64), 1e-6);
        EXPECT_LT(testing::worst_error(c.running_mean, c.running_mean64), 1e-6);
        EXPECT_LT(testing::worst_error(c.running_var, c.running_var64), 1e-6);
      }
    }
  });
}

TEST(NormReluDropout, TwinsGradientsAreTheSlopesOfItsForward) {
  for (const Parts& parts : all_parts()) {
    SCOPED_TRACE(name_of(parts));
    Case c(parts, 6, 3);
    c.copy_inputs();
    const auto loss = [&] {
      c.forward_twin();
      return testing::dot(c.dy64, c.y64);
    };
    loss();
    c.backward_twin();
    // Running statistics that move between two evaluations would be seen in eval mode only, where they do not move.
    for (std::size_t i = 0; i < c.h64.size(); ++i)
      EXPECT_NEAR(c.dh64[i], testing::slope_of(loss, c.h64[i]), 1e-6 * (1 + std::fabs(c.dh64[i]))) << i;
    if (!parts.batch_norm) continue;
    for (std::size_t j = 0; j < c.gamma64.size(); ++j) {
      EXPECT_NEAR(c.dgamma64[j], testing::slope_of(loss, c.gamma64[j]), 1e-6);
      EXPECT_NEAR(c.dbeta64[j], testing::slope_of(loss, c.beta64[j]), 1e-6);
    }
  }
}

at::Tensor tensor_of(const Numbers& numbers, at::IntArrayRef shape) {
  return at::from_blob(const_cast<float*>(numbers.data()), shape, at::kFloat).clone();
}

TEST(NormReluDropout, EqualsAtensBatchNormAndItsRunningStatistics) {
  for (const bool training : {true, false}) {
    Case c({.batch_norm = true, .training = training, .relu = false, .dropout = false}, 50, 40);
    at::Tensor mean = tensor_of(c.running_mean, {40}), var = tensor_of(c.running_var, {40});
    const at::Tensor expected = at::batch_norm(tensor_of(c.h, {50, 40}), tensor_of(c.gamma, {40}),
                                               tensor_of(c.beta, {40}), mean, var, training, 0.3, 1e-3, false);
    c.run();
    EXPECT_TRUE(at::allclose(tensor_of(c.y, {50, 40}), expected, 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(tensor_of(c.running_mean, {40}), mean, 1e-6, 1e-6));
    EXPECT_TRUE(at::allclose(tensor_of(c.running_var, {40}), var, 1e-6, 1e-6));
  }
}

TEST(NormReluDropout, StandsAColumnFarFromZero) {
  Case c({.batch_norm = true, .training = true, .relu = false, .dropout = false}, 128, 4);
  for (std::int64_t i = 0; i < c.h.size(); ++i) c.h[i] = 10000 + static_cast<float>(i % 7);
  c.copy_inputs();
  c.run();
  c.forward_twin();
  EXPECT_LT(testing::worst_error(c.y, c.y64), 1e-3);  // the mean itself is rounded to 1/2000 here
  EXPECT_LT(testing::worst_error(c.inverse_std, c.std64), 1e-6);
}

TEST(NormReluDropout, TakesOneForNoGammaZeroForNoBetaAndKeepsNoRunningStatistics) {
  const Numbers h(6, "h");
  Numbers y(6), mean(2), inverse_std(2);
  const NormReluDropout<float> layer{.n_rows = 3, .n_features = 2, .relu = false};
  kernel::norm_relu_dropout(layer, h.data(), y.data(), {mean.data(), inverse_std.data()});
  for (std::int64_t i = 0; i < 6; ++i) EXPECT_FLOAT_EQ(y[i], (h[i] - mean[i % 2]) * inverse_std[i % 2]);
  Numbers dh(6);
  kernel::norm_relu_dropout_backward(layer, h.data(), nullptr, {mean.data(), inverse_std.data()}, y.data(), dh.data(),
                                     nullptr, nullptr);
  EXPECT_NEAR(dh[0] + dh[2] + dh[4], 0, 1e-5) << "batch norm takes off the mean of the gradient";
}

TEST(NormReluDropout, DropsWhereTheDrawIsBelowTheRateAndScalesTheRest) {
  const std::vector<float> h = {1, 2, 3, 4}, draws = {0.0f, 0.499f, 0.5f, 0.999f}, dy = {1, 1, 1, 1};
  std::vector<float> y(4), dh(4);
  for (const bool relu : {false, true}) {
    const NormReluDropout<float> layer{
        .n_rows = 1, .n_features = 4, .batch_norm = false, .relu = relu, .draws = draws.data(), .dropout_rate = 0.5};
    kernel::norm_relu_dropout(layer, h.data(), y.data(), {});
    EXPECT_EQ(y, (std::vector<float>{0, 0, 6, 8}));
    kernel::norm_relu_dropout_backward(layer, nullptr, y.data(), {}, dy.data(), dh.data(), nullptr, nullptr);
    EXPECT_EQ(dh, (std::vector<float>{0, 0, 2, 2}));
  }
}

TEST(NormReluDropout, LetsGradientsThroughAnExactZeroOnlyWithoutRelu) {
  const std::vector<float> h = {0, -1, 2}, dy = {5, 6, 7};
  std::vector<float> y(3), dh(3);
  NormReluDropout<float> layer{.n_rows = 3, .n_features = 1, .batch_norm = false, .relu = true};
  kernel::norm_relu_dropout(layer, h.data(), y.data(), {});
  kernel::norm_relu_dropout_backward(layer, nullptr, y.data(), {}, dy.data(), dh.data(), nullptr, nullptr);
  EXPECT_EQ(dh, (std::vector<float>{0, 0, 7}));
  layer.relu = false;
  kernel::norm_relu_dropout_backward(layer, nullptr, nullptr, {}, dy.data(), dh.data(), nullptr, nullptr);
  EXPECT_EQ(dh, dy);
}

TEST(NormReluDropout, KeepsNaNSoThatADivergedModelShows) {
  testing::on_every_instruction_set([] {
    std::vector<float> h(20, 1.0f), y(20);
    h[3] = h[18] = std::nanf("");
    kernel::norm_relu_dropout({.n_rows = 1, .n_features = 20, .batch_norm = false}, h.data(), y.data(), {});
    EXPECT_TRUE(std::isnan(y[3]) && std::isnan(y[18]));
    EXPECT_EQ(y[4], 1);
  });
}

TEST(NormReluDropout, MayWriteItsGradientOverTheIncomingOne) {
  for (const Parts& parts : all_parts()) {
    Case c(parts, 9, 21);
    c.run();
    const auto expected = c.dh.floats();
    kernel::norm_relu_dropout_backward(
        c.layer<float>(c.gamma.data(), c.beta.data(), c.running_mean.data(), c.running_var.data()), c.h.data(),
        c.y.data(), {c.mean.data(), c.inverse_std.data()}, c.dy.data(), c.dy.data(), nullptr, nullptr);
    EXPECT_EQ(c.dy.floats(), expected) << name_of(parts);
  }
}

TEST(NormReluDropout, HasTheSameBitsForAnyThreadCount) {
  for (const Parts& parts : all_parts()) {
    testing::expect_same_bits_for_any_thread_count([&] {
      Case c(parts, 600, 333);
      c.run();
      auto bits = c.y.floats();
      for (const Numbers* part : {&c.dh, &c.dgamma, &c.dbeta, &c.running_mean, &c.running_var}) {
        const auto more = part->floats();
        bits.insert(bits.end(), more.begin(), more.end());
      }
      return bits;
    });
  }
}

}  // namespace
}  // namespace scvi
