#include "scvi/io/delimited.hpp"

#include <algorithm>
#include <cmath>
#include <random>

#include "packed_fixture.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::dense;
using testing::thrown_message;
using testing::write_bytes;
using Names = std::vector<std::string>;
using Table = std::vector<std::vector<float>>;

class Delimited : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("table.txt");

  CountFile read(const std::string& text, const DelimitedOptions& options = {}) {
    write_bytes(path_, text);
    return read_delimited_counts(path_, options);
  }
  std::string refusal(const std::string& text, const DelimitedOptions& options = {}) {
    write_bytes(path_, text);
    return thrown_message<FormatError>([&] { read_delimited_counts(path_, options); });
  }
  Frame table(const std::string& text, const TableOptions& options = {}) {
    write_bytes(path_, text);
    return read_table(path_, options);
  }
};

TEST_F(Delimited, SeparatorsAreFoundByThemselves) {
  for (const char* text : {",A,B\ng1,0,5\ng2,17,1.5\n", "\tA\tB\ng1\t0\t5\ng2\t17\t1.5\n",
                           "x;A;B\r\ng1;0;5\r\ng2;17;1.5", "x A  B\ng1 0 \t5\n g2   17 1.5 \n"}) {
    const CountFile file = read(text);
    EXPECT_EQ(file.obs.index, (Names{"A", "B"})) << text;
    EXPECT_EQ(file.var.index, (Names{"g1", "g2"}));
    EXPECT_EQ(dense(*file.counts), (Table{{0, 17}, {5, 1.5}}));
  }
  EXPECT_EQ(read("x;A,1;B\ng;1;2\n").obs.index, (Names{"A,1", "B"}));
}

TEST_F(Delimited, LinesMayBeCells) {
  const CountFile file = read(",g1,g2\nA,0,17\nB,5,1\n", {.gene_by_cell = false});
  EXPECT_EQ(file.obs.index, (Names{"A", "B"}));
  EXPECT_EQ(file.var.index, (Names{"g1", "g2"}));
  EXPECT_EQ(dense(*file.counts), (Table{{0, 17}, {5, 1}}));
}

TEST_F(Delimited, HeadersOfRHaveOneNameLess) {
  const CountFile file = read("\"A\",\"B\"\n\"g \"\"1\"\"\",0,5\n\"g,2\",\"17\",1e2\n");
  EXPECT_EQ(file.obs.index, (Names{"A", "B"}));
  EXPECT_EQ(file.var.index, (Names{"g \"1\"", "g,2"}));
  EXPECT_EQ(dense(*file.counts), (Table{{0, 17}, {5, 100}}));
}

TEST_F(Delimited, HeaderAndNamesMayBeAbsent) {
  const CountFile file = read("junk\n\n1,2\n3,4\n", {.header = false, .row_names = false, .skip_lines = 1});
  EXPECT_EQ(file.obs.index, (Names{"0", "1"}));
  EXPECT_EQ(file.var.index, (Names{"0", "1"}));
  EXPECT_EQ(dense(*file.counts), (Table{{1, 3}, {2, 4}}));
}

TEST_F(Delimited, AnnotationColumnsAreKeptApart) {
  const CountFile file =
      read("cell,library,age,g1\nA,na,3,7\nB,x,4,0\n", {.gene_by_cell = false, .annotation_columns = 2});
  EXPECT_EQ(file.var.index, (Names{"g1"}));
  ASSERT_EQ(file.obs.column_names(), (Names{"library", "age"}));
  EXPECT_EQ(file.obs.find("library")->text(0), "na");
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(file.obs.find("age")->values), (std::vector<std::int64_t>{3, 4}));
  EXPECT_EQ(dense(*file.counts), (Table{{7}, {0}}));
}

TEST_F(Delimited, NumbersComeInAllSpellings) {
  const CountFile file = read(",a,b,c,d,e,f,g,h\nx,0,00,12345678,123456789,+3,-2, 4 ,1E-3\n");
  EXPECT_EQ(dense(*file.counts), (Table{{0}, {0}, {12345678}, {123456789.F}, {3}, {-2}, {4}, {0.001F}}));
}

