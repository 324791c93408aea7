#include "scvi/io/loom.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <numeric>

#include "h5ad_fixture.hpp"
#include "scvi/core/logging.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

using testing::dense_of;
using testing::message_of;
using Texts = std::vector<std::string>;
using Reals = std::vector<double>;
using Wholes = std::vector<std::int64_t>;

template <class T>
const T& values_of(const Frame& frame, const std::string& name) {
  const Column* const column = frame.find(name);
  if (column == nullptr) throw std::runtime_error("no column " + name);
  return std::get<T>(column->values);
}

class Loom : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string path_ = folder_.path("cells.loom");

  /// Three genes, four cells, of spec 3.0; `change` may spoil it.
  ///   gene g0 1 0 0 4
  ///   gene g1 0 0 3 5
  ///   gene g2 2 0 0 6
  void write_small(const std::function<void(Hdf5File&)>& change = [](Hdf5File&) {}) {
    Hdf5File file = Hdf5File::create(path_);
    const std::int64_t shape[] = {3, 4};
    file.write<std::int16_t>("matrix", std::vector<std::int16_t>{1, 0, 0, 4, 0, 0, 3, 5, 2, 0, 0, 6}, shape,
                             Hdf5Compression::gzip);
    file.write<double>("layers/spliced", std::vector<double>{.5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7.5}, shape);
    file.write_string("attrs/LOOM_SPEC_VERSION", "3.0.0");
    file.write_strings("attrs/CellTypes", Texts{"B", "T"});
    file.write_scalar<double>("attrs/alpha", 0.5);
    file.write_strings("row_attrs/Gene", Texts{"g0", "g1", "g2"});
    file.write("row_attrs/length", Wholes{10, 20, 30});
    file.write_strings("col_attrs/CellID", Texts{"c0", "c1", "c2", "c3"});
    file.write("col_attrs/ClusterID", Wholes{1, 0, 0, 1});
    file.write("col_attrs/score", Reals{0.5, 1.5, 2.5, 3.5});
    file.write_booleans("col_attrs/good", std::vector<std::uint8_t>{1, 0, 1, 0});
    const std::int64_t table[] = {4, 2};
    file.write<double>("col_attrs/place", Reals{1, 2, 3, 4, 5, 6, 7, 8}, table);
    const std::int64_t single[] = {4, 1};
    file.write<double>("col_attrs/BatchID", Reals{0, 0, 1, 1}, single);
    file.write("col_graphs/KNN/a", Wholes{0, 1});
    change(file);
    file.close();
  }

  std::string refusal(const std::function<void(Hdf5File&)>& change) {
    write_small(change);
    const std::string message = message_of<FormatError>([&] {
      const CountFile file = open_loom(path_);
      file.counts->for_each_block([](const CsrBlock&) {});
    });
    EXPECT_MENTIONS(message, path_);
    return message;
  }
};

/// Everything LoomFile offers.
void read_all_of(const std::string& path) {
  const LoomFile file(path);
  (void)file.elements();
  (void)file.global_attributes();
  (void)file.obs();
  (void)file.var();
  (void)file.tables();
  Texts names = file.layers();
  names.push_back("");
  for (const std::string& name : names) file.matrix(name)->for_each_block([](const CsrBlock&) {});
}

TEST_F(Loom, CellsComeInRowsAndGenesInColumns) {
  write_small();
  const CountFile file = open_loom(path_);
  EXPECT_EQ(file.format, "loom 3.0.0");
  EXPECT_EQ(file.path, path_);
  EXPECT_EQ(file.obs.index, (Texts{"c0", "c1", "c2", "c3"}));
  EXPECT_EQ(file.var.index, (Texts{"g0", "g1", "g2"}));
  EXPECT_EQ(file.counts->info().n_rows, 4);
  EXPECT_EQ(file.counts->info().n_cols, 3);
  EXPECT_EQ(file.counts->info().value_type, "int16");
  EXPECT_EQ(dense_of(*file.counts), testing::small_matrix());
}

