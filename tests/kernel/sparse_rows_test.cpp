#include "scvi/kernel/sparse_rows.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace scvi::kernel {
namespace {

at::Tensor counts(std::int64_t n_rows, std::int64_t n_columns) {
  torch::manual_seed(4);
  return at::poisson(torch::rand({n_rows, n_columns}));
}

TEST(SelectRows, GivesTheRowsInTheirOrderAndAsOftenAsAskedFor) {
  const at::Tensor dense = counts(100, 7);
  const at::Tensor rows = at::tensor({99, 0, 0, 41, 99}, at::kLong);
  const SparseRows chosen = select_rows(sparse_rows(dense), rows);
  EXPECT_EQ(chosen.view.n_rows, 5);
  EXPECT_TRUE(at::equal(to_dense(chosen), dense.index_select(0, rows)));
}

TEST(SelectRows, LivesLongerThanTheRowsItCameFrom) {
  const at::Tensor dense = counts(50, 7);
  const at::Tensor rows = at::arange(49, -1, -1, at::kLong);
  SparseRows chosen;
  {
    const SparseRows all = log1p(sparse_rows(dense));
    chosen = select_rows(all, rows);
  }
  EXPECT_TRUE(at::allclose(to_dense(chosen), at::log1p(dense).flip(0)));
}

TEST(SelectRows, TakesNoRowsAndEmptyOnes) {
  const SparseRows none = select_rows(sparse_rows(counts(3, 4)), at::empty({0}, at::kLong));
  EXPECT_EQ(none.view.n_rows, 0);
  EXPECT_EQ(none.n_entries(), 0);
  const SparseRows empty = select_rows(sparse_rows(at::zeros({3, 4})), at::tensor({1, 1}, at::kLong));
  EXPECT_EQ(empty.n_entries(), 0);
  EXPECT_TRUE(at::equal(to_dense(empty), at::zeros({2, 4})));
}

}  // namespace
}  // namespace scvi::kernel
