#include "scvi/kernel/matrix_product.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

#include "kernel/layer_testing.hpp"
#include "scvi/kernel/plain_layers.hpp"

namespace scvi {
namespace {

using kernel::MatrixView;
using testing::Numbers;

struct Shape {
  std::int64_t rows, terms, columns;
};

// Nothing at all, one of each, odd sizes, borders of tiles and blocks, long sums, wide and tall enough to be shared
// out.
const std::vector<Shape> kShapes = {{0, 3, 4},      {3, 0, 4},     {3, 4, 0},       {1, 1, 1},       {2, 5, 1},
                                    {3, 7, 5},      {8, 128, 32},  {9, 129, 33},    {128, 128, 300}, {5, 257, 517},
                                    {300, 130, 20}, {17, 1500, 9}, {130, 40, 1025}, {700, 64, 40}};

/// A matrix in memory of its own, with room between its lines.
struct Matrix {
  Matrix(std::int64_t n_rows, std::int64_t n_columns, bool by_rows, const std::string& name)
      : rows(n_rows), columns(n_columns), along_rows(by_rows), numbers((n_rows + 3) * (n_columns + 3), name) {}

  template <class T>
  MatrixView<T> view_of(T* data) const {
    return along_rows ? MatrixView<T>{data, rows, columns, columns + 2, 1}
                      : MatrixView<T>{data, rows, columns, 1, rows + 2};
  }
  MatrixView<const float> view() const { return view_of<const float>(numbers.data()); }
  MatrixView<float> out() { return view_of<float>(numbers.data()); }

  std::int64_t rows, columns;
  bool along_rows;
  Numbers numbers;
};

void set_zeros(Numbers& numbers, std::int64_t every) {
  for (std::int64_t i = 0; i < numbers.size(); ++i) {
    if (i * 7 % 13 % every == 0) numbers[i] = 0;
  }
}

void expect_like_twin(const Matrix& a, const Matrix& b, const Numbers& bias, bool has_bias, Matrix& out) {
  for (std::int64_t i = 0; i < out.numbers.size(); ++i) out.numbers[i] = 42;
  const auto a64 = a.numbers.doubles(), b64 = b.numbers.doubles(), bias64 = bias.doubles();
  auto expected = out.numbers.doubles();
  kernel::plain::matrix_product<double>(a.view_of<const double>(a64.data()), b.view_of<const double>(b64.data()),
                                        has_bias ? bias64.data() : nullptr, out.view_of<double>(expected.data()));
  EXPECT_TRUE(kernel::matrix_product(a.view(), b.view(), has_bias ? bias.data() : nullptr, out.out()));
  EXPECT_LT(testing::worst_error(out.numbers, expected), 5e-5);  // also that the room between is left alone
}

TEST(MatrixProduct, EqualsItsTwinForEveryShapeLayoutAndInstructionSet) {
  testing::on_every_instruction_set([] {
    for (const auto& [rows, terms, columns] : kShapes) {
      for (const int layout : {0, 1, 2, 3, 4, 5, 6, 7}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << terms << " x " << columns << ", layout " << layout);
        Matrix a(rows, terms, (layout & 1) != 0, "a");
        Matrix b(terms, columns, (layout & 2) != 0, "b");
        Matrix out(rows, columns, (layout & 4) != 0, "out");
        const Numbers bias(columns, "bias");
        expect_like_twin(a, b, bias, layout % 3 == 0, out);
        set_zeros(a.numbers, 2);
        expect_like_twin(a, b, bias, layout % 3 == 1, out);
        set_zeros(b.numbers, 2);
        expect_like_twin(a, b, bias, layout % 3 == 2, out);
      }
    }
  });
}

TEST(MatrixProduct, TakesMatricesWithoutNumbersSideBySide) {
  const Numbers a(4 * 6, "a"), b(6 * 8, "b");
  Numbers out(2 * 4 * 3);
  const MatrixView<const float> every_second{a.data(), 2, 3, 12, 2}, of_b{b.data(), 3, 4, 16, 2};
  kernel::matrix_product(every_second, of_b, nullptr, {out.data(), 2, 4, 12, 3});
  for (std::int64_t row = 0; row < 2; ++row) {
    for (std::int64_t column = 0; column < 4; ++column) {
      float sum = 0;
      for (std::int64_t k = 0; k < 3; ++k) sum += a[row * 12 + k * 2] * b[k * 16 + column * 2];
      EXPECT_NEAR(out[row * 12 + column * 3], sum, 1e-5);
    }
  }
}

// A product of few columns is never worth looking for zeros.
TEST(MatrixProduct, HasTheSameBitsWhetherZerosAreSkippedOrNot) {
  Matrix a(40, 200, true, "a");
  const Matrix b(200, 600, false, "b");
  set_zeros(a.numbers, 2);
  Matrix whole(40, 600, true, "whole");
  kernel::matrix_product(a.view(), b.view(), nullptr, whole.out());
  for (std::int64_t begin = 0; begin < 600; begin += 30) {
    Matrix part(40, 30, true, "part");
    kernel::matrix_product(a.view(), b.view().columns(begin, begin + 30), nullptr, part.out());
    for (std::int64_t row = 0; row < 40; ++row) {
      for (std::int64_t column = 0; column < 30; ++column) {
        EXPECT_EQ(part.numbers[row * 32 + column], whole.numbers[row * 602 + begin + column]);
      }
    }
  }
}

TEST(MatrixProduct, SaysWhenAResultIsNotFinite) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  for (const auto& [rows, terms, columns] :
       std::array{Shape{9, 20, 30}, Shape{20, 70, 500}, Shape{500, 70, 20}, Shape{5, 2000, 7}}) {
    for (const bool zeros : {false, true}) {
      for (const float wrong : {kInfinity, -kInfinity, kNan, 3e38F}) {
        SCOPED_TRACE(::testing::Message() << rows << " x " << terms << " x " << columns << ", " << wrong);
        Matrix a(rows, terms, true, "a"), b(terms, columns, true, "b"), out(rows, columns, true, "out");
        if (zeros) set_zeros(a.numbers, 2);
        if (zeros) set_zeros(b.numbers, 2);
        const std::int64_t row = rows / 2, column = columns - 1, term = terms - 2;
        a.numbers[row * (terms + 2) + term] = wrong;
        b.numbers[term * (columns + 2) + column] = 5;
        EXPECT_FALSE(kernel::matrix_product(a.view(), b.view(), nullptr, out.out()));
      }
    }
  }
}

