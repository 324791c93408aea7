#include "scvi/io/xlsx.hpp"

#include <gtest/gtest.h>
#include <zip.h>

#include <fstream>
#include <map>

#include "h5ad_fixture.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::message_of;
using Cells = std::vector<XlsxCell>;

std::vector<XlsxRow> rows_of(const XlsxFile& file, const std::string& sheet = "") {
  std::vector<XlsxRow> rows;
  file.for_each_row(sheet, [&](const XlsxRow& row) { rows.push_back(row); });
  return rows;
}

/// The parts of a workbook of two sheets; a test may change them.
std::map<std::string, std::string> sample_parts(const std::string& rows) {
  const std::string relations =
      R"(<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">)";
  const std::string type = R"(Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/)";
  const std::string main = R"( xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main")";
  return {
      {"_rels/.rels", relations + "<Relationship Id=\"a\" " + type + "officeDocument\" Target=\"xl/workbook.xml\"/>" +
                          "</Relationships>"},
      {"xl/_rels/workbook.xml.rels",
       relations + "<Relationship Id=\"r1\" " + type + "worksheet\" Target=\"worksheets/sheet1.xml\"/>" +
           "<Relationship Id=\"r2\" " + type + "worksheet\" Target=\"/xl/worksheets/two.xml\"/>" +
           "<Relationship Id=\"r3\" " + type + "chartsheet\" Target=\"chart.xml\"/>" + "<Relationship Id=\"r4\" " +
           type + "sharedStrings\" Target=\"sharedStrings.xml\"/></Relationships>"},
      {"xl/workbook.xml",
       "<workbook" + main +
           R"( xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets>)" +
           R"(<sheet name="Counts" sheetId="1" r:id="r1"/><sheet name="A chart" sheetId="2" r:id="r3"/>)" +
           R"(<sheet name="More &amp; more" sheetId="3" r:id="r2"/></sheets></workbook>)"},
      {"xl/sharedStrings.xml",
       "<sst" + main +
           R"( count="99"><si><t>gene</t></si><si><r><t>ri</t></r><r><rPr><b/></rPr><t xml:space="preserve">ch </t></r>)" +
           "<rPh sb=\"0\"><t>hint</t></rPh></si><si><t/></si><si><t>caf\xC3\xA9 &lt;</t></si></sst>"},
      {"xl/worksheets/sheet1.xml",
       "<worksheet" + main + "><dimension ref=\"A1:B999999\"/><sheetData>" + rows + "</sheetData></worksheet>"},
      {"xl/worksheets/two.xml", "<worksheet" + main + "><sheetData/></worksheet>"},
  };
}

class Xlsx : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("book.xlsx");

  void write(const std::map<std::string, std::string>& parts) {
    std::filesystem::remove(path_);
    zip_t* const zip = zip_open(path_.c_str(), ZIP_CREATE | ZIP_TRUNCATE, nullptr);
    for (const auto& [name, text] : parts)
      zip_file_add(zip, name.c_str(), zip_source_buffer(zip, text.data(), text.size(), 0), 0);
    ASSERT_EQ(zip_close(zip), 0);
  }
  void write_rows(const std::string& rows) { write(sample_parts(rows)); }

  std::vector<XlsxRow> read(const std::string& rows) {
    write_rows(rows);
    return rows_of(XlsxFile(path_));
  }
  std::string refusal(const std::string& rows) {
    write_rows(rows);
    return message_of<FormatError>([&] { rows_of(XlsxFile(path_)); });
  }
  std::string refusal(const std::map<std::string, std::string>& parts, const XlsxLimits& limits = {}) {
    write(parts);
    return message_of<FormatError>([&] { rows_of(XlsxFile(path_, limits)); });
  }
};

TEST_F(Xlsx, EveryKindOfCellIsRead) {
  const std::vector<XlsxRow> rows = read(
      R"(<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1" t="s"><v> 1 </v></c><c r="C1" t="s"><v>3</v></c></row>)"
      R"(<row r="2"><c r="A2"><v>12</v></c><c r="B2" t="n" s="3"><v>-1.5E3</v></c><c r="C2" t="b"><v>1</v></c>)"
      R"(<c r="D2" t="e"><v>#N/A</v></c><c r="E2" t="str"><f>A1&amp;"!"</f><v>gene!</v></c>)"
      R"(<c r="F2" t="inlineStr"><is><t>in</t></is></c><c r="G2" t="inlineStr"><is><r><t>li</t></r><r><t>ne</t></r></is></c>)"
      R"(<c r="H2" t="d"><v>2020-01-01</v></c></row>)");
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].cells, (Cells{"gene", "rich ", "caf\xC3\xA9 <"}));
  EXPECT_EQ(rows[1].cells, (Cells{12.0, -1500.0, true, XlsxError{"#N/A"}, "gene!", "in", "line", "2020-01-01"}));
}

