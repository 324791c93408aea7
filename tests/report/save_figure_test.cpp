#include "scvi/report/save_figure.hpp"

#include <cmath>
#include <filesystem>

#include "figures.hpp"
#include "scvi/core/random.hpp"

namespace scvi::report {
namespace {

using testing::error_of;
using testing::holds;
using testing::parse_png;
using testing::parse_svg;

/// One of everything.
Canvas everything() {
  Canvas canvas(120, 80);
  canvas.text({5, 15}, "<b> & \"x\"", {.size = 12, .bold = true, .halo = true}, "title > 'y'");
  canvas.line({{0, 0}, {10, 20}}, {.color = kInk, .width = 2, .dashed = true});
  canvas.box({20, 20, 10, 10}, rgb(0xFF0000), {}, "a <box>");
  canvas.circle({50, 50}, 5, rgb(0x00FF00), Stroke{});
  canvas.polygon({{60, 60}, {70, 60}, {65, 70}}, rgb(0x0000FF));
  canvas.clip({80, 0, 20, 20});
  canvas.box({70, 0, 50, 50}, rgb(0xFFFF00));
  canvas.unclip();
  canvas.image({.area = {80, 40, 20, 20}, .width = 2, .height = 1, .pixels = {rgb(0x123456), rgb(0x654321)}});
  canvas.dots({.area = {100, 40, 20, 20}, .dots = {{110, 50, rgb(0xFF00FF)}, {100, 50, rgb(0xFF00FF)}}, .radius = 3});
  return canvas;
}

Canvas many_dots(std::int64_t n) {
  Canvas canvas(200, 200);
  RandomStream random(1, "dots");
  Dots dots{.area = {10, 10, 180, 180}, .dots = {}, .radius = 1};
  for (std::int64_t i = 0; i < n; ++i) {
    dots.dots.push_back({static_cast<float>(200 * random.uniform()), static_cast<float>(200 * random.uniform()),
                         category_color(static_cast<std::int64_t>(random.below(8)))});
  }
  canvas.dots(std::move(dots));
  canvas.text({20, 100}, "label", {});
  return canvas;
}

TEST(Svg, IsWellFormedAndHoldsEveryText) {
  const auto svg = parse_svg(svg_of(everything()));
  EXPECT_EQ(svg.error, "");
  for (const char* text : {"<b> & \"x\"", "title > 'y'", "a <box>"}) EXPECT_TRUE(svg.texts.contains(text)) << text;
  EXPECT_EQ(svg.elements.at("circle"), 3);
  EXPECT_EQ(svg.elements.at("image"), 1);
}

TEST(Svg, HoldsManyDotsAsOneImageAndTextAsText) {
  const auto few = parse_svg(svg_of(many_dots(kMostVectorDots)));
  EXPECT_EQ(few.elements.at("circle"), kMostVectorDots);
  EXPECT_FALSE(few.elements.contains("image"));
  const std::string text = svg_of(many_dots(100'000));
  const auto many = parse_svg(text);
  EXPECT_EQ(many.error, "");
  EXPECT_FALSE(many.elements.contains("circle"));
  EXPECT_EQ(many.elements.at("image"), 1);
  EXPECT_TRUE(many.texts.contains("label"));
  EXPECT_LT(text.size(), 1'000'000U);
}

TEST(Svg, EmbedsAWholePng) {
  const std::string svg = svg_of(many_dots(6000), 96);
  const std::string mark = "base64,";
  const std::size_t begin = svg.find(mark) + mark.size();
  const std::string text = svg.substr(begin, svg.find('"', begin) - begin);
  const std::string letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  std::uint32_t word = 0;
  int n_bits = 0;
  for (const char letter : text.substr(0, text.find('='))) {
    word = word << 6 | static_cast<std::uint32_t>(letters.find(letter));
    n_bits += 6;
    if (n_bits < 8) continue;
    n_bits -= 8;
    bytes += static_cast<char>(word >> n_bits & 0xFF);
  }
  EXPECT_EQ(text.size() % 4, 0U);
  const auto png = parse_png(bytes);
  EXPECT_EQ(png.width, 180);
  EXPECT_EQ(png.height, 180);
  EXPECT_GT(png.colors.size(), 8U);
}

TEST(Png, HasTheStatedSizeAndWhatWasDrawn) {
  const auto png = parse_png(png_of(everything(), 192));
  EXPECT_EQ(png.width, 240);
  EXPECT_EQ(png.height, 160);
  for (const std::uint32_t color :
       {0xFFFFFFU, 0xFF0000U, 0x00FF00U, 0x0000FFU, 0xFFFF00U, 0x123456U, 0x654321U, 0xFF00FFU}) {
    EXPECT_TRUE(png.colors.contains(color)) << std::hex << color;
  }
  const auto at = [&](int x, int y) { return png.pixels[static_cast<std::size_t>(2 * y * png.width + 2 * x)]; };
  EXPECT_EQ(at(90, 10), 0xFFFF00U);
  EXPECT_EQ(at(75, 10), 0xFFFFFFU) << "was to be cut off";
  EXPECT_EQ(at(110, 50), 0xFF00FFU);
  EXPECT_EQ(at(98, 46), 0x654321U) << "was to be cut off";
}

TEST(Png, SaysItsResolution) {
  const std::string bytes = png_of(everything(), 254);
  const std::size_t at = bytes.find("pHYs");
  ASSERT_NE(at, std::string::npos);
  EXPECT_EQ(bytes.substr(at + 4, 9), std::string("\0\0\x27\x10\0\0\x27\x10\1", 9));  // 10,000 a metre
}

TEST(Figures, AreTheSameBytesEachTime) {
  EXPECT_EQ(svg_of(everything()), svg_of(everything()));
  EXPECT_EQ(png_of(everything()), png_of(everything()));
  EXPECT_EQ(svg_of(many_dots(6000)), svg_of(many_dots(6000)));
}

TEST(Figures, WithoutARoomForTheirPixelsAreRefused) {
  EXPECT_TRUE(holds(error_of([] { png_of(Canvas(20000, 20000), 96); }), "20,000 x 20,000 pixels"));
  EXPECT_TRUE(holds(error_of([] { png_of(Canvas(100, 40000), 96); }), "100 x 40,000 pixels"));
  for (const double dpi : {0.0, -5.0, double(NAN), double(INFINITY)}) {
    EXPECT_THROW(png_of(Canvas(100, 100), dpi), InputError);
  }
}

TEST(SaveFigure, WritesByTheEndingOfTheName) {
  const testing::TemporaryDirectory folder;
  save_figure(folder.path("a.svg"), everything(), Overwrite::refuse);
  save_figure(folder.path("a.png"), everything(), Overwrite::refuse, 96);
  EXPECT_EQ(parse_svg(testing::bytes_of(folder.path("a.svg"))).error, "");
  EXPECT_EQ(parse_png(testing::bytes_of(folder.path("a.png"))).width, 120);
  for (const char* name : {"a.pdf", "a", "svg", "a.svg.gz", ".png"}) {
    EXPECT_TRUE(
        holds(error_of([&] { save_figure(folder.path(name), everything(), Overwrite::refuse); }), ".svg or .png"))
        << name;
  }
}

TEST(SaveFigure, AppearsWholeOrNotAtAll) {
  const testing::TemporaryDirectory folder;
  testing::write_bytes(folder.path("a.png"), "mine");
  EXPECT_TRUE(
      holds(error_of([&] { save_figure(folder.path("a.png"), everything(), Overwrite::refuse); }), "--force"));
  EXPECT_THROW(save_figure(folder.path("a.png"), everything(), Overwrite::replace, -1), InputError);
  EXPECT_EQ(testing::bytes_of(folder.path("a.png")), "mine");
  EXPECT_THROW(save_figure(folder.path("no/a.png"), everything(), Overwrite::refuse), IoError);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path()), {}), 1);
  save_figure(folder.path("a.png"), everything(), Overwrite::replace);
  EXPECT_NE(testing::bytes_of(folder.path("a.png")), "mine");
}

}  // namespace
}  // namespace scvi::report
