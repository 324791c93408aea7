#include "scvi/io/matrix_market.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <utility>

#include "packed_fixture.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::dense;
using testing::thrown_message;
using Table = std::vector<std::vector<float>>;

constexpr const char* kBanner = "%%MatrixMarket matrix coordinate integer general\n";

class MatrixMarket : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("matrix.mtx");

  Table read(const std::string& text, const MatrixMarketOptions& options = {}) {
    testing::write_bytes(path_, text);
    return dense(*read_matrix_market(path_, options));
  }
  std::string refusal(const std::string& text) {
    testing::write_bytes(path_, text);
    return thrown_message<FormatError>([&] { read_matrix_market(path_); });
  }
};

TEST_F(MatrixMarket, ColumnsAreCellsAndLinesGenes) {
  // 3 genes x 2 cells.
  EXPECT_EQ(read(std::string(kBanner) + "%comment\n%\n3 2 3\n1 1 5\n3 1 70\n2 2 1\n"),
            (Table{{5, 0, 70}, {0, 1, 0}}));
  EXPECT_EQ(read(std::string(kBanner) + "3 2 3\n1 1 5\n3 1 70\n2 2 1\n", {.gene_by_cell = false}),
            (Table{{5, 0}, {0, 1}, {70, 0}}));
}

TEST_F(MatrixMarket, EntriesComeInAnyOrder) {
  const Table expected = {{1, 2, 0}, {0, 3, 4}};
  for (const char* entries :
       {"1 1 1\n2 1 2\n2 2 3\n3 2 4\n", "1 1 1\n2 1 2\n2 2 3\n3 2 4", "1 1 1\n2 2 3\n2 1 2\n3 2 4\n",
        "3 2 4\n2 2 3\n2 1 2\n1 1 1\n", "2 2 3\n1 1 1\n3 2 4\n2 1 2\n"})
    EXPECT_EQ(read(std::string(kBanner) + "3 2 4\n" + entries), expected) << entries;
}

TEST_F(MatrixMarket, TheSamePlaceTwiceAddsUpAndZerosVanish) {
  testing::write_bytes(path_, std::string(kBanner) + "2 2 5\n1 1 3\n1 1 4\n2 1 0\n2 2 1\n2 2 -1\n");
  const auto matrix = read_matrix_market(path_);
  EXPECT_EQ(dense(*matrix), (Table{{7, 0}, {0, 0}}));
  EXPECT_EQ(matrix->info().n_stored, 1);
}

TEST_F(MatrixMarket, FieldsAndSpacingVary) {
  EXPECT_EQ(read("%%MatrixMarket MATRIX Coordinate Real General\r\n2\t2  2 \r\n\r\n  1 1 1.5e1\r\n2  2\t+0.25 \r\n"),
            (Table{{15, 0}, {0, 0.25F}}));
  EXPECT_EQ(read("%%MatrixMarket matrix coordinate pattern general\n2 2 2\n1 2\n2 2 \n"), (Table{{0, 0}, {1, 1}}));
  EXPECT_EQ(read(std::string(kBanner) + "1 1 1\n1 1 123456789012\n"), (Table{{123456789012.F}}));
  EXPECT_EQ(read(std::string(kBanner) + "1 1 1\n00000000001 01 7.0\n"), (Table{{7}}));
  EXPECT_EQ(read(std::string(kBanner) + "0 0 0\n"), Table{});
  EXPECT_EQ(read(std::string(kBanner) + "0 2 0\n"), (Table{{}, {}}));
}

TEST_F(MatrixMarket, PackedFilesAreRead) {
  for (const char* filter : {"gzip", "bzip2", "xz"}) {
    testing::write_packed_text(path_, filter, std::string(kBanner) + "2 1 1\n2 1 8\n");
    EXPECT_EQ(dense(*read_matrix_market(path_)), (Table{{0, 8}}));
  }
}

TEST_F(MatrixMarket, OtherKindsAreRefusedByName) {
  EXPECT_IN("'array'", refusal("%%MatrixMarket matrix array real general\n1 1\n1\n"));
  EXPECT_IN("'symmetric'", refusal("%%MatrixMarket matrix coordinate real symmetric\n1 1 1\n1 1 1\n"));
  EXPECT_IN("'complex'", refusal("%%MatrixMarket matrix coordinate complex general\n1 1 1\n1 1 1 0\n"));
  EXPECT_IN("not the header of a Matrix Market file", refusal("a,b\n1,2\n"));
  EXPECT_IN("the file is empty", refusal(""));
}