TEST_F(Xlsx, GapsAreEmptyCellsAndRowsKeepTheirNumbers) {
  const std::vector<XlsxRow> rows =
      read(R"(<row r="3"><c r="B3"><v>1</v></c><c r="C3"/><c r="E3"><v>2</v></c><c r="F3" s="1"/></row>)"
           R"(<row r="7"/><row><c><v>5</v></c><c r="D8"><v>6</v></c><c><v>7</v></c></row>)");
  ASSERT_EQ(rows.size(), 3U);
  EXPECT_EQ(rows[0].number, 3);
  EXPECT_EQ(rows[0].cells, (Cells{{}, 1.0, {}, {}, 2.0}));
  EXPECT_EQ(rows[1].number, 7);
  EXPECT_TRUE(rows[1].cells.empty());
  EXPECT_EQ(rows[2].number, 8);
  EXPECT_EQ(rows[2].cells, (Cells{5.0, {}, {}, 6.0, 7.0}));
}

TEST_F(Xlsx, TheLastRowAndColumnCanBeUsed) {
  const std::vector<XlsxRow> rows = read(R"(<row r="1048576"><c r="XFD1048576"><v>1</v></c></row>)");
  EXPECT_EQ(rows[0].number, 1048576);
  EXPECT_EQ(rows[0].cells.size(), 16384U);
}

TEST_F(Xlsx, SheetsAreNamedInOrderWithoutCharts) {
  write_rows("");
  const XlsxFile file(path_);
  EXPECT_EQ(file.sheets(), (std::vector<std::string>{"Counts", "More & more"}));
  EXPECT_TRUE(rows_of(file, "More & more").empty());
  EXPECT_MENTIONS(message_of<InputError>([&] { rows_of(file, "count"); }), "did you mean 'Counts'?");
}

TEST_F(Xlsx, PrefixedElementsAndAnUnusualFolderAreUnderstood) {
  std::map<std::string, std::string> parts = sample_parts("");
  parts["xl/worksheets/sheet1.xml"] =
      R"(<x:worksheet xmlns:x="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><x:sheetData><x:row r="1">)"
      R"(<x:c r="A1" t="s"><x:v>0</x:v></x:c></x:row></x:sheetData></x:worksheet>)";
  std::map<std::string, std::string> moved;
  for (const auto& [name, text] : parts) moved[name == "xl/sharedStrings.xml" ? "xl/SharedStrings.xml" : name] = text;
  write(moved);
  EXPECT_EQ(rows_of(XlsxFile(path_))[0].cells, Cells{"gene"});
}

TEST_F(Xlsx, CellsReadAsText) {
  EXPECT_EQ(text_of({}), "");
  EXPECT_EQ(text_of("x"), "x");
  EXPECT_EQ(text_of(3.0), "3");
  EXPECT_EQ(text_of(0.1), "0.1");
  EXPECT_EQ(text_of(true), "TRUE");
  EXPECT_EQ(text_of(XlsxError{"#REF!"}), "#REF!");
}

TEST_F(Xlsx, SeqFishCountsAreReadWhole) {
  SCVI_REQUIRE_TEST_DATA();
  const XlsxFile file(testing::test_data_dir() + "/fixtures/SeqFISH.xlsx");
  EXPECT_EQ(file.sheets(), std::vector<std::string>{"Hippocampus Counts"});
  const std::vector<XlsxRow> rows = rows_of(file, "Hippocampus Counts");
  ASSERT_EQ(rows.size(), 248U);
  EXPECT_EQ(rows[0].cells[0], XlsxCell{"'Dmbx1'"});
  double sum = 0;
  for (std::size_t row = 1; row < rows.size(); ++row) {
    EXPECT_EQ(rows[row].number, static_cast<std::int64_t>(row) + 1);
    ASSERT_EQ(rows[row].cells.size(), 50U);
    EXPECT_TRUE(std::holds_alternative<std::string>(rows[row].cells[0]));
    for (std::size_t column = 1; column < 50; ++column) sum += std::get<double>(rows[row].cells[column]);
  }
  EXPECT_EQ(sum, 220791.0);
}

