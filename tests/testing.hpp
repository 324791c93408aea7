#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

namespace scvi::testing {

/// The folder of golden cases: SCVI_GOLDEN, or ../shared/golden beside the source; the subset in the source
/// otherwise.
inline std::string golden_dir() {
  if (const char* given = std::getenv("SCVI_GOLDEN")) return given;
  const std::string beside = std::string(SCVI_SOURCE_DIR) + "/../shared/golden";
  return std::filesystem::exists(beside) ? beside : std::string(SCVI_SOURCE_DIR) + "/tests/golden";
}

/// The folder of real data: SCVI_TEST_DATA, or ../shared/data beside the source; "" when there is none.
inline std::string test_data_dir() {
  if (const char* given = std::getenv("SCVI_TEST_DATA")) return given;
  const std::string beside = std::string(SCVI_SOURCE_DIR) + "/../shared/data";
  return std::filesystem::exists(beside) ? beside : "";
}

/// A folder of its own for one test, removed at the end.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = (std::filesystem::temp_directory_path() / "scvi-test-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  std::string path(const std::string& name = "") const { return name.empty() ? path_ : path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace scvi::testing

/// Skips a test, loudly, where the real data of shared/data are absent.
#define SCVI_REQUIRE_TEST_DATA()              \
  if (scvi::testing::test_data_dir().empty()) \
  GTEST_SKIP() << "NO REAL DATA: set SCVI_TEST_DATA to the folder shared/data; this test did not run"
