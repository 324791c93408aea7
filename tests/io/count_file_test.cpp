#include "scvi/io/count_file.hpp"

#include <gtest/gtest.h>

namespace scvi::io {
namespace {

/// 3 cells x 4 genes: {0: 1, 2: 5}, {}, {3: 2}.
std::unique_ptr<MatrixReader> small_matrix() {
  return memory_matrix({.layout = MatrixInfo::Layout::csr,
                        .n_rows = 3,
                        .n_cols = 4,
                        .n_stored = 3,
                        .value_type = "int32",
                        .path = "X"},
                       {.first_row = 0, .indptr = {0, 2, 2, 3}, .indices = {0, 2, 3}, .values = {1, 5, 2}});
}

TEST(MemoryMatrix, RowsComeOutAsTheyWentIn) {
  CsrBlock block;
  small_matrix()->read_rows(1, 2, block);
  EXPECT_EQ(block.first_row, 1);
  EXPECT_EQ(block.indptr, (std::vector<std::int64_t>{0, 0, 1}));
  EXPECT_EQ(block.indices, (std::vector<std::int32_t>{3}));
  EXPECT_EQ(block.values, (std::vector<float>{2}));
}

TEST(MemoryMatrix, RowsBeyondTheEndAreClipped) {
  CsrBlock block;
  small_matrix()->read_rows(2, 10, block);
  EXPECT_EQ(block.n_rows(), 1);
  small_matrix()->read_rows(7, 1, block);
  EXPECT_EQ(block.n_rows(), 0);
}

TEST(MemoryMatrix, BlocksHoldEveryRowOnce) {
  constexpr std::int64_t kRows = 2501;
  constexpr std::int64_t kPerRow = 1000;
  CsrBlock rows{.first_row = 0, .indptr = {0}, .indices = {}, .values = {}};
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (std::int32_t column = 0; column < kPerRow; ++column) {
      rows.indices.push_back(column);
      rows.values.push_back(static_cast<float>(row));
    }
    rows.indptr.push_back(std::ssize(rows.indices));
  }
  const auto matrix = memory_matrix({.layout = MatrixInfo::Layout::csr,
                                     .n_rows = kRows,
                                     .n_cols = kPerRow,
                                     .n_stored = kRows * kPerRow,
                                     .value_type = "int32",
                                     .path = "X"},
                                    std::move(rows));
  std::int64_t next = 0;
  int n_blocks = 0;
  matrix->for_each_block([&](const CsrBlock& block) {
    ++n_blocks;
    EXPECT_EQ(block.first_row, next);
    for (std::int64_t row = 0; row < block.n_rows(); ++row) {
      EXPECT_EQ(block.values[block.indptr[row]], static_cast<float>(next + row));
    }
    next += block.n_rows();
  });
  EXPECT_EQ(next, kRows);
  EXPECT_EQ(n_blocks, 3);
}

}  // namespace
}  // namespace scvi::io
