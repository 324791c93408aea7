#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "h5ad_fixture.hpp"
#include "h5ad_legacy_fixture.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/io/h5ad.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::dense_of;
using testing::message_of;
using Texts = std::vector<std::string>;

Texts texts_of(const Frame& frame, const std::string& name) {
  const Column* column = frame.find(name);
  if (column == nullptr) return {"no such column"};
  Texts texts;
  for (std::int64_t row = 0; row < column->size(); ++row) texts.push_back(column->text(row));
  return texts;
}

class H5adWriting : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string input_ = folder_.path("input.h5ad");
  std::string output_ = folder_.path("output.h5ad");

  std::size_t files_in_folder() const {
    return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator(folder_.path()), {}));
  }
};

/// One column of every type that needs its own encoding, for n rows.
std::vector<Column> columns_of_every_type(std::size_t n) {
  Categorical levels{std::vector<std::int32_t>(n, 1), {"low", "high"}, true};
  levels.codes[0] = -1;
  std::vector<std::uint8_t> first_missing(n, 0);
  first_missing[0] = 1;
  return {
      {.name = "levels", .values = levels, .missing = {}},
      {.name = "text", .values = std::vector<std::string>(n, "t\xC3\xA9xt"), .missing = {}},
      {.name = "text with none", .values = std::vector<std::string>(n, "x"), .missing = first_missing},
      {.name = "real", .values = std::vector<double>(n, 0.25), .missing = first_missing},
      {.name = "whole", .values = std::vector<std::int64_t>(n, -3), .missing = {}},
      {.name = "whole with none", .values = std::vector<std::int64_t>(n, 5), .missing = first_missing},
      {.name = "truth", .values = Boolean{std::vector<std::uint8_t>(n, 1)}, .missing = {}},
      {.name = "truth with none", .values = Boolean{std::vector<std::uint8_t>(n, 0)}, .missing = first_missing},
  };
}

void expect_columns_of_every_type(const Frame& frame, std::size_t n) {
  const auto expected = [&](const std::string& first, const std::string& rest) {
    Texts texts(n, rest);
    texts[0] = first;
    return texts;
  };
  EXPECT_EQ(texts_of(frame, "levels"), expected("", "high"));
  EXPECT_EQ(texts_of(frame, "text"), Texts(n, "t\xC3\xA9xt"));
  EXPECT_EQ(texts_of(frame, "text with none"), expected("", "x"));
  EXPECT_EQ(texts_of(frame, "real"), expected("", "0.25"));
  EXPECT_EQ(texts_of(frame, "whole"), Texts(n, "-3"));
  EXPECT_EQ(texts_of(frame, "whole with none"), expected("", "5"));
  EXPECT_EQ(texts_of(frame, "truth"), Texts(n, "True"));
  EXPECT_EQ(texts_of(frame, "truth with none"), expected("", "False"));
}

/// The numbers 0.5, 1.5, ... of a matrix, one row and then the others.
DenseRows rows_in_two_parts(std::int64_t n_rows, std::int64_t n_cols) {
  return [=](const AppendRows& append) {
    std::vector<float> values;
    for (std::int64_t i = 0; i < n_rows * n_cols; ++i) values.push_back(static_cast<float>(i) + 0.5F);
    append(std::span(values).first(static_cast<std::size_t>(n_cols)));
    append(std::span(values).subspan(static_cast<std::size_t>(n_cols)));
  };
}

const std::vector<std::vector<float>> kRowsOfParts = {
    {0.5F, 1.5F, 2.5F}, {3.5F, 4.5F, 5.5F}, {6.5F, 7.5F, 8.5F}, {9.5F, 10.5F, 11.5F}};

// ---------------------------------------------------------------- write_h5ad

