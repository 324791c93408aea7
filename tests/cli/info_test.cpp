// `scvi info` on every real file: it must open, and say what is in it.

#include "files.hpp"

namespace scvi::testing {
namespace {

struct RealFile {
  const char* path;
  const char* first_line;  ///< behind the name
};

const RealFile kRealFiles[] = {
    {"mixology/mixology_3cl.h5ad", "450 cells x 15,073 genes"},
    {"osmfish/osmfish_cortex.h5ad", "4,530 cells x 33 genes"},
    {"pbmc_citeseq/pbmc_5k_protein_v3.h5ad", "200 cells x 16,581 genes"},
    {"fixtures/TM_droplet_mat.h5ad", "47 cells x 23,433 genes"},
    {"starmap/mpfc-starmap.loom", "3,704 cells x 158 genes, loom"},
    {"fixtures/Cortex.loom", "genes, loom"},
    {"fixtures/retina.loom", "genes, loom"},
    {"fixtures/mpfc-starmap.loom", "genes, loom"},
    {"fixtures/fc-dropseq.loom", "genes, loom"},
    {"fixtures/osmFISH_SScortex_mouse_all_cell.loom", "genes, loom"},
    {"fixtures/simulation/simulation_1.loom", "genes, loom"},
};

TEST(Info, EveryRealFileIsSummarised) {
  SCVI_REQUIRE_TEST_DATA();
  for (const RealFile& file : kRealFiles) {
    const std::string path = test_data_dir() + "/" + file.path;
    const auto outcome = run_ok({"info", path});
    const std::string first = outcome.out.substr(0, outcome.out.find('\n'));
    EXPECT_TRUE(first.starts_with(path + ": ") && holds(first, file.first_line)) << first;
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
