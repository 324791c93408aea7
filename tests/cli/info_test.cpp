// `scvi info` on every real file: it must open, and say what is in it.

#include "real_counts.hpp"

namespace scvi::testing {
namespace {

TEST(Info, EveryRealFileIsSummarised) {
  SCVI_REQUIRE_TEST_DATA();
  for (const RealCounts& file : kRealCounts) {
    const std::string path = test_data_dir() + "/" + file.path;
    std::vector<std::string> words = {"info", path};
    words.insert(words.end(), file.options.begin(), file.options.end());
    const auto outcome = run_ok(words);
    const std::string first = outcome.out.substr(0, outcome.out.find('\n'));
    EXPECT_TRUE(first.starts_with(path + ": ") && holds(first, file.shape)) << first;
    for (const std::string part : {"\ncells (obs) (", "\ngenes (var) (", "of the values are not zero"}) {
      EXPECT_TRUE(holds(outcome.out, part)) << part << " is not in " << outcome.out;
    }
  }
}

TEST(Info, ALoomFileShowsItsTablesAndAttributes) {
  SCVI_REQUIRE_TEST_DATA();
  const auto outcome = run_ok({"info", test_data_dir() + "/starmap/mpfc-starmap.loom", "--quick"});
  EXPECT_TRUE(holds(outcome.out, "table Spatial_coordinates: 3,704 x 2")) << outcome.out;
  EXPECT_TRUE(holds(outcome.out, "Clusters: ")) << outcome.out;
  EXPECT_FALSE(holds(outcome.out, "of the values are not zero")) << outcome.out;
}

TEST(Info, OneMatrixIsShownWhereOneIsAskedFor) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string path = test_data_dir() + "/mixology/mixology_3cl.h5ad";
  EXPECT_TRUE(holds(run_ok({"info", path, "--layer", "X"}).out, "450 cells x 15,073 genes, .h5ad of anndata"));
  expect_only_error(run({"info", path, "--layer", "Y"}), {"'Y'"});
}

TEST(Info, AFileWithoutCountsSaysWhatIsWrong) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string fixtures = test_data_dir() + "/fixtures/";
  expect_only_error(run({"info", fixtures + "SeqFISH.xlsx"}), {"Excel", ".csv"});
  expect_only_error(run({"info", fixtures + "pbmc_metadata.pickle"}), {"no counts"});
  expect_only_error(run({"info", fixtures + "seqfishplus.zip"}), {"sourcedata/ob_counts.csv", "--member"});
  expect_only_error(run({"info", test_data_dir() + "/mixology/sc_dropseq.metadata.csv.gz"}), {"line 2", "'FALSE'"});
  expect_only_error(run({"info", fixtures + "Cortex.loom", "--genome", "mm10"}), {"genome", "10x"});
}

TEST(Info, AnHdf5FileWithoutCountsSaysWhatItHolds) {
  const TemporaryDirectory folder;
  const std::string path = folder.path("other.h5ad");
  {
    auto file = io::Hdf5File::create(path);
    file.create_group("mod");
    file.create_group("images");
  }
  expect_only_error(run({"info", path}), {path, "images, mod", ".h5mu"});
}

}  // namespace
}  // namespace scvi::testing