TEST_F(MatrixMarket, DamagedLinesAreNamed) {
  const std::string head = std::string(kBanner) + "3 2 2\n1 1 5\n";
  EXPECT_IN("line 4 names row '4', but rows are numbered 1..3", refusal(head + "4 2 1\n"));
  EXPECT_IN("names row '0'", refusal(head + "0 2 1\n"));
  EXPECT_IN("names row '-1'", refusal(head + "-1 2 1\n"));
  EXPECT_IN("names column '3'", refusal(head + "1 3 1\n"));
  EXPECT_IN("names row '18446744073709551617'", refusal(head + "18446744073709551617 1 1\n"));
  EXPECT_IN("names row '99999999999999999999999999'", refusal(head + "99999999999999999999999999 1 1\n"));
  EXPECT_IN("no whole number", refusal(head + "1 1 1.5\n"));
  EXPECT_IN("no whole number", refusal(head + "1 1 x\n"));
  EXPECT_IN("row, column and value", refusal(head + "1 1\n"));
  EXPECT_IN("row, column and value", refusal(head + "1 1 1 1\n"));
  EXPECT_IN("row, column and value", refusal(head + "hello\n"));
  EXPECT_IN("names row '1x'", refusal(head + "1x 1 1\n"));
  EXPECT_IN("line 4", refusal(head + std::string("1 1\0 1\n", 7)));
}

TEST_F(MatrixMarket, TooFewAndTooManyEntriesAreErrors) {
  EXPECT_IN("ends after 1 entries, but announces 3", refusal(std::string(kBanner) + "3 2 3\n1 1 5\n"));
  EXPECT_IN("behind the 1 entries announced", refusal(std::string(kBanner) + "3 2 1\n1 1 5\n1 2 5\n"));
  EXPECT_IN("line 4", refusal(std::string(kBanner) + "3 2 1\n1 1 5\ntrailing junk\n"));
}

TEST_F(MatrixMarket, LyingSizesTakeNoMemory) {
  EXPECT_IN("far more than", refusal(std::string(kBanner) + "2000000000 3 1\n1 1 1\n"));
  EXPECT_IN("far more than", refusal(std::string(kBanner) + "3 9000000000000000000 1\n1 1 1\n"));
  EXPECT_IN("ends after 1", refusal(std::string(kBanner) + "3 3 9000000000000000000\n1 1 1\n"));
  EXPECT_IN("rows, columns and entries", refusal(std::string(kBanner) + "3 3 99999999999999999999\n1 1 1\n"));
  EXPECT_IN("rows, columns and entries", refusal(std::string(kBanner) + "3 -3 1\n1 1 1\n"));
  EXPECT_IN("rows, columns and entries", refusal(std::string(kBanner) + "3 3\n1 1 1\n"));
  EXPECT_IN("ends before the size", refusal(kBanner));
}

/// A matrix of many blocks, its entries in a given order.
struct LargeMatrix {
  std::int64_t n_genes = 300;
  std::int64_t n_cells = 2000;
  std::vector<std::array<std::int64_t, 3>> entries{};
  Table expected{};

  LargeMatrix() : expected(static_cast<std::size_t>(n_cells), std::vector<float>(static_cast<std::size_t>(n_genes))) {
    std::mt19937 random(7);
    for (std::int64_t cell = 0; cell < n_cells; ++cell)
      for (std::int64_t gene = 0; gene < n_genes; ++gene) {
        if (random() % 3 != 0) continue;
        const std::int64_t value = 1 + static_cast<std::int64_t>(random() % 2000);
        entries.push_back({gene + 1, cell + 1, value});
        expected[static_cast<std::size_t>(cell)][static_cast<std::size_t>(gene)] = static_cast<float>(value);
      }
  }
  std::string text() const {
    std::string text = std::string(kBanner) + std::to_string(n_genes) + " " + std::to_string(n_cells) + " " +
                       std::to_string(entries.size()) + "\n";
    for (const auto& [gene, cell, value] : entries)
      text += std::to_string(gene) + " " + std::to_string(cell) + " " + std::to_string(value) + "\n";
    return text;
  }
};

