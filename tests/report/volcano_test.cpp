#include "scvi/report/volcano.hpp"

#include <cmath>

#include "figures.hpp"
#include "scvi/core/random.hpp"

namespace scvi::report {
namespace {

using testing::error_of;
using testing::holds;
using testing::shapes_of;
using testing::shows;

constexpr const char* kChange =
    "index\tproba_de\tproba_not_de\tbayes_factor\tscale1\tscale2\tlfc_mean\tis_de_fdr_0.05\tclusters\n"
    "g1\t1\t0\t18.4\t0.1\t0.01\t3\tTrue\ta\n"
    "g2\t0.9\t0.1\t2.2\t0.1\t0.3\t-1.5\tTrue\ta\n"
    "g3\t0.1\t0.9\t-2.2\t0.1\t0.1\t0.1\tFalse\ta\n"
    "g1\t1\t0\t18.4\t0.1\t0.01\t2\tTrue\tb/c\n"
    "g3\t0.9\t0.1\t2.2\t0.1\t0.3\t1.5\tFalse\tb/c\n"
    "g2\t0.1\t0.9\t-2.2\t0.1\t0.1\tinf\tFalse\tb/c\n";
constexpr const char* kVanilla =
    "gene\tproba_m1\tproba_m2\tbayes_factor\tscale1\tscale2\n"
    "g1\t0.99\t0.01\t4.6\t0.4\t0.1\n"
    "g2\t0.02\t0.98\t-3.9\t0.1\t0.2\n"
    "g3\t0.5\t0.5\t0\t0\t0\n";

class DifferentialTables : public ::testing::Test {
 protected:
  DifferentialTable read(const std::string& text) const {
    testing::write_bytes(path_, text);
    return read_differential_table(path_);
  }