TEST_F(Delimited, ByteOrderMarkAndBlankLinesArePassedOver) {
  const CountFile file = read(
      "\xEF\xBB\xBF"
      "x,A\n\n  \r\ng1,5\n\n\n");
  EXPECT_EQ(dense(*file.counts), (Table{{5}}));
}

TEST_F(Delimited, ATableOfNamesAloneIsEmpty) {
  const CountFile file = read(",A,B\n");
  EXPECT_EQ(file.obs.n_rows(), 2);
  EXPECT_EQ(file.var.n_rows(), 0);
}

TEST_F(Delimited, WrongFieldsAreNamedByLineGeneAndCell) {
  const std::string head = ",A,B\ng1,1,2\n\n";
  EXPECT_IN("line 4, gene 'g2', cell 'B' is 'x', where a count is expected", refusal(head + "g2,1,x\n"));
  EXPECT_IN("cell 'A' is empty", refusal(head + "g2,,2\n"));
  EXPECT_IN("cell 'B' is empty", refusal(head + "g2,1,\n"));
  EXPECT_IN("cell 'A' is 'NaN'", refusal(head + "g2,NaN,2\n"));
  EXPECT_IN("cell 'A' is 'inf'", refusal(head + "g2,inf,2\n"));
  EXPECT_IN("cell 'A' is 'NA'", refusal(head + "g2,\"NA\",2\n"));
  EXPECT_IN("cell 'A' is '1.2.3'", refusal(head + "g2,1.2.3,2\n"));
  EXPECT_IN("line 4, gene 'g2' has 4 fields, but the table has 3 columns", refusal(head + "g2,1,2,3\n"));
  EXPECT_IN("line 4, gene 'g2' has 2 fields, but the table has 3 columns", refusal(head + "g2,1\n"));
  EXPECT_IN("has 1 fields", refusal(head + "g2\n"));
  EXPECT_IN("quote", refusal(head + "\"g2,1,2\n"));
  EXPECT_IN("cell 'cA', gene 'g2' is 'x'", refusal(",g1,g2\ncA,1,x\n", {.gene_by_cell = false}));
}

TEST_F(Delimited, WrongHeadersAreErrors) {
  EXPECT_IN("the table is empty", refusal(""));
  EXPECT_IN("has 4 fields, but the header has 2 names", refusal("A,B\ng1,1,2,3\n"));
  EXPECT_IN("too few to hold counts", refusal("A\ng1\n"));
  EXPECT_IN("UTF-8", refusal(std::string("\xFF\xFE,\0A\0", 6)));
  EXPECT_IN("cell 'A' twice", refusal(",A,A\ng1,1,2\n"));
  EXPECT_IN("gene 'g1' twice", refusal(",A\ng1,1\ng1,2\n"));
  EXPECT_EQ(read(",A\ng1,1\ng1,2\n", {.allow_duplicate_names = true}).var.n_rows(), 2);
  write_bytes(path_, ",A\ng,1\n");
  EXPECT_THROW(read_delimited_counts(path_, {.separator = '1'}), InputError);
}

TEST_F(Delimited, NamesAreMadeValidUtf8) {
  const testing::LogCatcher log;
  const CountFile file = read(",A\xFF\ng\xC3\xA9,1\n");
  EXPECT_EQ(file.obs.index, (Names{"A\xEF\xBF\xBD"}));
  EXPECT_EQ(file.var.index, (Names{"g\xC3\xA9"}));
  EXPECT_IN("names of cells: 1 text is not valid UTF-8", log.text());
}

TEST_F(Delimited, LargeTablesAgreeForAnyThreadsAndPacking) {
  constexpr int kGenes = 3000;
  constexpr int kCells = 400;
  std::mt19937 random(3);
  std::string text;
  for (int cell = 0; cell < kCells; ++cell) text += ",c" + std::to_string(cell);
  Table expected(kCells, std::vector<float>(kGenes));
  for (int gene = 0; gene < kGenes; ++gene) {
    text += "\ng" + std::to_string(gene);
    for (int cell = 0; cell < kCells; ++cell) {
      const unsigned value = random() % 4 == 0 ? random() % 3000 : 0;
      text += "," + std::to_string(value);
      expected[cell][gene] = static_cast<float>(value);
    }
  }
  const Settings before = settings();
  for (const char* filter : {"", "gzip"}) {
    testing::write_packed_text(path_, filter, text);
    for (const int threads : {1, 3}) {
      settings().n_threads = threads;
      EXPECT_TRUE(dense(*read_delimited_counts(path_).counts) == expected);
    }
  }
  settings() = before;
}

