#include "scvi/kernel/sampled_product.hpp"

#include <gtest/gtest.h>

#include <array>
#include <memory>

#include "kernel/layer_testing.hpp"

namespace scvi {
namespace {

using kernel::MatrixView;
using testing::Numbers;

/// Rows, columns and the terms of two pairs.
struct Shape {
  std::int64_t rows, columns, first, second;
};

// Nothing at all, one of each, odd sizes, borders of vectors, strips and passes, enough rows to be shared out.
const std::vector<Shape> kShapes = {{0, 3, 4, 5},     {3, 0, 4, 5},         {3, 4, 0, 0},       {1, 1, 1, 0},
                                    {2, 5, 1, 3},     {3, 7, 16, 17},       {9, 63, 33, 127},   {9, 64, 128, 129},
                                    {17, 65, 300, 1}, {128, 130, 558, 558}, {70, 200, 1000, 40}};

/// Rows with room between them.
MatrixView<const float> rows_of(const Numbers& numbers, std::int64_t n_rows, std::int64_t n_columns) {
  return {numbers.data(), n_rows, n_columns, n_columns + 2, 1};
}

Numbers memory_for(std::int64_t n_rows, std::int64_t n_columns, const std::string& name) {
  return Numbers((n_rows + 2) * (n_columns + 2), name);
}

/// Both layouts of a second factor.
MatrixView<const float> factor_of(const Numbers& numbers, std::int64_t n_rows, std::int64_t n_columns, bool by_rows) {
  if (by_rows) return rows_of(numbers, n_rows, n_columns);
  return rows_of(numbers, n_columns, n_rows).transposed();
}

void set_zeros(Numbers& numbers, std::int64_t per_13) {
  for (std::int64_t i = 0; i < numbers.size(); ++i) {
    if (i * 7 % 13 < per_13) numbers[i] = 0;
  }
}

struct Case {
  Case(const Shape& shape, bool by_rows, std::int64_t zeros_per_13)
      : size(shape),
        mask(memory_for(size.rows, size.columns, "mask")),
        a{memory_for(size.rows, size.first, "a"), memory_for(size.rows, size.second, "a, too")},
        b{memory_for(std::max(size.first, size.columns), std::max(size.first, size.columns), "b"),
          memory_for(std::max(size.second, size.columns), std::max(size.second, size.columns), "b, too")},
        pairs{
            kernel::Factors{rows_of(a[0], size.rows, size.first), factor_of(b[0], size.first, size.columns, by_rows)},
            kernel::Factors{rows_of(a[1], size.rows, size.second),
                            factor_of(b[1], size.second, size.columns, by_rows)}} {
    set_zeros(mask, zeros_per_13);
  }

  /// Where nothing is to be written stays 42.
  Numbers product() const {
    Numbers out((size.rows + 2) * (size.columns + 2));
    for (std::int64_t i = 0; i < out.size(); ++i) out[i] = 42;
    kernel::sampled_product(rows_of(mask, size.rows, size.columns), pairs,
                            {out.data(), size.rows, size.columns, size.columns + 2, 1});
    return out;
  }

  std::vector<double> expected() const {
    std::vector<double> out(static_cast<std::size_t>((size.rows + 2) * (size.columns + 2)), 42);
    for (std::int64_t row = 0; row < size.rows; ++row) {
      for (std::int64_t column = 0; column < size.columns; ++column) {
        const std::int64_t at = row * (size.columns + 2) + column;
        double sum = 0;
        for (const kernel::Factors& pair : pairs) {
          for (std::int64_t k = 0; mask[at] != 0 && k < pair.a.n_columns; ++k) {
            sum += static_cast<double>(pair.a.data[row * pair.a.row_stride + k]) *
                   pair.b.data[k * pair.b.row_stride + column * pair.b.column_stride];
          }
        }
        out[static_cast<std::size_t>(at)] = sum;
      }
    }
    return out;
  }

  Shape size;
  Numbers mask;
  std::array<Numbers, 2> a, b;
  std::array<kernel::Factors, 2> pairs;
};

TEST(SampledProduct, EqualsItsFormulaForEveryShapeLayoutMaskAndInstructionSet) {
  testing::on_every_instruction_set([] {
    for (const Shape& shape : kShapes) {
      for (const bool by_rows : {false, true}) {
        for (const std::int64_t zeros : {0, 7, 13}) {
          SCOPED_TRACE(::testing::Message() << shape.rows << " x " << shape.columns << ", " << shape.first << " and "
                                            << shape.second << (by_rows ? ", by rows, " : ", ") << zeros);
          const Case what(shape, by_rows, zeros);
          EXPECT_LT(testing::worst_error(what.product(), what.expected()), 5e-5);
        }
      }
    }
  });
}

TEST(SampledProduct, OfNoPairsIsZero) {
  const Case what({3, 5, 2, 2}, true, 0);
  Numbers out(15, "out");
  kernel::sampled_product(rows_of(what.mask, 3, 5), {}, {out.data(), 3, 5, 5, 1});
  EXPECT_EQ(out.floats(), std::vector<float>(15, 0));
}

TEST(SampledProduct, KeepsWhatIsNotFiniteToWhereItIsWanted) {
  Case what({4, 40, 100, 3}, true, 0);
  what.a[0][1 * 102 + 99] = std::numeric_limits<float>::quiet_NaN();
  const std::int64_t masked = 1 * 42 + 7;
  what.mask[masked] = 0;
  const Numbers out = what.product();
  for (std::int64_t row = 0; row < 4; ++row) {
    for (std::int64_t column = 0; column < 40; ++column) {
      const std::int64_t at = row * 42 + column;
      EXPECT_EQ(std::isnan(out[at]), row == 1 && at != masked) << row << ", " << column;
    }
  }
  EXPECT_EQ(out[masked], 0);
}

TEST(SampledProduct, TakesWhatAProductFoundInTheMask) {
  Numbers mask(70 * 100, "mask"), a(70 * 300, "a"), b(100 * 300, "b"), logits(70 * 300), out(70 * 100);
  set_zeros(mask, 7);
  const MatrixView<const float> hidden{mask.data(), 70, 100, 100, 1}, weight{b.data(), 100, 300, 300, 1};
  kernel::ProductWith forward{.b = weight, .out = {logits.data(), 70, 300, 300, 1}};
  std::shared_ptr<const kernel::NonzeroTerms> nonzeros;
  kernel::matrix_products(hidden, {&forward, 1}, &nonzeros);
  ASSERT_NE(nonzeros, nullptr);
  const kernel::Factors pair{{a.data(), 70, 300, 300, 1}, weight.transposed()};
  const MatrixView<float> to{out.data(), 70, 100, 100, 1};
  kernel::sampled_product(hidden, {&pair, 1}, to);
  const std::vector<float> expected = out.floats();
  for (std::int64_t i = 0; i < out.size(); ++i) out[i] = 42;
  kernel::sampled_product(hidden, {&pair, 1}, to, nonzeros.get());
  EXPECT_EQ(out.floats(), expected);
}

TEST(SampledProduct, HasTheSameBitsForAnyThreadCount) {
  for (const Shape& shape : {Shape{130, 128, 700, 90}, Shape{128, 128, 558, 558}, Shape{33, 70, 300, 0}}) {
    const Case what(shape, false, 7);
    testing::expect_same_bits_for_any_thread_count([&] { return what.product().floats(); });
  }
}

}  // namespace
}  // namespace scvi
