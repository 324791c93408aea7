#include "scvi/dataset/anndata.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
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

io::Column categorical(const std::string& name, std::vector<std::int32_t> codes, Names categories) {
  return {name, io::Categorical{std::move(codes), std::move(categories), false}, {}};
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

/// Messages of at least info level while it lives.
class Messages {
 public:
  Messages()
      : sink_([this](LogLevel level, std::string_view text) {
          messages_.emplace_back((level >= LogLevel::warning ? "WARNING " : "") + std::string(text));
        }) {}
  /// All of them in one text.
  std::string text() const {
    std::string all;
    for (const std::string& message : messages_) all += message + "\n";
    return all;
  }

 private:
  Names messages_;
  ScopedLogSink sink_;
};

/// A file of 4 cells and 3 genes to spoil; cell "x" has no counts.
class AnnData : public ::testing::Test {
 protected:
  AnnData() {
    contents_.obs.index = {"w", "x", "y", "z"};
    contents_.obs.columns = {categorical("batch", {1, 1, 0, 1}, {"late", "early", "never"}),
                             categorical("cell_line", {0, 1, 1, 0}, {"H1975", "H2228"}),
                             {"depth", std::vector<double>{0.5, 1.5, 2.5, 3.5}, {}}};
    contents_.var.index = {"CD3E", "CD19", "MS4A1"};
    contents_.var.columns = {{"length", Numbers{10, 20, 30}, {}}};
  }

  std::string write(const Dense& values) {
    const std::int64_t n_genes = static_cast<std::int64_t>(contents_.var.index.size());
    const std::int64_t n_cells = static_cast<std::int64_t>(contents_.obs.index.size());
    bool done = false;
    contents_.next_rows = [&](io::CsrBlock& block) {
      if (done) return false;
      done = true;
      block.first_row = 0;
      block.indptr = {0};
      block.indices.clear();
      block.values.clear();
      for (std::int64_t cell = 0; cell < n_cells; ++cell) {
        for (std::int64_t gene = 0; gene < n_genes; ++gene) {
          const float value = values[cell * n_genes + gene];
          if (value == 0) continue;
          block.indices.push_back(static_cast<std::int32_t>(gene));
          block.values.push_back(value);
        }
        block.indptr.push_back(static_cast<std::int64_t>(block.values.size()));
      }
      return true;
    };
    const std::string path = folder_.path("data.h5ad");
    io::write_h5ad(path, contents_, Overwrite::replace);
    return path;
  }

  GeneExpressionDataset load(const LoadOptions& options = {}, const io::H5adOptions& from = {}) {
    return load_anndata(io::H5adFile(write(counts_)), options, from);
  }

  Dense counts_ = {0, 3, 5,  //
                   0, 0, 0,  //
                   7, 0, 1,  //
                   4, 4, 0};
  io::H5adContents contents_;
  testing::TemporaryDirectory folder_;
};

TEST_F(AnnData, LoadsCountsNamesBatchesLabelsAndAttributesOfTheCellsThatHaveCounts) {
  const Messages messages;
  const auto dataset = load({.batch_key = "batch", .labels_key = "cell_line"});
  EXPECT_EQ(dense_of(dataset.X()), (Dense{0, 3, 5, 7, 0, 1, 4, 4, 0}));
  EXPECT_EQ(dataset.cell_names(), (Names{"w", "y", "z"}));
  EXPECT_EQ(dataset.original_cells(), (Numbers{0, 2, 3}));
  EXPECT_EQ(dataset.gene_names(), (Names{"CD3E", "CD19", "MS4A1"}));
  EXPECT_EQ(dataset.batch_names(), (Names{"late", "early"})) << "in the order of the categories";
  EXPECT_EQ(dataset.batch_indices(), (Numbers{1, 0, 1}));
  EXPECT_EQ(dataset.cell_types(), (Names{"H1975", "H2228"}));
  EXPECT_EQ(dataset.labels(), (Numbers{0, 1, 0}));
  EXPECT_EQ(std::get<std::vector<double>>(dataset.cell_attribute("depth").values),
            (std::vector<double>{0.5, 2.5, 3.5}));
  EXPECT_EQ(std::get<Numbers>(dataset.gene_attribute("length").values), (Numbers{10, 20, 30}));
  expect_contains(messages.text(), "left out 1 of 4 cells");
  expect_contains(messages.text(), "never");
}

TEST_F(AnnData, WithoutKeysThereIsOneBatchAndNoLabels) {
  const auto dataset = load({.drop_empty_cells = false});
  EXPECT_EQ(dataset.nb_cells(), 4);
  EXPECT_EQ(dataset.n_batches(), 1);
  EXPECT_EQ(dataset.cell_types(), Names{"undefined"});
  EXPECT_EQ(dataset.cell_attribute("batch").size(), 4) << "columns that are not used stay attributes";
}

TEST_F(AnnData, AttributesCanBeLeftOut) {
  const auto dataset = load({.keep_attributes = false});
  EXPECT_EQ(dataset.cell_attribute_names(), (Names{"batch_indices", "labels"}));
  EXPECT_EQ(dataset.gene_attribute_names(), Names{"gene_names"});
}

TEST_F(AnnData, ReferenceNamesAreUsedWhereTheFileHasThem) {
  contents_.obs.columns.push_back({"batch_indices", Numbers{5, 5, 3, 5}, {}});
  contents_.obs.columns.push_back(categorical("labels", {0, 0, 0, 0}, {"1"}));
  const std::string path = write(counts_);
  const auto plain = dataset_from_anndata(io::H5adFile(path));
  EXPECT_EQ(plain.batch_names(), (Names{"3", "5"}));
  EXPECT_EQ(plain.cell_types(), Names{"1"}) << "the labels column";
  const auto named = dataset_from_anndata(io::H5adFile(path), {.batch_label = "batch", .ctype_label = "cell_line"});
  EXPECT_EQ(named.batch_names(), (Names{"late", "early"}));
  EXPECT_EQ(named.cell_types(), (Names{"H1975", "H2228"})) << "cell types go before labels";
  EXPECT_EQ(named.cell_attribute("labels_cell").size(), 3) << "does not overwrite the labels";
}

TEST_F(AnnData, CountsThatAreNoCountsNameFileCellGeneAndValue) {
  for (const auto& [value, problem] :
       {std::pair{-3.0F, "is -3, but counts cannot be negative"}, std::pair{std::nanf(""), "is NaN"},
        std::pair{std::numeric_limits<float>::infinity(), "is infinite"}}) {
    counts_[8] = value;
    const std::string message = message_of([&] { load(); });
    expect_contains(message, problem);
    expect_contains(message, "data.h5ad");
    expect_contains(message, "X, cell 'y', gene 'MS4A1'");
    expect_contains(message, "give the raw counts, with --layer where the file has them");
  }
}

TEST_F(AnnData, BadCountsInGenesThatAreNotLoadedAreStillErrors) {
  counts_[8] = -1;
  EXPECT_THROW(load({.genes = {"CD3E"}}), InputError);
}

TEST_F(AnnData, FractionsWarnOnceWithTheirShareAndTheFirst) {
  counts_[2] = 2.5F;
  counts_[6] = 0.25F;
  const Messages messages;
  const auto dataset = load();
  EXPECT_EQ(dataset.nb_cells(), 3);
  expect_contains(messages.text(), "33.3333 % of the non-zero values are not whole numbers");
  expect_contains(messages.text(), "2.5 at X, cell 'w', gene 'MS4A1'");
  const std::string text = messages.text();
  const auto count_of = [&](const std::string& part) {
    std::int64_t n = 0;
    for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++n;
    return n;
  };
  EXPECT_EQ(count_of("not whole numbers"), 1);
}

TEST_F(AnnData, AFileWithoutAnyCountsIsAnError) {
  counts_.assign(12, 0);
  expect_contains(message_of([&] { load(); }), "no cell has a total count of 1 or more");
}

TEST_F(AnnData, UnknownColumnsAndLayersSuggestTheNearest) {
  const std::string message = message_of([&] { load({.batch_key = "bacth"}); });
  expect_contains(message, "has no column 'bacth' (asked for as the batch)");
  expect_contains(message, "did you mean 'batch'?");
  EXPECT_THROW(load({.labels_key = "cell_lines"}), InputError);
  EXPECT_THROW(load({}, {.layer = "counts"}), InputError);
}

TEST_F(AnnData, CellsWithoutABatchAreAnErrorThatCountsThem) {
  contents_.obs.columns[0] = categorical("batch", {1, -1, -1, 0}, {"late", "early"});
  const std::string message = message_of([&] { load({.batch_key = "batch"}); });
  expect_contains(message, "obs column 'batch'");
  expect_contains(message, "no value for 2 of 4 cells, the first is cell 'x'");
}

TEST_F(AnnData, CellsWithoutALabelNeedACategoryToUse) {
  contents_.obs.columns[1] = categorical("cell_line", {0, 1, -1, 0}, {"H1975", "H2228"});
  LoadOptions options{.labels_key = "cell_line"};
  expect_contains(message_of([&] { load(options); }), "no value for 1 of 4 cells, the first is cell 'y'");
  options.missing_label = "unknown";
  auto dataset = load(options);
  EXPECT_EQ(dataset.cell_types(), (Names{"H1975", "unknown"})) << "the only H2228 cell is empty";
  EXPECT_EQ(dataset.labels(), (Numbers{0, 1, 0}));
  options.missing_label = "H1975";
  EXPECT_EQ(load(options).labels(), (Numbers{0, 0, 0}));
}

TEST_F(AnnData, DuplicateGeneNamesAreAnErrorUnlessMadeUnique) {
  contents_.var.index = {"CD3E", "CD3E", "MS4A1"};
  const std::string message = message_of([&] { load(); });
  expect_contains(message, "1 occur more than once (CD3E)");
  const auto dataset = load({.on_duplicate_genes = DuplicateGenes::make_unique});
  EXPECT_EQ(dataset.gene_names(), (Names{"CD3E", "CD3E-1", "MS4A1"}));
  EXPECT_EQ(load({.genes = {"MS4A1"}}).nb_genes(), 1) << "the genes asked for are unique";
  expect_contains(message_of([&] { load({.genes = {"CD3E"}}); }), "gene 'CD3E' occurs more than once");
}

TEST(MakeNamesUnique, FollowsAnndata) {
  EXPECT_EQ(make_names_unique({"a", "a", "b", "a", "a-1", "b"}), (Names{"a", "a-2", "b", "a-3", "a-1", "b-1"}));
}

TEST_F(AnnData, ListedGenesComeInTheirOrderAndEmptiedCellsGo) {
  const Messages messages;
  const auto dataset = load({.genes = {"MS4A1", "CD3E"}});
  EXPECT_EQ(dense_of(dataset.X()), (Dense{5, 0, 1, 7, 0, 4}));
  EXPECT_EQ(dataset.gene_names(), (Names{"MS4A1", "CD3E"}));
  EXPECT_EQ(dataset.original_genes(), (Numbers{2, 0}));
  EXPECT_EQ(std::get<Numbers>(dataset.gene_attribute("length").values), (Numbers{30, 10}));
  expect_contains(messages.text(), "using 2 of 3 genes");
  EXPECT_EQ(load({.genes = {"CD19"}}).cell_names(), (Names{"w", "z"}));
}

TEST_F(AnnData, MissingGenesAreListed) {
  const std::string message = message_of([&] { load({.genes = {"CD3E", "CD20", "MS4A2"}}); });
  expect_contains(message, "data.h5ad");
  expect_contains(message, "2 of 3 are missing: CD20, MS4A2");
  EXPECT_THROW(load({.genes = {"CD3E", "CD3E"}}), InputError);
}

TEST_F(AnnData, ADataSetIsAlignedToTheGenesOfAModel) {
  auto dataset = load();
  align_genes(dataset, {"MS4A1", "CD3E"});
  EXPECT_EQ(dense_of(dataset.X()), (Dense{5, 0, 1, 7, 0, 4}));
  align_genes(dataset, {"MS4A1"});
  EXPECT_EQ(dataset.nb_cells(), 3) << "cells stay, even empty ones";
  EXPECT_THROW(align_genes(dataset, {"CD3E"}), InputError);
}

TEST_F(AnnData, DenseAndSparseFilesLoadTheSame) {
  const Dense sparse = dense_of(load().X());
  contents_.dense = true;
  EXPECT_EQ(dense_of(load().X()), sparse);
}

TEST_F(AnnData, MeasurementsComeWithTheirColumnNames) {
  contents_.obsm = {{"protein_expression", {4, 2, {1, 2, 3, 4, 5, 6, 7, 8}}}};
  contents_.uns = {{"protein_names", io::UnsValue{Names{"CD3", "CD4"}}}};
  const LoadOptions options{.measurements = Names{"protein_expression"}};
  const io::H5adOptions from{.all_tables = false, .tables = {{"protein_expression", "protein_names"}}};
  const auto dataset = load(options, from);
  EXPECT_EQ(dataset.cell_measurement("protein_expression").data, (Dense{1, 2, 5, 6, 7, 8}));
  EXPECT_EQ(dataset.cell_measurement("protein_expression").columns, (Names{"CD3", "CD4"}));
  contents_.obsm[0].second.values[5] = std::nanf("");
  expect_contains(message_of([&] { load(options, from); }), "obsm 'protein_expression', cell 'y', column 'CD4'");
  contents_.uns = {{"protein_names", io::UnsValue{Names{"CD3"}}}};
  EXPECT_THROW(load(options, from), InputError);
}

TEST_F(AnnData, MeasurementsAreNamedAsTheReferenceNamesThem) {
  contents_.obsm = {{"protein_expression", {4, 2, {1, 2, 3, 4, 5, 6, 7, 8}}}};
  for (const std::string list : {"proteins", "protein_expression"}) {
    contents_.uns = {{list, io::UnsValue{Names{"CD3", "CD4"}}}};
    const auto dataset = dataset_from_anndata(
        io::H5adFile(write(counts_)), {.cell_measurements_col_mappings = {{"protein_expression", "proteins"}}});
    EXPECT_EQ(dataset.cell_measurement("protein_expression").columns, (Names{"CD3", "CD4"}));
    EXPECT_EQ(dataset.cell_measurement("protein_expression").columns_attr_name, "proteins");
  }
}

TEST_F(AnnData, WritingAndLoadingGivesTheSameDataSet) {
  contents_.obsm = {{"protein_expression", {4, 2, {1, 2, 3, 4, 5, 6, 7, 8}}}};
  contents_.uns = {{"protein_names", io::UnsValue{Names{"CD3", "CD4"}}}};
  LoadOptions options{.batch_key = "batch", .labels_key = "cell_line", .measurements = Names{"protein_expression"}};
  const auto first = load(options);
  const std::string path = folder_.path("written.h5ad");
  write_dataset_h5ad(first, path, Overwrite::refuse);
  options.labels_key = "cell_type";
  const auto second = load_anndata(io::H5adFile(path), options);
  EXPECT_EQ(dense_of(second.X()), dense_of(first.X()));
  EXPECT_EQ(second.cell_names(), first.cell_names());
  EXPECT_EQ(second.gene_names(), first.gene_names());
  EXPECT_EQ(second.batch_names(), first.batch_names());
  EXPECT_EQ(second.batch_indices(), first.batch_indices());
  EXPECT_EQ(second.cell_types(), first.cell_types());
  EXPECT_EQ(second.labels(), first.labels());
  EXPECT_EQ(second.cell_measurement("protein_expression").data, first.cell_measurement("protein_expression").data);
  EXPECT_EQ(second.cell_attribute("depth").text(1), "2.5");
  EXPECT_EQ(second.gene_attribute("length").text(2), "30");
  EXPECT_THROW(write_dataset_h5ad(first, path, Overwrite::refuse), InputError);
}

TEST_F(AnnData, WritingADataSetWithoutNamesNumbersThem) {
  GeneExpressionDataset dataset;
  dataset.populate_from_data(CountMatrix::from_dense(2, 2, Dense{1, 0, 2, 300}));
  const std::string path = folder_.path("plain.h5ad");
  write_dataset_h5ad(dataset, path, Overwrite::refuse);
  const io::H5adFile file(path);
  EXPECT_EQ(file.obs().index, (Names{"0", "1"}));
  EXPECT_EQ(file.var().index, (Names{"0", "1"}));
  EXPECT_EQ(file.obs().column_names(), Names{"batch"}) << "no labels";
  EXPECT_EQ(dense_of(load_anndata(file).X()), (Dense{1, 0, 2, 300}));
}

/// sc_mixology, two protocols; the numbers were worked out with anndata and NumPy.
class Mixology : public ::testing::Test {
 protected:
  void SetUp() override {
    SCVI_REQUIRE_TEST_DATA();
    const io::H5adFile file(testing::test_data_dir() + "/mixology/mixology_3cl.h5ad");
    dataset_ = load_anndata(file, {.batch_key = "batch", .labels_key = "cell_line"});
  }
  GeneExpressionDataset dataset_;
};

TEST_F(Mixology, ShapeTotalsAndCategories) {
  EXPECT_EQ(dataset_.nb_cells(), 450);
  EXPECT_EQ(dataset_.nb_genes(), 15073);
  EXPECT_EQ(dataset_.X().n_nonzero(), 2864360);
  const auto totals = dataset_.X().cell_totals();
  EXPECT_EQ(std::accumulate(totals.begin(), totals.end(), 0.0), 14666419.0);
  EXPECT_EQ(*std::min_element(totals.begin(), totals.end()), 8019);
  EXPECT_EQ(*std::max_element(totals.begin(), totals.end()), 97694);
  EXPECT_EQ(std::vector<double>(totals.begin(), totals.begin() + 3), (std::vector<double>{15962, 71769, 30446}));
  EXPECT_EQ(dataset_.batch_names(), (Names{"celseq2", "dropseq"}));
  EXPECT_EQ(dataset_.cell_types(), (Names{"H1975", "H2228", "HCC827"}));
  const auto& labels = dataset_.labels();
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 0), 182);
  EXPECT_EQ(std::count(labels.begin(), labels.end(), 2), 136);
  EXPECT_EQ(dataset_.cell_names()[1], "celseq2_A10");
  EXPECT_EQ(dataset_.gene_names()[2], "ENSG00000275454");
  EXPECT_LT(dataset_.X().memory_bytes(), dataset_.X().csr_bytes() * 55 / 100);
}

