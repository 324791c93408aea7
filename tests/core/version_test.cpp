#include "scvi/core/version.hpp"

#include <gtest/gtest.h>

#include <string>

#include "scvi/core/atomic_file.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

TEST(Version, IsTheOneOfTheBuildSystem) {
  const std::string build = read_file(std::string(SCVI_SOURCE_DIR) + "/CMakeLists.txt");
  EXPECT_NE(build.find("project(scvi VERSION " + std::string(version()) + " "), std::string::npos);
}

}  // namespace
}  // namespace scvi
