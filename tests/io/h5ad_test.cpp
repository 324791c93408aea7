#include "scvi/io/h5ad.hpp"

#include <gtest/gtest.h>
#include <hdf5.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <numeric>

#include "h5ad_fixture.hpp"
#include "h5ad_legacy_fixture.hpp"
#include "scvi/core/logging.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::dense_of;
using testing::message_of;
using Texts = std::vector<std::string>;

// ---------------------------------------------------------------- real files; numbers from Python's anndata

struct RealFile {
  const char* path;
  std::int64_t n_obs;
  std::int64_t n_vars;
  MatrixInfo::Layout layout;
  const char* value_type;
  double sum;
  std::int64_t n_nonzero;
  double row3_sum;
  std::int64_t row3_nonzero;
  double gene5_sum;
  const char* first_cell;
  const char* last_cell;
  const char* first_gene;
  const char* last_gene;
};

const RealFile kRealFiles[] = {
    {"mixology/mixology_3cl.h5ad", 450, 15073, MatrixInfo::Layout::csr, "float32", 14666419, 2864360, 33414, 7227, 8,
     "celseq2_A1", "dropseq_CELL_000302", "ENSG00000236086", "ENSG00000226887"},
    {"osmfish/osmfish_cortex.h5ad", 4530, 33, MatrixInfo::Layout::dense, "int64", 847624, 103791, 132, 20, 13417, "0",
     "4529", "Gad2", "Acta2"},
    {"pbmc_citeseq/pbmc_5k_protein_v3.h5ad", 200, 16581, MatrixInfo::Layout::dense, "float32", 1351231, 387353, 6699,
     1904, 47, "AAACCCAAGAGACAAG-1", "ACAACCAGTTACGATC-1", "AL627309.1", "AC240274.1"},
    {"pbmc_citeseq/pbmc_10k_protein_v3.h5ad", 200, 16727, MatrixInfo::Layout::dense, "float32", 909531, 317760, 1244,
     737, 7, "AAACCCAAGATTGTGA-1", "AAGATAGAGAGCCATG-1", "AL627309.1", "AC240274.1"},
    {"fixtures/TM_droplet_mat.h5ad", 47, 10, MatrixInfo::Layout::csr, "float32", 633, 470, 14, 10, 79, "cell0",
     "cell46", "0610005C13RIK", "0610009B22RIK"},
    {"pretrained/scvi-tools-1.x/exp_activation_totalvi/adata.h5ad", 400, 100, MatrixInfo::Layout::dense, "int64",
     327771, 28013, 847, 73, 3291, "0", "399", "gene_0", "gene_99"},
    {"pretrained/scvi-tools-1.x/pre_logits_fix_scanvi/adata.h5ad", 400, 100, MatrixInfo::Layout::dense, "int64",
     326997, 27995, 936, 75, 3304, "0", "399", "0", "99"},
};

TEST(H5adRealFiles, HoldWhatAnndataFindsInThem) {
  SCVI_REQUIRE_TEST_DATA();
  for (const RealFile& expected : kRealFiles) {
    SCOPED_TRACE(expected.path);
    const H5adFile file(testing::test_data_dir() + "/" + expected.path);
    EXPECT_EQ(file.n_obs(), expected.n_obs);
    EXPECT_EQ(file.n_vars(), expected.n_vars);
    EXPECT_EQ(file.obs().n_rows(), expected.n_obs);
    EXPECT_EQ(file.obs().index.front(), expected.first_cell);
    EXPECT_EQ(file.obs().index.back(), expected.last_cell);
    EXPECT_EQ(file.var().index.front(), expected.first_gene);
    EXPECT_EQ(file.var().index.back(), expected.last_gene);
    EXPECT_FALSE(file.has_raw());
    EXPECT_TRUE(file.layers().empty());

    const auto reader = file.matrix();
    EXPECT_EQ(reader->info().layout, expected.layout);
    EXPECT_EQ(reader->info().value_type, expected.value_type);
    EXPECT_EQ(reader->info().path, "X");
    double sum = 0;
    double gene5 = 0;
    std::int64_t n_nonzero = 0;
    std::int64_t next_row = 0;
    reader->for_each_block([&](const CsrBlock& block) {
      EXPECT_EQ(block.first_row, next_row);
      next_row += block.n_rows();
      n_nonzero += static_cast<std::int64_t>(block.values.size());
      sum = std::accumulate(block.values.begin(), block.values.end(), sum);
      for (std::size_t at = 0; at < block.values.size(); ++at) gene5 += block.indices[at] == 5 ? block.values[at] : 0;
    });
    EXPECT_EQ(next_row, expected.n_obs);
    EXPECT_EQ(sum, expected.sum);
    EXPECT_EQ(n_nonzero, expected.n_nonzero);
    EXPECT_EQ(gene5, expected.gene5_sum);
    CsrBlock row;
    reader->read_rows(3, 1, row);
    EXPECT_EQ(std::accumulate(row.values.begin(), row.values.end(), 0.0), expected.row3_sum);
    EXPECT_EQ(static_cast<std::int64_t>(row.values.size()), expected.row3_nonzero);
  }
}