TEST_F(MatrixMarket, ManyBlocksInAnyOrderAndWithAnyThreadsAgree) {
  LargeMatrix matrix;
  const Settings before = settings();
  for (const int order : {0, 1, 2}) {
    if (order == 1) std::ranges::sort(matrix.entries);
    if (order == 2) std::ranges::shuffle(matrix.entries, std::mt19937(1));
    const std::string text = matrix.text();
    ASSERT_GT(text.size(), std::size_t{2} << 20);
    for (const int threads : {1, 2, 7}) {
      settings().n_threads = threads;
      EXPECT_TRUE(read(text) == matrix.expected) << "order " << order << ", threads " << threads;
    }
  }
  settings() = before;
}

/// A cell, a gene and a value, the first two from 0.
using Entry = std::array<std::int64_t, 3>;

std::string text_of(std::int64_t n_genes, std::int64_t n_cells, const std::vector<Entry>& entries) {
  std::string text = std::string(kBanner) + std::to_string(n_genes) + " " + std::to_string(n_cells) + " " +
                     std::to_string(entries.size()) + "\n";
  for (const auto& [cell, gene, value] : entries)
    text += std::to_string(gene + 1) + " " + std::to_string(cell + 1) + " " + std::to_string(value) + "\n";
  return text;
}

CsrBlock rows_of(std::int64_t n_cells, const std::vector<Entry>& entries) {
  std::map<std::pair<std::int64_t, std::int64_t>, std::int64_t> sums;
  for (const auto& [cell, gene, value] : entries) sums[{cell, gene}] += value;
  CsrBlock rows;
  rows.clear();
  for (const auto& [place, sum] : sums) {
    if (sum == 0) continue;
    while (rows.n_rows() <= place.first) rows.indptr.push_back(rows.indptr.back());
    ++rows.indptr.back();
    rows.indices.push_back(static_cast<std::int32_t>(place.second));
    rows.values.push_back(static_cast<float>(sum));
  }
  rows.indptr.resize(static_cast<std::size_t>(n_cells) + 1, rows.indptr.back());
  return rows;
}

/// Orders in which a file may hold its entries; some break off on the way.
std::vector<std::pair<std::string, std::vector<Entry>>> orders_of(std::vector<Entry> entries) {
  const auto by = [](std::size_t first, std::size_t second) {
    return [first, second](const Entry& a, const Entry& b) {
      return std::pair(a[first], a[second]) < std::pair(b[first], b[second]);
    };
  };
  std::vector<std::pair<std::string, std::vector<Entry>>> orders;
  std::ranges::stable_sort(entries, by(0, 1));
  orders.emplace_back("by cell", entries);
  const auto half = entries.begin() + std::ssize(entries) / 2;
  std::rotate(entries.begin(), half, entries.end());
  orders.emplace_back("by cell, halves exchanged", entries);
  std::ranges::stable_sort(entries, by(0, 0));
  std::ranges::reverse(entries);
  std::ranges::stable_sort(entries, by(0, 0));
  orders.emplace_back("by cell, genes descending", entries);
  std::ranges::shuffle(entries.begin() + std::ssize(entries) * 2 / 3, entries.end(), std::mt19937(3));
  orders.emplace_back("by cell at first, then none", entries);
  std::ranges::stable_sort(entries, by(1, 0));
  orders.emplace_back("by gene", entries);
  std::ranges::shuffle(entries, std::mt19937(1));
  orders.emplace_back("none", entries);
  return orders;
}

TEST_F(MatrixMarket, AnyOrderGivesTheSameRowsWithAnyNumberOfThreads) {
  struct Shape {
    std::int64_t n_genes, n_cells, n_entries;
  };
  const Settings before = settings();
  // The second is so wide and high that its entries wait in another form.
  for (const auto& [n_genes, n_cells, n_entries] : {Shape{700, 900, 120000}, Shape{15000000, 600000, 140000}}) {
    std::mt19937 random(5);
    std::vector<Entry> entries;
    const auto below = [&](std::int64_t limit) { return static_cast<std::int64_t>(random() % limit); };
    while (std::ssize(entries) < n_entries) {
      // Rows and columns of which some are empty, and a few long ones.
      const std::int64_t cell = below(8) == 0 ? n_cells / 2 : below(n_cells) / 3 * 3;
      const std::int64_t gene = below(n_genes - 1) / 2 * 2;
      entries.push_back({cell, gene, below(50) == 0 ? 0 : 1 + below(3000)});
      if (below(10) == 0) entries.push_back({cell, gene, below(2) == 0 ? 7 : -entries.back()[2]});
    }
    const CsrBlock expected = rows_of(n_cells, entries);
    for (const auto& [name, ordered] : orders_of(entries)) {
      testing::write_bytes(path_, text_of(n_genes, n_cells, ordered));
      for (const int threads : {1, 2, 7}) {
        SCOPED_TRACE(name + ", threads " + std::to_string(threads) + ", cells " + std::to_string(n_cells));
        settings().n_threads = threads;
        const auto matrix = read_matrix_market(path_);
        CsrBlock rows;
        matrix->read_rows(0, n_cells, rows);
        EXPECT_TRUE(rows.indptr == expected.indptr);
        EXPECT_TRUE(rows.indices == expected.indices);
        EXPECT_TRUE(rows.values == expected.values);
        EXPECT_EQ(matrix->info().n_stored, std::ssize(expected.values));
      }
    }
  }
  settings() = before;
}