TEST_F(H5adWriting, WhatIsWrittenIsReadBack) {
  for (const std::string compression : {"", "gzip", "lzf"})
    for (const bool dense : {false, true}) {
      H5adContents contents = testing::small_contents();
      contents.dense = dense;
      contents.obs.columns = columns_of_every_type(4);
      contents.varm = {{"loadings", {3, 1, {1, 2, 3}}}};
      contents.uns.push_back({"nested", {UnsDict{{"whole", {std::int64_t{7}}}, {"text", {std::string("deep")}}}}});
      contents.uns.push_back({"reals", {std::vector<double>{1.5, 2.5}}});
      write_h5ad(output_, contents, Overwrite::replace, compression);
      const H5adFile file(output_);
      EXPECT_EQ(file.obs().index, contents.obs.index);
      EXPECT_EQ(file.var().index_name, "gene");
      expect_columns_of_every_type(file.obs(), 4);
      EXPECT_EQ(dense_of(*file.matrix()), testing::small_matrix());
      EXPECT_EQ(file.matrix()->info().layout, dense ? MatrixInfo::Layout::dense : MatrixInfo::Layout::csr);
      EXPECT_EQ(file.obsm("X_scvi").values, (std::vector<double>{1, 2, 3, 4, 5, 6, 7, 8}));
      EXPECT_EQ(file.varm_keys(), Texts{"loadings"});
      EXPECT_EQ(file.uns_strings("names"), (Texts{"p", "q"}));
      EXPECT_EQ(file.uns_strings("nested/text"), Texts{"deep"});
    }
}

TEST_F(H5adWriting, EveryElementSaysItsEncoding) {
  H5adContents contents = testing::small_contents();
  contents.obs.columns = columns_of_every_type(4);
  write_h5ad(output_, contents, Overwrite::refuse);
  const Hdf5File file = Hdf5File::open(output_);
  const auto encoding = [&](const std::string& path) {
    return file.attribute_string(path, "encoding-type") + " " + file.attribute_string(path, "encoding-version");
  };
  EXPECT_EQ(encoding("/"), "anndata 0.1.0");
  EXPECT_EQ(encoding("obs"), "dataframe 0.2.0");
  EXPECT_EQ(encoding("obs/_index"), "string-array 0.2.0");
  EXPECT_EQ(encoding("obs/levels"), "categorical 0.2.0");
  EXPECT_EQ(encoding("obs/levels/codes"), "array 0.2.0");
  EXPECT_EQ(encoding("obs/levels/categories"), "string-array 0.2.0");
  EXPECT_EQ(file.info("obs/levels/codes").type_name, "int8");
  EXPECT_EQ(file.attribute_info("obs/levels", "ordered").value_class, Hdf5Class::boolean);
  EXPECT_EQ(encoding("obs/whole with none"), "nullable-integer 0.1.0");
  EXPECT_EQ(encoding("obs/truth with none"), "nullable-boolean 0.1.0");
  EXPECT_EQ(encoding("obs/truth with none/mask"), "array 0.2.0");
  EXPECT_EQ(encoding("X"), "csr_matrix 0.1.0");
  EXPECT_EQ(encoding("obsm/X_scvi"), "array 0.2.0");
  EXPECT_EQ(encoding("uns"), "dict 0.1.0");
  EXPECT_EQ(encoding("uns/alpha"), "numeric-scalar 0.2.0");
  EXPECT_EQ(encoding("layers"), "dict 0.1.0");
  EXPECT_EQ(file.attribute_numbers<std::int64_t>("X", "shape"), (std::vector<std::int64_t>{4, 3}));
  EXPECT_EQ(file.info("X/indptr").type_name, "int32");
}

TEST_F(H5adWriting, AWrongNumberOfRowsIsRefusedAndLeavesNothing) {
  H5adContents few = testing::small_contents();
  few.obs.index.push_back("c4");
  for (Column& column : few.obs.columns) column.missing.clear();
  few.obs.columns.clear();
  few.obsm.clear();
  EXPECT_MENTIONS(message_of<InputError>([&] { write_h5ad(output_, few, Overwrite::refuse); }),
                  "only 4 rows for the 5");
  H5adContents many = testing::small_contents();
  many.obs.index.pop_back();
  many.obs.columns.clear();
  many.obsm.clear();
  EXPECT_THROW(write_h5ad(output_, many, Overwrite::refuse), InputError);
  EXPECT_EQ(files_in_folder(), 0U);
}

TEST_F(H5adWriting, DenseRowsComeInPieces) {
  H5adContents contents = testing::small_contents();
  contents.dense_rows = rows_in_two_parts(4, 3);
  contents.layers.push_back({"again", rows_in_two_parts(4, 3)});
  write_h5ad(output_, contents, Overwrite::refuse);
  const H5adFile file(output_);
  EXPECT_EQ(dense_of(*file.matrix()), kRowsOfParts);
  EXPECT_EQ(file.layers(), Texts{"again"});
  EXPECT_EQ(dense_of(*file.matrix("again")), kRowsOfParts);
  EXPECT_EQ(Hdf5File::open(output_).attribute_string("layers/again", "encoding-type"), "array");
}