TEST_F(Loom, EveryAttributeIsKept) {
  write_small();
  const CountFile file = open_loom(path_);
  EXPECT_EQ(values_of<Wholes>(file.obs, "ClusterID"), (Wholes{1, 0, 0, 1}));
  EXPECT_EQ(values_of<Reals>(file.obs, "score"), (Reals{0.5, 1.5, 2.5, 3.5}));
  EXPECT_EQ(values_of<Boolean>(file.obs, "good").values, (std::vector<std::uint8_t>{1, 0, 1, 0}));
  EXPECT_EQ(values_of<Reals>(file.obs, "BatchID"), (Reals{0, 0, 1, 1})) << "n x 1 is one column";
  EXPECT_EQ(values_of<Wholes>(file.var, "length"), (Wholes{10, 20, 30}));
  EXPECT_EQ(file.obs.find("CellID"), nullptr) << "it is the index";
  ASSERT_EQ(file.tables.size(), 1U);
  EXPECT_EQ(file.tables[0].name, "place");
  EXPECT_EQ(file.tables[0].columns, (Texts{"place_1", "place_2"}));
  EXPECT_EQ(file.tables[0].values.values, (Reals{1, 2, 3, 4, 5, 6, 7, 8}));
}

TEST_F(Loom, LabelsAreNamedByTheListOfCellTypes) {
  write_small();
  const Categorical types = values_of<Categorical>(open_loom(path_).obs, "cell_types");
  EXPECT_EQ(types.categories, (Texts{"B", "T"}));
  EXPECT_EQ(types.codes, (std::vector<std::int32_t>{1, 0, 0, 1}));
  write_small([](Hdf5File& f) { f.write_strings("col_attrs/Clusters", Texts{"T", "T", "B", "B"}); });
  const CountFile named = open_loom(path_, {.labels_attribute = "Clusters"});
  EXPECT_EQ(values_of<Categorical>(named.obs, "cell_types").codes, (std::vector<std::int32_t>{1, 1, 0, 0}));
  EXPECT_EQ(open_loom(path_, {.labels_attribute = "nothing"}).obs.find("cell_types"), nullptr);
}

TEST_F(Loom, CellTypesThatDoNotNameEveryLabelAreNotUsed) {
  for (const Wholes& labels : {Wholes{2, 0, 0, 1}, Wholes{-1, 0, 0, 1}}) {
    write_small([&](Hdf5File& f) {
      f.remove("col_attrs/ClusterID");
      f.write("col_attrs/ClusterID", labels);
    });
    EXPECT_EQ(open_loom(path_).obs.find("cell_types"), nullptr);
  }
}

TEST_F(Loom, LayersAreChosenByName) {
  write_small();
  EXPECT_EQ(dense_of(*open_loom(path_, {.layer = "spliced"}).counts)[3][2], 7.5F);
  EXPECT_EQ(dense_of(*open_loom(path_, {.layer = "matrix"}).counts), testing::small_matrix());
  const std::string message = message_of<InputError>([&] { open_loom(path_, {.layer = "splicd"}); });
  EXPECT_MENTIONS(message, "did you mean 'spliced'?");
}

TEST_F(Loom, NamesComeFromTheAttributesAskedFor) {
  write_small([](Hdf5File& f) { f.write_strings("col_attrs/other", Texts{"w", "x", "y", "z"}); });
  const CountFile file = open_loom(path_, {.gene_names_attribute = "length", .cell_names_attribute = "other"});
  EXPECT_EQ(file.obs.index_name, "other");
  EXPECT_EQ(file.obs.index, (Texts{"w", "x", "y", "z"}));
  EXPECT_EQ(values_of<Texts>(file.obs, "CellID")[0], "c0") << "it is a column now";
  EXPECT_EQ(file.var.index, (Texts{"10", "20", "30"}));
  EXPECT_MENTIONS(message_of<InputError>([&] { open_loom(path_, {.cell_names_attribute = "CelID"}); }),
                  "did you mean 'CellID'?");
  EXPECT_MENTIONS(message_of<InputError>([&] { open_loom(path_, {.gene_names_attribute = "gen"}); }), "row_attrs");
}

