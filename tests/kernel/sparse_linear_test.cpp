#include "scvi/kernel/sparse_linear.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "kernel/layer_testing.hpp"
#include "scvi/kernel/csr_transposed.hpp"
#include "scvi/kernel/plain_layers.hpp"

namespace scvi {
namespace {

using kernel::CsrView;
using testing::Numbers;

/// Rows with a share of non-zeros that runs from none, in the first row, to all, in the last one.
struct SparseRows {
  SparseRows(std::int64_t n_rows, std::int64_t n_genes) : rows(n_rows), genes(n_genes), indptr{3} {
    indices.assign(3, -1);  // indptr need not begin at 0
    values.assign(3, std::numeric_limits<float>::quiet_NaN());
    RandomStream random(3, "rows");
    for (std::int64_t r = 0; r < n_rows; ++r) {
      const double density = n_rows == 1 ? 0.5 : static_cast<double>(r) / static_cast<double>(n_rows - 1);
      for (std::int64_t g = 0; g < n_genes; ++g) {
        if (random.uniform() >= density) continue;
        indices.push_back(static_cast<std::int32_t>(g));
        values.push_back(static_cast<float>(random.standard_normal()));
      }
      indptr.push_back(static_cast<std::int64_t>(indices.size()));
    }
  }
  CsrView view() const {
    return {.n_rows = rows,
            .n_columns = genes,
            .indptr = indptr.data(),
            .indices = indices.data(),
            .values = values.data()};
  }

