#include "scvi/core/text.hpp"

#include <gtest/gtest.h>

#include <climits>

namespace scvi {
namespace {

const std::vector<std::string> kOptions = {"--n-latent", "--n-hidden", "--n-layers", "--dropout-rate", "--seed"};

TEST(NearestMatch, FindsAMisspeltWord) {
  EXPECT_EQ(nearest_match("--n-latnet", kOptions), "--n-latent");
  EXPECT_EQ(nearest_match("--droput-rate", kOptions), "--dropout-rate");
  EXPECT_EQ(nearest_match("--sed", kOptions), "--seed");
}

TEST(NearestMatch, IgnoresLetterCase) {
  const std::vector<std::string> genes = {"Cd3e", "Ms4a1"};
  EXPECT_EQ(nearest_match("CD3E", genes), "Cd3e");
}

TEST(NearestMatch, CountsASwapOfNeighboursAsOneEdit) {
  // Two separate replacements would be too far for a word of three letters.
  const std::vector<std::string> names = {"xyz", "bca"};
  EXPECT_EQ(nearest_match("cba", names), "bca");
}

TEST(NearestMatch, PrefersTheNearerCandidate) {
  const std::vector<std::string> names = {"louvain2x", "louvain1"};
  EXPECT_EQ(nearest_match("louvain", names), "louvain1");
}

TEST(NearestMatch, ReturnsNothingWhenNoneIsMeant) {
  EXPECT_EQ(nearest_match("banana", kOptions), "");
  EXPECT_EQ(nearest_match("", kOptions), "");
  EXPECT_EQ(nearest_match("x", std::vector<std::string>{"y"}), "");
  EXPECT_EQ(nearest_match("x", {}), "");
}

TEST(Suggest, AsksForTheNearestMatch) {
  EXPECT_EQ(suggest("--n-latnet", kOptions), "did you mean '--n-latent'?");
}

TEST(Suggest, ListsWhatThereIsOtherwise) {
  const std::vector<std::string> names = {"batch", "cell_type", "donor"};
  EXPECT_EQ(suggest("unlike", names), "there are: batch, cell_type, donor");
  EXPECT_EQ(suggest("unlike", names, 2), "there are: batch, cell_type, ...");
  EXPECT_EQ(suggest("unlike", {}), "there are none");
}

TEST(JoinSome, SaysHowManyAreNotShown) {
  const std::vector<std::string> names = {"a", "b", "c", "d"};
  EXPECT_EQ(join_some(names), "a, b, c, d");
  EXPECT_EQ(join_some(names, 4), "a, b, c, d");
  EXPECT_EQ(join_some(names, 1), "a and 3 more");
  EXPECT_EQ(join_some(names, 0), "4 more");
  EXPECT_EQ(join_some({}), "");
}

TEST(WithThousands, GroupsDigitsByThree) {
  EXPECT_EQ(with_thousands(0), "0");
  EXPECT_EQ(with_thousands(999), "999");
  EXPECT_EQ(with_thousands(1000), "1,000");
  EXPECT_EQ(with_thousands(1234567), "1,234,567");
  EXPECT_EQ(with_thousands(-123), "-123");
  EXPECT_EQ(with_thousands(-123456), "-123,456");
  EXPECT_EQ(with_thousands(LLONG_MIN), "-9,223,372,036,854,775,808");
}

TEST(FormatBytes, PicksADecimalUnit) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(999), "999 B");
  EXPECT_EQ(format_bytes(1000), "1.0 kB");
  EXPECT_EQ(format_bytes(12.34e6), "12.3 MB");
  EXPECT_EQ(format_bytes(999.96e6), "1.0 GB");
  EXPECT_EQ(format_bytes(2.5e12), "2.5 TB");
}

TEST(IsValidUtf8, AcceptsWellFormedText) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("CD3E"));
  EXPECT_TRUE(is_valid_utf8("T\xC3\xA9l\xC3\xA9"));         // two bytes
  EXPECT_TRUE(is_valid_utf8("\xE7\xB4\xB0\xE8\x83\x9E"));   // three bytes
  EXPECT_TRUE(is_valid_utf8("\xF0\x9F\xA7\xAC"));           // four bytes
  EXPECT_TRUE(is_valid_utf8("\xF4\x8F\xBF\xBF"));           // U+10FFFF
  EXPECT_TRUE(is_valid_utf8("\xED\x9F\xBF\xEE\x80\x80"));   // around the surrogates
  EXPECT_TRUE(is_valid_utf8(std::string_view("a\0b", 3)));  // NUL is a character
}

TEST(IsValidUtf8, RefusesEveryKindOfMalformedSequence) {
  EXPECT_FALSE(is_valid_utf8("\x80"));              // continuation without lead
  EXPECT_FALSE(is_valid_utf8("caf\xE9"));           // Latin-1
  EXPECT_FALSE(is_valid_utf8("\xC3"));              // truncated
  EXPECT_FALSE(is_valid_utf8("\xE7\xB4"));          // truncated
  EXPECT_FALSE(is_valid_utf8("\xF0\x9F\xA7"));      // truncated
  EXPECT_FALSE(is_valid_utf8("\xC0\xAF"));          // overlong, two bytes
  EXPECT_FALSE(is_valid_utf8("\xC1\xBF"));          // overlong, two bytes
  EXPECT_FALSE(is_valid_utf8("\xE0\x9F\xBF"));      // overlong, three bytes
  EXPECT_FALSE(is_valid_utf8("\xF0\x8F\xBF\xBF"));  // overlong, four bytes
  EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));      // surrogate
  EXPECT_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));  // past U+10FFFF
  EXPECT_FALSE(is_valid_utf8("\xF5\x80\x80\x80"));  // past U+10FFFF
  EXPECT_FALSE(is_valid_utf8("\xFF"));              // never a lead
  EXPECT_FALSE(is_valid_utf8("\xC3(a"));            // lead without continuation
}

}  // namespace
}  // namespace scvi
