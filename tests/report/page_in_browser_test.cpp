// What a page's tables do, in a real browser without a window.

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <vector>

#include "cli/program.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/report/page.hpp"
#include "testing.hpp"

namespace scvi::report {
namespace {

std::string browser() {
  for (const char* path : {"/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"}) {
    if (std::filesystem::exists(path)) return path;
  }
  return "";
}

#define SCVI_REQUIRE_BROWSER() \
  if (browser().empty()) GTEST_SKIP() << "NO BROWSER HERE: install chromium; this test did not run"

/// A document as the browser has it after running its scripts, without the text of scripts themselves.
std::string document_of(const std::string& path, const std::string& address) {
  const testing::TemporaryDirectory profile;
  const testing::Outcome outcome =
      testing::run_program(browser(), {"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                       "--user-data-dir=" + profile.path(), "--virtual-time-budget=5000",
                                       "--dump-dom", "file://" + path + address});
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return outcome.out.substr(0, outcome.out.rfind("<script"));
}

Page table_page() {
  Page page("Genes");
  page.section("Genes");
  const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
  page.table(
      {.id = "genes",
       .caption = "Some genes",
       .rows = {.index_name = "gene",
                .index = {"G10", "G9", "g2", "A<b>"},
                .columns = {{.name = "change", .values = std::vector<double>{-1, 1e-3, nan, infinity}, .missing = {}},
                            {.name = "group", .values = std::vector<std::string>{"x", "y", "x", ""}, .missing = {}}}},
       .row_word = "genes"});
  io::Frame many{.index_name = "row", .index = {}, .columns = {}};
  for (int i = 0; i < 250; ++i) many.index.push_back("row" + std::to_string(i));
  page.table({.id = "many", .caption = "Many", .rows = many, .row_word = "rows"});
  return page;
}

/// First cells of the rows that are shown of a table.
std::vector<std::string> rows_of(const std::string& document, const std::string& id) {
  std::vector<std::string> rows;
  const std::size_t table = document.find("id=\"" + id + "\"");
  const std::size_t end = document.find("</table>", table);
  for (std::size_t at = document.find("<tbody>", table); (at = document.find("<tr", at)) < end;) {
    at = document.find("<td>", at) + 4;
    rows.push_back(document.substr(at, document.find("</td>", at) - at));
  }
  return rows;
}

std::string count_of(const std::string& document, const std::string& id) {
  const std::string mark = "class=\"count\" role=\"status\">";
  const std::size_t at = document.find(mark, document.find("id=\"" + id + "\"")) + mark.size();
  return document.substr(at, document.find('<', at) - at);
}

using Rows = std::vector<std::string>;

class PageInBrowser : public ::testing::Test {
 protected:
  /// The document at an address, after what a reader does there.
  std::string open(const std::string& address, const std::string& actions = "") {
    const std::string path = folder_.path("page.html");
    std::string html = table_page().html();
    const std::string end = "</body>";
    html.insert(html.rfind(end), "<script>" + actions + "</script>");
    write_file_atomically(path, html);
    return document_of(path, address);
  }

 private:
  testing::TemporaryDirectory folder_;
};

TEST_F(PageInBrowser, ShowsTablesAsTheyWereGiven) {
  SCVI_REQUIRE_BROWSER();
  const std::string document = open("");
  EXPECT_EQ(rows_of(document, "genes"), (Rows{"G10", "G9", "g2", "A&lt;b&gt;"}));
  EXPECT_EQ(count_of(document, "genes"), "4 genes");
  EXPECT_EQ(rows_of(document, "many").size(), 100U);
  EXPECT_EQ(count_of(document, "many"), "first 100 of 250 rows");
}

TEST_F(PageInBrowser, SortsByNumberWithWhatIsMissingLast) {
  SCVI_REQUIRE_BROWSER();
  const std::string click = "document.querySelectorAll('#genes th button')[1].click();";
  std::string document = open("", click);
  EXPECT_EQ(rows_of(document, "genes"), (Rows{"A&lt;b&gt;", "G9", "G10", "g2"}));
  EXPECT_NE(document.find("aria-sort=\"descending\""), std::string::npos);
  document = open("", click + click);
  EXPECT_EQ(rows_of(document, "genes"), (Rows{"G10", "G9", "A&lt;b&gt;", "g2"}));
  EXPECT_NE(document.find("aria-sort=\"ascending\""), std::string::npos);
}

TEST_F(PageInBrowser, SortsNamesAsPeopleCount) {
  SCVI_REQUIRE_BROWSER();
  EXPECT_EQ(rows_of(open("", "document.querySelector('#genes th button').click();"), "genes"),
            (Rows{"A&lt;b&gt;", "g2", "G9", "G10"}));
}

TEST_F(PageInBrowser, FindsRowsThatHoldAllWords) {
  SCVI_REQUIRE_BROWSER();
  const std::string document = open("",
                                    "const box = document.querySelector('#genes input'); box.value = ' X g'; "
                                    "box.dispatchEvent(new Event('input'));");
  EXPECT_EQ(rows_of(document, "genes"), (Rows{"G10", "g2"}));
  EXPECT_EQ(count_of(document, "genes"), "2 of 4 genes");
  EXPECT_EQ(rows_of(document, "many").size(), 100U);
}

TEST_F(PageInBrowser, ReadsAndWritesItsAddress) {
  SCVI_REQUIRE_BROWSER();
  const std::string document = open("#genes.sort=-1&genes.find=x&many.all=1",
                                    "document.querySelector('h1').textContent = location.hash; "
                                    "document.querySelectorAll('#many th button')[0].click(); "
                                    "document.querySelector('h2').textContent = location.hash;");
  EXPECT_EQ(rows_of(document, "genes"), (Rows{"G10", "g2"}));
  EXPECT_EQ(rows_of(document, "many").size(), 250U);
  EXPECT_NE(document.find("<h1>#genes.sort=-1&amp;genes.find=x&amp;many.all=1</h1>"), std::string::npos);
  EXPECT_NE(document.find("#genes.sort=-1&amp;genes.find=x&amp;many.sort=1&amp;many.all=1</h2>"), std::string::npos);
}

TEST_F(PageInBrowser, IsNotUpsetByAnAddressThatMakesNoSense) {
  SCVI_REQUIRE_BROWSER();
  const std::string document = open("#genes.sort=99&many.sort=x&section-1&%%%=1");
  EXPECT_EQ(rows_of(document, "genes"), (Rows{"G10", "G9", "g2", "A&lt;b&gt;"}));
}

TEST_F(PageInBrowser, SavesWhatIsFoundAsText) {
  SCVI_REQUIRE_BROWSER();
  const std::string document =
      open("#genes.find=x",
           "URL.createObjectURL = blob => { blob.text().then(text => { document.querySelector('h1').textContent = "
           "JSON.stringify(text); }); return 'about:blank'; }; HTMLAnchorElement.prototype.click = () => {}; "
           "document.querySelector('#genes .save').click();");
  EXPECT_NE(document.find(R"(<h1>"gene\tchange\tgroup\nG10\t-1\tx\ng2\t\tx\n"</h1>)"), std::string::npos);
}

}  // namespace
}  // namespace scvi::report
