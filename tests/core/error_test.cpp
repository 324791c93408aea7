#include "scvi/core/error.hpp"

#include <gtest/gtest.h>

namespace scvi {
namespace {

TEST(Describe, JoinsAllPartsInOneLine) {
  EXPECT_EQ(describe({.problem = "is -3", .file = "a.h5ad", .field = "X", .remedy = "give raw counts"}),
            "a.h5ad: X is -3; give raw counts");
}

TEST(Describe, LeavesOutEmptyParts) {
  EXPECT_EQ(describe({.problem = "is -3"}), "is -3");
  EXPECT_EQ(describe({.problem = "is -3", .field = "X"}), "X is -3");
  EXPECT_EQ(describe({.problem = "is gone", .file = "a.h5ad"}), "a.h5ad: is gone");
}

TEST(Error, CarriesItsFaultAndIsCaughtByItsKind) {
  try {
    throw FormatError({.problem = "is truncated", .file = "a.h5ad"});
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "a.h5ad: is truncated");
    EXPECT_EQ(error.fault().file, "a.h5ad");
    EXPECT_NE(dynamic_cast<const FormatError*>(&error), nullptr);
    EXPECT_EQ(dynamic_cast<const InputError*>(&error), nullptr);
  }
}

}  // namespace
}  // namespace scvi
