#include "scvi/report/zero_inflation_figure.hpp"

#include <cmath>

#include "figures.hpp"

namespace scvi::report {
namespace {

using testing::error_of;
using testing::holds;
using testing::shapes_of;
using testing::shows;

constexpr const char* kPlain =
    "gene\tzero_inflation_probability\tis_zero_inflated\talpha\tbeta\n"
    "g1\t0.93\tTrue\t0.1\t0.9\n"
    "g2\t0.2\tFalse\t0.9\t0.1\n"
    "g3\t0.21\tFalse\t0.9\t0.1\n";
constexpr const char* kByLabel =
    "gene\tlabel\tzero_inflation_probability\tis_zero_inflated\talpha\tbeta\tmean_count\n"
    "g1\tT <cell>\t0.93\tTrue\t0.1\t0.9\t20\n"
    "g2\tT <cell>\t0.8\tTrue\t0.9\t0.1\t0.5\n"
    "g3\tT <cell>\t0.3\tFalse\t0.9\t0.1\t3\n"
    "g1\tB\t1\tTrue\t0.1\t0.9\t0\n"
    "g2\tB\t0\tFalse\t0.9\t0.1\t7\n"
    "g3\tB\t0.5\tFalse\t0.9\t0.1\t\n";

class ZeroInflation : public ::testing::Test {
 protected:
  ZeroInflationTable read(const std::string& text) const {
    testing::write_bytes(path_, text);
    return read_zero_inflation(path_);
  }

  const testing::TemporaryDirectory folder_;
  const std::string path_ = folder_.path("zi.tsv");
};

std::size_t n_dots(const Canvas& canvas) {
  std::size_t n = 0;
  for (const Dots& dots : shapes_of<Dots>(canvas)) n += dots.dots.size();
  return n;
}

TEST_F(ZeroInflation, IsReadByGroup) {
  const ZeroInflationTable plain = read(kPlain);
  ASSERT_EQ(plain.groups.size(), 1U);
  EXPECT_EQ(plain.groups[0].name, "");
  EXPECT_TRUE(plain.groups[0].mean_count.empty());
  const ZeroInflationTable table = read(kByLabel);
  ASSERT_EQ(table.groups.size(), 2U);
  EXPECT_EQ(table.groups[0].name, "T <cell>");
  EXPECT_EQ(table.groups[1].probability, (std::vector<double>{1, 0, 0.5}));
  EXPECT_EQ(table.groups[0].called, (std::vector<std::uint8_t>{1, 1, 0}));
  EXPECT_EQ(table.groups[1].mean_count[1], 7);
  EXPECT_TRUE(std::isnan(table.groups[1].mean_count[2]));
}

TEST_F(ZeroInflation, OfAnotherKindIsRefused) {
  const std::string names = "gene\tzero_inflation_probability\tis_zero_inflated\n";
  EXPECT_TRUE(holds(error_of([&] { read("gene\tp\ng1\t1\n"); }), "scvi zero-inflation"));
  EXPECT_TRUE(holds(error_of([&] { read(names + "g1\t1.5\tTrue\n"); }), "'g1'"));
  EXPECT_TRUE(holds(error_of([&] { read(names + "g1\t\tTrue\n"); }), "'g1'"));
  EXPECT_TRUE(holds(error_of([&] { read(names + "g1\t0.5\tmaybe\n"); }), "is_zero_inflated"));
  EXPECT_THROW(read(names), Error);
  EXPECT_THROW(read_zero_inflation(folder_.path("no.tsv")), IoError);
  const std::string whole = kByLabel;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    try {
      draw_zero_inflation(read(whole.substr(0, length)));
    } catch (const Error&) {
    }
  }
}

TEST_F(ZeroInflation, IsAHistogramWithoutMeanCounts) {
  const Canvas canvas = draw_zero_inflation(read(kPlain));
  testing::expect_readable(canvas);
  EXPECT_TRUE(shows(canvas, "1 of 3 (33.3 %) called zero-inflated"));
  EXPECT_TRUE(shows(canvas, "probability of zero inflation"));
  std::multiset<std::string> bars;
  for (const Box& bar : shapes_of<Box>(canvas)) bars.insert(bar.title);
  EXPECT_EQ(bars, (std::multiset<std::string>{"1 called zero-inflated", "2 not called"}));
  EXPECT_EQ(n_dots(canvas), 0U);
}

TEST_F(ZeroInflation, IsShownAgainstMeanCountsByGroup) {
  const Canvas canvas = draw_zero_inflation(read(kByLabel));
  testing::expect_readable(canvas);
  for (const char* text : {"All groups", "3 of 6 (50.0 %) called zero-inflated", "T <cell>", "B",
                           "with a mean above 1: 1 of 2 (50.0 %) called",
                           "with a mean above 1: 0 of 1 (0.0 %) called", "g1", "mean count (dashed: 1)"}) {
    EXPECT_TRUE(shows(canvas, text)) << text;
  }
  EXPECT_FALSE(shows(canvas, "g2")) << "called, but hardly expressed";
  EXPECT_EQ(n_dots(canvas), 5U) << "one has no mean";
  for (const Dots& dots : shapes_of<Dots>(canvas)) {
    for (const Dot& dot : dots.dots) {
      EXPECT_GE(dot.x, dots.area.x) << "no count lies on the edge";
      EXPECT_LE(dot.x, dots.area.right());
    }
  }
  EXPECT_FALSE(shows(draw_zero_inflation(read(kByLabel), {.n_labels = 0}), "g1"));
  EXPECT_EQ(testing::parse_svg(svg_of(canvas)).error, "");
}

TEST_F(ZeroInflation, ThatCannotBeShownIsRefused) {
  EXPECT_THROW(draw_zero_inflation({}), InputError);
  ZeroInflationTable many = read(kPlain);
  many.groups.assign(kMostZeroInflationGroups + 1, many.groups[0]);
  EXPECT_TRUE(holds(error_of([&] { draw_zero_inflation(many); }), "61 groups"));
}

}  // namespace
}  // namespace scvi::report
