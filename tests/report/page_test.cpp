#include "scvi/report/page.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "testing.hpp"

namespace scvi::report {
namespace {

bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

Page page_with(const PageTable& table) {
  Page page("Title");
  page.table(table);
  return page;
}

TEST(Page, HoldsWhatItWasGivenInOrder) {
  Page page("Cells of a mouse", "3,005 cells");
  page.section("Data");
  page.paragraph("A text.");
  page.facts({{"Genes", "558"}});
  page.section("Figures");
  Canvas canvas(100, 50);
  canvas.circle({50, 25}, 10, kInk);
  page.figure(canvas, "A disc.");
  page.code("scvi run\n  cells.h5ad");
  const std::string html = page.html();
  std::size_t at = 0;
  for (const char* part : {"<!DOCTYPE html>", "<h1>Cells of a mouse</h1>", "3,005 cells", "href=\"#section-1\">Data",
                           "href=\"#section-2\"", "id=\"section-1\">Data", "<p>A text.</p>", "<dt>Genes</dt>",
                           "<dd>558</dd>", "id=\"section-2\">Figures", "<svg", "<circle",
                           "<figcaption>A disc.</figcaption>", "<pre>scvi run\n  cells.h5ad\n</pre>", "</html>"}) {
    const std::size_t found = html.find(part, at);
    ASSERT_NE(found, std::string::npos) << part;
    at = found;
  }
}

TEST(Page, ShowsMarkupAsText) {
  Page page("<b>", "&amp;");
  page.section("</h2>");
  page.warning("\"<script>alert(1)</script>\"");
  page.table({.id = "t",
              .caption = "<i>",
              .rows = {.index_name = "<u>",
                       .index = {"</td><script>"},
                       .columns = {{.name = "a&b", .values = std::vector<std::string>{"x > y"}, .missing = {}}}},
              .help = {{"a&b", "\" onclick=\""}}});
  const std::string html = page.html();
  EXPECT_FALSE(holds(html, "<script>alert"));
  EXPECT_FALSE(holds(html, "</td><script>"));
  EXPECT_FALSE(holds(html, "\" onclick"));
  EXPECT_TRUE(holds(html, "&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_TRUE(holds(html, ">a&amp;b</th>"));
  EXPECT_TRUE(holds(html, "<td>x &gt; y</td>"));
  EXPECT_TRUE(holds(html, "<h1>&lt;b&gt;</h1>"));
}

TEST(Page, IsWellFormedWhateverBytesItIsGiven) {
  Page page("caf\xC3\xA9 \xFF\xFE");
  page.code("a\x01\n\xC3(");
  EXPECT_TRUE(is_valid_utf8(page.html()));
  EXPECT_TRUE(holds(page.html(), "caf\xC3\xA9"));
}

TEST(Page, AsksNoNetworkForAnything) {
  Page page("Title");
  page.figure(Canvas(10, 10), "Nothing");
  const std::string html = page.html();
  for (const char* part : {"src=", "<link", "@import", "fetch(", "url(http"}) EXPECT_FALSE(holds(html, part)) << part;
}

TEST(Page, WritesNumbersShortAndKeepsThemLong) {
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  const std::string html =
      page_with({.id = "t",
                 .caption = "Numbers",
                 .rows = {.index_name = "gene",
                          .index = {"a", "b", "c", "d", "e"},
                          .columns = {{.name = "x",
                                       .values = std::vector<double>{1.0 / 3, nan, infinity, 1e-12, 38123.4},
                                       .missing = {}},
                                      {.name = "n",
                                       .values = std::vector<std::int64_t>{1234567, 0, -1, 2, 3},
                                       .missing = {0, 1, 0, 0, 0}}}}})
          .html();
  EXPECT_TRUE(holds(html, "<td class=\"number\" data-value=\"0.333333333\">0.3333</td>"));
  EXPECT_TRUE(holds(html, "<td>b</td><td class=\"number\"></td><td class=\"number\"></td>"));
  EXPECT_TRUE(holds(html, "data-value=\"Infinity\">inf</td>"));
  EXPECT_TRUE(holds(html, "data-value=\"1e-12\">1e-12</td>"));
  EXPECT_TRUE(holds(html, "data-value=\"38123.4\">38123</td>"));
  EXPECT_TRUE(holds(html, "data-value=\"1234567\">1234567</td>"));
}

TEST(Page, AppearsWholeAndIsReplacedOnRequestOnly) {
  const testing::TemporaryDirectory folder;
  const std::string path = folder.path("page.html");
  Page("First").save(path, Overwrite::refuse);
  EXPECT_THROW(Page("Second").save(path, Overwrite::refuse), InputError);
  EXPECT_TRUE(holds(read_file(path), "First"));
  Page("Second").save(path, Overwrite::replace);
  EXPECT_EQ(read_file(path), Page("Second").html());
}

}  // namespace
}  // namespace scvi::report