TEST_F(Delimited, TruncatedGzipIsAnErrorWhereverItEnds) {
  std::string text = ",A,B\n";
  for (int gene = 0; gene < 500; ++gene)
    text += "g" + std::to_string(gene) + "," + std::to_string(gene * gene) + ",0\n";
  testing::write_packed_text(path_, "gzip", text);
  const std::string whole = testing::read_bytes(path_);
  for (std::size_t size = 10; size < whole.size(); size += 37) {
    write_bytes(path_, whole.substr(0, size));
    EXPECT_THROW(read_delimited_counts(path_), FormatError) << size;
  }
}

TEST_F(Delimited, AnyBytesEndInErrorsOrTables) {
  std::mt19937 random(5);
  const LogLevel before = verbosity();
  set_verbosity(LogLevel::error);
  constexpr std::string_view kBytes = "0123,,,,\"\"\n\n\n\r.-ae \t;\xFF";
  for (int round = 0; round < 1000; ++round) {
    std::string text;
    for (unsigned at = 0, size = random() % 60; at < size; ++at) text += kBytes[random() % kBytes.size()];
    write_bytes(path_, text);
    for (const bool header : {true, false}) {
      try {
        const CountFile file = read_delimited_counts(path_, {.header = header, .allow_duplicate_names = true});
        EXPECT_EQ(file.counts->info().n_rows, file.obs.n_rows());
        dense(*file.counts);
      } catch (const FormatError&) {
      }
      try {
        read_table(path_, {.header = header});
      } catch (const FormatError&) {
      }
    }
  }
  set_verbosity(before);
}

TEST_F(Delimited, TypesOfColumnsAreFoundAsPandasFindsThem) {
  const Frame frame = table(
      "id,i,f,fi,b,bm,s,sm,none,big\n"
      "x, 1,0.5,3,True,true,a,,NA,99999999999999999999\n"
      "y,-2,nan,,FALSE,NA,\"NA\",b,,1\n");
  EXPECT_EQ(frame.index_name, "id");
  EXPECT_EQ(frame.index, (Names{"x", "y"}));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(frame.find("i")->values), (std::vector<std::int64_t>{1, -2}));
  const auto reals = [&](const char* name) { return std::get<std::vector<double>>(frame.find(name)->values); };
  EXPECT_EQ(reals("f")[0], 0.5);
  EXPECT_TRUE(std::isnan(reals("f")[1]));
  EXPECT_EQ(reals("fi")[0], 3);
  EXPECT_TRUE(frame.find("fi")->is_missing(1));
  EXPECT_EQ(std::get<Boolean>(frame.find("b")->values).values, (std::vector<std::uint8_t>{1, 0}));
  EXPECT_EQ(frame.find("bm")->text(0), "True");
  EXPECT_TRUE(frame.find("bm")->is_missing(1));
  EXPECT_EQ(frame.find("s")->text(0), "a");
  EXPECT_TRUE(frame.find("s")->is_missing(1));
  EXPECT_TRUE(frame.find("sm")->is_missing(0));
  EXPECT_TRUE(frame.find("none")->is_missing(0));
  EXPECT_EQ(frame.find("big")->text(0), "99999999999999999999");
}

TEST_F(Delimited, TablesMayLackHeaderOrIndex) {
  EXPECT_EQ(table("1,a\n2,b\n", {.header = false}).index, (Names{"1", "2"}));
  const Frame frame = table("a;b\n1;2\n", {.index_column = -1});
  EXPECT_EQ(frame.index, (Names{"0"}));
  EXPECT_EQ(frame.column_names(), (Names{"a", "b"}));
  EXPECT_EQ(table("a,b\nr,1,2\n").index, (Names{"r"}));
  EXPECT_EQ(table("a,b\n1,2\n", {.index_column = 1}).column_names(), (Names{"a"}));
  EXPECT_THROW(table("a,b\n1,2\n", {.index_column = 2}), FormatError);
}