TEST_F(Mixology, LibrarySizesPerBatch) {
  EXPECT_EQ(dataset_.batch_indices().front(), 0);
  EXPECT_FLOAT_EQ(dataset_.local_means().front(), 10.429316F);
  EXPECT_FLOAT_EQ(dataset_.local_vars().front(), 0.24430399F);
  EXPECT_EQ(dataset_.batch_indices().back(), 1);
  EXPECT_FLOAT_EQ(dataset_.local_means().back(), 10.078562F);
  EXPECT_FLOAT_EQ(dataset_.local_vars().back(), 0.20824661F);
}

TEST_F(Mixology, MostVariableGenes) {
  dataset_.subsample_genes({.new_n_genes = 1000, .mode = GeneSelectionMode::variance});
  const Names expected = {"ENSG00000210082", "ENSG00000251562", "ENSG00000198886", "ENSG00000198938",
                          "ENSG00000198804", "ENSG00000132432", "ENSG00000198888", "ENSG00000198899",
                          "ENSG00000198727", "ENSG00000211459", "ENSG00000198840", "ENSG00000080824",
                          "ENSG00000269028", "ENSG00000184009", "ENSG00000198712", "ENSG00000262902",
                          "ENSG00000198786", "ENSG00000083845", "ENSG00000123416", "ENSG00000198763"};
  const auto& names = dataset_.gene_names();
  EXPECT_EQ(Names(names.begin(), names.begin() + 20), expected);
  EXPECT_EQ(names.back(), "ENSG00000143228");
  EXPECT_EQ(dataset_.nb_cells(), 450);
  const auto totals = dataset_.X().cell_totals();
  EXPECT_EQ(std::accumulate(totals.begin(), totals.end(), 0.0), 7662072.0);
  EXPECT_FLOAT_EQ(dataset_.local_means().front(), 9.796737F);
  EXPECT_FLOAT_EQ(dataset_.local_vars().back(), 0.21317189F);
}

