#include "scvi/io/open_counts.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "scvi/core/error.hpp"
#include "scvi/io/convert.hpp"
#include "scvi/io/hdf5.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

template <class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in: " << text;
}

class OpenCounts : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& bytes) const {
    const std::string path = folder_.path(name);
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }

  testing::TemporaryDirectory folder_;
};

TEST(CountFormats, NamesGoBothWays) {
  for (const std::string& name : count_format_names()) EXPECT_EQ(count_format_name(parse_count_format(name)), name);
  expect_contains(message_of([] { parse_count_format("h5da"); }), "'h5ad'");
}

TEST(CountFormats, EveryRealFixtureIsRecognisedByItsContent) {
  SCVI_REQUIRE_TEST_DATA();
  const std::pair<const char*, CountFormat> expected[] = {
      {"TM_droplet_mat.h5ad", CountFormat::h5ad},
      {"Cortex.loom", CountFormat::loom},
      {"filtered_gene_bc_matrices", CountFormat::tenx},
      {"10X/pbmc8k/filtered_gene_bc_matrices.tar.gz", CountFormat::tenx},
      {"10X/pbmc_10k_protein_v3/filtered_feature_bc_matrix.tar.gz", CountFormat::tenx},
      {"filtered_gene_bc_matrices/hg19/matrix.mtx", CountFormat::matrix_market},
      {"citeSeq/cbmc/cbmc_rna.csv.gz", CountFormat::delimited},
      {"Rep11_MOB_count_matrix-1.tsv", CountFormat::delimited},
  };
  const testing::TemporaryDirectory folder;
  for (const auto& [name, format] : expected) {
    const std::string path = testing::test_data_dir() + "/fixtures/" + name;
    EXPECT_EQ(recognise_counts(path), format) << name;
    // The same under a name that says nothing.
    std::filesystem::copy(path, folder.path("x"), std::filesystem::copy_options::recursive);
    EXPECT_EQ(recognise_counts(folder.path("x")), format) << name;
    std::filesystem::remove_all(folder.path("x"));
  }
}

TEST_F(OpenCounts, TextIsReadAsItsLinesAreSaidToBe) {
  const std::string path = write("t.csv", ",c1,c2\ng1,1,0\ng2,0,3\ng3,2,2\n");
  const CountFile genes = open_counts(path);
  EXPECT_EQ(genes.obs.index, (std::vector<std::string>{"c1", "c2"}));
  EXPECT_EQ(genes.var.n_rows(), 3);
  const CountFile cells = open_counts(path, {.gene_by_cell = false});
  EXPECT_EQ(cells.obs.n_rows(), 3);
  EXPECT_EQ(cells.var.index, (std::vector<std::string>{"c1", "c2"}));
}

TEST_F(OpenCounts, OptionsThatTheFormatHasNoUseForAreErrors) {
  const std::string path = write("t.csv", ",c1,c2\ng1,1,0\n");
  expect_contains(message_of([&] { open_counts(path, {.layer = "counts"}); }),
                  "has no use for the option 'layer', being of format text; it is for h5ad, loom");
  EXPECT_THROW(open_counts(path, {.genome = "mm10"}), InputError);
  EXPECT_THROW(open_counts(path, {.gene_ids = true}), InputError);
}

TEST_F(OpenCounts, WhatHoldsNoCountsIsSaid) {
  EXPECT_THROW(recognise_counts(folder_.path("absent")), IoError);
  expect_contains(message_of([&] { recognise_counts(write("empty", "")); }), "is empty");
  expect_contains(message_of([&] { recognise_counts(write("b", std::string("\x80\x02}q\0.", 6))); }), "known are");
  const std::string other = folder_.path("other.h5");
  Hdf5File::create(other).create_group("mod");
  expect_contains(message_of([&] { recognise_counts(other); }), "it holds mod; it looks like a .h5mu");
}

TEST_F(OpenCounts, TruncatedFilesAreErrorsNotCrashes) {
  SCVI_REQUIRE_TEST_DATA();
  for (const std::string name : {"TM_droplet_mat.h5ad", "Cortex.loom", "10X/pbmc8k/filtered_gene_bc_matrices.tar.gz",
                                 "citeSeq/cbmc/cbmc_rna.csv.gz"}) {
    const std::string path = testing::test_data_dir() + "/fixtures/" + name;
    std::ifstream in(path, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(in), {}};
    for (std::size_t part = 0; part < 40; ++part) {
      const std::string cut = write("cut", bytes.substr(0, bytes.size() * part / 40));
      EXPECT_THROW(open_counts(cut).counts->for_each_block([](const CsrBlock&) {}), Error) << name << " " << part;
    }
  }
}

TEST(OutputFormat, IsThatOfTheEnding) {
  EXPECT_EQ(output_format_of("a/b.h5ad"), CountFormat::h5ad);
  EXPECT_EQ(output_format_of("b.x.loom"), CountFormat::loom);
  EXPECT_THROW(output_format_of("b.csv"), InputError);
}

}  // namespace
}  // namespace scvi::io