TEST_F(H5adWriting, AWrongNumberOfDenseRowsIsRefusedAndLeavesNothing) {
  for (const std::int64_t n_rows : {3, 5}) {
    H5adContents contents = testing::small_contents();
    contents.dense_rows = rows_in_two_parts(n_rows, 3);
    EXPECT_THROW(write_h5ad(output_, contents, Overwrite::refuse), InputError);
  }
  H5adContents contents = testing::small_contents();
  contents.layers.push_back({"parts", rows_in_two_parts(3, 4)});
  EXPECT_THROW(write_h5ad(output_, contents, Overwrite::refuse), InputError);
  EXPECT_EQ(files_in_folder(), 0U);
}

TEST_F(H5adWriting, ContradictingContentsAreRefused) {
  const auto refused = [&](auto change) {
    H5adContents contents = testing::small_contents();
    change(contents);
    EXPECT_THROW(write_h5ad(output_, contents, Overwrite::refuse), InputError);
    EXPECT_EQ(files_in_folder(), 0U);
  };
  refused([](H5adContents& c) { c.obs.columns.push_back(c.obs.columns[0]); });
  refused([](H5adContents& c) { c.obs.columns[0].name = "a/b"; });
  refused([](H5adContents& c) { c.obs.columns[0].name = "_index"; });
  refused([](H5adContents& c) { c.obs.columns[1].values = std::vector<std::int64_t>{1}; });
  refused([](H5adContents& c) { c.obs.columns[1].missing = {1}; });
  refused([](H5adContents& c) { std::get<Categorical>(c.obs.columns[0].values).codes[0] = 2; });
  refused([](H5adContents& c) { std::get<Categorical>(c.obs.columns[0].values).categories[0] = "b"; });
  refused([](H5adContents& c) { c.obsm[0].second.n_rows = 3; });
  refused([](H5adContents& c) { c.obsm[0].second.values.pop_back(); });
  refused([](H5adContents& c) { c.uns.push_back({"", {1.0}}); });
  refused([](H5adContents& c) {
    c.next_rows = [](CsrBlock& block) {
      block.indptr = {0, 1, 1, 1, 1};
      block.indices = {3};
      block.values = {1};
      return true;
    };
  });
  H5adContents fine = testing::small_contents();
  EXPECT_THROW(write_h5ad(output_, fine, Overwrite::refuse, "zip"), InputError);
  EXPECT_EQ(files_in_folder(), 0U);
}

TEST_F(H5adWriting, EqualContentGivesEqualBytesWheneverItIsWritten) {
  const auto written = [&] {
    write_h5ad(output_, testing::small_contents(), Overwrite::replace);
    H5adAdditions additions;
    additions.obs = columns_of_every_type(4);
    additions.obsm = {{"X_scVI", {4, 2, std::vector<float>(8, 0.5F)}}};
    copy_h5ad_with(output_, output_, additions, Overwrite::replace);
    return read_file(output_);
  };
  const std::string first = written();
  // HDF5 keeps times in whole seconds.
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  EXPECT_TRUE(first == written());
}

TEST_F(H5adWriting, AnExistingFileIsKeptUnlessItMayBeReplaced) {
  write_file_atomically(output_, "precious");
  EXPECT_THROW(write_h5ad(output_, testing::small_contents(), Overwrite::refuse), InputError);
  EXPECT_EQ(read_file(output_), "precious");
  write_h5ad(output_, testing::small_contents(), Overwrite::replace);
  EXPECT_EQ(H5adFile(output_).n_obs(), 4);
}

TEST_F(H5adWriting, AFullDiskLeavesTheOldFileAndNothingElse) {
  const testing::SmallDisk disk(folder_.path("small"), 600000);
  if (!disk.mounted())
    GTEST_SKIP() << "NO FULL DISK: mounting a small file system takes more rights; this test did not run";
  const std::string path = disk.path("data.h5ad");
  write_h5ad(path, testing::small_contents(), Overwrite::refuse);
  const std::string before = read_file(path);
  H5adContents large = testing::small_contents();
  large.obsm = {{"X_large", {4, 100000, std::vector<float>(400000)}}};
  for (std::size_t at = 0; at < 400000; ++at)
    large.obsm[0].second.values[at] = static_cast<float>(at * 7919 % 100003);
  EXPECT_MENTIONS(message_of<IoError>([&] { write_h5ad(path, large, Overwrite::replace); }), "No space left");
  EXPECT_EQ(read_file(path), before);
  H5adAdditions additions;
  additions.obsm = large.obsm;
  EXPECT_MENTIONS(message_of<IoError>([&] { copy_h5ad_with(path, path, additions, Overwrite::replace); }),
                  "are free in its folder");
  EXPECT_EQ(read_file(path), before);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(disk.path()), {}), 1);
}

