#include "scvi/report/loadings_figure.hpp"

#include <cmath>

#include "figures.hpp"

namespace scvi::report {
namespace {

using testing::error_of;
using testing::holds;
using testing::shapes_of;
using testing::shows;

constexpr const char* kLoadings =
    "gene\tZ_0\tZ_1\n"
    "g1\t0.5\t-2\n"
    "g2\t-1.5\t0\n"
    "g3\t0.25\t1\n"
    "g4\t1\t0.5\n"
    "g5\t-0.75\t-0.5\n";

class Loadings : public ::testing::Test {
 protected:
  LoadingsTable read(const std::string& text) const {
    testing::write_bytes(path_, text);
    return read_loadings(path_);
  }

  const testing::TemporaryDirectory folder_;
  const std::string path_ = folder_.path("loadings.tsv");
};

TEST_F(Loadings, AreReadByFactor) {
  const LoadingsTable table = read(kLoadings);
  EXPECT_EQ(table.genes, (std::vector<std::string>{"g1", "g2", "g3", "g4", "g5"}));
  ASSERT_EQ(table.factors.size(), 2U);
  EXPECT_EQ(table.factors[1].name, "Z_1");
  EXPECT_EQ(table.factors[1].loading, (std::vector<double>{-2, 0, 1, 0.5, -0.5}));
}

TEST_F(Loadings, OfAnotherKindAreRefused) {
  EXPECT_TRUE(holds(error_of([&] { read("gene\tZ_0\ng1\tx\n"); }), "'x'"));
  EXPECT_TRUE(holds(error_of([&] { read("gene\tZ_0\ng1\t1\ng2\t\n"); }), "'g2'"));
  EXPECT_TRUE(holds(error_of([&] { read("gene\tZ_0\ng1\tinf\n"); }), "scvi loadings"));
  EXPECT_TRUE(holds(error_of([&] { read("gene\ng1\n"); }), "scvi loadings"));
  EXPECT_THROW(read("gene\tZ_0\n"), Error);
  EXPECT_THROW(read(""), Error);
  EXPECT_THROW(read_loadings(folder_.path("no.tsv")), IoError);
  const std::string whole = kLoadings;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    try {
      draw_loadings(read(whole.substr(0, length)));
    } catch (const Error&) {
    }
  }
}

TEST_F(Loadings, HaveGenesAtTwoEnds) {
  const Factor factor = read(kLoadings).factors[0];
  EXPECT_EQ(extreme_genes(factor, 1), (std::vector<std::size_t>{3, 1}));
  EXPECT_EQ(extreme_genes(factor, 2), (std::vector<std::size_t>{3, 0, 4, 1}));
  EXPECT_EQ(extreme_genes(factor, 3), (std::vector<std::size_t>{3, 0, 2, 4, 1})) << "none twice";
}

TEST_F(Loadings, AreDrawnAsBarsOnOneScale) {
  const Canvas canvas = draw_loadings(read(kLoadings), {.n_genes = 1});
  testing::expect_readable(canvas);
  for (const char* text : {"Z_0", "Z_1", "axis 1", "axis 2", "g4", "g2", "g3", "g1", "loading"}) {
    EXPECT_TRUE(shows(canvas, text)) << text;
  }
  EXPECT_FALSE(shows(canvas, "g5"));
  std::map<std::string, Box> bars;
  for (const Box& bar : shapes_of<Box>(canvas)) bars[bar.title] = bar;
  ASSERT_EQ(bars.size(), 4U);
  const Box high = bars.at("g4: 1"), low = bars.at("g2: \u22121.5"), other = bars.at("g1: \u22122");
  EXPECT_NEAR(low.area.width, 1.5 * high.area.width, 1e-6);
  EXPECT_NEAR(other.area.width, 2 * high.area.width, 1e-6);
  EXPECT_NEAR(low.area.right(), high.area.x, 1e-6) << "they meet at 0";
  EXPECT_NE(*low.fill, *high.fill);
  EXPECT_LT(high.area.y, low.area.y);
}

TEST_F(Loadings, OfManyFactorsWithLongNamesAreReadable) {
  LoadingsTable table;
  for (int gene = 0; gene < 300; ++gene)
    table.genes.push_back("a gene with a very long name " + std::to_string(gene));
  for (int factor = 0; factor < 20; ++factor) {
    Factor& of = table.factors.emplace_back(Factor{.name = "Z_" + std::to_string(factor), .loading = {}});
    for (int gene = 0; gene < 300; ++gene) of.loading.push_back(std::sin(gene + 1000 * factor));
  }
  const Canvas canvas = draw_loadings(table, {.n_genes = 12});
  testing::expect_readable(canvas);
  EXPECT_EQ(shapes_of<Box>(canvas).size(), 20U * 24U);
  EXPECT_EQ(testing::parse_svg(svg_of(canvas)).error, "");
}

TEST_F(Loadings, ThatAreAllZeroAreDrawn) {
  testing::expect_readable(draw_loadings(read("gene\tZ_0\ng1\t0\n")));
}

TEST_F(Loadings, ThatCannotBeShownAreRefused) {
  EXPECT_THROW(draw_loadings({}), InputError);
  const LoadingsTable table = read(kLoadings);
  EXPECT_TRUE(holds(error_of([&] { draw_loadings(table, {.n_genes = 0}); }), "1 to 50"));
  EXPECT_TRUE(holds(error_of([&] { draw_loadings(table, {.n_genes = 51}); }), "51"));
  LoadingsTable many = table;
  many.factors.assign(kMostFactors + 1, table.factors[0]);
  EXPECT_TRUE(holds(error_of([&] { draw_loadings(many); }), "101 factors"));
}

}  // namespace
}  // namespace scvi::report
