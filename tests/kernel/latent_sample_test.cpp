#include "scvi/kernel/latent_sample.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "kernel/layer_testing.hpp"
#include "scvi/kernel/plain_layers.hpp"

namespace scvi {
namespace {

using kernel::LatentSample;
using testing::Numbers;

struct Case {
  Case(std::int64_t rows_, std::int64_t dims_, bool has_prior_) : rows(rows_), dims(dims_), has_prior(has_prior_) {
    for (std::int64_t r = 0; r < rows; ++r) prior_variance[r] = 0.2f + std::fabs(prior_variance[r]);
    for (std::int64_t i = 0; i < n; ++i) raw[i] *= 3;
  }
  template <class T>
  LatentSample<T> latent(const T* m, const T* v, const T* e, const T* pm, const T* pv) const {
    return {.n_rows = rows,
            .n_latent = dims,
            .mean = m,
            .raw_variance = v,
            .noise = e,
            .prior_mean = has_prior ? pm : nullptr,
            .prior_variance = has_prior ? pv : nullptr};
  }
  LatentSample<float> fast() const {
    return latent<float>(mean.data(), raw.data(), noise.data(), prior_mean.data(), prior_variance.data());
  }
  void run() {
    kernel::latent_sample(fast(), variance.data(), z.data(), kl.data());
    kernel::latent_sample_backward(fast(), dz.data(), dkl.data(), dmean.data(), draw.data());
  }
  LatentSample<double> twin() const {
    return latent<double>(mean64.data(), raw64.data(), noise64.data(), prior_mean64.data(), prior_variance64.data());
  }
  void run_twin() {
    kernel::plain::latent_sample<double>(twin(), variance64.data(), z64.data(), kl64.data());
    kernel::plain::latent_sample_backward<double>(twin(), dz64.data(), dkl64.data(), dmean64.data(), draw64.data());
  }

  std::int64_t rows, dims, n = rows * dims;
  bool has_prior;
  Numbers mean{n, "mean"}, raw{n, "raw", 2}, noise{n, "noise", 3}, dz{n, "dz"}, dkl{rows, "dkl"};
  Numbers prior_mean{rows, "prior_mean"}, prior_variance{rows, "prior_variance"};
  Numbers variance{n}, z{n}, kl{rows}, dmean{n}, draw{n};
  std::vector<double> mean64 = mean.doubles(), raw64 = raw.doubles(), noise64 = noise.doubles(), dz64 = dz.doubles();
  std::vector<double> dkl64 = dkl.doubles(), prior_mean64 = prior_mean.doubles(), prior_variance64 = dkl64;
  std::vector<double> variance64 = mean64, z64 = mean64, kl64 = dkl64, dmean64 = mean64, draw64 = mean64;