  const testing::TemporaryDirectory folder_;
  const std::string path_ = folder_.path("de.tsv");
};

TEST_F(DifferentialTables, OfChangesHoldAComparisonForEachGroup) {
  const DifferentialTable table = read(kChange);
  ASSERT_EQ(table.comparisons.size(), 2U);
  EXPECT_EQ(table.call_title, "false discovery rate 0.05");
  const Comparison& first = table.comparisons[0];
  EXPECT_EQ(first.name, "a");
  EXPECT_EQ(first.genes, (std::vector<std::string>{"g1", "g2", "g3"}));
  EXPECT_EQ(first.change, (std::vector<double>{3, -1.5, 0.1}));
  EXPECT_EQ(first.bayes_factor, (std::vector<double>{18.4, 2.2, -2.2}));
  EXPECT_EQ(first.probability, (std::vector<double>{1, 0.9, 0.1}));
  EXPECT_EQ(first.called, (std::vector<std::uint8_t>{1, 1, 0}));
  EXPECT_EQ(table.comparisons[1].name, "b/c");
  EXPECT_TRUE(std::isinf(table.comparisons[1].change[2]));
}

TEST_F(DifferentialTables, OfTheVanillaModeTakeTheLikelierDirection) {
  const DifferentialTable table = read(kVanilla);
  ASSERT_EQ(table.comparisons.size(), 1U);
  const Comparison& only = table.comparisons[0];
  EXPECT_EQ(only.name, "");
  EXPECT_NEAR(only.change[0], 2, 1e-12);
  EXPECT_NEAR(only.change[1], -1, 1e-12);
  EXPECT_EQ(only.bayes_factor[1], 3.9);
  EXPECT_EQ(only.probability[1], 0.98);
  EXPECT_EQ(only.called, (std::vector<std::uint8_t>{1, 1, 0}));
}

TEST_F(DifferentialTables, OfAnotherKindAreRefused) {
  EXPECT_TRUE(holds(error_of([&] { read("index\tp\ng1\t1\n"); }), "scvi de"));
  EXPECT_TRUE(holds(error_of([&] { read("index\tlfc_mean\tproba_de\tbayes_factor\ng1\tx\t1\t1\n"); }), "'x'"));
  EXPECT_TRUE(
      holds(error_of([&] { read("index\tlfc_mean\tproba_de\tbayes_factor\tis_de_fdr_0.1\ng1\t1\t1\t1\tmaybe\n"); }),
            "is_de_fdr_0.1"));
  EXPECT_THROW(read(""), Error);
  EXPECT_THROW(read("index\tlfc_mean\tproba_de\tbayes_factor\n"), Error);
  EXPECT_THROW(read_differential_table(folder_.path("no.tsv")), IoError);
  const std::string whole = kChange;
  for (std::size_t length = 0; length < whole.size(); length += 5) {
    try {
      draw_volcano(read(whole.substr(0, length)));
    } catch (const Error&) {
    }
  }
}

TEST_F(DifferentialTables, GiveOneComparisonByName) {
  const DifferentialTable table = read(kChange);
  EXPECT_EQ(with_comparison(table, "b/c", path_).comparisons[0].genes[1], "g3");
  EXPECT_TRUE(holds(error_of([&] { with_comparison(table, "b/d", path_); }), "did you mean 'b/c'?"));
}

TEST_F(DifferentialTables, NameMarkersOfEachGroupOnce) {
  const std::vector<Markers> markers = top_markers(read(kChange), 2);
  ASSERT_EQ(markers.size(), 2U);
  EXPECT_EQ(markers[0].group, "a");
  EXPECT_EQ(markers[0].genes, (std::vector<std::string>{"g1", "g3"}));
  EXPECT_EQ(markers[1].genes, std::vector<std::string>{"g2"});
  EXPECT_EQ(top_markers(read(kChange), 1)[0].genes, std::vector<std::string>{"g1"});
}

TEST_F(DifferentialTables, AreDrawnWithCountsAndNames) {
  const Canvas canvas = draw_volcano(read(kChange));
  testing::expect_readable(canvas);
  for (const char* text :
       {"a against others", "1 higher in a", "1 higher in others", "g1", "g2", "mean log2 fold change",
        "Bayes factor (natural log)", "called: false discovery rate 0.05"}) {
    EXPECT_TRUE(shows(canvas, text)) << text;
  }
  EXPECT_FALSE(shows(canvas, "g3")) << "is not called";
  std::set<std::string> titles;
  for (const Circle& circle : shapes_of<Circle>(canvas)) titles.insert(circle.title);
  EXPECT_TRUE(titles.contains("g2: mean log2 fold change \u22121.5, Bayes factor 2.2"));
  const Canvas named = draw_volcano(with_comparison(read(kChange), "a", path_),
                                    {.probability = true, .first_group = "T <&>", .second_group = "B"});
  EXPECT_TRUE(shows(named, "T <&> against B"));
  EXPECT_TRUE(shows(named, "probability of a difference"));
  EXPECT_EQ(testing::parse_svg(svg_of(named)).error, "");
}

/// Many genes with the same evidence, as it is where no sample of the model disagrees.
DifferentialTable crowded(int n_genes, const std::string& name) {
  RandomStream random(1, "crowd");
  Comparison comparison{.name = name, .genes = {}, .change = {}, .bayes_factor = {}, .probability = {}, .called = {}};
  for (int i = 0; i < n_genes; ++i) {
    comparison.genes.push_back("ENSG00000" + std::to_string(100000 + i));
    comparison.change.push_back(2 * random.standard_normal());
    comparison.bayes_factor.push_back(i % 3 == 0 ? 18.4 : random.standard_normal());
    comparison.probability.push_back(i % 3 == 0 ? 1 : 0.5);
    comparison.called.push_back(i % 3 == 0);
  }
  return {.comparisons = {std::move(comparison)}, .change_title = "change", .call_title = "rate"};
}

TEST(Volcano, LabelsNeverCoverEachOtherNorAreCrossedByLines) {
  const Canvas canvas =
      draw_volcano(crowded(300, "a group of cells with a name of more than fifty letters, really"), {.n_labels = 60});
  testing::expect_readable(canvas);
  std::vector<Rect> labels;
  for (const Text& text : shapes_of<Text>(canvas)) {
    if (!text.text.starts_with("ENSG")) continue;
    Rect place = extent_of(text);
    place = {place.x + 2, place.y + 3, place.width - 4, place.height - 6};
    labels.push_back(place);
  }
  EXPECT_GE(labels.size(), 6U);
  for (const Line& line : shapes_of<Line>(canvas)) {
    if (line.stroke.width != 0.6) continue;
    int n_touched = 0;
    for (const Rect& label : labels) {
      bool touched = false;
      for (int i = 0; i <= 50; ++i) {
        const double part = i / 50.0;
        const Point at = {line.points[0].x + part * (line.points[1].x - line.points[0].x),
                          line.points[0].y + part * (line.points[1].y - line.points[0].y)};
        touched |= label.overlaps({at.x, at.y, 0.01, 0.01});
      }
      n_touched += touched;
    }
    EXPECT_LE(n_touched, 1);
  }
}

TEST(Volcano, OfManyGenesIsASmallFile) {
  const std::string svg = svg_of(draw_volcano(crowded(30'000, "a")));
  EXPECT_LT(svg.size(), 600'000U);
  EXPECT_EQ(testing::parse_svg(svg).elements.at("image"), 2);
}

TEST(Volcano, LabelsAFewGenesWhereNoneIsCalled) {
  DifferentialTable table = crowded(90, "a");
  std::ranges::fill(table.comparisons[0].called, 0);
  int n_labels = 0;
  for (const Text& text : shapes_of<Text>(draw_volcano(table))) n_labels += text.text.starts_with("ENSG");
  EXPECT_GE(n_labels, 1);
  EXPECT_LE(n_labels, 5);
}

TEST(Volcano, PutsInfiniteChangesOnTheEdgeAndLeavesOutWhatIsNoNumber) {
  DifferentialTable table = crowded(9, "a");
  table.comparisons[0].change[0] = INFINITY;
  table.comparisons[0].change[3] = -INFINITY;
  table.comparisons[0].change[1] = NAN;
  table.comparisons[0].bayes_factor[2] = NAN;
  table.comparisons[0].bayes_factor[4] = 1e300;
  const Canvas canvas = draw_volcano(table);
  std::size_t n_marks = shapes_of<Circle>(canvas).size();
  for (const Dots& dots : shapes_of<Dots>(canvas)) n_marks += dots.dots.size();
  EXPECT_EQ(n_marks, 6U);
  EXPECT_FALSE(holds(svg_of(canvas), "\"nan"));
}

TEST(Volcano, WithoutNumbersIsRefused) {
  EXPECT_THROW(draw_volcano({}), InputError);
  DifferentialTable table = crowded(3, "T cells");
  std::ranges::fill(table.comparisons[0].change, NAN);
  EXPECT_TRUE(holds(error_of([&] { draw_volcano(table); }), "'T cells'"));
}

}  // namespace
}  // namespace scvi::report
