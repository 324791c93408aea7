#include "scvi/training/history.hpp"

#include <gtest/gtest.h>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

TEST(History, ComesBackFromItsTableExactly) {
  History history;
  history.record("train_loss", 1, 1.0 / 3);
  history.record("elbo_test_set", 0, 1e300);
  history.record("elbo_test_set", 2, 5);
  const History again = History::from_tsv(history.to_tsv(), "history.tsv");
  EXPECT_EQ(again.series(), history.series());
  EXPECT_EQ(again.at("train_loss", 1), 1.0 / 3);
  EXPECT_EQ(again.values("elbo_test_set"), (std::vector<double>{1e300, 5}));
  EXPECT_FALSE(again.at("train_loss", 0).has_value());
  EXPECT_EQ(again.last("elbo_test_set"), 5);
  EXPECT_TRUE(again.values("unknown").empty());
}

TEST(History, RefusesADamagedTable) {
  EXPECT_THROW(History::from_tsv("", "h"), FormatError);
  EXPECT_THROW(History::from_tsv("epoch\tloss\n1\tx\n", "h"), FormatError);
  EXPECT_THROW(History::from_tsv("epoch\tloss\n1\n", "h"), FormatError);
  EXPECT_THROW(History::from_tsv("epoch\tloss\n1\t2\t3\n", "h"), FormatError);
}

}  // namespace
}  // namespace scvi