TEST(H5adRealFiles, MixologyColumnsAreCategories) {
  SCVI_REQUIRE_TEST_DATA();
  const H5adFile file(testing::test_data_dir() + "/mixology/mixology_3cl.h5ad");
  EXPECT_EQ(file.obs().column_names(), (Texts{"batch", "cell_line", "demuxlet", "split"}));
  const auto& line = std::get<Categorical>(file.obs().find("cell_line")->values);
  EXPECT_EQ(line.categories, (Texts{"H1975", "H2228", "HCC827"}));
  EXPECT_EQ(std::vector<std::int32_t>(line.codes.begin(), line.codes.begin() + 4),
            (std::vector<std::int32_t>{0, 1, 2, 1}));
  EXPECT_EQ(file.var().index_name, "gene_id");
  EXPECT_TRUE(file.var().columns.empty());
  EXPECT_FALSE(file.elements().empty());
}

TEST(H5adRealFiles, OsmfishColumnsKeepTheirTypes) {
  SCVI_REQUIRE_TEST_DATA();
  const H5adFile file(testing::test_data_dir() + "/osmfish/osmfish_cortex.h5ad");
  const auto& x = std::get<std::vector<double>>(file.obs().find("x_coord")->values);
  EXPECT_EQ(x[0], 18171.230942376023);
  EXPECT_NEAR(std::accumulate(x.begin(), x.end(), 0.0), 52095380.84602418, 1e-3);
  const auto& labels = std::get<std::vector<std::int64_t>>(file.obs().find("labels")->values);
  EXPECT_EQ(std::accumulate(labels.begin(), labels.end(), std::int64_t{0}), 16584);
  EXPECT_EQ(file.obs().find("str_labels")->text(0), "Inhibitory");
}

TEST(H5adRealFiles, CiteSeqFilesOfAnndata07GiveProteinsAndGeneColumns) {
  SCVI_REQUIRE_TEST_DATA();
  const H5adFile file(testing::test_data_dir() + "/pbmc_citeseq/pbmc_5k_protein_v3.h5ad");
  EXPECT_EQ(file.obsm_keys(), Texts{"protein_expression"});
  const DenseArray proteins = file.obsm("protein_expression");
  EXPECT_EQ(proteins.n_rows, 200);
  EXPECT_EQ(proteins.n_cols, 29);
  EXPECT_EQ(std::accumulate(proteins.values.begin(), proteins.values.end(), 0.0), 628093);
  const Texts names = file.uns_strings("protein_names");
  EXPECT_EQ(names.size(), 29U);
  EXPECT_EQ(names[0], "CD3_TotalSeqB");
  const auto& encode = std::get<Categorical>(file.var().find("encode")->values);
  EXPECT_EQ(encode.categories.size(), 14U);
  EXPECT_EQ(encode.categories[0], "CD3G");
  EXPECT_EQ(encode.codes[0], 10);
  const auto& variable = std::get<Boolean>(file.var().find("highly_variable")->values);
  EXPECT_EQ(std::accumulate(variable.values.begin(), variable.values.end(), 0), 4000);
  EXPECT_EQ(file.obs().index_name, "index");
  EXPECT_EQ(file.obs().column_names(), (Texts{"n_genes", "percent_mito", "n_counts"}));
}

