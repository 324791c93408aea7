#include "scvi/report/cell_map_figure.hpp"

#include <cmath>
#include <limits>

#include "figures.hpp"
#include "scvi/core/random.hpp"

namespace scvi::report {
namespace {

using testing::error_of;
using testing::holds;
using testing::shapes_of;
using testing::shows;

/// Clouds of cells on a circle, one a category.
CellMapFigure clouds(std::int64_t n_cells, std::int32_t n_categories, const std::string& name = "type ") {
  CellMapFigure figure{.x = {}, .y = {}, .x_title = "UMAP 1", .y_title = "UMAP 2", .panels = {}};
  RandomStream random(1, "clouds");
  CategoryColors colors;
  for (std::int32_t i = 0; i < n_categories; ++i) colors.categories.push_back(name + std::to_string(i));
  for (std::int64_t cell = 0; cell < n_cells; ++cell) {
    const auto category = static_cast<std::int32_t>(cell % n_categories);
    const double angle = 6.2832 * category / n_categories;
    figure.x.push_back(10 * std::cos(angle) + 0.5 * random.standard_normal());
    figure.y.push_back(10 * std::sin(angle) + 0.5 * random.standard_normal());
    colors.codes.push_back(category);
  }
  figure.panels.push_back({.title = "cell_type", .colors = std::move(colors)});
  return figure;
}

CategoryColors& categories_of(CellMapFigure& figure) {
  return std::get<CategoryColors>(figure.panels[0].colors);
}

CellMapFigure with_numbers(std::vector<double> values) {
  CellMapFigure figure = clouds(std::ssize(values), 3);
  figure.panels[0] = {.title = "CD3E", .colors = NumberColors{.values = std::move(values), .title = "log counts"}};
  return figure;
}

TEST(CellMapFigure, ShowsEveryCellInTheColourOfItsCategory) {
  const CellMapFigure figure = clouds(300, 3);
  const Canvas canvas = draw_cell_map(figure);
  testing::expect_readable(canvas);
  const std::vector<Dots> dots = shapes_of<Dots>(canvas);
  ASSERT_EQ(dots.size(), 1U);
  std::map<std::uint8_t, int> n;  // their green differs
  for (const Dot& dot : dots[0].dots) {
    ++n[dot.color.green];
    EXPECT_GE(dot.x, dots[0].area.x);
    EXPECT_LE(dot.x, dots[0].area.right());
    EXPECT_GE(dot.y, dots[0].area.y);
    EXPECT_LE(dot.y, dots[0].area.bottom());
  }
  for (int i = 0; i < 3; ++i) EXPECT_EQ(n[category_color(i).green], 100);
  for (const char* text : {"cell_type", "UMAP 1", "UMAP 2", "type 0", "type 2", "100"}) {
    EXPECT_TRUE(shows(canvas, text)) << text;
  }
}

TEST(CellMapFigure, DrawsCategoriesInMixedOrderAndMissingOnesFirst) {
  CellMapFigure figure = clouds(900, 3);
  for (std::size_t i = 0; i < 90; ++i) categories_of(figure).codes[i] = -1;
  const Canvas canvas = draw_cell_map(figure);
  const std::vector<Dot> dots = shapes_of<Dots>(canvas)[0].dots;
  for (std::size_t i = 0; i < dots.size(); ++i) EXPECT_EQ(dots[i].color == kMissingColor, i < 90) << i;
  int n_changes = 0;
  for (std::size_t i = 91; i < dots.size(); ++i) n_changes += dots[i].color != dots[i - 1].color;
  EXPECT_GT(n_changes, 400) << "one category lies on top of others";
  EXPECT_TRUE(shows(canvas, "no value"));
  EXPECT_EQ(svg_of(draw_cell_map(figure)), svg_of(canvas));
  EXPECT_NE(svg_of(draw_cell_map(figure, {.seed = 1})), svg_of(canvas));
}

TEST(CellMapFigure, ShowsFortyLongNamesThatStayApart) {
  const CellMapFigure figure = clouds(2000, 40, "CD4-positive, alpha-beta memory T cell of the lamina propria ");
  const Canvas canvas = draw_cell_map(figure, {.labels = true});
  testing::expect_readable(canvas);
  std::set<std::string> shown;
  for (const Text& text : shapes_of<Text>(canvas)) {
    if (holds(text.text, "\u2026")) shown.insert(text.text);
  }
  EXPECT_GE(shown.size(), 40U);
  for (const std::string& name : categories_of(const_cast<CellMapFigure&>(figure)).categories) {
    EXPECT_TRUE(shows(canvas, name)) << name;
  }
}

TEST(CellMapFigure, LabelsLieOnCellsOfTheirCategory) {
  CellMapFigure figure = clouds(400, 2);
  // Both halves of one category are far from its median.
  for (std::size_t i = 0; i < figure.x.size(); ++i) {
    if (i % 4 == 0) figure.x[i] -= 40;
  }
  const Canvas canvas = draw_cell_map(figure, {.legend = false, .labels = true});
  testing::expect_readable(canvas);
  const std::vector<Dot> dots = shapes_of<Dots>(canvas)[0].dots;
  for (const Text& text : shapes_of<Text>(canvas)) {
    if (text.text != "type 0") continue;
    const Rect place = extent_of(text);
    EXPECT_TRUE(std::ranges::any_of(dots, [&](const Dot& dot) {
      return dot.color == category_color(0) && place.overlaps({dot.x, dot.y, 1, 1});
    }));
  }
  EXPECT_TRUE(shows(canvas, "type 0"));
  EXPECT_FALSE(shows(canvas, "200")) << "no legend was asked for";
}

TEST(CellMapFigure, KeepsDistancesAlikeAlongBothAxes) {
  CellMapFigure figure = clouds(4, 1);
  figure.x = {0, 4, 0, 4};
  figure.y = {0, 0, 3, 3};
  const std::vector<Dot> dots = shapes_of<Dots>(draw_cell_map(figure))[0].dots;
  const auto [left, right] = std::ranges::minmax(dots, {}, &Dot::x);
  const auto [top, bottom] = std::ranges::minmax(dots, {}, &Dot::y);
  EXPECT_NEAR((right.x - left.x) / (bottom.y - top.y), 4.0 / 3, 1e-3);
}

TEST(CellMapFigure, DrawsHighNumbersOnTopAndMissingOnesBelow) {
  std::vector<double> values = {5, 1, NAN, 4, 0, 3, 2, NAN, 1, 5};
  const Canvas canvas = draw_cell_map(with_numbers(values));
  testing::expect_readable(canvas);
  const std::vector<Dot> dots = shapes_of<Dots>(canvas)[0].dots;
  EXPECT_EQ(dots[0].color, kMissingColor);
  EXPECT_EQ(dots[1].color, kMissingColor);
  for (std::size_t i = 3; i < dots.size(); ++i) {
    EXPECT_GE(lightness_of(dots[i].color), lightness_of(dots[i - 1].color));
  }
  EXPECT_EQ(dots.back().color, sequential_color(1));
  for (const char* text : {"CD3E", "log counts", "0", "5"}) EXPECT_TRUE(shows(canvas, text)) << text;
}

TEST(CellMapFigure, ClipsNumbersAtAPercentileAndSaysSo) {
  std::vector<double> values;
  for (int i = 0; i < 100; ++i) values.push_back(i);
  values.push_back(10'000);
  const Canvas whole = draw_cell_map(with_numbers(values));
  EXPECT_TRUE(shows(whole, "10,000"));
  const Canvas clipped = draw_cell_map(with_numbers(values), {.clip_percentile = 90});
  EXPECT_TRUE(shows(clipped, "\u2265 90"));
  EXPECT_EQ(shapes_of<Dots>(clipped)[0].dots.back().color, sequential_color(1));
  // Where all but a few are equal there is nothing to clip at.
  std::vector<double> rare(100);
  rare[7] = 3;
  EXPECT_TRUE(shows(draw_cell_map(with_numbers(rare), {.clip_percentile = 90}), "3.0"));
}

TEST(CellMapFigure, DrawsWhatHasNoExtent) {
  for (const std::vector<double>& values :
       {std::vector<double>{1}, {2, 2, 2}, {NAN, NAN}, {1e300, 1}, {-1e99, 1e99, 0}, {INFINITY, 1, 2}}) {
    CellMapFigure figure = with_numbers(values);
    std::ranges::fill(figure.x, 3);
    std::ranges::fill(figure.y, -1e9);
    const Canvas canvas = draw_cell_map(figure);
    testing::expect_readable(canvas);
    EXPECT_FALSE(holds(svg_of(canvas), "\"nan"));
  }
}

TEST(CellMapFigure, RefusesWhatItCannotShow) {
  EXPECT_THROW(draw_cell_map({}), InputError);
  EXPECT_TRUE(holds(error_of([] { draw_cell_map(clouds(200, kMostCategoryColors + 1)); }), "61 categories"));
  CellMapFigure figure = clouds(10, 2);
  figure.y[7] = NAN;
  EXPECT_TRUE(holds(error_of([&] { draw_cell_map(figure); }), "cell number 7"));
}

TEST(CellMapFigure, OfAHundredThousandCellsIsASmallFile) {
  const std::string svg = svg_of(draw_cell_map(clouds(100'000, 12)));
  EXPECT_LT(svg.size(), 1'000'000U);
  const auto parsed = testing::parse_svg(svg);
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.elements.at("image"), 1);
  EXPECT_TRUE(parsed.texts.contains("type 11"));
}

// ---- from files

class CellMapOfAFile : public ::testing::Test {
 protected:
  CellMapOfAFile() {
    for (int i = 0; i < 30; ++i) {
      file_.counts.push_back({static_cast<float>(i % 3), 10, static_cast<float>(i)});
      file_.map.insert(file_.map.end(), {static_cast<float>(i), static_cast<float>(-i)});
    }
    file_.genes = {"ENSG1", "ENSG2", "ENSG3"};
    file_.var.push_back(testing::text_column("gene_symbols", {"CD4", "CD8A", "CD4"}));
    io::Categorical types{.codes = {}, .categories = {"none of these", "T cell", "B & T <cell>"}, .ordered = false};
    std::vector<double> numbers;
    std::vector<std::int64_t> few, many;
    std::vector<double> whole;
    std::vector<std::string> names;
    for (int i = 0; i < 30; ++i) {
      types.codes.push_back(i == 4 ? -1 : 1 + i % 2);
      numbers.push_back(i == 5 ? NAN : 0.5 * i);
      few.push_back(i % 4);
      whole.push_back(i == 6 ? NAN : i % 3);
      many.push_back(i);
      names.push_back("name" + std::to_string(i));
    }
    file_.obs = {
        {.name = "type", .values = types, .missing = {}}, {.name = "score", .values = numbers, .missing = {}},
        {.name = "few", .values = few, .missing = {}},    {.name = "whole", .values = whole, .missing = {}},
        {.name = "many", .values = many, .missing = {}},  {.name = "name", .values = names, .missing = {}}};
    file_.write(path_);
  }

  CellMapFigure read(const CellMapSource& source) const { return read_cell_map(io::H5adFile(path_), source); }

  testing::SmallFile file_;
  const testing::TemporaryDirectory folder_;
  const std::string path_ = folder_.path("a.h5ad");
};

TEST_F(CellMapOfAFile, HasAPanelForEachColumnOrGene) {
  const CellMapFigure figure = read({.colors = {"type", "score", "CD8A", "few", "many", "name", "whole"}});
  EXPECT_EQ(figure.x_title, "UMAP 1");
  EXPECT_EQ(figure.y[3], -3);
  ASSERT_EQ(figure.panels.size(), 7U);
  const auto& types = std::get<CategoryColors>(figure.panels[0].colors);
  EXPECT_EQ(types.categories, (std::vector<std::string>{"T cell", "B & T <cell>"})) << "no cell is of the first";
  EXPECT_EQ(types.codes[4], -1);
  EXPECT_EQ(types.codes[5], 1);
  EXPECT_TRUE(std::isnan(std::get<NumberColors>(figure.panels[1].colors).values[5]));
  const auto& gene = std::get<NumberColors>(figure.panels[2].colors);
  EXPECT_EQ(figure.panels[2].title, "CD8A");
  EXPECT_EQ(gene.title, "log(1 + counts per 10,000)");
  EXPECT_NEAR(gene.values[6], std::log1p(10 * 1e4 / 16), 1e-4);
  EXPECT_TRUE(std::holds_alternative<CategoryColors>(figure.panels[3].colors));
  EXPECT_TRUE(std::holds_alternative<NumberColors>(figure.panels[4].colors));
  EXPECT_TRUE(std::holds_alternative<CategoryColors>(figure.panels[5].colors));
  const auto& whole = std::get<CategoryColors>(figure.panels[6].colors);
  EXPECT_EQ(whole.categories, (std::vector<std::string>{"0", "1", "2"}));
  EXPECT_EQ(whole.codes[6], -1);
  const Canvas canvas = draw_cell_map(figure);
  testing::expect_readable(canvas);
  EXPECT_TRUE(testing::parse_svg(svg_of(canvas)).texts.contains("B & T <cell>"));
}

TEST_F(CellMapOfAFile, HasAPanelForAColumnOfASpace) {
  const CellMapFigure figure = read({.colors = {"X_umap:2", "type"}});
  ASSERT_EQ(figure.panels.size(), 2U);
  EXPECT_EQ(figure.panels[0].title, "UMAP 2");
  EXPECT_EQ(std::get<NumberColors>(figure.panels[0].colors).values, figure.y);
  for (const char* name : {"X_umap:0", "X_umap:", "X_umap:1x", "X_umap:-1"}) {
    EXPECT_TRUE(holds(error_of([&] { read({.colors = {name}}); }), "counted from 1")) << name;
  }
  EXPECT_TRUE(holds(error_of([&] { read({.colors = {"X_umap:3"}}); }), "2 columns"));
  EXPECT_TRUE(holds(error_of([&] { read({.colors = {"X_umpa:1"}}); }), "no gene 'X_umpa:1'"));
}

TEST_F(CellMapOfAFile, AreDrawnSideBySideWithOtherAxes) {
  const std::vector<CellMapFigure> figures = {read({.colors = {"type", "score"}}),
                                              read({.first_axis = 1, .second_axis = 0, .colors = {"type", "score"}})};
  const Canvas canvas = draw_cell_maps(figures);
  testing::expect_readable(canvas);
  EXPECT_EQ(testing::shapes_of<Dots>(canvas).size(), 4U);
}

TEST_F(CellMapOfAFile, ShowsAllCellsAlikeWhereNothingIsAskedFor) {
  const CellMapFigure figure = read({});
  ASSERT_EQ(figure.panels.size(), 1U);
  EXPECT_EQ(std::get<CategoryColors>(figure.panels[0].colors).codes, std::vector<std::int32_t>(30, 0));
}

TEST_F(CellMapOfAFile, SaysWhatTheFileDoesNotHold) {
  const auto expect = [&](const CellMapSource& source, const std::vector<std::string>& parts) {
    const std::string message = error_of([&] { read(source); });
    for (const std::string& part : parts) EXPECT_TRUE(holds(message, part)) << message;
  };
  expect({.basis = "X_umpa"}, {path_, "obsm", "X_umap"});
  expect({.second_axis = 2}, {"obsm/X_umap", "2 columns", "number 3"});
  expect({.colors = {"tpye"}}, {"'tpye'", "did you mean 'type'?"});
  expect({.colors = {"CD8B"}}, {"'CD8B'", "did you mean 'CD8A'?"});
  expect({.colors = {"CD4"}}, {"several genes 'CD4'", "index"});
  expect({.colors = {"ENSG1"}, .layer = "norm"}, {"norm"});
  expect({.colors = {"ENSG1"}, .gene_symbols = "gene_symbol"}, {"var", "'gene_symbol'", "gene_symbols"});
}

TEST_F(CellMapOfAFile, RefusesPlacesThatAreNotFinite) {
  file_.map[2 * 7 + 1] = std::numeric_limits<float>::quiet_NaN();
  file_.write(path_);
  const std::string message = error_of([&] { read({}); });
  for (const char* part : {"a.h5ad", "obsm/X_umap", "'cell7'", "column 1", "nan"}) EXPECT_TRUE(holds(message, part));
}

TEST_F(CellMapOfAFile, RefusesTooManyCategoriesAndNoCells) {
  testing::SmallFile large = file_;
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("n" + std::to_string(i));
  large.counts.assign(1000, {1, 2, 3});
  large.map.assign(2000, 0);
  large.obs = {testing::text_column("name", names)};
  large.write(path_);
  const std::string message = error_of([&] { read({.colors = {"name"}}); });
  for (const char* part : {"'name'", "1,000 categories", "at most 60"}) EXPECT_TRUE(holds(message, part)) << message;
  testing::SmallFile{.counts = {}, .genes = {"g"}}.write(path_);
  EXPECT_TRUE(holds(error_of([&] { read({}); }), "no cells"));
}

}  // namespace
}  // namespace scvi::report
