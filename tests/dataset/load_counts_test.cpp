#include "scvi/dataset/load_counts.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using Names = std::vector<std::string>;
using Numbers = std::vector<std::int64_t>;
using Dense = std::vector<float>;

Dense dense_of(const CountMatrix& matrix) {
  Numbers cells(static_cast<std::size_t>(matrix.n_cells()));
  std::iota(cells.begin(), cells.end(), 0);
  Dense out(static_cast<std::size_t>(matrix.n_cells() * matrix.n_genes()));
  matrix.gather_dense(cells, out.data());
  return out;
}

template <class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

void expect_contains(const std::string& text, const std::string& part) {
  EXPECT_NE(text.find(part), std::string::npos) << "'" << part << "' is not in: " << text;
}

/// Counts that no file holds: 3 cells x 3 genes, the second cell without any, with a table of 2 columns.
class LoadCounts : public ::testing::Test {
 protected:
  LoadCounts() {
    file_.path = "cells.csv";
    file_.format = "comma-separated";
    file_.obs.index = {"a", "b", "c"};
    file_.obs.columns = {{"run", Numbers{2, 2, 1}, {}}, {"type", Names{"T", "B", "B"}, {}}};
    file_.var.index = {"CD3E", "CD19", "MS4A1"};
    file_.var.columns = {{"length", Numbers{10, 20, 30}, {}}};
    file_.tables = {{"protein_expression", "protein_names", {"CD3", "CD4"}, {3, 2, {1, 2, 3, 4, 5, 6}}}};
    set_counts({0, 3, 5, 0, 0, 0, 7, 0, 1});
  }

  void set_counts(const Dense& values) {
    io::CsrBlock rows;
    rows.clear();
    for (std::int64_t cell = 0; cell < 3; ++cell) {
      for (std::int64_t gene = 0; gene < 3; ++gene) {
        const float value = values[cell * 3 + gene];
        if (value == 0) continue;
        rows.indices.push_back(static_cast<std::int32_t>(gene));
        rows.values.push_back(value);
      }
      rows.indptr.push_back(std::ssize(rows.values));
    }
    io::MatrixInfo info{io::MatrixInfo::Layout::csr, 3, 3, std::ssize(rows.values), "float32", "table"};
    file_.counts = io::memory_matrix(info, std::move(rows));
  }

  GeneExpressionDataset load(const LoadOptions& options = {}) { return load_counts(std::move(file_), options); }

  io::CountFile file_;
};

TEST_F(LoadCounts, GivesCountsNamesBatchesAndLabels) {
  const auto dataset = load({.batch_key = "run", .labels_key = "type"});
  EXPECT_EQ(dense_of(dataset.X()), (Dense{0, 3, 5, 7, 0, 1}));
  EXPECT_EQ(dataset.cell_names(), (Names{"a", "c"}));
  EXPECT_EQ(dataset.gene_names(), (Names{"CD3E", "CD19", "MS4A1"}));
  EXPECT_EQ(dataset.batch_names(), (Names{"1", "2"}));
  EXPECT_EQ(dataset.batch_indices(), (Numbers{1, 0}));
  EXPECT_EQ(dataset.cell_types(), (Names{"B", "T"}));
  EXPECT_EQ(dataset.labels(), (Numbers{1, 0}));
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 2}));
  EXPECT_EQ(dataset.gene_attribute("length").text(2), "30");
}

TEST_F(LoadCounts, HidesTheLabelsOfCellsThatHaveNoneOrTheTypeThatMeansNone) {
  file_.obs.columns[1].values = Names{"T", "unknown", ""};
  file_.obs.columns[1].missing = {0, 0, 1};
  const auto dataset = load({.labels_key = "type", .hidden_label = "unknown", .drop_empty_cells = false});
  EXPECT_EQ(dataset.labels(), (Numbers{0, -1, -1}));
  EXPECT_EQ(dataset.cell_types(), Names{"T"});
}

TEST_F(LoadCounts, TakesEmptyTextForNoType) {
  file_.obs.columns[1].values = Names{"T", "unknown", ""};
  file_.obs.columns[1].missing = {};
  const auto dataset = load({.labels_key = "type", .hidden_label = "unknown", .drop_empty_cells = false});
  EXPECT_EQ(dataset.labels(), (Numbers{0, -1, -1}));
  EXPECT_EQ(dataset.cell_types(), Names{"T"});
}