// ---------------------------------------------------------------- copy_h5ad_with

H5adAdditions additions_for(std::size_t n_obs, std::size_t n_vars) {
  H5adAdditions additions;
  additions.obs = columns_of_every_type(n_obs);
  additions.var = {{.name = "dispersion", .values = std::vector<double>(n_vars, 1.5), .missing = {}}};
  std::vector<float> latent(n_obs * 2);
  for (std::size_t at = 0; at < latent.size(); ++at) latent[at] = static_cast<float>(at);
  additions.obsm = {{"X_new", {static_cast<std::int64_t>(n_obs), 2, latent}}};
  additions.varm = {{"W", {static_cast<std::int64_t>(n_vars), 1, std::vector<float>(n_vars, 2)}}};
  additions.uns = {{"scvi", {UnsDict{{"model", {std::string("VAE")}}, {"epochs", {std::int64_t{400}}}}}},
                   {"genes", {Texts{"a", "b"}}}};
  return additions;
}

void expect_additions(const H5adFile& file) {
  expect_columns_of_every_type(file.obs(), static_cast<std::size_t>(file.n_obs()));
  EXPECT_EQ(file.var().find("dispersion")->text(0), "1.5");
  const DenseArray latent = file.obsm("X_new");
  EXPECT_EQ(latent.n_cols, 2);
  for (std::size_t at = 0; at < latent.values.size(); ++at) EXPECT_EQ(latent.values[at], static_cast<double>(at));
  EXPECT_EQ(file.uns_strings("genes"), (Texts{"a", "b"}));
  EXPECT_EQ(file.uns_strings("scvi/model"), Texts{"VAE"});
}

TEST_F(H5adWriting, ACopyHoldsTheOldAndTheNew) {
  testing::write_small_h5ad(input_);
  const std::string before = read_file(input_);
  copy_h5ad_with(input_, output_, additions_for(4, 3), Overwrite::refuse);
  EXPECT_EQ(read_file(input_), before);
  const H5adFile file(output_);
  expect_additions(file);
  EXPECT_EQ(dense_of(*file.matrix()), testing::small_matrix());
  EXPECT_EQ(texts_of(file.obs(), "batch"), (Texts{"a", "b", "", "b"}));
  EXPECT_EQ(file.obs().columns.size(), 13U);
  EXPECT_EQ(file.obs().columns.front().name, "batch");
  EXPECT_EQ(file.obsm("X_scvi").values.size(), 8U);
  EXPECT_EQ(file.uns_strings("names"), (Texts{"p", "q"}));
  EXPECT_EQ(files_in_folder(), 2U);
}

TEST_F(H5adWriting, NamesThatAreThereAreReplacedInTheirPlace) {
  testing::write_small_h5ad(input_);
  H5adAdditions additions;
  additions.obs = {{.name = "batch", .values = std::vector<double>{1, 2, 3, 4}, .missing = {}},
                   {.name = "n", .values = Categorical{{0, 0, 0, 0}, {"k"}, false}, .missing = {}}};
  additions.obsm = {{"X_scvi", {4, 1, {9, 9, 9, 9}}}};
  additions.uns = {{"names", {std::string("one")}}, {"alpha", {UnsDict{}}}};
  copy_h5ad_with(input_, input_, additions, Overwrite::replace);
  copy_h5ad_with(input_, input_, additions, Overwrite::replace);
  const H5adFile file(input_);
  EXPECT_EQ(file.obs().column_names(), (Texts{"batch", "n", "score", "note", "good"}));
  EXPECT_EQ(texts_of(file.obs(), "batch"), (Texts{"1", "2", "3", "4"}));
  EXPECT_EQ(texts_of(file.obs(), "n"), Texts(4, "k"));
  EXPECT_EQ(file.obsm("X_scvi").n_cols, 1);
  EXPECT_EQ(file.uns_strings("names"), Texts{"one"});
  EXPECT_EQ(files_in_folder(), 1U);
}