TEST(H5adRealFiles, OtherFormatsAreNamed) {
  SCVI_REQUIRE_TEST_DATA();
  const auto opening = [](const std::string& name) {
    return message_of<FormatError>([&] { H5adFile(testing::test_data_dir() + "/" + name); });
  };
  EXPECT_MENTIONS(opening("fixtures/Cortex.loom"), "it has no obs; it holds col_attrs");
  EXPECT_MENTIONS(opening("fixtures/Cortex.loom"), "looks like a .loom file");
  EXPECT_MENTIONS(opening("fixtures/brain_large.h5"), "it has no obs; it holds mm10");
  EXPECT_MENTIONS(opening("fixtures/SeqFISH.xlsx"), "zip archive");
}

// ---------------------------------------------------------------- made files

class H5ad : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("data.h5ad");

  /// A small valid file, changed by `change`.
  template <class Change>
  void write_changed(Change change) {
    testing::write_small_h5ad(path_);
    Hdf5File file = Hdf5File::open_for_update(path_);
    change(file);
    file.close();
  }

  static void make_sparse(Hdf5File& file, const std::string& path, const std::string& encoding,
                          const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& indptr,
                          const std::vector<std::int32_t>& indices, const std::vector<float>& values) {
    if (file.exists(path)) file.remove(path);
    file.write(path + "/data", values);
    file.write(path + "/indices", indices);
    file.write(path + "/indptr", indptr);
    file.set_attribute(path, "encoding-type", encoding);
    file.set_attribute(path, "encoding-version", "0.1.0");
    file.set_number_attribute<std::int64_t>(path, "shape", std::span<const std::int64_t>(shape));
  }
};

using Rows = std::vector<std::vector<float>>;

TEST_F(H5ad, RowsOfCsrComeSortedMergedAndWithoutZeros) {
  write_changed([](Hdf5File& file) {
    // Row 0 unsorted, row 1 with a stored zero, row 2 with the same gene twice (and once with sum zero), row 3 empty.
    make_sparse(file, "X", "csr_matrix", {4, 3}, {0, 2, 3, 7, 7}, {2, 0, 1, 1, 0, 1, 0}, {2, 1, 0, 3, 4, 5, -4});
  });
  const auto reader = H5adFile(path_).matrix();
  CsrBlock block;
  reader->read_rows(0, 4, block);
  EXPECT_EQ(block.indptr, (std::vector<std::int64_t>{0, 2, 2, 3, 3}));
  EXPECT_EQ(block.indices, (std::vector<std::int32_t>{0, 2, 1}));
  EXPECT_EQ(block.values, (std::vector<float>{1, 2, 8}));
}

TEST_F(H5ad, CscGivesTheSameRowsAsCsr) {
  write_changed([](Hdf5File& file) {
    // Columns: g0 {c3:4, c0:1}, g1 {c2:3, c3:5}, g2 {c0:1, c0:1, c3:6, c1:0}
    make_sparse(file, "layers/csc", "csc_matrix", {4, 3}, {0, 2, 4, 8}, {3, 0, 2, 3, 0, 0, 3, 1},
                {4, 1, 3, 5, 1, 1, 6, 0});
  });
  const H5adFile file(path_);
  const auto reader = file.matrix("csc");
  EXPECT_EQ(reader->info().layout, MatrixInfo::Layout::csc);
  EXPECT_EQ(dense_of(*reader), testing::small_matrix());
  Rows rows;
  reader->for_each_block([&](const CsrBlock& block) {
    for (auto& row : dense_of(block, 3)) rows.push_back(row);
  });
  EXPECT_EQ(rows, testing::small_matrix());
  CsrBlock block;
  reader->read_rows(2, 1, block);
  EXPECT_EQ(block.first_row, 2);
  EXPECT_EQ(dense_of(block, 3), (Rows{{0, 3, 0}}));
}