TEST_F(Mixology, GenesFilteredByCount) {
  auto per_batch = dataset_;
  per_batch.filter_genes_by_count(3, true);
  EXPECT_EQ(per_batch.nb_genes(), 14882);
  dataset_.filter_genes_by_count(10);
  EXPECT_EQ(dataset_.nb_genes(), 14967);
}

TEST_F(Mixology, SurvivesWritingAndLoading) {
  const testing::TemporaryDirectory folder;
  const std::string path = folder.path("copy.h5ad");
  write_dataset_h5ad(dataset_, path, Overwrite::refuse);
  const auto copy = load_anndata(io::H5adFile(path), {.batch_key = "batch", .labels_key = "cell_type"});
  EXPECT_EQ(dense_of(copy.X()), dense_of(dataset_.X()));
  EXPECT_EQ(copy.labels(), dataset_.labels());
  EXPECT_EQ(copy.cell_attribute("split").text(7), dataset_.cell_attribute("split").text(7));
}

TEST(RealAnnData, TheReferencesFixtureLoadsInFull) {
  SCVI_REQUIRE_TEST_DATA();
  const io::H5adFile file(testing::test_data_dir() + "/fixtures/TM_droplet_mat.h5ad");
  const auto dataset = dataset_from_anndata(file);
  EXPECT_EQ(dataset.nb_cells(), 47) << "as the reference's log says in its documentation";
  EXPECT_EQ(dataset.nb_genes(), file.n_vars());
}