TEST_F(H5adWriting, ACopyTakesLayersInPieces) {
  testing::write_small_h5ad(input_);
  H5adAdditions additions;
  additions.layers = {{"scvi", rows_in_two_parts(4, 3)}};
  // The second time the layer is there already.
  for (int time = 0; time < 2; ++time) {
    copy_h5ad_with(input_, input_, additions, Overwrite::replace);
    const H5adFile file(input_);
    EXPECT_EQ(file.layers(), Texts{"scvi"});
    EXPECT_EQ(dense_of(*file.matrix("scvi")), kRowsOfParts);
    EXPECT_EQ(dense_of(*file.matrix()), testing::small_matrix());
  }
  const std::string before = read_file(input_);
  additions.layers = {{"scvi", rows_in_two_parts(5, 3)}};
  EXPECT_THROW(copy_h5ad_with(input_, input_, additions, Overwrite::replace), InputError);
  EXPECT_EQ(read_file(input_), before);
  EXPECT_EQ(files_in_folder(), 1U);
}

TEST_F(H5adWriting, MissingDictionariesAreMade) {
  testing::write_small_h5ad(input_);
  {
    Hdf5File file = Hdf5File::open_for_update(input_);
    for (const char* group : {"obsm", "varm", "uns"}) file.remove(group);
    file.remove_attribute("var", "column-order");
    file.set_number_attribute<double>("var", "column-order", std::span<const double>());
    file.remove_attribute("obs", "column-order");
    file.close();
  }
  copy_h5ad_with(input_, output_, additions_for(4, 3), Overwrite::refuse);
  const H5adFile file(output_);
  expect_additions(file);
  EXPECT_EQ(file.var().column_names(), Texts{"dispersion"});
  EXPECT_EQ(file.obs().columns.size(), 13U);
  EXPECT_EQ(Hdf5File::open(output_).attribute_string("uns", "encoding-type"), "dict");
}

TEST_F(H5adWriting, FilesOfAnndata06KeepTheirGeneration) {
  for (const bool lzf : {false, true}) {
    std::filesystem::remove(input_);
    testing::write_anndata_0_6(input_, lzf);
    H5adAdditions additions = additions_for(3, 2);
    additions.obs.push_back({.name = "plate", .values = Texts{"Q", "", "R"}, .missing = {}});
    copy_h5ad_with(input_, output_, additions, Overwrite::replace);
    EXPECT_EQ(Hdf5File::open(output_).info("obs").value_class, Hdf5Class::compound);
    EXPECT_FALSE(Hdf5File::open(output_).has_attribute("uns/genes", "encoding-type"));
    const H5adFile file(output_);
    expect_additions(file);
    EXPECT_EQ(file.obs().index, (Texts{"c0", "c1", "c\xC3\xA9"}));
    EXPECT_EQ(texts_of(file.obs(), "louvain"), (Texts{"1", "0", ""}));
    EXPECT_EQ(texts_of(file.obs(), "n_counts"), (Texts{"1.5", "2", "7"}));
    EXPECT_EQ(texts_of(file.obs(), "doublet"), (Texts{"False", "True", "False"}));
    EXPECT_EQ(texts_of(file.obs(), "plate"), (Texts{"Q", "", "R"}));
    EXPECT_EQ(file.obsm("X_pca").values, (std::vector<double>{1, 2, 3, 4, 5, 6}));
    EXPECT_EQ(file.obsm("X_one").values, (std::vector<double>{7, 8, 9}));
    EXPECT_EQ(dense_of(*file.matrix("raw")), (std::vector<std::vector<float>>{{0, 0, 5}, {0, 0, 0}, {6, 7, 0}}));
    // A second time, onto itself: fields give way to new ones.
    copy_h5ad_with(output_, output_, additions, Overwrite::replace);
    expect_additions(H5adFile(output_));
    EXPECT_EQ(H5adFile(output_).obs().columns.size(), file.obs().columns.size());
  }
}