TEST(MatrixProduct, OfSeveralIsThatOfEachWithItsOwnAnswer) {
  for (const bool zeros : {false, true}) {
    for (const std::int64_t narrow : {40, 300}) {
      SCOPED_TRACE(::testing::Message() << (zeros ? "zeros, " : "") << narrow);
      Matrix a(33, 130, true, "a");
      if (zeros) set_zeros(a.numbers, 2);
      Matrix first(130, 517, true, "first"), second(130, narrow, false, "second"), third(130, 290, true, "third");
      second.numbers[0] = std::numeric_limits<float>::infinity();
      const Numbers bias(517, "bias");
      const auto outs = [] {
        return std::array{Matrix(33, 517, true, ""), Matrix(33, 300, true, ""), Matrix(33, 290, false, "")};
      };
      auto together = outs(), alone = outs();
      std::array products{
          kernel::ProductWith{.b = first.view(), .bias = bias.data(), .out = together[0].out()},
          kernel::ProductWith{.b = second.view(), .out = together[1].out().columns(0, narrow)},
          kernel::ProductWith{.b = third.view(), .out = together[2].out()},
      };
      kernel::matrix_products(a.view(), products);
      EXPECT_TRUE(kernel::matrix_product(a.view(), first.view(), bias.data(), alone[0].out()));
      kernel::matrix_product(a.view(), second.view(), nullptr, alone[1].out().columns(0, narrow));
      EXPECT_TRUE(kernel::matrix_product(a.view(), third.view(), nullptr, alone[2].out()));
      EXPECT_TRUE(products[0].finite && products[2].finite);
      EXPECT_FALSE(products[1].finite);
      for (const std::size_t i : {0, 2}) EXPECT_EQ(together[i].numbers.floats(), alone[i].numbers.floats()) << i;
    }
  }
}

TEST(MatrixProduct, HasTheSameBitsForAnyThreadCount) {
  for (const auto& [rows, terms, columns] :
       std::array{Shape{128, 128, 1500}, Shape{1500, 128, 128}, Shape{128, 1500, 128}}) {
    for (const bool zeros : {false, true}) {
      Matrix a(rows, terms, true, "a");
      const Matrix b(terms, columns, true, "b");
      if (zeros) set_zeros(a.numbers, 2);
      testing::expect_same_bits_for_any_thread_count([&] {
        Matrix out(rows, columns, true, "out");
        kernel::matrix_product(a.view(), b.view(), nullptr, out.out());
        return out.numbers.floats();
      });
    }
  }
}

}  // namespace
}  // namespace scvi