TEST_F(H5ad, DenseOfEveryTypeIsRead) {
  write_changed([](Hdf5File& file) {
    const std::int64_t shape[] = {4, 3};
    file.write<std::uint8_t>("layers/u8", std::vector<std::uint8_t>{1, 0, 2, 0, 0, 0, 0, 3, 0, 4, 5, 6}, shape,
                             Hdf5Compression::lzf);
    file.write<std::int64_t>("layers/i64", std::vector<std::int64_t>{1, 0, 2, 0, 0, 0, 0, 3, 0, 4, 5, 6}, shape);
    file.write<double>("layers/f64", std::vector<double>{1, 0, 2, 0, 0, 0, 0, 3, 0, 4, 5, 6}, shape,
                       Hdf5Compression::gzip);
  });
  const H5adFile file(path_);
  for (const char* layer : {"u8", "i64", "f64"})
    EXPECT_EQ(dense_of(*file.matrix(layer)), testing::small_matrix()) << layer;
  EXPECT_EQ(file.matrix("u8")->info().value_type, "uint8");
  EXPECT_EQ(file.matrix("u8")->info().path, "layers/u8");
  EXPECT_EQ(file.layers().size(), 3U);
}

TEST_F(H5ad, BooleanAndHalfPrecisionMatricesAreRead) {
  testing::write_small_h5ad(path_);
  const hid_t file = H5Fopen(path_.c_str(), H5F_ACC_RDWR, H5P_DEFAULT);
  const hid_t half = H5Tcopy(H5T_IEEE_F32LE);
  H5Tset_fields(half, 15, 10, 5, 0, 10);
  H5Tset_size(half, 2);
  H5Tset_ebias(half, 15);
  const hid_t boolean = H5Tenum_create(H5T_STD_I8LE);
  std::int8_t value = 0;
  H5Tenum_insert(boolean, "FALSE", &value);
  value = 1;
  H5Tenum_insert(boolean, "TRUE", &value);
  const hsize_t extents[2] = {4, 3};
  const hid_t space = H5Screate_simple(2, extents, nullptr);
  const std::vector<float> values{1, 0, 0.5F, 0, 0, 0, 0, 3, 0, 4, 5, 2048};
  const std::vector<std::int8_t> flags{1, 0, 1, 0, 0, 0, 0, 1, 0, 1, 1, 1};
  const hid_t halves = H5Dcreate2(file, "layers/half", half, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(halves, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data());
  H5Dclose(halves);
  const hid_t truths = H5Dcreate2(file, "layers/bool", boolean, space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  H5Dwrite(truths, boolean, H5S_ALL, H5S_ALL, H5P_DEFAULT, flags.data());
  H5Dclose(truths);
  H5Sclose(space);
  H5Tclose(half);
  H5Tclose(boolean);
  H5Fclose(file);

  const H5adFile opened(path_);
  EXPECT_EQ(dense_of(*opened.matrix("half")), (Rows{{1, 0, 0.5F}, {0, 0, 0}, {0, 3, 0}, {4, 5, 2048}}));
  EXPECT_EQ(dense_of(*opened.matrix("bool")), (Rows{{1, 0, 1}, {0, 0, 0}, {0, 1, 0}, {1, 1, 1}}));
  EXPECT_EQ(opened.matrix("bool")->info().value_type, "bool");
}

TEST_F(H5ad, NanAndInfinityPassThrough) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  write_changed([&](Hdf5File& file) {
    make_sparse(file, "X", "csr_matrix", {4, 3}, {0, 2, 2, 2, 2}, {0, 1}, {std::nanf(""), kInfinity});
    const std::int64_t shape[] = {4, 3};
    std::vector<double> huge(12, 0);
    huge[0] = 1e300;
    huge[1] = std::nan("");
    file.write<double>("layers/huge", huge, shape);
  });
  CsrBlock block;
  H5adFile(path_).matrix()->read_rows(0, 1, block);
  EXPECT_TRUE(std::isnan(block.values.at(0)));
  EXPECT_EQ(block.values.at(1), kInfinity);
  H5adFile(path_).matrix("huge")->read_rows(0, 1, block);
  EXPECT_EQ(block.values.at(0), kInfinity);
  EXPECT_TRUE(std::isnan(block.values.at(1)));
}

TEST_F(H5ad, RowsOutsideTheMatrixAreClipped) {
  testing::write_small_h5ad(path_);
  const auto reader = H5adFile(path_).matrix();
  CsrBlock block;
  reader->read_rows(2, 100, block);
  EXPECT_EQ(block.first_row, 2);
  EXPECT_EQ(dense_of(block, 3), (Rows{{0, 3, 0}, {4, 5, 6}}));
  reader->read_rows(4, 1, block);
  EXPECT_EQ(block.n_rows(), 0);
  reader->read_rows(100, 1, block);
  EXPECT_EQ(block.n_rows(), 0);
  EXPECT_THROW(reader->read_rows(-1, 1, block), InputError);
}

TEST_F(H5ad, LargeMatricesComeInSeveralBlocksThatMeet) {
  // Enough entries for two blocks of 8 Mi: values tell row and position.
  constexpr std::int64_t kRows = 300;
  constexpr std::int64_t kCols = 40000;
  std::vector<std::int64_t> indptr{0};
  std::vector<std::int32_t> indices;
  std::vector<float> values;
  for (std::int64_t row = 0; row < kRows; ++row) {
    for (std::int64_t column = row % 2; column < kCols; column += row == 7 ? 40001 : 1) {
      indices.push_back(static_cast<std::int32_t>(column));
      values.push_back(static_cast<float>(row * 7 + column % 100 + 1));
    }
    indptr.push_back(static_cast<std::int64_t>(values.size()));
  }
  // The transposed of the same matrix.
  std::vector<std::int64_t> column_starts(kCols + 1, 0);
  for (const std::int32_t column : indices) ++column_starts[static_cast<std::size_t>(column) + 1];
  std::partial_sum(column_starts.begin(), column_starts.end(), column_starts.begin());
  std::vector<std::int64_t> next(column_starts.begin(), column_starts.end() - 1);
  std::vector<std::int32_t> csc_rows(indices.size());
  std::vector<float> csc_values(values.size());
  for (std::int64_t row = 0; row < kRows; ++row)
    for (std::int64_t at = indptr[row]; at < indptr[row + 1]; ++at) {
      const std::int64_t slot = next[static_cast<std::size_t>(indices[at])]++;
      csc_rows[slot] = static_cast<std::int32_t>(row);
      csc_values[slot] = values[at];
    }
  {
    Hdf5File file = Hdf5File::create(path_);
    const auto frame = [&](const std::string& name, std::int64_t n) {
      std::vector<std::string> index;
      for (std::int64_t at = 0; at < n; ++at) index.push_back(std::to_string(at));
      file.write_strings(name + "/_index", index);
      file.set_attribute(name, "_index", "_index");
      file.set_attribute(name, "column-order", std::vector<std::string>{});
    };
    frame("obs", kRows);
    frame("var", kCols);
    make_sparse(file, "layers/csr", "csr_matrix", {kRows, kCols}, indptr, indices, values);
    make_sparse(file, "layers/csc", "csc_matrix", {kRows, kCols}, column_starts, csc_rows, csc_values);
    file.close();
  }
  const H5adFile file(path_);
  for (const char* layer : {"csr", "csc"}) {
    std::size_t at = 0;
    std::int64_t next_row = 0;
    int blocks = 0;
    file.matrix(layer)->for_each_block([&](const CsrBlock& block) {
      ++blocks;
      ASSERT_EQ(block.first_row, next_row);
      ASSERT_LE(block.values.size(), std::size_t{8} << 20);
      for (std::int64_t row = 0; row < block.n_rows(); ++row)
        ASSERT_EQ(block.indptr[row + 1] - block.indptr[row], indptr[next_row + row + 1] - indptr[next_row + row]);
      ASSERT_TRUE(
          std::equal(block.values.begin(), block.values.end(), values.begin() + static_cast<std::ptrdiff_t>(at)));
      ASSERT_TRUE(
          std::equal(block.indices.begin(), block.indices.end(), indices.begin() + static_cast<std::ptrdiff_t>(at)));
      at += block.values.size();
      next_row += block.n_rows();
    });
    EXPECT_EQ(next_row, kRows) << layer;
    EXPECT_EQ(at, values.size()) << layer;
    EXPECT_GT(blocks, 1) << layer;
  }
}

TEST_F(H5ad, ColumnsOfEveryEncodingAreRead) {
  write_changed([](Hdf5File& file) {
    const auto nullable = [&](const std::string& name, const std::string& encoding) {
      file.create_group("obs/" + name);
      file.set_attribute("obs/" + name, "encoding-type", encoding);
      file.write_booleans("obs/" + name + "/mask", std::vector<std::uint8_t>{0, 1, 0, 0});
    };
    nullable("whole", "nullable-integer");
    file.write("obs/whole/values", std::vector<std::int32_t>{1, 0, 3, -4});
    nullable("truth", "nullable-boolean");
    file.write_booleans("obs/truth/values", std::vector<std::uint8_t>{1, 0, 0, 1});
    nullable("text", "nullable-string-array");
    file.write_strings("obs/text/values", std::vector<std::string>{"a", "", "b", "a"});
    file.create_group("obs/levels");
    file.set_attribute("obs/levels", "encoding-type", "categorical");
    file.write("obs/levels/codes", std::vector<std::int16_t>{1, 1, -1, 0});
    file.write("obs/levels/categories", std::vector<double>{0.5, 10});
    file.set_attribute("obs/levels", "ordered", true);
    file.set_attribute(
        "obs", "column-order",
        std::vector<std::string>{"text", "whole", "truth", "levels", "batch", "score", "good", "note"});
  });
  const H5adFile file(path_);
  const Frame& obs = file.obs();
  EXPECT_EQ(obs.column_names(), (Texts{"text", "whole", "truth", "levels", "batch", "score", "good", "note"}));
  const auto texts = [&](const char* name) {
    Texts result;
    for (std::int64_t row = 0; row < 4; ++row) result.push_back(obs.find(name)->text(row));
    return result;
  };
  EXPECT_EQ(texts("whole"), (Texts{"1", "", "3", "-4"}));
  EXPECT_EQ(texts("truth"), (Texts{"True", "", "False", "True"}));
  EXPECT_EQ(texts("text"), (Texts{"a", "", "b", "a"}));
  EXPECT_EQ(texts("levels"), (Texts{"10", "10", "", "0.5"}));
  EXPECT_EQ(texts("batch"), (Texts{"a", "b", "", "b"}));
  EXPECT_EQ(texts("note"), (Texts{"x", "", "\xC3\xA9t\xC3\xA9", "z"}));
  EXPECT_TRUE(std::get<Categorical>(obs.find("levels")->values).ordered);
  EXPECT_EQ(obs.find("text")->as_categorical().codes, (std::vector<std::int32_t>{0, -1, 1, 0}));
}

TEST_F(H5ad, ColumnsThatAreNotUnderstoodArePassedOverWithAWarning) {
  write_changed([](Hdf5File& file) {
    const std::int64_t shape[] = {4, 2};
    file.write<float>("obs/matrix", std::vector<float>(8, 1), shape);
    file.create_group("obs/lists");
    file.set_attribute("obs/lists", "encoding-type", "awkward-array");
    file.set_attribute("obs", "column-order", std::vector<std::string>{"matrix", "n", "lists"});
  });
  std::string warnings;
  const ScopedLogSink sink([&](LogLevel, std::string_view message) { warnings += message; });
  const H5adFile file(path_);
  EXPECT_EQ(file.obs().column_names(), Texts{"n"});
  EXPECT_MENTIONS(warnings, "obs/matrix is passed over");
  EXPECT_MENTIONS(warnings, "obs/lists is passed over: it has the encoding 'awkward-array'");
}

TEST_F(H5ad, TheIndexIsFoundWithoutItsAttribute) {
  write_changed([](Hdf5File& file) {
    file.remove_attribute("obs", "_index");
    file.remove_attribute("var", "_index");
  });
  const H5adFile file(path_);
  EXPECT_EQ(file.obs().index_name, "_index");
  EXPECT_EQ(file.var().index_name, "gene") << "the only text that is no column";
  EXPECT_EQ(file.var().index, (Texts{"g0", "g1", "g2"}));
}

TEST_F(H5ad, ColumnsAreFoundWithoutTheirOrder) {
  write_changed([](Hdf5File& file) { file.remove_attribute("obs", "column-order"); });
  EXPECT_EQ(H5adFile(path_).obs().columns.size(), 5U);
}

TEST_F(H5ad, NumericAndRepeatedNamesAreAllowed) {
  write_changed([](Hdf5File& file) {
    file.remove("obs/_index");
    file.write("obs/_index", std::vector<std::int64_t>{7, 7, 8, 9});
  });
  EXPECT_EQ(H5adFile(path_).obs().index, (Texts{"7", "7", "8", "9"}));
}

TEST_F(H5ad, AFileWithoutXSaysSo) {
  H5adContents contents = testing::small_contents();
  contents.next_rows = nullptr;
  write_h5ad(path_, contents, Overwrite::refuse);
  const H5adFile file(path_);
  EXPECT_FALSE(file.has_x());
  EXPECT_MENTIONS(message_of<InputError>([&] { file.matrix(); }), "has no 'X'; there are none");
}

TEST_F(H5ad, UnknownNamesGetTheNearestKnownOne) {
  write_changed([](Hdf5File& file) {
    const std::int64_t shape[] = {4, 3};
    file.write<float>("layers/counts", std::vector<float>(12, 1), shape);
  });
  const H5adFile file(path_);
  EXPECT_MENTIONS(message_of<InputError>([&] { file.matrix("count"); }),
                  "layers has no 'count'; did you mean 'counts'?");
  EXPECT_MENTIONS(message_of<InputError>([&] { file.obsm("X_scv"); }), "did you mean 'X_scvi'?");
  EXPECT_MENTIONS(message_of<InputError>([&] { file.uns_strings("nmes"); }), "did you mean 'names'?");
  EXPECT_THROW(file.raw_var(), InputError);
  EXPECT_THROW(file.uns_strings(""), InputError);
}

TEST_F(H5ad, ObsmMayBeAFrameOrSparse) {
  write_changed([](Hdf5File& file) {
    file.write_strings("obsm/frame/_index", std::vector<std::string>{"c0", "c1", "c2", "c3"});
    file.set_attribute("obsm/frame", "encoding-type", "dataframe");
    file.set_attribute("obsm/frame", "_index", "_index");
    file.set_attribute("obsm/frame", "column-order", std::vector<std::string>{"CD4", "CD3"});
    file.write("obsm/frame/CD3", std::vector<std::int64_t>{1, 2, 3, 4});
    file.write("obsm/frame/CD4", std::vector<double>{0.5, 0, 0, 1});
    make_sparse(file, "obsm/sparse", "csr_matrix", {4, 2}, {0, 1, 1, 1, 2}, {1, 0}, {7, 8});
    file.write("obsm/flat", std::vector<float>{1, 2, 3, 4});
    file.write("obsm/short", std::vector<float>{1, 2, 3});
  });
  const H5adFile file(path_);
  EXPECT_EQ(file.obsm("frame").values, (std::vector<double>{0.5, 1, 0, 2, 0, 3, 1, 4}));
  EXPECT_EQ(file.obsm("sparse").values, (std::vector<double>{0, 7, 0, 0, 0, 0, 8, 0}));
  EXPECT_EQ(file.obsm("flat").n_cols, 1);
  EXPECT_MENTIONS(message_of<FormatError>([&] { file.obsm("short"); }), "has 3 rows for 4 cells");
}

TEST_F(H5ad, ElementsDescribeTheFile) {
  testing::write_small_h5ad(path_);
  std::string listing;
  for (const ElementInfo& element : H5adFile(path_).elements())
    listing += element.path + ": " + element.description + "\n";
  EXPECT_MENTIONS(listing, "X: csr float32 (4, 3), 6 stored\n");
  EXPECT_MENTIONS(listing, "obs: data frame, 4 rows, 5 columns\n");
  EXPECT_MENTIONS(listing, "obs/batch: categorical, 2 categories\n");
  EXPECT_MENTIONS(listing, "obs/good: bool (4,)\n");
  EXPECT_MENTIONS(listing, "obsm/X_scvi: dense float32 (4, 2)\n");
  EXPECT_MENTIONS(listing, "uns/names: text (2,)\n");
  EXPECT_MENTIONS(listing, "uns/alpha: float64 number\n");
}

TEST_F(H5ad, Anndata06IsRead) {
  for (const bool lzf : {false, true}) {
    testing::write_anndata_0_6(path_, lzf);
    const H5adFile file(path_);
    EXPECT_EQ(file.n_obs(), 3);
    EXPECT_EQ(file.n_vars(), 2);
    EXPECT_EQ(file.obs().index, (Texts{"c0", "c1", "c\xC3\xA9"}));
    EXPECT_EQ(file.obs().index_name, "index");
    EXPECT_EQ(file.obs().column_names(), (Texts{"louvain", "single", "n_counts", "doublet", "plate"}));
    const auto& louvain = std::get<Categorical>(file.obs().find("louvain")->values);
    EXPECT_EQ(louvain.categories, (Texts{"0", "1"}));
    EXPECT_EQ(louvain.codes, (std::vector<std::int32_t>{1, 0, -1}));
    EXPECT_EQ(file.obs().find("single")->text(2), "only");
    EXPECT_EQ(file.obs().find("n_counts")->text(0), "1.5");
    EXPECT_EQ(file.obs().find("doublet")->text(1), "True");
    EXPECT_EQ(file.obs().find("plate")->text(1), "P22");
    EXPECT_TRUE(std::holds_alternative<std::vector<std::int64_t>>(file.var().find("louvain")->values))
        << "categories of obs do not fit var's numbers";
    EXPECT_EQ(dense_of(*file.matrix()), (Rows{{1, 0}, {0, 2}, {3, 4}}));
    ASSERT_TRUE(file.has_raw());
    EXPECT_EQ(file.raw_var().index, (Texts{"g0", "g1", "g2"}));
    EXPECT_EQ(file.raw_var().find("kind")->text(1), "other");
    EXPECT_EQ(dense_of(*file.matrix("raw")), (Rows{{0, 0, 5}, {0, 0, 0}, {6, 7, 0}}));
    EXPECT_EQ(file.matrix("raw/X")->info().path, "raw/X");
    EXPECT_EQ(file.obsm_keys(), (Texts{"X_pca", "X_one"}));
    EXPECT_EQ(file.obsm("X_pca").values, (std::vector<double>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(file.obsm("X_one").n_cols, 1);
    std::filesystem::remove(path_);
  }
}

TEST_F(H5ad, Anndata07IsReadWithReferencesAndNames) {
  for (const bool by_name : {false, true}) {
    testing::write_anndata_0_7(path_, by_name);
    const H5adFile file(path_);
    const auto& cluster = std::get<Categorical>(file.obs().find("cluster")->values);
    EXPECT_EQ(cluster.categories, (Texts{"A", "B"}));
    EXPECT_EQ(cluster.codes, (std::vector<std::int32_t>{1, -1}));
    EXPECT_TRUE(cluster.ordered);
    EXPECT_EQ(file.obs().find("size")->text(0), "0.5");
    EXPECT_TRUE(file.var().columns.empty());
    EXPECT_EQ(dense_of(*file.matrix()), (Rows{{0, 1}, {2, 3}}));
    EXPECT_EQ(file.matrix()->info().value_type, "int64");
  }
}

TEST_F(H5ad, CategoriesElsewhereAreReachedThroughTheReference) {
  testing::write_anndata_0_7(path_);
  Hdf5File file = Hdf5File::open_for_update(path_);
  file.rename("obs/__categories/cluster", "elsewhere");
  file.close();
  EXPECT_EQ(H5adFile(path_).obs().find("cluster")->text(0), "B");
}

}  // namespace
}  // namespace scvi::io