TEST_F(LoadCounts, TakesNoTypeForNoneUnlessToldSo) {
  const auto dataset = load({.labels_key = "type", .hidden_label = "", .drop_empty_cells = false});
  EXPECT_EQ(dataset.labels(), (Numbers{1, 0, 0}));
}

TEST_F(LoadCounts, KeepsAllCellsAndAttributesWhereAsked) {
  const auto dataset = load({.drop_empty_cells = false});
  EXPECT_EQ(dataset.nb_cells(), 3);
  EXPECT_EQ(dataset.cell_attribute("type").text(1), "B");
  EXPECT_EQ(dataset.cell_attribute("run").text(0), "2");
}

TEST_F(LoadCounts, TablesBecomeMeasurementsOfTheCellsThatAreLeft) {
  const auto dataset = load();
  EXPECT_EQ(dataset.cell_measurement("protein_expression").data, (Dense{1, 2, 5, 6}));
  EXPECT_EQ(dataset.cell_measurement("protein_expression").columns, (Names{"CD3", "CD4"}));
  EXPECT_EQ(dataset.cell_measurement("protein_expression").columns_attr_name, "protein_names");
}

TEST_F(LoadCounts, TablesCanBeLeftOut) {
  EXPECT_TRUE(load({.measurements = Names{}}).cell_measurements().empty());
}

TEST_F(LoadCounts, ATableThatIsNotThereSuggestsTheNearest) {
  expect_contains(message_of([&] { load({.measurements = Names{"protein_expresion"}}); }), "'protein_expression'");
}

TEST_F(LoadCounts, ATableWithMissingValuesIsLeftOutUnlessItIsAskedFor) {
  file_.tables[0].values.values[5] = std::numeric_limits<double>::quiet_NaN();
  file_.tables.push_back({"spatial", "spatial_names", {"x"}, {3, 1, {7, 8, 9}}});
  std::string said;
  {
    const ScopedLogSink sink([&](LogLevel level, std::string_view text) {
      if (level >= LogLevel::warning) said += text;
    });
    const auto dataset = load();
    ASSERT_EQ(dataset.cell_measurements().size(), 1U);
    EXPECT_EQ(dataset.cell_measurements()[0].data, (Dense{7, 9}));
  }
  expect_contains(said, "obsm 'protein_expression', cell 'c', column 'CD4' is nan");
}

TEST_F(LoadCounts, ATableWithMissingValuesIsAnErrorWhereItIsAskedFor) {
  file_.tables[0].values.values[5] = std::numeric_limits<double>::quiet_NaN();
  expect_contains(message_of([&] { load({.measurements = Names{"protein_expression"}}); }), "must be finite");
}

TEST_F(LoadCounts, GenesComeInTheOrderAskedFor) {
  const auto dataset = load({.genes = {"MS4A1", "CD3E"}});
  EXPECT_EQ(dense_of(dataset.X()), (Dense{5, 0, 1, 7}));
  EXPECT_EQ(dataset.original_genes(), (Numbers{2, 0}));
  EXPECT_EQ(dataset.gene_attribute("length").text(0), "30");
}

TEST_F(LoadCounts, ValuesThatAreNoCountsNameFileCellAndGene) {
  set_counts({0, 3, 5, 0, 0, 0, 7, 0, -1});
  const std::string message = message_of([&] { load(); });
  expect_contains(message, "cells.csv: table, cell 'c', gene 'MS4A1' is -1");
}

TEST_F(LoadCounts, RepeatedGenesAreAnErrorOrNumbered) {
  file_.var.index[2] = "CD3E";
  io::CountFile again;
  again.obs = file_.obs;
  again.var = file_.var;
  expect_contains(message_of([&] { load(); }), "--make-unique");
  file_ = std::move(again);
  set_counts({0, 3, 5, 0, 0, 0, 7, 0, 1});
  EXPECT_EQ(load({.on_duplicate_genes = DuplicateGenes::make_unique}).gene_names(),
            (Names{"CD3E", "CD19", "CD3E-1"}));
}

TEST_F(LoadCounts, AnnotationOfAnotherLengthIsAnError) {
  file_.obs.index.push_back("d");
  EXPECT_THROW(load(), FormatError);
}

TEST_F(LoadCounts, ATableOfAnotherLengthIsAnError) {
  file_.tables[0].values.n_rows = 2;
  file_.tables[0].values.values.resize(4);
  EXPECT_THROW(load({.measurements = Names{"protein_expression"}}), InputError);
}

}  // namespace
}  // namespace scvi
