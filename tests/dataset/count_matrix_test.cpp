#include "scvi/dataset/count_matrix.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numeric>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"
#include "scvi/core/settings.hpp"

namespace scvi {
namespace {

using Dense = std::vector<float>;

// Every count is distinct in a cell, so that a wrong place shows.
const Dense kSmall = {0, 3, 0, 5,  //
                      0, 0, 0, 0,  //
                      7, 0, 1, 2};

CountMatrix small_csr() {
  return CountMatrix::from_csr(3, 4, {0, 2, 2, 5}, {1, 3, 0, 2, 3}, {3, 5, 7, 1, 2});
}

Dense dense_of(const CountMatrix& matrix) {
  std::vector<std::int64_t> cells(static_cast<std::size_t>(matrix.n_cells()));
  std::iota(cells.begin(), cells.end(), 0);
  Dense out(static_cast<std::size_t>(matrix.n_cells() * matrix.n_genes()), -1.0F);
  matrix.gather_dense(cells, out.data());
  return out;
}

Dense random_dense(std::int64_t n_cells, std::int64_t n_genes, double mean, std::uint64_t seed = 1) {
  RandomStream stream(seed, "count_matrix_test");
  Dense values(static_cast<std::size_t>(n_cells * n_genes));
  for (float& value : values) value = static_cast<float>(stream.poisson(mean));
  return values;
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

TEST(CountMatrix, CsrAndDenseHoldTheSameCounts) {
  const CountMatrix sparse = small_csr();
  const CountMatrix dense = CountMatrix::from_dense(3, 4, kSmall);
  EXPECT_TRUE(sparse.is_sparse());
  EXPECT_FALSE(dense.is_sparse());
  EXPECT_EQ(dense_of(sparse), kSmall);
  EXPECT_EQ(dense_of(dense), kSmall);
  EXPECT_EQ(sparse.n_nonzero(), 5);
  EXPECT_EQ(dense.n_nonzero(), 5);
}

TEST(CountMatrix, ForEachNonzeroVisitsGenesInOrder) {
  for (const CountMatrix& matrix : {small_csr(), CountMatrix::from_dense(3, 4, kSmall)}) {
    std::vector<std::pair<std::int64_t, float>> seen;
    matrix.for_each_nonzero(2, [&](std::int64_t gene, float count) { seen.emplace_back(gene, count); });
    EXPECT_EQ(seen, (std::vector<std::pair<std::int64_t, float>>{{0, 7}, {2, 1}, {3, 2}}));
  }
}

TEST(CountMatrix, UnsortedRowsAreSortedAndStoredZerosDropped) {
  const auto matrix = CountMatrix::from_csr(2, 4, {0, 3, 5}, {3, 0, 1, 2, 1}, {5, 0, 3, 9, 8});
  EXPECT_EQ(dense_of(matrix), (Dense{0, 3, 0, 5, 0, 8, 9, 0}));
  EXPECT_EQ(matrix.n_nonzero(), 4);
}

TEST(CountMatrix, ValuesTakeTheSmallestTypeThatHoldsThem) {
  const auto bytes_per_value = [](float value) {
    return CountMatrix::from_dense(1, 2, Dense{1, value}).memory_bytes() / 2;
  };
  EXPECT_EQ(bytes_per_value(255), 1U);
  EXPECT_EQ(bytes_per_value(256), 2U);
  EXPECT_EQ(bytes_per_value(65535), 2U);
  EXPECT_EQ(bytes_per_value(65536), 4U);
  EXPECT_EQ(bytes_per_value(0.5F), 4U);
  EXPECT_EQ(bytes_per_value(-1), 4U);
  EXPECT_EQ(bytes_per_value(std::numeric_limits<float>::quiet_NaN()), 4U);
}

TEST(CountMatrix, WideValuesSurviveExactly) {
  const Dense values = {255, 256, 65535, 65536, 0.25F, -3, 1e30F, 0};
  EXPECT_EQ(dense_of(CountMatrix::from_dense(2, 4, values)), values);
  EXPECT_EQ(dense_of(CountMatrix::from_dense(2, 4, values).to_sparse()), values);
}

TEST(CountMatrix, GeneIndicesTake16BitsUpTo65536Genes) {
  const auto with_genes = [](std::int64_t n_genes) {
    return CountMatrix::from_csr(1, n_genes, {0, 1}, {static_cast<std::int32_t>(n_genes - 1)}, {1});
  };
  EXPECT_EQ(with_genes(65537).memory_bytes() - with_genes(65536).memory_bytes(), 2U);
  for (const std::int64_t n_genes : {65536, 65537}) {
    with_genes(n_genes).for_each_nonzero(0, [&](std::int64_t gene, float) { EXPECT_EQ(gene, n_genes - 1); });
  }
}

TEST(CountMatrix, MemoryIsFarBelowPlainCsrForRealCounts) {
  const auto matrix = CountMatrix::from_dense(200, 500, random_dense(200, 500, 0.15)).to_sparse();
  EXPECT_EQ(matrix.csr_bytes(), 201 * 8 + static_cast<std::size_t>(matrix.n_nonzero()) * 8);
  EXPECT_EQ(matrix.memory_bytes(), 201 * 8 + static_cast<std::size_t>(matrix.n_nonzero()) * 3);
}

TEST(CountMatrix, FromCsrRefusesPartsThatDoNotFit) {
  using Offsets = std::vector<std::int64_t>;
  using Indices = std::vector<std::int32_t>;
  const auto build = [](std::int64_t n_cells, std::int64_t n_genes, Offsets indptr, Indices indices, Dense values) {
    return message_of([&] { CountMatrix::from_csr(n_cells, n_genes, indptr, indices, values); });
  };
  EXPECT_NE(build(-1, 4, {0}, {}, {}).find("impossible shape"), std::string::npos);
  EXPECT_NE(build(1, std::int64_t{1} << 40, {0, 0}, {}, {}).find("impossible shape"), std::string::npos);
  EXPECT_NE(build(2, 4, {0, 1}, {0}, {1}).find("has 2 entries, expected 3"), std::string::npos);
  EXPECT_NE(build(0, 4, {}, {}, {}).find("has 0 entries, expected 1"), std::string::npos);
  EXPECT_NE(build(1, 4, {1, 1}, {0}, {1}).find("starts at 1"), std::string::npos);
  EXPECT_NE(build(2, 4, {0, 2, 1}, {0}, {1}).find("decreases at cell 1"), std::string::npos);
  EXPECT_NE(build(1, 4, {0, 2}, {0}, {1}).find("ends at 2, but there are 1 indices and 1 values"), std::string::npos);
  EXPECT_NE(build(1, 4, {0, 2}, {0, 1}, {1}).find("2 indices and 1 values"), std::string::npos);
  EXPECT_NE(build(1, 4, {0, 1}, {4}, {1}).find("is 4, but there are 4 genes"), std::string::npos);
  EXPECT_NE(build(1, 4, {0, 1}, {-1}, {1}).find("is -1"), std::string::npos);
  EXPECT_NE(build(2, 4, {0, 1, 3}, {0, 2, 2}, {1, 1, 1}).find("cell 1 is 2, which is out of order or there twice"),
            std::string::npos);
}

TEST(CountMatrix, FromDenseRefusesAWrongNumberOfValues) {
  EXPECT_THROW(CountMatrix::from_dense(2, 4, kSmall), InputError);
  EXPECT_THROW(CountMatrix::from_dense(-3, -4, kSmall), InputError);
  EXPECT_THROW(CountMatrix::from_dense(std::int64_t{1} << 40, std::int64_t{1} << 30, kSmall), InputError);
}

TEST(CountMatrix, GatherTakesCellsInAnyOrderAndRepeated) {
  const std::vector<std::int64_t> cells = {2, 0, 2, 1};
  const Dense expected = {7, 0, 1, 2, 0, 3, 0, 5, 7, 0, 1, 2, 0, 0, 0, 0};
  for (const CountMatrix& matrix : {small_csr(), CountMatrix::from_dense(3, 4, kSmall)}) {
    Dense dense(16, -1.0F);
    matrix.gather_dense(cells, dense.data());
    EXPECT_EQ(dense, expected);
    io::CsrBlock block;
    block.first_row = 99;
    matrix.gather_csr(cells, block);
    EXPECT_EQ(block.first_row, 0);
    EXPECT_EQ(block.indptr, (std::vector<std::int64_t>{0, 3, 5, 8, 8}));
    EXPECT_EQ(block.indices, (std::vector<std::int32_t>{0, 2, 3, 1, 3, 0, 2, 3}));
    EXPECT_EQ(block.values, (Dense{7, 1, 2, 3, 5, 7, 1, 2}));
  }
}

TEST(CountMatrix, CellTotals) {
  EXPECT_EQ(small_csr().cell_totals(), (std::vector<double>{8, 0, 10}));
  EXPECT_EQ(CountMatrix::from_dense(3, 4, kSmall).cell_totals(), (std::vector<double>{8, 0, 10}));
}

TEST(CountMatrix, SelectCellsAndGenesMatchTheDenseSelection) {
  const std::int64_t n_cells = 60;
  const std::int64_t n_genes = 40;
  const Dense values = random_dense(n_cells, n_genes, 0.8);
  const std::vector<std::int64_t> cells = {59, 0, 7, 7, 30};
  const std::vector<std::int64_t> shuffled = {39, 1, 20, 0};
  const std::vector<std::int64_t> increasing = {0, 3, 5, 38};
  Dense by_cells;
  for (const std::int64_t cell : cells) {
    by_cells.insert(by_cells.end(), values.begin() + cell * n_genes, values.begin() + (cell + 1) * n_genes);
  }
  for (const bool sparse : {false, true}) {
    CountMatrix matrix = CountMatrix::from_dense(n_cells, n_genes, values);
    if (sparse) matrix = matrix.to_sparse();
    EXPECT_EQ(dense_of(matrix.select_cells(cells)), by_cells);
    EXPECT_EQ(matrix.select_cells(cells).is_sparse(), sparse);
    for (const auto& genes : {shuffled, increasing}) {
      Dense by_genes;
      for (std::int64_t cell = 0; cell < n_cells; ++cell) {
        for (const std::int64_t gene : genes) by_genes.push_back(values[cell * n_genes + gene]);
      }
      const CountMatrix selected = matrix.select_genes(genes);
      EXPECT_EQ(selected.n_genes(), 4);
      EXPECT_EQ(dense_of(selected), by_genes);
      std::int64_t previous = -1;
      selected.for_each_nonzero(0, [&](std::int64_t gene, float) {
        EXPECT_GT(gene, previous);
        previous = gene;
      });
    }
  }
}

TEST(CountMatrix, SelectionsOfAMatrixGivenUpEqualThoseOfACopy) {
  const std::int64_t n_cells = 3000;  // several chunks
  const std::int64_t n_genes = 200;
  const Dense values = random_dense(n_cells, n_genes, 0.8);
  std::vector<std::int64_t> every_third;
  for (std::int64_t i = 1; i < n_cells; i += 3) every_third.push_back(i);
  const std::vector<std::int64_t> unordered = {2999, 0, 7, 7, 30};
  std::vector<std::int64_t> reversed_genes;
  for (std::int64_t gene = n_genes - 1; gene >= 0; gene -= 2) reversed_genes.push_back(gene);
  const std::vector<std::int64_t> first_genes = {0, 1, 2, 50};
  std::vector<std::int64_t> all_cells(static_cast<std::size_t>(n_cells));
  std::iota(all_cells.begin(), all_cells.end(), 0);
  const auto expect_same = [](const CountMatrix& got, const CountMatrix& expected) {
    EXPECT_EQ(dense_of(got), dense_of(expected));
    EXPECT_EQ(got.is_sparse(), expected.is_sparse());
    EXPECT_EQ(got.n_nonzero(), expected.n_nonzero());
    EXPECT_EQ(got.memory_bytes(), expected.memory_bytes());
  };
  for (const bool sparse : {false, true}) {
    CountMatrix matrix = CountMatrix::from_dense(n_cells, n_genes, values);
    if (sparse) matrix = matrix.to_sparse();
    for (const auto& cells : {every_third, unordered, all_cells, std::vector<std::int64_t>{n_cells - 1}}) {
      expect_same(CountMatrix(matrix).select_cells(cells), matrix.select_cells(cells));
    }
    for (const auto& genes : {reversed_genes, first_genes}) {
      expect_same(CountMatrix(matrix).select_genes(genes), matrix.select_genes(genes));
    }
    const CountMatrix none = CountMatrix(matrix).select_genes(std::vector<std::int64_t>{});
    EXPECT_EQ(none.n_genes(), 0);
    EXPECT_EQ(none.n_nonzero(), 0);
  }
}

TEST(CountMatrix, TotalsOverSomeGenes) {
  const std::vector<std::int64_t> genes = {3, 0};
  EXPECT_EQ(small_csr().cell_totals(genes), small_csr().select_genes(genes).cell_totals());
  EXPECT_EQ(CountMatrix::from_dense(3, 4, kSmall).cell_totals(genes), small_csr().cell_totals(genes));
}

TEST(CountMatrix, PartsAreChosenAndFreedAsTheyAreConcatenated) {
  for (const bool sparse : {false, true}) {
    CountMatrix a = CountMatrix::from_dense(2, 3, Dense{1, 2, 0, 4, 0, 6});
    CountMatrix b = CountMatrix::from_dense(1, 2, Dense{7, 800});
    if (sparse) b = b.to_sparse();
    const std::vector<CountMatrix::Part> parts = {{&a, {2, 0}, &a}, {&b, {}, &b}};
    const CountMatrix joined = CountMatrix::concatenate(parts);
    EXPECT_EQ(dense_of(joined), (Dense{0, 1, 6, 4, 7, 800}));
    EXPECT_EQ(joined.is_sparse(), sparse);
    EXPECT_EQ(a.n_cells(), 0);
    EXPECT_EQ(b.n_cells(), 0);
  }
}

TEST(CountMatrix, SelectionNarrowsTheStorage) {
  const auto wide = CountMatrix::from_csr(2, 70000, {0, 1, 2}, {69999, 0}, {1, 70000});
  const auto cell = wide.select_cells(std::vector<std::int64_t>{0});
  EXPECT_EQ(cell.memory_bytes(), 2 * 8 + 4 + 1U);
  const auto gene = wide.select_genes(std::vector<std::int64_t>{69999});
  EXPECT_EQ(gene.memory_bytes(), 3 * 8 + 2 + 1U);
  EXPECT_EQ(dense_of(gene), (Dense{1, 0}));
}

TEST(CountMatrix, ConversionsKeepTheCounts) {
  EXPECT_EQ(dense_of(small_csr().to_dense()), kSmall);
  EXPECT_FALSE(small_csr().to_dense().is_sparse());
  EXPECT_EQ(dense_of(CountMatrix::from_dense(3, 4, kSmall).to_sparse()), kSmall);
  EXPECT_EQ(small_csr().to_dense().to_sparse().memory_bytes(), small_csr().memory_bytes());
}

TEST(CountMatrix, ConcatenatePutsCellsOneAfterTheOtherAndWidens) {
  const CountMatrix narrow = small_csr();
  const CountMatrix wide = CountMatrix::from_dense(1, 4, Dense{0, 300, 0.5F, 0});
  Dense expected = kSmall;
  expected.insert(expected.end(), {0, 300, 0.5F, 0});
  const std::vector<const CountMatrix*> parts = {&narrow, &wide};
  const CountMatrix mixed = CountMatrix::concatenate(parts);
  EXPECT_TRUE(mixed.is_sparse());
  EXPECT_EQ(dense_of(mixed), expected);
  const CountMatrix dense = narrow.to_dense();
  const std::vector<const CountMatrix*> dense_parts = {&dense, &wide};
  EXPECT_FALSE(CountMatrix::concatenate(dense_parts).is_sparse());
  EXPECT_EQ(dense_of(CountMatrix::concatenate(dense_parts)), expected);
}

TEST(CountMatrix, ConcatenateRefusesDifferentNumbersOfGenes) {
  const CountMatrix a = small_csr();
  const CountMatrix b = CountMatrix::from_dense(1, 3, Dense{1, 2, 3});
  const std::vector<const CountMatrix*> parts = {&a, &b};
  EXPECT_THROW(CountMatrix::concatenate(parts), InputError);
}

TEST(CountMatrix, ResultsDoNotDependOnThreads) {
  const Dense values = random_dense(500, 300, 0.5);
  const CountMatrix matrix = CountMatrix::from_dense(500, 300, values).to_sparse();
  std::vector<std::int64_t> genes(300);
  std::iota(genes.rbegin(), genes.rend(), 0);
  const int threads_before = settings().n_threads;
  for (const int threads : {1, 3}) {
    settings().n_threads = threads;
    EXPECT_EQ(dense_of(matrix), values);
    EXPECT_EQ(dense_of(matrix.select_genes(genes).select_genes(genes)), values);
  }
  settings().n_threads = threads_before;
}

TEST(CountMatrixBuilder, WidensWhenALaterCellNeedsIt) {
  CountMatrixBuilder builder(3);
  builder.append_cell(std::vector<std::int32_t>{0, 2}, Dense{1, 255});
  builder.append_cell(std::vector<std::int32_t>{1}, Dense{256});
  io::CsrBlock block;
  block.indptr = {0, 0, 2};
  block.indices = {0, 1};
  block.values = {0.5F, 0};
  builder.append(block);
  const CountMatrix matrix = std::move(builder).finish();
  EXPECT_EQ(matrix.n_cells(), 4);
  EXPECT_EQ(matrix.n_nonzero(), 4);
  EXPECT_EQ(dense_of(matrix), (Dense{1, 0, 255, 0, 256, 0, 0, 0, 0, 0.5F, 0, 0}));
}

TEST(CountMatrixBuilder, RefusesRowsThatAreNotSorted) {
  CountMatrixBuilder builder(3);
  EXPECT_THROW(builder.append_cell(std::vector<std::int32_t>{2, 0}, Dense{1, 1}), InputError);
  EXPECT_THROW(builder.append_cell(std::vector<std::int32_t>{0, 0}, Dense{1, 1}), InputError);
  EXPECT_THROW(builder.append_cell(std::vector<std::int32_t>{3}, Dense{1}), InputError);
  EXPECT_THROW(builder.append_cell(std::vector<std::int32_t>{-1}, Dense{1}), InputError);
  EXPECT_THROW(builder.append_cell(std::vector<std::int32_t>{0}, Dense{1, 2}), InputError);
}

TEST(CountMatrixBuilder, RefusesABlockWhoseOffsetsLie) {
  CountMatrixBuilder builder(3);
  io::CsrBlock block;
  EXPECT_THROW(builder.append(block), InputError);
  block.indptr = {0, 5};
  block.indices = {0};
  block.values = {1};
  EXPECT_THROW(builder.append(block), InputError);
  block.indptr = {0, 1, -7, 1};
  EXPECT_THROW(builder.append(block), InputError);
}

TEST(CountMatrixBuilder, GivesBackWhatWasReservedTooMuch) {
  CountMatrixBuilder builder(10, 1, 1000000);
  builder.append_cell(std::vector<std::int32_t>{4}, Dense{2});
  const CountMatrix matrix = std::move(builder).finish();
  EXPECT_EQ(dense_of(matrix), (Dense{0, 0, 0, 0, 2, 0, 0, 0, 0, 0}));
  EXPECT_EQ(matrix.memory_bytes(), 2 * 8 + 2 + 1U);
}

}  // namespace
}  // namespace scvi
