// Training and what follows, on files that are no .h5ad.

#include "files.hpp"

namespace scvi::testing {
namespace {

class OtherFormats : public ::testing::Test {
 protected:
  std::string at(const std::string& name) const { return folder_.path(name); }

  TemporaryDirectory folder_;
};

TEST_F(OtherFormats, AModelIsTheSameFromLoomAsFromH5ad) {
  SmallData data = small_data(40, 12);
  write(data, at("cells.h5ad"));
  run_ok({"convert", at("cells.h5ad"), at("cells.loom")});
  for (const std::string name : {"cells.h5ad", "cells.loom"}) {
    const std::string run_folder = at(name + ".run");
    run_ok({"train", at(name), "--output", run_folder, "--batch-key", "batch", "--epochs", "2", "--no-progress"});
    run_ok({"embed", run_folder, at(name), "--output", at(name + ".out.h5ad"), "--no-progress"});
    run_ok({"evaluate", run_folder, at(name), "--json", at(name + ".json"), "--metrics", "elbo", "--no-progress"});
  }
  EXPECT_EQ(bytes_of(at("cells.h5ad.run/weights.pt")), bytes_of(at("cells.loom.run/weights.pt")));
  EXPECT_EQ(bytes_of(at("cells.h5ad.json")), bytes_of(at("cells.loom.json")));
  const io::H5adFile ours(at("cells.loom.out.h5ad"));
  EXPECT_EQ(ours.obsm("X_scVI").values, io::H5adFile(at("cells.h5ad.out.h5ad")).obsm("X_scVI").values);
  EXPECT_EQ(ours.obs().find("batch")->text(1), "b") << "the annotation comes along";
  EXPECT_NE(ours.obs().find("library_size"), nullptr);
  EXPECT_EQ(read(at("cells.loom.out.h5ad")).values, data.values);
}

TEST_F(OtherFormats, ATableOfTextTrains) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string table = test_data_dir() + "/fixtures/citeSeq/cbmc/cbmc_rna.csv.gz";
  run_ok({"train", table, "--output", at("run"), "--epochs", "1", "--no-progress"});
  run_ok({"embed", at("run"), table, "--output", at("out.h5ad"), "--no-progress"});
  EXPECT_EQ(io::H5adFile(at("out.h5ad")).obsm("X_scVI").n_rows, 20);
}

}  // namespace
}  // namespace scvi::testing
