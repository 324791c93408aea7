#include "scvi/io/tenx.hpp"

#include <filesystem>

#include "packed_fixture.hpp"
#include "scvi/core/error.hpp"
#include "scvi/io/hdf5.hpp"
#include "testing.hpp"

namespace scvi::io {
namespace {

namespace fs = std::filesystem;
using testing::dense;
using testing::PackedMember;
using testing::thrown_message;
using testing::write_bytes;
using testing::write_packed;
using Names = std::vector<std::string>;
using Table = std::vector<std::vector<float>>;

// 3 features x 2 cells.
const std::string kMatrix = "%%MatrixMarket matrix coordinate integer general\n3 2 3\n1 1 5\n3 1 7\n2 2 1\n";
const std::string kGenes = "ENSG1\tA\nENSG2\tB\nENSG3\tB\n";
const std::string kFeatures =
    "ENSG1\tA\tGene Expression\nENSG2\tB\tGene Expression\nCD3\tCD3_TotalSeqB\tAntibody Capture\n";
const std::string kBarcodes = "AAAC-1\nAAAG-2\n";

class TenX : public ::testing::Test {
 protected:
  testing::TemporaryDirectory folder_;
  std::string root_ = folder_.path("run");

  void write(const std::string& name, const std::string& text) {
    const fs::path path = fs::path(root_) / name;
    fs::create_directories(path.parent_path());
    if (name.ends_with(".gz"))
      testing::write_packed_text(path, "gzip", text);
    else
      write_bytes(path, text);
  }
  void write_old(const std::string& folder, const std::string& matrix = kMatrix) {
    write(folder + "genes.tsv", kGenes);
    write(folder + "barcodes.tsv", kBarcodes);
    write(folder + "matrix.mtx", matrix);
  }
  void write_new(const std::string& prefix) {
    write(prefix + "features.tsv.gz", kFeatures);
    write(prefix + "barcodes.tsv.gz", kBarcodes);
    write(prefix + "matrix.mtx.gz", kMatrix);
  }
  void expect_new(const CountFile& file) {
    EXPECT_EQ(file.var.index, (Names{"A", "B"}));
    EXPECT_EQ(file.obs.index, (Names{"AAAC-1", "AAAG-2"}));
    EXPECT_EQ(dense(*file.counts), (Table{{5, 0}, {0, 1}}));
    EXPECT_EQ(file.counts->info().n_stored, 2);
    ASSERT_EQ(file.tables.size(), 1);
    EXPECT_EQ(file.tables[0].name, "protein_expression");
    EXPECT_EQ(file.tables[0].columns_name, "protein_names");
    EXPECT_EQ(file.tables[0].columns, (Names{"CD3_TotalSeqB"}));
    EXPECT_EQ(file.tables[0].values.values, (std::vector<double>{7, 0}));
  }
};

TEST_F(TenX, SecondGenerationIsFoundBelowTheFolderGiven) {
  write_old("outs/filtered_gene_bc_matrices/mm10/");
  for (const std::string sub :
       {"", "/outs", "/outs/filtered_gene_bc_matrices/mm10", "/outs/filtered_gene_bc_matrices/"}) {
    const CountFile file = read_tenx(root_ + sub);
    EXPECT_EQ(file.format, "10x folder of Cell Ranger 2");
    EXPECT_EQ(file.var.index, (Names{"A", "B", "B"}));
    EXPECT_EQ(file.var.find("gene_ids")->text(2), "ENSG3");
    EXPECT_EQ(file.var.find("genome")->text(0), "mm10");
    EXPECT_EQ(dense(*file.counts), (Table{{5, 0, 7}, {0, 1, 0}}));
    EXPECT_EQ(std::get<std::vector<std::int64_t>>(file.obs.find("batch_indices")->values),
              (std::vector<std::int64_t>{0, 1}));
  }
}

TEST_F(TenX, GenesMayBeNamedByIdentifier) {
  write_old("");
  const CountFile file = read_tenx(root_, {.measurement_names_column = 0});
  EXPECT_EQ(file.var.index, (Names{"ENSG1", "ENSG2", "ENSG3"}));
  EXPECT_EQ(file.var.find("gene_symbols")->text(0), "A");
  EXPECT_THROW(read_tenx(root_, {.measurement_names_column = 2}), InputError);
}

TEST_F(TenX, ThirdGenerationHasProteinsApart) {
  write_new("");
  const CountFile file = read_tenx(root_);
  EXPECT_EQ(file.format, "10x folder of Cell Ranger 3");
  expect_new(file);
  const CountFile all = read_tenx(root_, {.feature_types_to_tables = false});
  EXPECT_EQ(all.var.index, (Names{"A", "B", "CD3_TotalSeqB"}));
  EXPECT_EQ(all.var.find("feature_types")->text(2), "Antibody Capture");
  EXPECT_EQ(dense(*all.counts), (Table{{5, 0, 7}, {0, 1, 0}}));
}

TEST_F(TenX, FilesMayShareAPrefix) {
  write_new("GSM1_s1_");
  expect_new(read_tenx(root_));
  write_new("GSM2_s2_");
  EXPECT_IN("GSM1_s1_, GSM2_s2_", thrown_message<InputError>([&] { read_tenx(root_); }));
  expect_new(read_tenx(root_, {.genome = "GSM2_s2_"}));
}

TEST_F(TenX, ArchivesAreReadInAnyOrderWithoutUnpacking) {
  write_new("x/");
  const auto packed = [&](const char* name) { return testing::read_bytes(root_ + "/x/" + name); };
  const PackedMember matrix{.path = "./x/matrix.mtx.gz", .content = packed("matrix.mtx.gz")};
  const PackedMember features{.path = "x/features.tsv.gz", .content = packed("features.tsv.gz")};
  const PackedMember barcodes{.path = "x/barcodes.tsv.gz", .content = packed("barcodes.tsv.gz")};
  const PackedMember hidden{.path = "x/._matrix.mtx.gz", .content = "junk"};
  const std::string path = folder_.path("run.bin");
  for (const auto& [format, filter] : {std::pair("tar", "gzip"), std::pair("tar", ""), std::pair("zip", "")}) {
    for (const auto& members :
         {std::vector{hidden, matrix, features, barcodes}, {barcodes, features, hidden, matrix}}) {
      write_packed(path, format, filter, members);
      const CountFile file = read_tenx(path);
      EXPECT_EQ(file.format, "10x archive of Cell Ranger 3");
      expect_new(file);
    }
  }
  write_packed(path, "tar", "gzip", {matrix, {.path = "../features.tsv.gz", .content = features.content}});
  EXPECT_THROW(read_tenx(path), FormatError);
}

TEST_F(TenX, SeveralGenomesNeedAChoice) {
  write_old("hg19/");
  write_old("mm10/", "%%MatrixMarket matrix coordinate integer general\n3 2 1\n1 1 9\n");
  EXPECT_IN("hg19, mm10", thrown_message<InputError>([&] { read_tenx(root_); }));
  EXPECT_EQ(dense(*read_tenx(root_, {.genome = "mm10"}).counts)[0][0], 9);
  EXPECT_IN("did you mean 'mm10'", thrown_message<InputError>([&] { read_tenx(root_, {.genome = "mm1"}); }));
}

TEST_F(TenX, TheFilteredMatrixIsPreferredToTheRawOne) {
  write_new("raw_feature_bc_matrix/");
  write_old("filtered_feature_bc_matrix/");
  EXPECT_EQ(read_tenx(root_).format, "10x folder of Cell Ranger 2");
}

TEST_F(TenX, CellsWithoutBarcodesAreNumbered) {
  write("genes.tsv", kGenes);
  write("matrix.mtx", kMatrix);
  EXPECT_EQ(read_tenx(root_).obs.index, (Names{"0", "1"}));
  write("barcodes.tsv", "AAAC\nAAAG-1\n");
  EXPECT_TRUE(read_tenx(root_).obs.columns.empty());
}

TEST_F(TenX, PartsThatDoNotFitAreErrors) {
  write_old("");
  write("genes.tsv", "ENSG1\tA\nENSG2\tB\n");
  EXPECT_IN("2 features, but its matrix 3", thrown_message<FormatError>([&] { read_tenx(root_); }));
  write("genes.tsv", "ENSG1\tA\nENSG2\nENSG3\tC\n");
  EXPECT_IN("genes.tsv: line 2 has 1 fields", thrown_message<FormatError>([&] { read_tenx(root_); }));
  write("genes.tsv", kGenes);
  write("barcodes.tsv", "AAAC\n");
  EXPECT_IN("1 barcodes, but its matrix 2", thrown_message<FormatError>([&] { read_tenx(root_); }));
  write("matrix.mtx", kMatrix + "junk");
  EXPECT_IN("matrix.mtx: line 6", thrown_message<FormatError>([&] { read_tenx(root_); }));
  fs::remove(root_ + "/genes.tsv");
  EXPECT_IN("without a features.tsv", thrown_message<FormatError>([&] { read_tenx(root_); }));
  fs::remove(root_ + "/matrix.mtx");
  EXPECT_IN("no matrix.mtx", thrown_message<InputError>([&] { read_tenx(root_); }));
  EXPECT_THROW(read_tenx(root_ + "/absent"), IoError);
  EXPECT_IN("is no 10x data", thrown_message<FormatError>([&] { read_tenx(root_ + "/barcodes.tsv"); }));
}

TEST_F(TenX, FeaturesWithoutGenesAreAnError) {
  write_new("");
  write("features.tsv.gz", "a\ta\tCustom\nb\tb\tCustom\nc\tc\tCustom\n");
  EXPECT_IN("no features of the type 'Gene Expression'", thrown_message<InputError>([&] { read_tenx(root_); }));
}

TEST_F(TenX, NamesAreMadeValidUtf8) {
  write_old("");
  write("genes.tsv", "ENSG1\tA\xFF\nENSG2\tB\nENSG3\tC\n");
  const testing::LogCatcher log;
  EXPECT_EQ(read_tenx(root_).var.index[0], "A\xEF\xBF\xBD");
  EXPECT_IN("1 text is not valid UTF-8", log.text());
}

/// The matrix of kMatrix, as Cell Ranger puts it into an .h5.
class TenXH5 : public TenX {
 protected:
  std::string path_ = folder_.path("run.h5");