// ---- damaged and hostile files

TEST_F(Xlsx, SharedTextsThatAreNotThereAreRefused) {
  EXPECT_MENTIONS(refusal(R"(<row r="1"><c r="A1" t="s"><v>4</v></c></row>)"),
                  "sheet 'Counts', cell A1 refers to shared text 4, but there are 4");
  EXPECT_MENTIONS(refusal(R"(<row r="1"><c r="A1" t="s"><v>-1</v></c></row>)"), "shared text -1");
  EXPECT_MENTIONS(refusal(R"(<row r="1"><c r="A1" t="s"><v>1x</v></c></row>)"), "shared text 1x");
  std::map<std::string, std::string> parts = sample_parts(R"(<row r="2"><c r="AB2" t="s"><v>0</v></c></row>)");
  parts.erase("xl/sharedStrings.xml");
  EXPECT_MENTIONS(refusal(parts), "cell AB2 refers to shared text 0, but there are 0");
}

TEST_F(Xlsx, CellsThatAreNoneAreRefused) {
  EXPECT_MENTIONS(refusal(R"(<row r="1"><c r="A1"><v>1,5</v></c></row>)"), "cell A1 holds '1,5' for a number");
  EXPECT_MENTIONS(refusal(R"(<row r="1"><c r="A1" t="b"><v>yes</v></c></row>)"), "'yes' for a truth value");
  EXPECT_MENTIONS(refusal(R"(<row r="1"><c r="A1" t="zz"><v>1</v></c></row>)"), "unknown kind 'zz'");
  EXPECT_MENTIONS(refusal(R"(<row r="1"><c r="A1"><c r="B1"/></c></row>)"), "holds another cell");
  EXPECT_MENTIONS(refusal(R"(<row r="1"><row r="2"/></row>)"), "holds another row");
}

TEST_F(Xlsx, PlacesThatDoNotExistOrGoBackAreRefused) {
  for (const char* row : {"0", "-3", "1048577", "99999999999999999999", "x", ""})
    EXPECT_MENTIONS(refusal("<row r=\"" + std::string(row) + "\"/>"), "is not numbered 1 to 1,048,576");
  EXPECT_MENTIONS(refusal(R"(<row r="5"/><row r="5"/>)"), "row 5 comes after row 5");
  for (const char* cell : {"XFE1", "ZZZZ1", "ZZZZZZZZZZZZZ1", "A2", "1", "A", "", "A1048577", "$A$1"})
    EXPECT_MENTIONS(refusal("<row r=\"1\"><c r=\"" + std::string(cell) + "\"/></row>"), "which is none of it");
  EXPECT_MENTIONS(refusal(R"(<row r="1"><c r="B1"/><c r="A1"/></row>)"), "is followed by a cell to its left");
  EXPECT_MENTIONS(refusal(R"(<row r="1"><c r="XFD1"/><c/></row>)"), "beyond the last column");
}

TEST_F(Xlsx, EntitiesAreRefusedBeforeTheyAreExpanded) {
  std::map<std::string, std::string> parts = sample_parts("");
  parts["xl/worksheets/sheet1.xml"] =
      "<!DOCTYPE x [<!ENTITY a \"ha\"><!ENTITY b \"&a;&a;&a;\">]><worksheet>&b;</worksheet>";
  EXPECT_MENTIONS(refusal(parts), "declares a document type");
  parts["xl/worksheets/sheet1.xml"] = "<!DOCTYPE x SYSTEM \"file:///etc/passwd\"><worksheet/>";
  EXPECT_MENTIONS(refusal(parts), "declares a document type");
}

TEST_F(Xlsx, DeepNestingAndEndlessTagsAreRefused) {
  std::map<std::string, std::string> parts = sample_parts("");
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += "<a>";
  parts["xl/worksheets/sheet1.xml"] = deep;
  EXPECT_MENTIONS(refusal(parts), "nested more than 64 levels");
  for (const std::string opening : {"<worksheet a=\"", "<worksheet><!--"}) {
    parts["xl/worksheets/sheet1.xml"] = opening + std::string(8 << 20, ' ');
    EXPECT_MENTIONS(refusal(parts), "more than a megabyte");
  }
}

TEST_F(Xlsx, MuchWhiteSpaceBetweenRowsIsHarmless) {
  const std::string white(4 << 20, ' ');
  EXPECT_EQ(read("<row r=\"1\"><c><v>1</v></c></row>" + white + "<row r=\"2\"><c><v>2</v></c></row>" + white).size(),
            2U);
}