  std::int64_t rows, genes;
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices;
  std::vector<float> values;
};

struct Shape {
  std::int64_t rows, genes, n_out;
};

// Odd sizes, no rows, no genes, one of each, more genes than one pass takes, more outputs than one tile.
const std::vector<Shape> kShapes = {{0, 5, 4},     {3, 0, 5},     {1, 1, 1},      {2, 7, 0},
                                    {5, 3, 17},    {70, 33, 31},  {9, 40, 128},   {7, 100, 64},
                                    {65, 1100, 3}, {6, 2500, 10}, {3, 600, 4096}, {4, 20, 255}};

/// The gradient of a transposed weight.
void weight_gradient(const CsrView& x, const Numbers& dy, std::int64_t dy_stride, std::int64_t n_out,
                     Numbers& dweight, std::int64_t dweight_stride) {
  const kernel::CsrTransposed by_gene(x);
  kernel::sparse_linear({.x = by_gene.view(), .weight = dy.data(), .weight_stride = dy_stride, .n_out = n_out},
                        dweight.data(), dweight_stride);
}

std::vector<std::int64_t> some_index(std::int64_t rows, std::int64_t n_categories) {
  std::vector<std::int64_t> index(rows);
  for (std::int64_t r = 0; r < rows; ++r) index[r] = (r * 5 + 1) % n_categories;
  return index;
}

TEST(SparseLinear, EqualsItsTwinInFloat64) {
  testing::on_every_instruction_set([] {
    for (const auto& [rows, genes, n_out] : kShapes) {
      SCOPED_TRACE(::testing::Message() << rows << " x " << genes << " -> " << n_out);
      const SparseRows x(rows, genes);
      const std::int64_t stride = n_out + 3;
      const Numbers weight(genes * stride, "weight"), bias(n_out, "bias"), picked(4 * stride, "picked", 3);
      const auto index = some_index(rows, 4);
      const kernel::CategoryRows<float> category{index.data(), picked.data(), stride};
      kernel::SparseLinear<float> layer{.x = x.view(),
                                        .weight = weight.data(),
                                        .weight_stride = stride,
                                        .n_out = n_out,
                                        .bias = bias.data(),
                                        .categories = {&category, 1}};

      const auto weight64 = weight.doubles(), bias64 = bias.doubles(), picked64 = picked.doubles();
      const kernel::CategoryRows<double> category64{index.data(), picked64.data(), stride};
      std::vector<double> expected(rows * n_out);
      kernel::plain::sparse_linear<double>({.x = x.view(),
                                            .weight = weight64.data(),
                                            .weight_stride = stride,
                                            .n_out = n_out,
                                            .bias = bias64.data(),
                                            .categories = {&category64, 1}},
                                           expected.data(), n_out);
      for (const bool in_halves : {false, true}) {
        layer.in_halves = in_halves;
        Numbers y(rows * n_out);
        EXPECT_TRUE(kernel::sparse_linear(layer, y.data(), n_out));
        EXPECT_LT(testing::worst_error(y, expected), 4e-5) << in_halves;  // a thousand products may cancel
      }
    }
  });
}

TEST(SparseLinear, OverwritesWhatWasInYAndNothingBetweenItsRows) {
  const SparseRows x(4, 9);
  const Numbers weight(9 * 5, "weight");
  Numbers once(4 * 8), twice(4 * 8);
  for (std::int64_t i = 0; i < twice.size(); ++i) once[i] = twice[i] = 42;
  const kernel::SparseLinear<float> layer{.x = x.view(), .weight = weight.data(), .weight_stride = 5, .n_out = 5};
  kernel::sparse_linear(layer, once.data(), 8);
  kernel::sparse_linear(layer, twice.data(), 8);
  kernel::sparse_linear(layer, twice.data(), 8);
  EXPECT_EQ(once.floats(), twice.floats());
  for (std::int64_t r = 0; r < 4; ++r)
    for (std::int64_t j = 5; j < 8; ++j) EXPECT_EQ(once[r * 8 + j], 42);
  for (std::int64_t j = 0; j < 5; ++j) EXPECT_EQ(once[j], 0) << "an empty row without bias";
}

TEST(SparseLinear, SaysWhetherASumOfHalvesIsFinite) {
  const SparseRows x(40, 700);
  for (const std::int64_t gene : {3, 699}) {
    Numbers weight(700 * 6, "weight"), y(40 * 7);
    for (std::int64_t i = 0; i < y.size(); ++i) y[i] = 42;
    weight[gene * 6 + 5] = std::numeric_limits<float>::infinity();
    EXPECT_FALSE(kernel::sparse_linear(
        {.x = x.view(), .weight = weight.data(), .weight_stride = 6, .n_out = 6, .in_halves = true}, y.data(), 7));
    for (std::int64_t r = 0; r < 40; ++r) EXPECT_EQ(y[r * 7 + 6], 42) << "between the rows";
  }
}

TEST(SparseLinear, AddsARowOfEveryCategory) {
  const SparseRows x(2, 0);
  const std::vector<float> first = {1, 2, 10, 20}, second = {100, 200, 1000, 2000};
  const std::vector<std::int64_t> a = {0, 1}, b = {1, 0};
  const std::vector<kernel::CategoryRows<float>> categories = {{a.data(), first.data(), 2},
                                                               {b.data(), second.data(), 2}};
  std::vector<float> y(4);
  kernel::sparse_linear({.x = x.view(), .n_out = 2, .categories = categories}, y.data(), 2);
  EXPECT_EQ(y, (std::vector<float>{1001, 2002, 110, 220}));
}

TEST(SparseLinearWeightGradient, EqualsItsTwinInFloat64) {
  testing::on_every_instruction_set([] {
    for (const auto& [rows, genes, n_out] : kShapes) {
      SCOPED_TRACE(::testing::Message() << rows << " x " << genes << " -> " << n_out);
      const SparseRows x(rows, genes);
      const Numbers dy(rows * n_out, "dy");
      Numbers dweight(genes * n_out);
      for (std::int64_t i = 0; i < dweight.size(); ++i) dweight[i] = 42;
      weight_gradient(x.view(), dy, n_out, n_out, dweight, n_out);
      const auto dy64 = dy.doubles();
      std::vector<double> expected(genes * n_out);
      kernel::plain::sparse_linear_weight_gradient<double>(x.view(), dy64.data(), n_out, n_out, expected.data(),
                                                           n_out);
      EXPECT_LT(testing::worst_error(dweight, expected), 1e-5);
    }
  });
}

TEST(SparseLinearWeightGradient, LeavesThePlaceBetweenItsRowsAlone) {
  const SparseRows x(40, 70);
  const Numbers dy(40 * 8, "dy");
  Numbers dweight(70 * 6);
  for (std::int64_t i = 0; i < dweight.size(); ++i) dweight[i] = 42;
  weight_gradient(x.view(), dy, 8, 5, dweight, 6);
  for (std::int64_t g = 0; g < 70; ++g) EXPECT_EQ(dweight[g * 6 + 5], 42);
}

TEST(SparseLinearWeightGradient, OfTheTwinIsTheSlopeOfItsForward) {
  const std::int64_t rows = 4, genes = 6, n_out = 3;
  const SparseRows x(rows, genes);
  const auto dy = Numbers(rows * n_out, "dy").doubles();
  auto weight = Numbers(genes * n_out, "weight").doubles();
  const auto loss = [&] {
    std::vector<double> y(rows * n_out);
    kernel::plain::sparse_linear<double>(
        {.x = x.view(), .weight = weight.data(), .weight_stride = n_out, .n_out = n_out}, y.data(), n_out);
    return testing::dot(dy, y);
  };
  std::vector<double> dweight(weight.size());
  kernel::plain::sparse_linear_weight_gradient<double>(x.view(), dy.data(), n_out, n_out, dweight.data(), n_out);
  for (std::size_t i = 0; i < weight.size(); ++i)
    EXPECT_NEAR(dweight[i], testing::slope_of(loss, weight[i]), 1e-8) << i;
}

TEST(CategoryRowsGradient, SumsTheRowsOfEachCategory) {
  testing::on_every_instruction_set([] {
    for (const std::int64_t n_out : {0, 1, 19, 128}) {
      const std::int64_t rows = 23;
      const Numbers dy(rows * n_out, "dy");
      auto index = some_index(rows, 4);
      for (auto& c : index) c += 1;  // the first category has no row
      Numbers dweight(5 * n_out, 2);
      kernel::category_rows_gradient(index.data(), rows, 5, dy.data(), n_out, n_out, dweight.data(), n_out);
      const auto dy64 = dy.doubles();
      std::vector<double> expected(5 * n_out);
      kernel::plain::category_rows_gradient<double>(index.data(), rows, 5, dy64.data(), n_out, n_out, expected.data(),
                                                    n_out);
      EXPECT_LT(testing::worst_error(dweight, expected), 1e-6);
      for (std::int64_t j = 0; j < n_out; ++j) EXPECT_EQ(dweight[j], 0);
    }
  });
}

TEST(ColumnSums, AreThoseOfFloat64) {
  testing::on_every_instruction_set([] {
    for (const std::int64_t n_out : {0, 1, 19, 128, 1500}) {
      const std::int64_t rows = n_out == 19 ? 0 : 37;
      const Numbers dy(rows * (n_out + 2), "dy");
      Numbers sums(n_out);
      kernel::column_sums(dy.data(), rows, n_out + 2, n_out, sums.data());
      const auto dy64 = dy.doubles();
      std::vector<double> expected(n_out);
      kernel::plain::column_sums<double>(dy64.data(), rows, n_out + 2, n_out, expected.data());
      EXPECT_LT(testing::worst_error(sums, expected), 1e-7);
    }
  });
}

TEST(SparseLinear, HasTheSameBitsForAnyThreadCount) {
  const SparseRows x(200, 3000);
  const Numbers weight(3000 * 20, "weight"), dy(200 * 20, "dy");
  for (const bool in_halves : {false, true}) {
    testing::expect_same_bits_for_any_thread_count([&] {
      std::vector<float> y(200 * 20);
      kernel::sparse_linear(
          {.x = x.view(), .weight = weight.data(), .weight_stride = 20, .n_out = 20, .in_halves = in_halves},
          y.data(), 20);
      return y;
    });
  }
  testing::expect_same_bits_for_any_thread_count([&] {
    Numbers dweight(3000 * 20);
    weight_gradient(x.view(), dy, 20, 20, dweight, 20);
    return dweight.floats();
  });
}

/// Distance of a float from the exact value, in units of its last place.
double ulps(float found, double exact) {
  const auto rounded = std::fabs(static_cast<float>(exact));
  const double unit = std::max(std::nextafter(rounded, std::numeric_limits<float>::infinity()) - rounded,
                               std::numeric_limits<float>::denorm_min());
  return std::fabs(found - exact) / unit;
}

TEST(Log1pValues, AreWithinOneUnitInTheLastPlace) {
  std::vector<float> values;
  for (int i = 0; i <= 70000; ++i) values.push_back(static_cast<float>(i));
  RandomStream random(1, "log1p");
  for (int i = 0; i < 200000; ++i) {
    const auto magnitude = static_cast<float>(std::exp(random.uniform() * 160 - 80));
    values.push_back(magnitude);
    values.push_back(-static_cast<float>(random.uniform()));
    if (magnitude < 0.9f) values.push_back(-magnitude);
  }
  testing::on_every_instruction_set([&] {
    std::vector<float> out(values.size());
    kernel::log1p_values(values.data(), static_cast<std::int64_t>(values.size()), out.data());
    double worst = 0;
    float at = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      const double error = ulps(out[i], std::log1p(static_cast<double>(values[i])));
      if (error > worst) {
        worst = error;
        at = values[i];
      }
    }
    EXPECT_LT(worst, 1) << "at " << at;
    RecordProperty("worst_ulps", std::to_string(worst));
  });
}

TEST(Log1pValues, KeepTheirLimits) {
  const float infinity = std::numeric_limits<float>::infinity();
  testing::on_every_instruction_set([&] {
    std::vector<float> values = {0,     -0.0f,  -1,      -1.5f, infinity, -infinity, std::nanf(""),
                                 3e38f, 1e-40f, -1e-40f, 7,     7,        7,         7,
                                 7,     7,      7,       7,     infinity};
    kernel::log1p_values(values.data(), static_cast<std::int64_t>(values.size()), values.data());
    EXPECT_EQ(values[0], 0);
    EXPECT_EQ(values[1], 0);
    EXPECT_EQ(values[2], -infinity);
    EXPECT_TRUE(std::isnan(values[3]));
    EXPECT_EQ(values[4], infinity);
    EXPECT_TRUE(std::isnan(values[5]));
    EXPECT_TRUE(std::isnan(values[6]));
    EXPECT_FLOAT_EQ(values[7], std::log(3e38f));
    EXPECT_FLOAT_EQ(values[8], 1e-40f);
    EXPECT_FLOAT_EQ(values[9], -1e-40f);
    EXPECT_EQ(values[18], infinity);
  });
}

TEST(Log1pValues, AreTheSameWhereverTheyStand) {
  for (std::int64_t n = 0; n < 70; ++n) {
    const Numbers draws(n, "values");
    Numbers values(n), out(n, 3);
    for (std::int64_t i = 0; i < n; ++i) values[i] = std::fabs(draws[i]) * 100;
    kernel::log1p_values(values.data(), n, out.data());
    for (std::int64_t i = 0; i < n; ++i) {
      float alone = 0;
      kernel::log1p_values(values.data() + i, 1, &alone);
      ASSERT_EQ(out[i], alone);
    }
  }
}

}  // namespace
}  // namespace scvi