TEST_F(Loom, UsualNamesServeWhereTheStandardOnesAreMissing) {
  write_small([](Hdf5File& f) {
    f.rename("col_attrs/CellID", "col_attrs/obs_names");
    f.rename("row_attrs/Gene", "row_attrs/var_names");
  });
  EXPECT_EQ(open_loom(path_).obs.index[0], "c0");
  EXPECT_EQ(open_loom(path_).var.index[2], "g2");
  write_small([](Hdf5File& f) {
    f.remove("col_attrs/CellID");
    f.remove("row_attrs/Gene");
  });
  EXPECT_EQ(open_loom(path_).obs.index, (Texts{"0", "1", "2", "3"}));
  EXPECT_EQ(open_loom(path_).var.index, (Texts{"0", "1", "2"}));
}

TEST_F(Loom, TextBeyondAsciiIsUnescapedBeforeSpec3Only) {
  const auto with_version = [&](const std::string& version) {
    write_small([&](Hdf5File& f) {
      f.remove("attrs");
      f.set_attribute("/", "LOOM_SPEC_VERSION", version);
      f.set_attribute("/", "title", "caf&#233;");
      f.write_strings("row_attrs/note", Texts{"caf&#233; &amp; &#x3B1;", "R&D; &#0; &#xD800; &", "&lt;&unknown;"});
    });
    EXPECT_EQ(open_loom(path_).format, "loom " + version);
    return open_loom(path_).var;
  };
  const Frame old = with_version("2.0.1");
  EXPECT_EQ(values_of<Texts>(old, "note"), (Texts{"caf\xC3\xA9 & \xCE\xB1", "R&D; &#0; &#xD800; &", "<&unknown;"}));
  const std::vector<Column> global = LoomFile(path_).global_attributes();
  ASSERT_EQ(global.size(), 2U);
  EXPECT_EQ(global[1].text(0), "caf\xC3\xA9");
  EXPECT_EQ(values_of<Texts>(with_version("3.0.0"), "note")[0], "caf&#233; &amp; &#x3B1;");
}

TEST_F(Loom, TwoDimensionalTextAndGeneAttributesBecomeSeveralColumns) {
  write_small([](Hdf5File& f) {
    const std::int64_t shape[] = {3, 2};
    f.write<double>("row_attrs/loadings", Reals{1, 2, 3, 4, 5, 6}, shape);
  });
  const CountFile file = open_loom(path_);
  EXPECT_EQ(values_of<Reals>(file.var, "loadings_1"), (Reals{1, 3, 5}));
  EXPECT_EQ(values_of<Reals>(file.var, "loadings_2"), (Reals{2, 4, 6}));
}

TEST_F(Loom, TheListingNamesEveryElement) {
  write_small();
  Texts lines;
  for (const ElementInfo& element : LoomFile(path_).elements())
    lines.push_back(element.path + ": " + element.description);
  std::string all;
  for (const std::string& line : lines) all += line + "\n";
  for (const char* part : {"matrix: dense int16 (3, 4)", "layers/spliced: dense float64 (3, 4)",
                           "row_attrs/Gene: ", "col_attrs/place: dense float64 (4, 2)",
                           "col_graphs/KNN: graph, 2 edges", "attrs/alpha: 0.5", "attrs/CellTypes: 2 values"})
    EXPECT_MENTIONS(all, part);
  const LoomFile file(path_);
  EXPECT_EQ(file.n_cells(), 4);
  EXPECT_EQ(file.n_genes(), 3);
  EXPECT_EQ(file.cell_graphs(), Texts{"KNN"});
  EXPECT_EQ(file.gene_graphs(), Texts{});
}

/// Values that depend on their place.
float value_at(std::int64_t gene, std::int64_t cell) {
  return (gene * 7 + cell * 3) % 5 == 0 ? static_cast<float>(1 + (gene + cell) % 9) : 0.0F;
}