TEST_F(Xlsx, WhatUnpacksToTooMuchIsRefused) {
  std::map<std::string, std::string> parts = sample_parts("");
  parts["xl/worksheets/sheet1.xml"] = "<worksheet>" + std::string(4 << 20, ' ') + "</worksheet>";
  EXPECT_MENTIONS(refusal(parts, {.max_part_bytes = 1 << 20}),
                  "xl/worksheets/sheet1.xml unpacks to more than 1.0 MB");
  parts = sample_parts("");
  std::string texts = "<sst>";
  for (int i = 0; i < 200000; ++i) texts += "<si/>";
  parts["xl/sharedStrings.xml"] = texts + "</sst>";
  EXPECT_MENTIONS(refusal(parts, {.max_shared_text_bytes = 1 << 20}), "shared texts take more than 1.0 MB");
  std::string rows;
  for (int i = 1; i <= 100; ++i)
    rows += "<row r=\"" + std::to_string(i) + "\"><c r=\"XFD" + std::to_string(i) + "\"><v>1</v></c></row>";
  EXPECT_MENTIONS(refusal(sample_parts(rows), {.max_cells = 1'000'000}), "beyond the 1,000,000 cells");
}

TEST_F(Xlsx, TextsLongerThanACellCanBeAreRefused) {
  const std::string longest(2 << 20, 'x');
  EXPECT_MENTIONS(refusal("<row r=\"1\"><c r=\"A1\" t=\"str\"><v>" + longest + "</v></c></row>"),
                  "cell A1 holds a text");
  EXPECT_MENTIONS(refusal("<row r=\"1\"><c r=\"A1\" t=\"inlineStr\"><is><t>" + longest + "</t></is></c></row>"),
                  "cell A1 holds a text");
}

TEST_F(Xlsx, MissingPartsAreNamed) {
  for (const char* part : {"xl/workbook.xml", "xl/_rels/workbook.xml.rels", "xl/worksheets/sheet1.xml"}) {
    std::map<std::string, std::string> parts = sample_parts("");
    parts.erase(part);
    EXPECT_MENTIONS(refusal(parts), part);
  }
  std::map<std::string, std::string> parts = sample_parts("");
  parts.erase("_rels/.rels");
  write(parts);
  EXPECT_EQ(XlsxFile(path_).sheets().size(), 2U) << "the usual place serves";
  parts["xl/workbook.xml"] = "<workbook/>";
  EXPECT_MENTIONS(refusal(parts), "has no sheet");
}

TEST_F(Xlsx, OtherKindsOfFilesAreNamed) {
  std::ofstream(path_, std::ios::binary) << "\xD0\xCF\x11\xE0 old";
  EXPECT_MENTIONS(message_of<FormatError>([&] { XlsxFile{path_}; }), "is an .xls of Excel 97 to 2003");
  std::ofstream(path_) << "gene,cell\n";
  EXPECT_MENTIONS(message_of<FormatError>([&] { XlsxFile{path_}; }), "is no .xlsx file");
  std::ofstream(path_, std::ios::trunc).flush();
  EXPECT_MENTIONS(message_of<FormatError>([&] { XlsxFile{path_}; }), "is empty");
  EXPECT_THROW(XlsxFile{folder_.path("absent.xlsx")}, IoError);
  EXPECT_THROW(XlsxFile{folder_.path()}, IoError);
}

TEST_F(Xlsx, BadUtf8IsRefused) {
  EXPECT_MENTIONS(refusal("<row r=\"1\"><c r=\"A1\" t=\"str\"><v>\xC3\x28</v></c></row>"), "damaged XML");
}

TEST_F(Xlsx, TruncatedAndCorruptedFilesNeverCrash) {
  write_rows(R"(<row r="1"><c r="A1" t="s"><v>0</v></c><c r="B1"><v>1</v></c></row>)");
  const std::string whole = read_file(path_);
  for (std::size_t at = 0; at < whole.size(); at += 11) {
    for (const bool truncate : {true, false}) {
      std::string bytes = whole;
      if (truncate)
        bytes.resize(at);
      else
        bytes[at] = static_cast<char>(~bytes[at]);
      std::ofstream(path_, std::ios::binary) << bytes;
      try {
        const XlsxFile file(path_);
        for (const std::string& sheet : file.sheets()) rows_of(file, sheet);
        EXPECT_FALSE(truncate) << at;
      } catch (const Error&) {
      }
    }
  }
}

}  // namespace
}  // namespace scvi::io
