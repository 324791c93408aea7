#include "scvi/io/lzf.hpp"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace scvi::io {
namespace {

using Bytes = std::vector<std::uint8_t>;

void expect_round_trip(const Bytes& input) {
  const auto packed = lzf_compress(input);
  ASSERT_TRUE(packed);
  EXPECT_LT(packed->size(), input.size());
  Bytes output(input.size());
  const auto got = lzf_decompress(*packed, output);
  ASSERT_TRUE(got);
  EXPECT_EQ(*got, input.size());
  EXPECT_EQ(output, input);
}

/// Counts as a gene expression matrix has them: mostly zeros, small numbers, four bytes each.
Bytes counts_like(std::size_t n_values, unsigned seed) {
  std::mt19937 random(seed);
  Bytes bytes;
  for (std::size_t at = 0; at < n_values; ++at) {
    const bool zero = random() % 10 != 0;
    bytes.push_back(zero ? 0 : static_cast<std::uint8_t>(random() % 7));
    bytes.insert(bytes.end(), 3, 0);
  }
  return bytes;
}

TEST(Lzf, CompressibleBytesComeBack) {
  expect_round_trip(Bytes(10, 7));
  expect_round_trip(Bytes(300, 0));
  expect_round_trip(Bytes(1 << 20, 0));
  for (const std::size_t size : {100U, 5000U, 70000U, 300000U}) expect_round_trip(counts_like(size, 3));
}

TEST(Lzf, MatchesReachNoFurtherBackThanTheFormatCanSay) {
  std::mt19937 random(5);
  Bytes piece(64);
  for (auto& byte : piece) byte = static_cast<std::uint8_t>(random());
  for (const std::size_t distance : {8100U, 8190U, 8191U, 8192U, 8193U, 8194U, 9000U}) {
    Bytes input = piece;
    input.resize(distance, 0);
    input.insert(input.end(), piece.begin(), piece.end());
    expect_round_trip(input);
  }
}

TEST(Lzf, RandomBytesAreNotCompressed) {
  std::mt19937 random(1);
  Bytes input(4096);
  for (auto& byte : input) byte = static_cast<std::uint8_t>(random());
  EXPECT_FALSE(lzf_compress(input));
  EXPECT_FALSE(lzf_compress(Bytes{}));
  EXPECT_FALSE(lzf_compress(Bytes{1, 2, 3}));
}

TEST(Lzf, DecompressesWhatTheReferenceWrote) {
  // The chunk that h5py 3.7 (liblzf) stores for the bytes 0..9 three times over, then forty zeros.
  const Bytes packed{0x0a, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09,
                     0x00, 0xe0, 0x0b, 0x09, 0xe0, 0x1c, 0x00, 0x01, 0x00, 0x00};
  Bytes expected;
  for (int repeat = 0; repeat < 3; ++repeat)
    for (std::uint8_t byte = 0; byte < 10; ++byte) expected.push_back(byte);
  expected.insert(expected.end(), 40, 0);
  Bytes output(70);
  ASSERT_EQ(lzf_decompress(packed, output), 70U);
  EXPECT_EQ(output, expected);
}

TEST(Lzf, TooSmallAnOutputIsRefusedNotOverrun) {
  const Bytes input = counts_like(1000, 2);
  const Bytes packed = lzf_compress(input).value();
  for (std::size_t room = 0; room < input.size(); room += 37) {
    Bytes output(room);
    EXPECT_FALSE(lzf_decompress(packed, output));
  }
}

TEST(Lzf, TruncatedInputNeverGivesTheWholeOutput) {
  const Bytes input = counts_like(400, 4);
  const Bytes packed = lzf_compress(input).value();
  Bytes output(input.size());
  for (std::size_t size = 0; size < packed.size(); ++size) {
    const auto got = lzf_decompress({packed.data(), size}, output);
    EXPECT_TRUE(!got || *got < input.size());
  }
}

TEST(Lzf, ReferencesBeforeTheBeginningAreRefused) {
  Bytes output(100);
  EXPECT_FALSE(lzf_decompress(Bytes{0x20, 0x00}, output));
  EXPECT_FALSE(lzf_decompress(Bytes{0x00, 'a', 0x20, 0x01}, output));
  EXPECT_EQ(lzf_decompress(Bytes{0x00, 'a', 0x20, 0x00}, output), 4U);
}

TEST(Lzf, DamagedInputIsSafe) {
  const Bytes input = counts_like(2000, 6);
  const Bytes packed = lzf_compress(input).value();
  std::mt19937 random(7);
  for (int attempt = 0; attempt < 3000; ++attempt) {
    Bytes damaged = packed;
    for (int flips = 0; flips < 3; ++flips) damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
    Bytes output(input.size());
    const auto got = lzf_decompress(damaged, output);
    EXPECT_TRUE(!got || *got <= output.size());
  }
}

}  // namespace
}  // namespace scvi::io
