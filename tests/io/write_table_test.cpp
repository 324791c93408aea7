#include "scvi/io/write_table.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <limits>

#include "scvi/core/error.hpp"
#include "scvi/io/xlsx.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

NamedTable table(const std::string& name) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  NamedTable result{.name = name, .table = {}};
  result.table.index_name = "gene";
  result.table.index = {"CD3E", "tab\there", "quote\"d", "<&>"};
  result.table.columns = {
      {.name = "score", .values = std::vector<double>{0.1, -kInfinity, std::nan(""), 12345678.25}, .missing = {}},
      {.name = "called", .values = Boolean{{1, 0, 0, 1}}, .missing = {0, 1, 0, 0}},
      {.name = "n", .values = std::vector<std::int64_t>{1, -2, 3, 4}, .missing = {}},
      {.name = "group", .values = std::vector<std::string>{"a", "b", "", name}, .missing = {}}};
  return result;
}

std::string text_of_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

TEST(WriteTsv, PutsTablesBelowEachOtherUnderOneLineOfNames) {
  const testing::TemporaryDirectory folder;
  const std::vector<NamedTable> tables = {table("x"), table("y")};
  write_tsv(folder.path("a.tsv"), tables, Overwrite::refuse);
  const std::string rows =
      "CD3E\t0.1\tTrue\t1\ta\n"
      "\"tab\there\"\t-inf\t\t-2\tb\n"
      "\"quote\"\"d\"\t\tFalse\t3\t\n"
      "<&>\t12345678.2\tTrue\t4\t";
  EXPECT_EQ(text_of_file(folder.path("a.tsv")), "gene\tscore\tcalled\tn\tgroup\n" + rows + "x\n" + rows + "y\n");
  EXPECT_THROW(write_tsv(folder.path("a.tsv"), tables, Overwrite::refuse), InputError);
}

TEST(WriteTsv, RefusesTablesWithOtherColumns) {
  const testing::TemporaryDirectory folder;
  std::vector<NamedTable> tables = {table("x"), table("y")};
  tables[1].table.columns.pop_back();
  EXPECT_THROW(write_tsv(folder.path("a.tsv"), tables, Overwrite::refuse), InputError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
}

TEST(WriteXlsx, IsReadBackAsItWas) {
  const testing::TemporaryDirectory folder;
  const std::vector<NamedTable> tables = {table("first"), table("second/one")};
  write_xlsx(folder.path("a.xlsx"), tables, Overwrite::refuse);
  const XlsxFile file(folder.path("a.xlsx"));
  EXPECT_EQ(file.sheets(), (std::vector<std::string>{"first", "second_one"}));
  std::vector<XlsxRow> rows;
  file.for_each_row("second_one", [&](const XlsxRow& row) { rows.push_back(row); });
  ASSERT_EQ(rows.size(), 5U);
  const auto text = [&](std::size_t row, std::size_t column) { return text_of(rows[row].cells.at(column)); };
  EXPECT_EQ(text(0, 0), "gene");
  EXPECT_EQ(text(0, 4), "group");
  EXPECT_EQ(text(1, 0), "CD3E");
  EXPECT_EQ(rows[1].cells[1], XlsxCell(0.1));
  EXPECT_EQ(rows[1].cells[2], XlsxCell(true));
  EXPECT_EQ(text(2, 0), "tab\there");
  EXPECT_EQ(text(2, 1), "-inf");
  EXPECT_EQ(text(2, 2), "");
  EXPECT_EQ(text(3, 0), "quote\"d");
  EXPECT_EQ(text(3, 1), "");
  EXPECT_EQ(text(4, 0), "<&>");
  EXPECT_EQ(rows[4].cells[1], XlsxCell(12345678.25));
  EXPECT_EQ(rows[4].cells[3], XlsxCell(4.0));
  EXPECT_EQ(text(4, 4), "second/one");
}

TEST(WriteXlsx, GivesTheSameBytesEveryTime) {
  const testing::TemporaryDirectory folder;
  const std::vector<NamedTable> tables = {table("first")};
  write_xlsx(folder.path("a.xlsx"), tables, Overwrite::refuse);
  write_xlsx(folder.path("b.xlsx"), tables, Overwrite::refuse);
  EXPECT_EQ(text_of_file(folder.path("a.xlsx")), text_of_file(folder.path("b.xlsx")));
}

TEST(WriteXlsx, LeavesNothingBehindWhenItFails) {
  const testing::TemporaryDirectory folder;
  std::vector<NamedTable> tables = {table("first")};
  std::get<std::vector<std::string>>(tables[0].table.columns[3].values)[2] = std::string(40000, 'x');
  EXPECT_THROW(write_xlsx(folder.path("a.xlsx"), tables, Overwrite::refuse), InputError);
  EXPECT_THROW(write_xlsx(folder.path("a.xlsx"), {}, Overwrite::refuse), InputError);
  tables = {table("first")};
  tables[0].table.index.resize(1'048'576);
  EXPECT_THROW(write_xlsx(folder.path("a.xlsx"), tables, Overwrite::refuse), InputError);
  EXPECT_TRUE(std::filesystem::is_empty(folder.path()));
  EXPECT_THROW(write_xlsx(folder.path("no/a.xlsx"), std::vector{table("x")}, Overwrite::refuse), IoError);
}

TEST(SheetNames, AreWhatSpreadsheetsAllow) {
  std::vector<NamedTable> tables;
  const std::string accents = "ééééééééééééééééééééééééééééééééé";
  for (const std::string& name :
       {std::string("T cells"), std::string("t CELLS"), std::string("a[b]:*?/\\c"), std::string("'q'"), std::string(),
        std::string(), std::string("History"), std::string(40, 'x'), std::string(41, 'x'), accents}) {
    tables.push_back({.name = name, .table = {}});
  }
  const std::vector<std::string> names = sheet_names(tables);
  EXPECT_EQ(names[0], "T cells");
  EXPECT_EQ(names[1], "t CELLS~2");
  EXPECT_EQ(names[2], "a_b______c");
  EXPECT_EQ(names[3], "_q_");
  EXPECT_EQ(names[4], "_");
  EXPECT_EQ(names[5], "_~2");
  EXPECT_EQ(names[6], "History_");
  EXPECT_EQ(names[7], std::string(31, 'x'));
  EXPECT_EQ(names[8], std::string(29, 'x') + "~2");
  EXPECT_EQ(names[9], accents.substr(0, 62));
}

}  // namespace
}  // namespace scvi::io
