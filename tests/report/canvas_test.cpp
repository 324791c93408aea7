#include "scvi/report/canvas.hpp"

#include "figures.hpp"
#include "scvi/core/text.hpp"

namespace scvi::report {
namespace {

using testing::shapes_of;

TEST(TextWidth, GrowsWithTheTextAndItsSize) {
  const TextStyle style = {.size = 10};
  EXPECT_EQ(text_width("", style), 0);
  EXPECT_GT(text_width("WWW", style), 2 * text_width("iii", style));
  EXPECT_NEAR(text_width("gene", {.size = 20}), 2 * text_width("gene", style), 0.01);
  EXPECT_GT(text_width("gene", {.size = 10, .bold = true}), text_width("gene", style));
}

TEST(Shortened, FitsAndKeepsBeginningAndEnd) {
  const TextStyle style = {.size = 11};
  const std::string name = "CD4-positive, alpha-beta memory T cell of the spleen 17";
  for (const double width : {40.0, 80.0, 150.0, 250.0}) {
    const std::string shown = shortened(name, style, width);
    EXPECT_LE(text_width(shown, style), width);
    EXPECT_GT(text_width(shown, style), width - 25);
    EXPECT_TRUE(shown.starts_with("CD")) << shown;
    EXPECT_TRUE(testing::holds(shown, "\u2026")) << shown;
  }
  EXPECT_TRUE(shortened(name, style, 150).ends_with(" 17"));
  EXPECT_EQ(shortened("short", style, 150), "short");
  EXPECT_EQ(shortened(name, style, 1), "\u2026");
}

TEST(Shortened, NeverCutsACharacter) {
  std::string name;
  for (int i = 0; i < 30; ++i) name += "\u00e4\u20ac\U0001F600";
  for (double width = 5; width < 200; width += 7) EXPECT_TRUE(is_valid_utf8(shortened(name, {}, width)));
}

TEST(Text, IsFreedOfWhatNoFileMayHold) {
  Canvas canvas(100, 100);
  canvas.text({0, 0}, "a\xFFz\x01\n\xEF\xBF\xBE", {});
  EXPECT_EQ(shapes_of<Text>(canvas).front().text, "a\uFFFDz  \uFFFD");
  EXPECT_EQ(testing::parse_svg(svg_of(canvas)).error, "");
}

TEST(Text, CentredLiesAroundItsPoint) {
  Canvas canvas(100, 100);
  canvas.text({50, 50}, "H", {.size = 20, .anchor = Anchor::middle, .centered = true});
  canvas.text({50, 50}, "H", {.size = 20, .anchor = Anchor::middle, .rotation = 90, .centered = true});
  const std::vector<Text> texts = shapes_of<Text>(canvas);
  EXPECT_NEAR(texts[0].at.x, 50, 1e-9);
  EXPECT_NEAR(texts[0].at.y, 57.3, 0.1);
  EXPECT_NEAR(texts[1].at.x, 57.3, 0.1);
  EXPECT_NEAR(texts[1].at.y, 50, 1e-9);
}

TEST(ExtentOf, TurnsWithTheText) {
  const TextStyle flat = {.size = 10};
  TextStyle upright = flat;
  upright.rotation = 90;
  const Rect lying = extent_of({{50, 50}, "a long text", flat, ""});
  const Rect standing = extent_of({{50, 50}, "a long text", upright, ""});
  EXPECT_NEAR(lying.width, standing.height, 1e-9);
  EXPECT_NEAR(lying.height, standing.width, 1e-9);
  EXPECT_NEAR(lying.x, 50, 1e-9);
  EXPECT_NEAR(standing.bottom(), 50, 1e-9);
}

TEST(Place, MovesEveryShape) {
  Canvas panel(20, 20);
  panel.line({{1, 2}, {3, 4}}, {});
  panel.box({1, 2, 3, 4}, kInk);
  panel.circle({1, 2}, 3, kInk);
  panel.polygon({{1, 2}, {3, 4}, {5, 6}}, kInk);
  panel.text({1, 2}, "t", {});
  panel.clip({1, 2, 3, 4});
  panel.unclip();
  panel.dots({.area = {1, 2, 3, 4}, .dots = {{1, 2, kInk}}, .radius = 1});
  panel.image({.area = {1, 2, 3, 4}, .width = 1, .height = 1, .pixels = {kInk}});
  Canvas page(50, 50);
  page.place(panel, {10, 20});
  ASSERT_EQ(page.shapes().size(), panel.shapes().size());
  EXPECT_EQ(shapes_of<Line>(page)[0].points[1].y, 24);
  EXPECT_EQ(shapes_of<Box>(page)[0].area.x, 11);
  EXPECT_EQ(shapes_of<Circle>(page)[0].center.y, 22);
  EXPECT_EQ(shapes_of<Polygon>(page)[0].points[2].x, 15);
  EXPECT_EQ(shapes_of<Text>(page)[0].at.x, 11);
  EXPECT_EQ(shapes_of<Clip>(page)[0].area.y, 22);
  EXPECT_EQ(shapes_of<Dots>(page)[0].dots[0].x, 11);
  EXPECT_EQ(shapes_of<Dots>(page)[0].area.y, 22);
  EXPECT_EQ(shapes_of<Image>(page)[0].area.x, 11);
}

}  // namespace
}  // namespace scvi::report
