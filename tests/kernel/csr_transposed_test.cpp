#include "scvi/kernel/csr_transposed.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "scvi/core/random.hpp"
#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

using kernel::CsrTransposed;
using kernel::CsrView;

TEST(CsrTransposed, HoldsEveryEntryAtItsPlaceInTheOrderOfItsRows) {
  for (const auto& [n_rows, n_columns] :
       std::vector<std::pair<std::int64_t, std::int64_t>>{{0, 4}, {3, 0}, {1, 1}, {7, 30}, {40, 3000}}) {
    std::vector<std::int64_t> indptr{2};  // need not begin at 0
    std::vector<std::int32_t> indices(2, -1);
    std::vector<float> values(2, -1);
    std::vector<std::vector<std::pair<std::int32_t, float>>> expected(static_cast<std::size_t>(n_columns));
    RandomStream random(5, "entries");
    for (std::int64_t row = 0; row < n_rows; ++row) {
      for (std::int64_t column = 0; column < n_columns; ++column) {
        if (random.uniform() > 0.3) continue;
        indices.push_back(static_cast<std::int32_t>(column));
        values.push_back(static_cast<float>(random.uniform()));
        expected[static_cast<std::size_t>(column)].emplace_back(static_cast<std::int32_t>(row), values.back());
      }
      indptr.push_back(static_cast<std::int64_t>(indices.size()));
    }
    for (const int threads : {1, 2, 7}) {
      settings().n_threads = threads;
      const CsrTransposed transposed(CsrView{n_rows, n_columns, indptr.data(), indices.data(), values.data()});
      const CsrView view = transposed.view();
      ASSERT_EQ(view.n_rows, n_columns);
      ASSERT_EQ(view.n_columns, n_rows);
      for (std::int64_t column = 0; column < n_columns; ++column) {
        const auto& entries = expected[static_cast<std::size_t>(column)];
        ASSERT_EQ(view.indptr[column + 1] - view.indptr[column], std::ssize(entries));
        for (std::int64_t i = 0; i < std::ssize(entries); ++i) {
          EXPECT_EQ(view.indices[view.indptr[column] + i], entries[static_cast<std::size_t>(i)].first);
          EXPECT_EQ(view.values[view.indptr[column] + i], entries[static_cast<std::size_t>(i)].second);
        }
      }
    }
    settings().n_threads = 0;
    const CsrView x{n_rows, n_columns, indptr.data(), indices.data(), values.data()};
    const CsrTransposed whole(x);
    CsrTransposed pieces = CsrTransposed::room_for(x);
    for (const int i : {2, 0, 1}) pieces.place(x, n_columns * i / 3, n_columns * (i + 1) / 3);
    const CsrView one = whole.view(), other = pieces.view();
    const std::int64_t n = one.indptr[n_columns];
    EXPECT_TRUE(std::equal(one.indptr, one.indptr + n_columns + 1, other.indptr));
    EXPECT_TRUE(std::equal(one.indices, one.indices + n, other.indices));
    EXPECT_TRUE(std::equal(one.values, one.values + n, other.values));
  }
}

}  // namespace
}  // namespace scvi
