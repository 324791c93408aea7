// `scvi datasets`: the list, and data sets from a mirror that is a folder.

#include "files.hpp"

namespace scvi::testing {
namespace {

TEST(Datasets, AreListedAndDescribed) {
  const auto all = run_ok({"datasets"});
  for (const std::string name : {"cortex", "retina", "pbmc"}) EXPECT_TRUE(holds(all.out, "\n" + name + " ")) << name;
  const auto one = run_ok({"datasets", "show", "cortex"});
  EXPECT_EQ(run_ok({"datasets", "cortex"}).out, one.out);
  expect_only_error(run({"datasets", "cortx"}), {"'cortx'", "'cortex'"});
  EXPECT_TRUE(holds(one.out, "--set total_genes=558")) << one.out;
  EXPECT_TRUE(holds(run_ok({"datasets", "get", "--help"}).out, "Usage: scvi datasets get"));
}

TEST(Datasets, AreFetchedAndWritten) {
  SCVI_REQUIRE_TEST_DATA();
  const TemporaryDirectory folder;
  const RunOptions mirror{.environment = {{"SCVI_DATASETS_MIRROR", test_data_dir() + "/fixtures"}}};
  const auto outcome = run_ok({"datasets", "get", "retina", "-o", folder.path("retina.h5ad"), "--folder",
                               folder.path("files"), "--no-progress"},
                              mirror);
  const io::H5adFile file(folder.path("retina.h5ad"));
  EXPECT_GT(file.n_obs(), 0);
  EXPECT_NE(file.obs().find("cell_type"), nullptr);
  EXPECT_FALSE(listing(folder.path("files")).empty());
}

TEST(Datasets, WhatCannotBeHadIsSaidInOneLine) {
  const TemporaryDirectory folder;
  std::filesystem::create_directory(folder.path("empty"));
  const RunOptions nothing{.environment = {{"SCVI_DATASETS_MIRROR", folder.path("empty")}}};
  const std::string out = folder.path("out.h5ad");
  expect_only_error(run({"datasets", "get", "cortx", "-o", out}), {"'cortx'", "'cortex'"});
  expect_only_error(run({"datasets", "get", "cortex", "-o", folder.path("out.csv")}), {".h5ad or .loom"});
  expect_only_error(run({"datasets", "get", "cortex", "-o", out, "--set", "total"}), {"--set", "NAME=VALUE"});
  expect_only_error(run({"datasets", "get", "cortex", "-o", out, "--set", "total_gene=3"}), {"total_genes"});
  expect_error(
      run({"datasets", "get", "cortex", "-o", out, "--folder", folder.path("empty"), "--no-progress"}, nothing),
      {"expression.bin"});
  EXPECT_FALSE(std::filesystem::exists(out));
}

}  // namespace
}  // namespace scvi::testing