TEST_F(MatrixMarket, ValuesOfOnePlaceAddUpInTheOrderOfTheFile) {
  // In another order or in floats the sum would be another. Short rows and long ones are sorted in different ways.
  const float sum = static_cast<float>(1e17F + 3.0 - 1e17F);
  ASSERT_NE(sum, 3);
  for (const int n_genes : {3, 300}) {
    std::string entries;
    for (int gene = n_genes; gene > 2; --gene) entries += std::to_string(gene) + " 1 1\n";
    const std::string sizes = std::to_string(n_genes) + " 1 " + std::to_string(n_genes + 1) + "\n";
    const Table table =
        read("%%MatrixMarket matrix coordinate real general\n" + sizes + entries + "2 1 1e17\n2 1 3\n2 1 -1e17\n");
    EXPECT_EQ(table[0][1], sum) << n_genes;
    EXPECT_EQ(table[0][2], 1) << n_genes;
  }
}

TEST_F(MatrixMarket, LinesAtTheBordersOfTheQuickWayAreReadTheSame) {
  // Numbers of eight and nine digits, lines of 31 bytes and of more.
  EXPECT_EQ(read(std::string(kBanner) + "3 2 4\n00000001 00000001 12345678\n2 1 123456789\n000000003 2 4\n"
                                        "00000000000000003 00000000002 00000000005\n"),
            (Table{{12345678, 123456789.F, 0}, {0, 0, 9}}));
  for (const char* bad : {"1:1 1", "1 1 /", "1 1;1", "1 1 1:", "1/ 1 1", "1\t1\t", " 1 1", "1 1 1\v"})
    EXPECT_IN("line 3", refusal(std::string(kBanner) + "3 2 1\n" + bad + "\n")) << bad;
}

TEST_F(MatrixMarket, TooFewAndTooManyEntriesAreErrorsInAnyOrder) {
  std::vector<Entry> entries;
  for (std::int64_t at = 0; at < 40000; ++at) entries.push_back({at * 7 % 1000, at % 300, 1});
  for (const auto& [name, ordered] : orders_of(entries)) {
    const std::string text = text_of(300, 1000, ordered);
    const std::size_t at = text.find(" 40000\n");
    EXPECT_IN("ends after 40,000 entries", refusal(std::string(text).replace(at, 7, " 40001\n"))) << name;
    EXPECT_IN("behind the 39,999 entries", refusal(std::string(text).replace(at, 7, " 39999\n"))) << name;
  }
}

TEST_F(MatrixMarket, LinesFarDownAreNumberedRightly) {
  std::string text = LargeMatrix().text();
  const std::size_t at = text.rfind('\n', text.size() - 2) + 1;
  const auto line = std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(at), '\n') + 1;
  text.replace(at, 1, "x");
  EXPECT_IN("line " + std::to_string(line) + " ", refusal(text));
}

TEST_F(MatrixMarket, TruncationAnywhereIsAnErrorOrTheSameLastValue) {
  const std::string text = std::string(kBanner) + "3 2 3\n1 1 5\n3 1 70\n2 2 12\n";
  for (std::size_t size = 0; size + 2 < text.size(); ++size) EXPECT_NE(refusal(text.substr(0, size)), "") << size;
}

TEST_F(MatrixMarket, CountsHaveNumberedNames) {
  testing::write_bytes(path_, std::string(kBanner) + "3 2 1\n1 1 5\n");
  const CountFile file = read_matrix_market_counts(path_);
  EXPECT_EQ(file.obs.index, (std::vector<std::string>{"0", "1"}));
  EXPECT_EQ(file.var.index, (std::vector<std::string>{"0", "1", "2"}));
}

}  // namespace
}  // namespace scvi::io