TEST(RealAnnData, ProteinsOfCiteSeqExperiments) {
  SCVI_REQUIRE_TEST_DATA();
  struct Expected {
    const char* name;
    std::int64_t n_genes;
    std::size_t n_proteins;
    double total;
  };
  for (const auto& [name, n_genes, n_proteins, total] : {Expected{"pbmc_5k_protein_v3.h5ad", 16581, 29, 628093},
                                                         Expected{"pbmc_10k_protein_v3.h5ad", 16727, 14, 1243127}}) {
    const io::H5adFile file(testing::test_data_dir() + "/pbmc_citeseq/" + name);
    const auto dataset = load_anndata(
        file, {.on_duplicate_genes = DuplicateGenes::make_unique, .measurements = Names{"protein_expression"}});
    EXPECT_EQ(dataset.nb_cells(), 200);
    EXPECT_EQ(dataset.nb_genes(), n_genes);
    const CellMeasurement& proteins = dataset.cell_measurement("protein_expression");
    EXPECT_EQ(proteins.columns.size(), n_proteins);
    EXPECT_EQ(proteins.columns.front(), "CD3_TotalSeqB");
    EXPECT_EQ(std::accumulate(proteins.data.begin(), proteins.data.end(), 0.0), total);
  }
}

}  // namespace
}  // namespace scvi