void write_large(const std::string& path, std::int64_t n_genes, std::int64_t n_cells, std::int64_t chunk_genes,
                 std::int64_t chunk_cells) {
  Hdf5File file = Hdf5File::create(path);
  Hdf5Dataset matrix =
      file.create_matrix<std::int32_t>("matrix", n_genes, n_cells, chunk_genes, chunk_cells, Hdf5Compression::gzip);
  std::vector<std::int32_t> values;
  for (std::int64_t gene = 0; gene < n_genes; ++gene)
    for (std::int64_t cell = 0; cell < n_cells; ++cell)
      values.push_back(static_cast<std::int32_t>(value_at(gene, cell)));
  matrix.write_block(0, n_genes, 0, n_cells, values.data());
  matrix = {};
  file.create_group("row_attrs");
  file.create_group("col_attrs");
  file.close();
}

TEST_F(Loom, AnyShapeOfChunksIsReadInWindowsOfCells) {
  constexpr std::int64_t kGenes = 3000;
  constexpr std::int64_t kCells = 1500;
  for (const auto& [chunk_genes, chunk_cells] : {std::pair{64, 64}, std::pair{1, 1500}, std::pair{3000, 7}}) {
    write_large(path_, kGenes, kCells, chunk_genes, chunk_cells);
    const CountFile file = open_loom(path_);
    std::int64_t seen = 0;
    std::int64_t wrong = 0;
    int blocks = 0;
    const auto check = [&](const CsrBlock& block) {
      for (std::int64_t row = 0; row < block.n_rows(); ++row, ++seen) {
        auto at = static_cast<std::size_t>(block.indptr[static_cast<std::size_t>(row)]);
        for (std::int64_t gene = 0; gene < kGenes; ++gene) {
          const float expected = value_at(gene, block.first_row + row);
          if (expected == 0) continue;
          wrong += block.indices[at] != gene || block.values[at] != expected;
          ++at;
        }
        wrong += static_cast<std::int64_t>(at) != block.indptr[static_cast<std::size_t>(row) + 1];
      }
    };
    file.counts->for_each_block([&](const CsrBlock& block) {
      EXPECT_EQ(block.first_row, seen);
      check(block);
      ++blocks;
    });
    EXPECT_EQ(seen, kCells);
    EXPECT_EQ(wrong, 0);
    EXPECT_EQ(blocks, chunk_cells == 1500 ? 1 : chunk_cells == 64 ? 3 : 3);
    CsrBlock some;
    file.counts->read_rows(690, 900, some);
    EXPECT_EQ(some.n_rows(), 810) << "clipped at the end";
    seen = 0;
    check(some);
    EXPECT_EQ(wrong, 0);
  }
}

TEST_F(Loom, RowsThatDoNotExistAreRefused) {
  write_small();
  CsrBlock block;
  EXPECT_THROW(open_loom(path_).counts->read_rows(-1, 2, block), InputError);
  open_loom(path_).counts->read_rows(9, 2, block);
  EXPECT_EQ(block.n_rows(), 0);
}

// ---- damaged files

TEST_F(Loom, AttributesOfAnotherLengthAreRefused) {
  EXPECT_MENTIONS(refusal([](Hdf5File& f) {
                    f.write("col_attrs/short", Wholes{1, 2, 3});
                  }),
                  "col_attrs/short has 3 values for 4 cells");
  EXPECT_MENTIONS(refusal([](Hdf5File& f) {
                    f.write("row_attrs/long", Reals{1, 2, 3, 4});
                  }),
                  "row_attrs/long has 4 values for 3 genes");
  EXPECT_MENTIONS(refusal([](Hdf5File& f) {
                    const std::int64_t shape[] = {2, 4};
                    f.write<double>("col_attrs/turned", Reals(8, 1.0), shape);
                  }),
                  "col_attrs/turned has 2 values for 4 cells");
}

