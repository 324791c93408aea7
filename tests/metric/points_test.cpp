#include "scvi/metric/points.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

TEST(Points, KeepTheValuesOfBothTypes) {
  const std::vector<float> narrow = {1, 2, 3, 4, 5, 6};
  const std::vector<double> wide = {1, 2, 3, 4, 5, 6};
  EXPECT_EQ(Points(narrow, 2, 3).to_double(), wide);
  EXPECT_EQ(Points(wide, 3, 2).to_double(), wide);
}

TEST(Points, RefuseSizesThatDoNotFit) {
  const std::vector<float> values(6);
  EXPECT_THROW(Points(values, 2, 2), InputError);
  EXPECT_THROW(Points(values, -2, -3), InputError);
  EXPECT_THROW(Points(values, std::int64_t{1} << 62, 8), InputError);
}

TEST(Points, NameTheCellOfAValueThatIsNotFinite) {
  for (const double wrong : {std::nan(""), std::numeric_limits<double>::infinity()}) {
    std::vector<double> values(12);
    values[7] = wrong;
    try {
      (void)Points(values, 4, 3).to_double();
      FAIL();
    } catch (const InputError& error) {
      EXPECT_EQ(error.fault().field, "row 2, column 1");
    }
  }
}

}  // namespace
}  // namespace scvi
