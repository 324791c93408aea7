#include "scvi/report/expression_figures.hpp"

#include <cmath>

#include "figures.hpp"
#include "scvi/report/expression_source.hpp"

namespace scvi::report {
namespace {

using testing::error_of;
using testing::holds;
using testing::shapes_of;
using testing::shows;

GroupExpression expression_of(int n_groups, int n_genes, const std::string& group = "group ") {
  GroupExpression expression;
  for (int i = 0; i < n_groups; ++i) expression.groups.push_back(group + std::to_string(i));
  for (int j = 0; j < n_genes; ++j) expression.genes.push_back("<GENE&" + std::to_string(j) + ">");
  for (int i = 0; i < n_groups; ++i) {
    expression.group_sizes.push_back(10 + i);
    for (int j = 0; j < n_genes; ++j) {
      expression.mean.push_back(0.5 + (i == j % n_groups ? 2 : 0.1 * i));
      expression.fraction.push_back(i == j % n_groups ? 0.9 : 0.1 * (j % 3));
    }
  }
  for (int j = 0; j < n_genes; ++j) expression.gene_groups.push_back(j % n_groups);
  expression.value_title = "log(1 + counts per 10,000)";
  return expression;
}

const std::string kLong = "CD8-positive, alpha-beta cytotoxic T cell of the lamina propria ";

TEST(HeatMap, NamesEveryGeneAndGroup) {
  for (const bool swapped : {false, true}) {
    for (const auto& [n_groups, n_genes] : std::vector<std::pair<int, int>>{{1, 1}, {3, 15}, {40, 5}, {12, 90}}) {
      SCOPED_TRACE(std::to_string(n_groups) + " x " + std::to_string(n_genes));
      const GroupExpression expression = expression_of(n_groups, n_genes, kLong);
      for (const Canvas& canvas : {draw_heat_map(expression, {.genes_are_rows = swapped}),
                                   draw_dot_plot(expression, {.genes_are_rows = swapped})}) {
        testing::expect_readable(canvas);
        const auto svg = testing::parse_svg(svg_of(canvas));
        EXPECT_EQ(svg.error, "");
        for (const std::string& name : expression.genes) EXPECT_TRUE(svg.texts.contains(name)) << name;
        for (const std::string& name : expression.groups) EXPECT_TRUE(svg.texts.contains(name)) << name;
      }
    }
  }
}

/// The fill of the tile with a title that begins so.
Color tile_color(const Canvas& canvas, const std::string& title) {
  for (const Box& box : shapes_of<Box>(canvas)) {
    if (box.title.starts_with(title)) return *box.fill;
  }
  ADD_FAILURE() << "no tile " << title;
  return {};
}

TEST(HeatMap, ColoursMeansByTheirStandardisation) {
  const GroupExpression expression = expression_of(3, 3);
  const Canvas plain = draw_heat_map(expression);
  EXPECT_EQ(tile_color(plain, "group 0, <GENE&0>: mean 2.5"), sequential_color_on_white(1));
  EXPECT_EQ(tile_color(plain, "group 0, <GENE&1>: mean 0.5"), sequential_color_on_white(0.2));
  EXPECT_TRUE(shows(plain, "mean log(1 + counts") || shows(plain, "mean log(1 +"));
  const Canvas range = draw_heat_map(expression, {.standardization = Standardization::range});
  EXPECT_EQ(tile_color(range, "group 2, <GENE&2>"), sequential_color_on_white(1));
  EXPECT_EQ(tile_color(range, "group 0, <GENE&2>"), sequential_color_on_white(0));
  const Canvas z = draw_heat_map(expression, {.standardization = Standardization::z_score});
  EXPECT_GT(color_distance(tile_color(z, "group 1, <GENE&1>"), diverging_color(-1)), 0.2);
  EXPECT_LT(color_distance(tile_color(z, "group 1, <GENE&1>"), diverging_color(1)), 0.02);
}

TEST(HeatMap, OfAGeneWithoutDifferencesIsNeutral) {
  GroupExpression expression = expression_of(2, 1);
  expression.mean = {1.5, 1.5};
  EXPECT_EQ(tile_color(draw_heat_map(expression, {.standardization = Standardization::z_score}), "group 0"),
            diverging_color(0));
  EXPECT_EQ(tile_color(draw_heat_map(expression, {.standardization = Standardization::range}), "group 0"),
            sequential_color_on_white(0));
  expression.mean = {0, 0};
  testing::expect_readable(draw_heat_map(expression));
}

TEST(HeatMap, MarksGroupsAndTheirGenesWithTheColoursOfTheMap) {
  const Canvas canvas = draw_heat_map(expression_of(3, 6));
  std::map<std::uint8_t, int> strips;
  for (const Box& box : shapes_of<Box>(canvas)) {
    if (box.title.empty()) ++strips[box.fill->green];
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(strips[category_color(i).green], 3) << i;
  for (const Box& box : shapes_of<Box>(draw_heat_map(expression_of(3, 6), {.group_colors = false}))) {
    EXPECT_FALSE(box.title.empty());
  }
}

TEST(HeatMap, OfVeryManyTilesIsAnImage) {
  const auto svg = testing::parse_svg(svg_of(draw_heat_map(expression_of(20, 600))));
  EXPECT_EQ(svg.elements.at("image"), 2);  // and the colour bar
  EXPECT_LT(svg.elements.at("rect"), 700);
}

TEST(DotPlot, ShowsFractionsAsAreas) {
  const GroupExpression expression = expression_of(3, 3);
  const Canvas canvas = draw_dot_plot(expression);
  double large = 0, small = 0;
  for (const Circle& circle : shapes_of<Circle>(canvas)) {
    if (circle.title.starts_with("group 0, <GENE&0>")) large = circle.radius;
    if (circle.title.starts_with("group 0, <GENE&2>")) small = circle.radius;
  }
  EXPECT_NEAR(large * large / (small * small), 0.9 / 0.2, 1e-6);
  for (const char* text : {"25 %", "50 %", "75 %", "100 %", "cells with the gene"}) EXPECT_TRUE(shows(canvas, text));
}

TEST(DotPlot, HasALegendOfRoundNumbersForRareGenes) {
  GroupExpression expression = expression_of(2, 2);
  expression.fraction = {0.01, 0.02, 0.03, 0};
  const Canvas canvas = draw_dot_plot(expression);
  for (const char* text : {"1 %", "2 %", "3 %", "4 %"}) EXPECT_TRUE(shows(canvas, text)) << text;
  std::ranges::fill(expression.fraction, 0);
  testing::expect_readable(draw_dot_plot(expression));
}

TEST(ExpressionFigures, RefuseWhatTheyCannotShow) {
  EXPECT_THROW(draw_heat_map({}), InputError);
  EXPECT_TRUE(holds(error_of([] { draw_heat_map(expression_of(2, kMostGenes + 1)); }), "1,001 genes"));
  EXPECT_TRUE(holds(error_of([] { draw_dot_plot(expression_of(kMostGroups + 1, 2)); }), "201 groups"));
  EXPECT_TRUE(holds(error_of([] { parse_standardization("z-scores"); }), "did you mean 'z-score'?"));
  EXPECT_EQ(parse_standardization("range"), Standardization::range);
}

// ---- from files

TEST(ExpressionSource, ReadsGroupsAndMarkersOfAFile) {
  const testing::TemporaryDirectory folder;
  const std::string path = folder.path("a.h5ad");
  testing::SmallFile{
      .counts = {{1, 0, 3}, {0, 4, 0}, {2, 2, 0}, {9, 9, 9}},
      .genes = {"g1", "g2", "g3"},
      .obs = {{.name = "type",
               .values = io::Categorical{.codes = {1, 0, 1, -1}, .categories = {"B", "T"}, .ordered = false},
               .missing = {}}},
      .var = {testing::text_column("symbol", {"CD3E", "MS4A1", "NKG7"})}}
      .write(path);
  const io::H5adFile file(path);
  const std::vector<Markers> markers = {{.group = "T", .genes = {"g3", "CD3E"}},
                                        {.group = "others", .genes = {"g2"}}};
  const GroupExpression read = read_group_expression(
      file, {.groupby = "type", .genes = markers, .transform = ValueTransform::per_ten_thousand});
  EXPECT_EQ(read.groups, (std::vector<std::string>{"B", "T"}));
  EXPECT_EQ(read.genes, (std::vector<std::string>{"NKG7", "CD3E", "MS4A1"}));
  EXPECT_EQ(read.gene_groups, (std::vector<std::int64_t>{1, 1, -1}));
  EXPECT_EQ(read.mean, (std::vector<double>{0, 0, 10000, 3750, 3750, 2500}));
  EXPECT_EQ(read.fraction, (std::vector<double>{0, 0, 1, 0.5, 1, 0.5}));
  EXPECT_EQ(read.value_title, "counts per 10,000");
  const auto message = [&](const ExpressionSource& source) {
    return error_of([&] { read_group_expression(file, source); });
  };
  EXPECT_TRUE(holds(message({.groupby = "typ", .genes = markers}), "did you mean 'type'?"));
  EXPECT_TRUE(
      holds(message({.groupby = "type", .genes = {{.group = "", .genes = {"CD3D"}}}}), "did you mean 'CD3E'?"));
  EXPECT_TRUE(holds(message({.groupby = "type", .genes = {}}), "genes to show"));
  EXPECT_TRUE(holds(message({.groupby = "type", .genes = markers, .layer = "none"}), "none"));
}

}  // namespace
}  // namespace scvi::report