TEST_F(Loom, NamesInTwoDimensionsAreRefused) {
  EXPECT_MENTIONS(refusal([](Hdf5File& f) {
                    f.remove("row_attrs/Gene");
                    const std::int64_t shape[] = {3, 2};
                    f.write<double>("row_attrs/Gene", Reals(6, 1.0), shape);
                  }),
                  "row_attrs/Gene has two dimensions");
}

TEST_F(Loom, WhatIsNeitherTextNorNumbersIsPassedOverWithAWarning) {
  write_small([](Hdf5File& f) {
    const std::int64_t cube[] = {4, 1, 1};
    f.write<double>("col_attrs/cube", Reals(4, 1.0), cube);
    f.write_scalar<double>("col_attrs/scalar", 1);
    f.create_group("col_attrs/group");
    const std::int64_t wide[] = {3, 70000};
    f.write<std::uint64_t>("row_attrs/wide", std::vector<std::uint64_t>(210000, 1), wide);
  });
  int warnings = 0;
  const ScopedLogSink sink([&](LogLevel level, std::string_view) { warnings += level == LogLevel::warning; });
  const CountFile file = open_loom(path_);
  EXPECT_EQ(warnings, 4);
  for (const char* name : {"cube", "scalar", "group"}) EXPECT_EQ(file.obs.find(name), nullptr);
}

TEST_F(Loom, MatricesThatAreNoneAreRefused) {
  EXPECT_MENTIONS(refusal([](Hdf5File& f) {
                    f.remove("matrix");
                    f.write("matrix", Wholes(12, 1));
                  }),
                  "matrix has 1 dimensions");
  EXPECT_MENTIONS(refusal([](Hdf5File& f) {
                    f.remove("matrix");
                    f.create_group("matrix");
                  }),
                  "is no .loom: it has no dataset 'matrix'");
  EXPECT_MENTIONS(refusal([](Hdf5File& f) { f.remove("row_attrs"); }), "it has no group 'row_attrs'");
  write_small([](Hdf5File& f) {
    const std::int64_t shape[] = {4, 3};
    f.write<double>("layers/turned", Reals(12, 1.0), shape);
  });
  EXPECT_MENTIONS(message_of<FormatError>([&] { open_loom(path_, {.layer = "turned"}); }), "layers/turned");
}

TEST_F(Loom, TextForAMatrixIsRefused) {
  EXPECT_MENTIONS(refusal([](Hdf5File& f) {
                    f.remove("matrix");
                    f.write_strings("m", Texts(3, "x"));
                    f.rename("m", "matrix");
                  }),
                  "matrix has 1 dimensions");
}