TEST_F(Delimited, QuotedTextMayRunOverLines) {
  const Frame frame = table("id,note\nx,\"two\nlines\"\ny,one\n");
  EXPECT_EQ(frame.find("note")->text(0), "two\nlines");
  EXPECT_EQ(frame.n_rows(), 2);
  EXPECT_THROW(table("id,note\nx,\"two\nlines\n"), FormatError);
}

TEST_F(Delimited, RaggedTablesAreErrors) {
  EXPECT_THROW(table("a,b\n1,2\n1,2,3\n"), FormatError);
  EXPECT_THROW(table("a,b\n1,2\n1\n"), FormatError);
  EXPECT_THROW(table("a,b\n1,2,3,4\n"), FormatError);
  EXPECT_THROW(table(""), FormatError);
}

TEST_F(Delimited, CellValuesComeWithOrWithoutNames) {
  write_bytes(path_, ",batch\n007,1\n008,2\n");
  CellValues values = read_cell_values(path_);
  EXPECT_EQ(values.cells, (Names{"007", "008"}));
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(values.values.values), (std::vector<std::int64_t>{1, 2}));
  write_bytes(path_, "B cell\nT cell\n");
  values = read_cell_values(path_, {.separator = ',', .header = false});
  EXPECT_TRUE(values.cells.empty());
  EXPECT_EQ(values.values.text(1), "T cell");
  write_bytes(path_, "x,l\na,\n");
  EXPECT_IN("has no value", thrown_message<FormatError>([&] { read_cell_values(path_); }));
  write_bytes(path_, "a,b,c\n1,2,3\n");
  EXPECT_THROW(read_cell_values(path_), FormatError);
}

TEST_F(Delimited, RealTablesAreRead) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string data = testing::test_data_dir();
  const CountFile celseq = read_delimited_counts(data + "/mixology/sc_celseq2.count.csv.gz");
  EXPECT_EQ(celseq.obs.n_rows(), 274);
  EXPECT_EQ(celseq.var.n_rows(), 28204);
  EXPECT_EQ(celseq.obs.index.front(), "A1");
  EXPECT_EQ(celseq.var.index.front(), "ENSG00000281131");
  EXPECT_EQ(celseq.counts->info().n_stored, 1954979);
  const Frame cells = read_table(data + "/mixology/sc_celseq2.metadata.csv.gz");
  EXPECT_EQ(cells.index, celseq.obs.index);
  EXPECT_EQ(cells.find("unaligned")->text(0), "33756");
  EXPECT_TRUE(std::holds_alternative<Boolean>(cells.find("outliers")->values));
  EXPECT_TRUE(std::holds_alternative<std::vector<double>>(cells.find("non_ERCC_percent")->values));
  // The metadata count every molecule of a cell; ERCC spikes are in the table, too.
  double total = 0;
  CsrBlock first;
  celseq.counts->read_rows(0, 1, first);
  for (const float value : first.values) total += value;
  EXPECT_NEAR(total, std::get<std::vector<std::int64_t>>(cells.find("total_count_per_cell")->values)[0],
              0.05 * total);
}

TEST_F(Delimited, FixturesAreRead) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string fixtures = testing::test_data_dir() + "/fixtures/";
  const auto shape = [&](const std::string& name, const DelimitedOptions& options = {}) {
    const MatrixInfo info = read_delimited_counts(fixtures + name, options).counts->info();
    return std::pair(info.n_rows, info.n_cols);
  };
  EXPECT_EQ(shape("GSE100866_CBMC_8K_13AB_10X-RNA_umi.csv.gz"), std::pair(50L, 10L));
  EXPECT_EQ(shape("citeSeq/cbmc/cbmc_rna.csv.gz"), std::pair(20L, 50L));
  EXPECT_EQ(shape("Layer2_BC_count_matrix-1.tsv", {.gene_by_cell = false}), std::pair(8L, 14789L));
  EXPECT_EQ(shape("immune_control_expression_matrix.txt"), std::pair(99L, 99L));
  EXPECT_EQ(shape("HEMATO/bBM.raw_umifm_counts.csv.gz", {.gene_by_cell = false, .annotation_columns = 1}).second,
            10L);
  EXPECT_GT(read_table(fixtures + "gene_info_pbmc.csv").n_rows(), 0);
}

}  // namespace
}  // namespace scvi::io
