// The commands of docs/tutorials, on the real data.

#include "files.hpp"

namespace scvi::testing {
namespace {

class Tutorial : public ::testing::TestWithParam<const char*> {};

TEST_P(Tutorial, HoldsCommandsThatWork) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string folder = std::string(SCVI_SOURCE_DIR) + "/docs/tutorials";
  const auto outcome =
      run_program("/usr/bin/python3", {folder + "/replay.py", folder + "/" + GetParam() + ".md", "--scvi",
                                       std::string(SCVI_BIN_DIR) + "/scvi", "--data", test_data_dir()});
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
}

INSTANTIATE_TEST_SUITE_P(Pages, Tutorial,
                         ::testing::Values("introduction", "harmonization", "pbmc", "annotation", "linear_decoder",
                                           "autozi", "doublets"),
                         [](const auto& page) { return std::string(page.param); });

}  // namespace
}  // namespace scvi::testing