TEST_F(H5adWriting, FilesOfAnndata07KeepTheirGeneration) {
  testing::write_anndata_0_7(input_);
  H5adAdditions additions = additions_for(2, 2);
  additions.obs.push_back({.name = "cluster", .values = Categorical{{0, -1}, {"new"}, false}, .missing = {}});
  copy_h5ad_with(input_, output_, additions, Overwrite::refuse);
  const Hdf5File raw = Hdf5File::open(output_);
  EXPECT_EQ(raw.attribute_reference("obs/levels", "categories"), "obs/__categories/levels");
  EXPECT_EQ(raw.read_strings("obs/__categories/cluster").values, Texts{"new"});
  EXPECT_FALSE(raw.has_attribute("uns", "encoding-type"));
  EXPECT_FALSE(raw.has_attribute("obs/text", "encoding-type"));
  EXPECT_EQ(raw.attribute_string("obs", "encoding-version"), "0.1.0");
  const H5adFile file(output_);
  expect_additions(file);
  EXPECT_EQ(texts_of(file.obs(), "cluster"), (Texts{"new", ""}));
  EXPECT_EQ(texts_of(file.obs(), "size"), (Texts{"0.5", "2"}));
}

TEST_F(H5adWriting, WrongAdditionsAreRefusedBeforeAnythingIsWritten) {
  testing::write_small_h5ad(input_);
  const auto refused = [&](auto change, const std::string& part) {
    H5adAdditions additions;
    change(additions);
    EXPECT_MENTIONS(message_of<InputError>([&] { copy_h5ad_with(input_, output_, additions, Overwrite::refuse); }),
                    part);
    EXPECT_EQ(files_in_folder(), 1U);
  };
  const Column good{.name = "x", .values = std::vector<double>(4, 1), .missing = {}};
  refused([&](H5adAdditions& a) { a.obs = {{.name = "x", .values = std::vector<double>(3, 1), .missing = {}}}; },
          "obs/x has 3 values for 4 rows");
  refused([&](H5adAdditions& a) { a.obs = {good, good}; }, "added twice");
  refused([&](H5adAdditions& a) { a.var = {{.name = "gene", .values = Texts(3, "y"), .missing = {}}}; },
          "name of the index");
  refused([&](H5adAdditions& a) { a.obs = {{.name = "a/b", .values = Texts(4, "y"), .missing = {}}}; }, "slashes");
  refused([&](H5adAdditions& a) { a.obsm = {{"X", {3, 1, {1, 2, 3}}}}; }, "must have 4 rows");
  refused([&](H5adAdditions& a) { a.uns = {{"a/b", {1.0}}}; }, "slashes");
  refused([&](H5adAdditions& a) { a.layers = {{"a/b", rows_in_two_parts(4, 3)}}; }, "slashes");
}

TEST_F(H5adWriting, ADamagedOrMissingInputLeavesNoOutput) {
  EXPECT_THROW(copy_h5ad_with(input_, output_, {}, Overwrite::refuse), IoError);
  std::ofstream(input_) << "no hdf5";
  EXPECT_THROW(copy_h5ad_with(input_, output_, {}, Overwrite::refuse), FormatError);
  EXPECT_EQ(files_in_folder(), 1U);
}

TEST_F(H5adWriting, RealFilesPassThroughUntouched) {
  SCVI_REQUIRE_TEST_DATA();
  for (const char* name :
       {"mixology/mixology_3cl.h5ad", "osmfish/osmfish_cortex.h5ad", "pbmc_citeseq/pbmc_5k_protein_v3.h5ad",
        "fixtures/TM_droplet_mat.h5ad", "pretrained/scvi-tools-1.x/pre_logits_fix_scanvi/adata.h5ad"}) {
    SCOPED_TRACE(name);
    const std::string input = testing::test_data_dir() + "/" + name;
    const H5adFile original(input);
    copy_h5ad_with(
        input, output_,
        additions_for(static_cast<std::size_t>(original.n_obs()), static_cast<std::size_t>(original.n_vars())),
        Overwrite::replace);
    const H5adFile copy(output_);
    expect_additions(copy);
    EXPECT_EQ(copy.obs().index, original.obs().index);
    for (const Column& column : original.obs().columns)
      EXPECT_EQ(texts_of(copy.obs(), column.name), texts_of(original.obs(), column.name));
    CsrBlock ours;
    CsrBlock theirs;
    copy.matrix()->read_rows(0, copy.n_obs(), ours);
    original.matrix()->read_rows(0, original.n_obs(), theirs);
    EXPECT_EQ(ours.indptr, theirs.indptr);
    EXPECT_EQ(ours.indices, theirs.indices);
    EXPECT_EQ(ours.values, theirs.values);
  }
}

}  // namespace
}  // namespace scvi::io