  static void put_matrix(Hdf5File& file, const std::string& group) {
    file.write<std::int32_t>(group + "/data", {5, 7, 1});
    file.write<std::int64_t>(group + "/indices", {0, 2, 1});
    file.write<std::int64_t>(group + "/indptr", {0, 2, 3});
    file.write<std::int32_t>(group + "/shape", {3, 2});
    file.write_strings(group + "/barcodes", Names{"AAAC-1", "AAAG-2"});
  }
  void write_old_h5(const Names& genomes) {
    Hdf5File file = Hdf5File::create(path_);
    for (const std::string& genome : genomes) {
      put_matrix(file, genome);
      file.write_strings(genome + "/genes", Names{"ENSG1", "ENSG2", "ENSG3"});
      file.write_strings(genome + "/gene_names", Names{"A", "B", "C"});
    }
    file.close();
  }
  void write_new_h5(const Names& genomes = {"GRCh38", "mm10", ""}) {
    Hdf5File file = Hdf5File::create(path_);
    put_matrix(file, "matrix");
    file.write_strings("matrix/features/id", Names{"ENSG1", "ENSG2", "CD3"});
    file.write_strings("matrix/features/name", Names{"A", "B", "CD3_TotalSeqB"});
    file.write_strings("matrix/features/feature_type",
                       Names{"Gene Expression", "Gene Expression", "Antibody Capture"});
    file.write_strings("matrix/features/genome", genomes);
    file.close();
  }
  std::string refusal_after(const std::function<void(Hdf5File&)>& damage) {
    write_new_h5();
    Hdf5File file = Hdf5File::open_for_update(path_);
    damage(file);
    file.close();
    return thrown_message<FormatError>([&] { dense(*read_tenx(path_).counts); });
  }
};

TEST_F(TenXH5, SecondGenerationHasAGroupAGenome) {
  write_old_h5({"mm10"});
  {
    const CountFile file = read_tenx(path_);
    EXPECT_TRUE(is_tenx_h5(path_));
    EXPECT_EQ(file.format, "10x .h5 of Cell Ranger 2");
    EXPECT_EQ(file.var.index, (Names{"A", "B", "C"}));
    EXPECT_EQ(file.var.find("genome")->text(0), "mm10");
    EXPECT_EQ(dense(*file.counts), (Table{{5, 0, 7}, {0, 1, 0}}));
  }
  write_old_h5({"hg19", "mm10"});
  EXPECT_IN("hg19, mm10", thrown_message<InputError>([&] { read_tenx(path_); }));
  EXPECT_EQ(read_tenx(path_, {.genome = "hg19"}).var.find("genome")->text(0), "hg19");
  EXPECT_THROW(read_tenx(path_, {.genome = "x"}), InputError);
}

TEST_F(TenXH5, ThirdGenerationHasFeatureTypesAndGenomes) {
  write_new_h5();
  const CountFile file = read_tenx(path_);
  EXPECT_EQ(file.format, "10x .h5 of Cell Ranger 3");
  expect_new(file);
  CsrBlock row;
  file.counts->read_rows(1, 1, row);
  EXPECT_EQ(row.indices, (std::vector<std::int32_t>{1}));
  const CountFile mouse = read_tenx(path_, {.genome = "mm10"});
  EXPECT_EQ(mouse.var.index, (Names{"B"}));
  EXPECT_EQ(dense(*mouse.counts), (Table{{0}, {1}}));
  EXPECT_EQ(mouse.tables.size(), 1);
  EXPECT_IN("GRCh38", thrown_message<InputError>([&] { read_tenx(path_, {.genome = "x"}); }));
}

TEST_F(TenXH5, DamageIsNamed) {
  const auto replaced = [](const std::string& path, std::vector<std::int64_t> values) {
    return [=](Hdf5File& file) {
      file.remove(path);
      file.write(path, values);
    };
  };
  EXPECT_IN("matrix/indices holds 3", refusal_after(replaced("matrix/indices", {0, 3, 1})));
  EXPECT_IN("matrix/indptr", refusal_after(replaced("matrix/indptr", {0, 3, 2})));
  EXPECT_IN("offsets", refusal_after(replaced("matrix/shape", {3, 5})));
  EXPECT_IN("matrix/shape is no pair of sizes", refusal_after(replaced("matrix/shape", {3, -2})));
  EXPECT_IN("matrix/shape", refusal_after(replaced("matrix/shape", {3})));
  EXPECT_IN("3 features, but its matrix 4", refusal_after(replaced("matrix/shape", {4, 2})));
  EXPECT_IN("is no 10x file", refusal_after([](Hdf5File& file) { file.remove("matrix/indptr"); }));
  EXPECT_IN("names of features", refusal_after([](Hdf5File& file) {
              file.remove("matrix/features/name");
              file.write_strings("matrix/features/name", Names{"A"});
            }));
  EXPECT_IN("barcodes", refusal_after([](Hdf5File& file) {
              file.remove("matrix/barcodes");
              file.write_strings("matrix/barcodes", Names{"A"});
            }));
}

TEST_F(TenXH5, TruncationIsAnError) {
  write_new_h5();
  const std::string whole = testing::read_bytes(path_);
  for (std::size_t size = 0; size < whole.size(); size += 509) {
    write_bytes(path_, whole.substr(0, size));
    EXPECT_THROW(dense(*read_tenx(path_).counts), Error) << size;
  }
}

TEST_F(TenX, RealFilesOfTheFixtures) {
  SCVI_REQUIRE_TEST_DATA();
  const std::string fixtures = testing::test_data_dir() + "/fixtures/";
  const auto check = [&](const std::string& name, std::int64_t cells, std::int64_t genes) {
    const CountFile file = read_tenx(fixtures + name);
    EXPECT_EQ(file.obs.n_rows(), cells) << name;
    EXPECT_EQ(file.var.n_rows(), genes) << name;
    EXPECT_EQ(dense(*file.counts).size(), static_cast<std::size_t>(cells));
    return file.tables.size();
  };
  EXPECT_EQ(check("10X/b_cells/filtered_gene_bc_matrices.tar.gz", 50, 10), 0);
  EXPECT_EQ(check("10X/neuron_9k/filtered_gene_bc_matrices.tar.gz", 50, 10), 0);
  EXPECT_EQ(check("10X/neuron_9k", 50, 10), 0);
  EXPECT_EQ(check("filtered_gene_bc_matrices", 42, 14), 0);
  EXPECT_EQ(check("10X/pbmc_10k_protein_v3/filtered_feature_bc_matrix.tar.gz", 1024, 100), 1);
  const CountFile brain = read_tenx(fixtures + "brain_large.h5");
  EXPECT_EQ(brain.obs.n_rows(), brain.counts->info().n_rows);
  EXPECT_EQ(brain.var.find("genome")->text(0), "mm10");
  dense(*brain.counts);
}

}  // namespace
}  // namespace scvi::io