  void copy_inputs() { raw64 = raw.doubles(), prior_variance64 = prior_variance.doubles(), mean64 = mean.doubles(); }
};

TEST(LatentSample, EqualsItsTwinInFloat64) {
  testing::on_every_instruction_set([] {
    for (const bool has_prior : {false, true}) {
      for (const auto& [rows, dims] : std::vector<std::pair<std::int64_t, std::int64_t>>{
               {0, 3}, {3, 0}, {1, 1}, {128, 10}, {300, 1}, {5, 17}, {2, 700}, {9000, 2}}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << dims << (has_prior ? " with a prior" : ""));
        Case c(rows, dims, has_prior);
        c.copy_inputs();
        c.run();
        c.run_twin();
        EXPECT_LT(testing::worst_error(c.variance, c.variance64), 1e-6);
        EXPECT_LT(testing::worst_error(c.z, c.z64), 1e-6);
        EXPECT_LT(testing::worst_error(c.kl, c.kl64), 1e-6);
        EXPECT_LT(testing::worst_error(c.dmean, c.dmean64), 1e-6);
        EXPECT_LT(testing::worst_error(c.draw, c.draw64), 1e-6);
      }
    }
  });
}

TEST(LatentSample, KlKeepsItsDigitsWhereThePosteriorIsThePrior) {
  testing::on_every_instruction_set([] {
    for (const float raw : {-1e-3f, -1e-4f, 0.0f, 1e-2f}) {
      Case c(1, 20, false);
      for (std::int64_t i = 0; i < 20; ++i) c.mean[i] = 0.01f, c.raw[i] = raw;
      c.copy_inputs();
      c.run();
      c.run_twin();
      EXPECT_NEAR(c.kl[0], c.kl64[0], 2e-6) << raw;
    }
  });
}

TEST(LatentSample, TwinsGradientsAreTheSlopesOfItsForward) {
  for (const bool has_prior : {false, true}) {
    Case c(4, 3, has_prior);
    c.copy_inputs();
    c.run_twin();
    const auto dmean = c.dmean64, draw = c.draw64;
    const auto loss = [&] {
      kernel::plain::latent_sample<double>(c.twin(), c.variance64.data(), c.z64.data(), c.kl64.data());
      return testing::dot(c.dz64, c.z64) + testing::dot(c.dkl64, c.kl64);
    };
    for (std::size_t i = 0; i < dmean.size(); ++i) {
      EXPECT_NEAR(dmean[i], testing::slope_of(loss, c.mean64[i]), 1e-7 * (1 + std::fabs(dmean[i])));
      EXPECT_NEAR(draw[i], testing::slope_of(loss, c.raw64[i]), 1e-7 * (1 + std::fabs(draw[i])));
    }
  }
}

TEST(LatentSample, TakesAMissingGradientForZero) {
  Case c(5, 7, true);
  c.run();
  const auto dmean = c.dmean.floats(), draw = c.draw.floats();
  Numbers by_z(35), raw_by_z(35), by_kl(35), raw_by_kl(35);
  kernel::latent_sample_backward(c.fast(), c.dz.data(), nullptr, by_z.data(), raw_by_z.data());
  kernel::latent_sample_backward(c.fast(), nullptr, c.dkl.data(), by_kl.data(), raw_by_kl.data());
  EXPECT_EQ(by_z.floats(), c.dz.floats());
  for (std::int64_t i = 0; i < 35; ++i) {
    EXPECT_NEAR(by_z[i] + by_kl[i], dmean[i], 1e-5 * (1 + std::fabs(dmean[i])));
    EXPECT_NEAR(raw_by_z[i] + raw_by_kl[i], draw[i], 1e-5 * (1 + std::fabs(draw[i])));
  }
}

TEST(LatentSample, KeepsInfinityAndNaN) {
  testing::on_every_instruction_set([] {
    const float nan = std::nanf(""), infinity = std::numeric_limits<float>::infinity();
    const std::vector<float> mean(5), noise(5, 1.0f), raw = {nan, 200.0f, infinity, -200.0f, 88.0f};
    std::vector<float> variance(5), z(5), kl(5);
    kernel::latent_sample(
        {.n_rows = 5, .n_latent = 1, .mean = mean.data(), .raw_variance = raw.data(), .noise = noise.data()},
        variance.data(), z.data(), kl.data());
    EXPECT_TRUE(std::isnan(variance[0]) && std::isnan(z[0]) && std::isnan(kl[0]));
    EXPECT_EQ(variance[1], infinity);
    EXPECT_EQ(variance[2], infinity);
    EXPECT_EQ(variance[3], 1e-4f);
    EXPECT_FLOAT_EQ(variance[4], std::exp(88.0f));
  });
}

TEST(LatentSample, HasTheSameBitsForAnyThreadCount) {
  testing::expect_same_bits_for_any_thread_count([] {
    Case c(5000, 11, true);
    c.run();
    auto bits = c.z.floats();
    for (const Numbers* part : {&c.variance, &c.kl, &c.dmean, &c.draw}) {
      const auto more = part->floats();
      bits.insert(bits.end(), more.begin(), more.end());
    }
    return bits;
  });
}

}  // namespace
}  // namespace scvi