TEST_F(Loom, SizesThatTheFileCannotHoldAreRefused) {
  for (const auto& [genes, cells] : {std::pair<std::int64_t, std::int64_t>{3, 4'000'000'000},
                                     {4'000'000'000, 4},
                                     {0, 1'000'000'000'000},
                                     {1'900'000, 1'900'000}}) {
    const std::string message = refusal([&, genes = genes, cells = cells](Hdf5File& f) {
      for (const char* group : {"matrix", "row_attrs", "col_attrs"}) f.remove(group);
      f.create_group("row_attrs");
      f.create_group("col_attrs");
      (void)f.create_matrix<float>("matrix", genes, cells, 64, 64, Hdf5Compression::gzip);
    });
    EXPECT_MENTIONS(message, "claims");
  }
}

TEST_F(Loom, OtherKindsOfFilesAreNamed) {
  testing::write_small_h5ad(path_);
  EXPECT_MENTIONS(message_of<FormatError>([&] { LoomFile{path_}; }), "it looks like an .h5ad file");
  std::ofstream(path_) << "gene\tcell\n";
  EXPECT_THROW(LoomFile{path_}, FormatError);
  EXPECT_THROW(LoomFile{folder_.path("absent.loom")}, IoError);
}

TEST_F(Loom, TruncatedAndCorruptedFilesNeverCrash) {
  write_small();
  const std::string whole = read_file(path_);
  for (std::size_t at = 0; at < whole.size(); at += 61) {
    for (const bool truncate : {true, false}) {
      std::string bytes = whole;
      if (truncate)
        bytes.resize(at);
      else
        for (std::size_t i = at; i < std::min(at + 4, bytes.size()); ++i) bytes[i] = static_cast<char>(~bytes[i]);
      std::ofstream(path_, std::ios::binary) << bytes;
      try {
        read_all_of(path_);
      } catch (const Error&) {
      }
    }
  }
}

// ---- writing

LoomContents small_loom() {
  H5adContents small = testing::small_contents();
  LoomContents contents{.obs = small.obs, .var = small.var, .next_rows = small.next_rows, .tables = {}, .global = {}};
  contents.tables.push_back(
      {.name = "proteins", .columns_name = "", .columns = {"CD3", "CD4"}, .values = {4, 2, Reals(8, 2.5)}});
  contents.global.push_back({.name = "title", .values = Texts{"caf\xC3\xA9"}, .missing = {}});
  contents.global.push_back({.name = "sizes", .values = Wholes{1, 2}, .missing = {}});
  return contents;
}

TEST_F(Loom, WhatIsWrittenIsReadBack) {
  write_loom(path_, small_loom(), Overwrite::refuse);
  const CountFile file = open_loom(path_);
  EXPECT_EQ(file.format, "loom 3.0.0");
  EXPECT_EQ(dense_of(*file.counts), testing::small_matrix());
  EXPECT_EQ(file.counts->info().value_type, "float32");
  EXPECT_EQ(file.obs.index, (Texts{"c0", "c1", "c2", "c3"}));
  EXPECT_EQ(file.var.index, (Texts{"g0", "g1", "g2"}));
  EXPECT_EQ(values_of<Texts>(file.obs, "batch"), (Texts{"a", "b", "", "b"}));
  EXPECT_EQ(values_of<Wholes>(file.obs, "n"), (Wholes{7, 8, 9, 10}));
  EXPECT_EQ(values_of<Reals>(file.obs, "score"), (Reals{0.5, 1.5, 2.5, 3.5}));
  EXPECT_EQ(values_of<Texts>(file.obs, "note"), (Texts{"x", "", "\xC3\xA9t\xC3\xA9", "z"}));
  EXPECT_EQ(values_of<Wholes>(file.obs, "good"), (Wholes{1, 0, 1, 0}));
  ASSERT_EQ(file.tables.size(), 1U);
  EXPECT_EQ(file.tables[0].columns, (Texts{"CD3", "CD4"}));
  EXPECT_EQ(file.tables[0].values.values, Reals(8, 2.5));
  std::map<std::string, std::string> global;
  for (const Column& column : LoomFile(path_).global_attributes())
    global[column.name] = column.text(column.size() - 1);
  EXPECT_EQ(global["title"], "caf\xC3\xA9");
  EXPECT_EQ(global["sizes"], "2");
}

TEST_F(Loom, ManyCellsAreWrittenAcrossWindowsAndChunks) {
  // 70,000 genes: a window of 64 cells; 150 cells: the last chunk is not full.
  constexpr std::int64_t kGenes = 70000;
  constexpr std::int64_t kCells = 150;
  LoomContents contents;
  for (std::int64_t gene = 0; gene < kGenes; ++gene) contents.var.index.push_back("g" + std::to_string(gene));
  for (std::int64_t cell = 0; cell < kCells; ++cell) contents.obs.index.push_back("c" + std::to_string(cell));
  contents.next_rows = [next = std::int64_t{0}](CsrBlock& block) mutable {
    if (next == kCells) return false;
    block.first_row = next;
    for (std::int64_t row = 0; row < 7 && next < kCells; ++row, ++next) {
      for (const std::int64_t gene : {next * 3, next * 5 + kGenes / 2}) {
        block.indices.push_back(static_cast<std::int32_t>(gene));
        block.values.push_back(static_cast<float>(1 + next + gene));
      }
      block.indptr.push_back(static_cast<std::int64_t>(block.indices.size()));
    }
    return true;
  };
  write_loom(path_, contents, Overwrite::refuse);
  EXPECT_EQ(Hdf5File::open(path_).info("matrix").chunk, (std::vector<std::int64_t>{64, 64}));
  const CountFile file = open_loom(path_);
  CsrBlock all;
  file.counts->read_rows(0, kCells, all);
  ASSERT_EQ(all.indices.size(), static_cast<std::size_t>(2 * kCells));
  for (std::int64_t cell = 0; cell < kCells; ++cell) {
    const auto at = static_cast<std::size_t>(2 * cell);
    EXPECT_EQ(all.indices[at], cell * 3);
    EXPECT_EQ(all.indices[at + 1], cell * 5 + kGenes / 2);
    EXPECT_EQ(all.values[at], static_cast<float>(1 + cell + cell * 3));
  }
}

TEST_F(Loom, MissingValuesAreWrittenAsTheFormatCan) {
  LoomContents contents = small_loom();
  contents.obs.columns = {{.name = "whole", .values = Wholes{1, 2, 3, 4}, .missing = {1, 0, 0, 0}},
                          {.name = "text", .values = Texts{"a", "b", "c", "d"}, .missing = {0, 1, 0, 0}}};
  write_loom(path_, contents, Overwrite::refuse);
  const Frame obs = open_loom(path_).obs;
  EXPECT_TRUE(std::isnan(values_of<Reals>(obs, "whole")[0]));
  EXPECT_EQ(values_of<Reals>(obs, "whole")[3], 4);
  EXPECT_EQ(values_of<Texts>(obs, "text"), (Texts{"a", "", "c", "d"}));
}

TEST_F(Loom, AColumnWithTheNameOfTheIndexIsNotLost) {
  LoomContents contents = small_loom();
  contents.obs.columns = {{.name = "CellID", .values = Wholes{1, 2, 3, 4}, .missing = {}}};
  contents.var.columns = {{.name = "Gene", .values = contents.var.index, .missing = {}}};
  write_loom(path_, contents, Overwrite::refuse);
  const CountFile file = open_loom(path_);
  EXPECT_EQ(file.obs.index[0], "c0");
  EXPECT_EQ(values_of<Wholes>(file.obs, "obs_CellID"), (Wholes{1, 2, 3, 4}));
  EXPECT_TRUE(file.var.columns.empty()) << "it says the same as the index";
}

TEST_F(Loom, NothingIsLeftOfContentsThatDoNotFit) {
  const auto expect_refused = [&](const std::function<void(LoomContents&)>& spoil, const std::string& part) {
    LoomContents contents = small_loom();
    spoil(contents);
    EXPECT_MENTIONS(message_of<InputError>([&] { write_loom(path_, contents, Overwrite::refuse); }), part);
    EXPECT_TRUE(std::filesystem::is_empty(folder_.path()));
  };
  expect_refused([](LoomContents& c) { c.obs.index.push_back("c4"), c.obs.columns.clear(), c.tables.clear(); },
                 "got only 4 rows for the 5 of obs");
  expect_refused([](LoomContents& c) { c.obs.index.pop_back(), c.obs.columns.clear(), c.tables.clear(); },
                 "got more rows for the 3 of obs");
  expect_refused([](LoomContents& c) { c.var.index.pop_back(); }, "matrix, rows from 0");
  expect_refused([](LoomContents& c) { c.obs.columns[0].name = "a/b"; }, "'a/b'");
  expect_refused([](LoomContents& c) { c.obs.columns[1].name = "batch"; }, "two attributes 'batch'");
  expect_refused([](LoomContents& c) { c.tables[0].columns.pop_back(); }, "proteins");
  expect_refused([](LoomContents& c) { c.next_rows = nullptr; }, "matrix");
}

TEST_F(Loom, AnExistingFileIsKeptUnlessItMayBeReplaced) {
  write_loom(path_, small_loom(), Overwrite::refuse);
  EXPECT_THROW(write_loom(path_, small_loom(), Overwrite::refuse), InputError);
  EXPECT_NO_THROW(write_loom(path_, small_loom(), Overwrite::replace));
}

TEST_F(Loom, AFullDiskIsSaidAndLeavesNothing) {
  const testing::SmallDisk disk(folder_.path("disk"), 1 << 20);
  if (!disk.mounted()) GTEST_SKIP() << "NO RIGHT TO MOUNT: this test did not run";
  LoomContents contents = small_loom();
  contents.obs = {};
  contents.tables.clear();
  for (int cell = 0; cell < 100000; ++cell)
    contents.obs.index.push_back("a rather long name " + std::to_string(cell * 7919));
  EXPECT_THROW(write_loom(disk.path("cells.loom"), contents, Overwrite::refuse), IoError);
  EXPECT_TRUE(std::filesystem::is_empty(disk.path()));
}

// ---- real files

struct RealFile {
  const char* path;
  std::int64_t n_cells;
  std::int64_t n_genes;
  double sum;
  std::size_t n_columns;
  std::size_t n_tables;
  const char* last_gene;
};

class RealLoom : public ::testing::TestWithParam<RealFile> {};

TEST_P(RealLoom, IsReadWhole) {
  SCVI_REQUIRE_TEST_DATA();
  const RealFile& expected = GetParam();
  const CountFile file = open_loom(testing::test_data_dir() + "/" + expected.path);
  EXPECT_EQ(file.format, "loom 2.0.1");
  EXPECT_EQ(file.counts->info().n_rows, expected.n_cells);
  EXPECT_EQ(file.counts->info().n_cols, expected.n_genes);
  EXPECT_EQ(file.obs.n_rows(), expected.n_cells);
  EXPECT_EQ(file.obs.columns.size(), expected.n_columns);
  EXPECT_EQ(file.tables.size(), expected.n_tables);
  EXPECT_EQ(file.var.index.back(), expected.last_gene);
  double sum = 0;
  file.counts->for_each_block(
      [&](const CsrBlock& block) { sum = std::accumulate(block.values.begin(), block.values.end(), sum); });
  EXPECT_NEAR(sum, expected.sum, 1e-6 * expected.sum);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, RealLoom,
                         ::testing::Values(RealFile{"fixtures/Cortex.loom", 50, 10, 649518, 1, 0, "R_B3"},
                                           RealFile{"fixtures/fc-dropseq.loom", 25, 1316, 2825, 2, 0, "Gene1315"},
                                           RealFile{"fixtures/mpfc-starmap.loom", 3704, 158, 1616247, 2, 1, "drd1"},
                                           RealFile{"fixtures/osmFISH_SScortex_mouse_all_cell.loom", 64, 33, 11596, 4,
                                                    0, "Acta2"},
                                           RealFile{"fixtures/retina.loom", 25, 1316, 2825, 2, 0, "Gene1315"},
                                           RealFile{"starmap/mpfc-starmap.loom", 3704, 158, 1616247, 2, 1, "drd1"}));

TEST(RealLoom, StarmapHasPlacesBatchesAndNamedCellTypes) {
  SCVI_REQUIRE_TEST_DATA();
  const CountFile file =
      open_loom(testing::test_data_dir() + "/starmap/mpfc-starmap.loom", {.labels_attribute = "Clusters"});
  EXPECT_EQ(values_of<Reals>(file.obs, "BatchID").size(), 3704U);
  EXPECT_EQ(values_of<Texts>(file.obs, "Clusters")[0], "Smc");
  const Categorical& types = values_of<Categorical>(file.obs, "cell_types");
  EXPECT_EQ(types.categories.size(), 16U);
  EXPECT_EQ(types.categories[static_cast<std::size_t>(types.codes[0])], "Smc");
  EXPECT_EQ(file.tables[0].name, "Spatial_coordinates");
  EXPECT_EQ(file.tables[0].values.n_cols, 2);
}

}  // namespace
}  // namespace scvi::io
