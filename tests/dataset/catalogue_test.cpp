#include "scvi/dataset/catalogue.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <set>

#include "expected_table.hpp"
#include "http_server.hpp"
#include "scvi/core/error.hpp"
#include "scvi/dataset/builtin.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using Names = std::vector<std::string>;

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

TEST(Catalogue, HasEveryDatasetOfScviUnderTheNameOfItsClass) {
  for (const char* name : {"CortexDataset", "PbmcDataset", "PurifiedPBMCDataset", "RetinaDataset", "HematoDataset",
                           "CbmcDataset", "CiteSeqDataset", "BrainSmallDataset", "BrainLargeDataset", "SmfishDataset",
                           "FrontalCortexDropseqDataset", "PreFrontalCortexStarmapDataset", "BreastCancerDataset",
                           "MouseOBDataset", "SeqfishDataset", "SeqFishPlusDataset"}) {
    EXPECT_NO_THROW(find_in_catalogue(name)) << name;
  }
  for (const std::string& name : available_10x_datasets()) EXPECT_EQ(find_in_catalogue(name).name, name);
}

TEST(Catalogue, TellsNoTwoEntriesByTheSameName) {
  for (const CatalogueEntry& entry : catalogue()) {
    EXPECT_EQ(&find_in_catalogue(entry.name), &entry) << entry.name;
    for (const std::string& alias : entry.aliases) EXPECT_EQ(&find_in_catalogue(alias), &entry) << alias;
  }
}

TEST(Catalogue, SaysOfEveryEntryWhatItIsAndWhereItsFilesAre) {
  for (const CatalogueEntry& entry : catalogue()) {
    SCOPED_TRACE(entry.name);
    EXPECT_FALSE(entry.organism.empty());
    EXPECT_FALSE(entry.what.empty());
    EXPECT_FALSE(entry.annotations.empty());
    EXPECT_FALSE(entry.reference.empty());
    EXPECT_FALSE(entry.save_path.empty());
    EXPECT_FALSE(entry.files.empty());
    for (const CatalogueFile& file : entry.files) {
      EXPECT_FALSE(file.name.empty());
      EXPECT_NE(file.url.find("://"), std::string::npos) << file.url;
      EXPECT_TRUE(file.sha256.empty() || file.sha256.size() == 64);
      const auto last = [](const std::string& name) { return std::filesystem::path(name).filename(); };
      EXPECT_TRUE(file.mirror_name.empty() || last(file.mirror_name) == last(file.name));
    }
    for (const CatalogueOption& option : entry.options) EXPECT_FALSE(option.help.empty()) << option.name;
  }
}

TEST(Catalogue, FindsNamesHoweverTheyAreWritten) {
  EXPECT_EQ(find_in_catalogue("Cortex").name, "cortex");
  EXPECT_EQ(find_in_catalogue("SeqFish-Plus").name, "seqfish_plus");
  EXPECT_EQ(find_in_catalogue("cbmc").name, "cite_seq_cbmc");
  EXPECT_EQ(find_in_catalogue("10x pbmc8k").name, "pbmc8k");
}

TEST(Catalogue, AnswersAnUnknownNameWithTheNearestOne) {
  EXPECT_NE(message_of([] { find_in_catalogue("cortx"); }).find("did you mean 'cortex'?"), std::string::npos);
  EXPECT_NE(message_of([] { find_in_catalogue("pbmc_10k_protein_v4"); }).find("'pbmc_10k_protein_v3'"),
            std::string::npos);
  EXPECT_NE(message_of([] { find_in_catalogue("xyzzy"); }).find("scvi datasets"), std::string::npos);
}

TEST(Catalogue, KeepsTheAddressesOfScvi) {
  EXPECT_EQ(find_in_catalogue("cd34").files[0].url,
            "http://cf.10xgenomics.com/samples/cell-exp/1.1.0/cd34/cd34_filtered_gene_bc_matrices.tar.gz");
  EXPECT_EQ(
      find_in_catalogue("pbmc_1k_v3").files[0].url,
      "http://cf.10xgenomics.com/samples/cell-exp/3.0.0/pbmc_1k_v3/pbmc_1k_v3_filtered_feature_bc_matrix.tar.gz");
  EXPECT_EQ(find_in_catalogue("cite_seq_cd8").files[1].url,
            "https://ftp.ncbi.nlm.nih.gov/geo/series/GSE100nnn/GSE100866/suppl/GSE100866_CD8_merged-ADT_umi.csv.gz");
  EXPECT_EQ(find_in_catalogue("neuron_9k").files[0].name, "neuron_9k/filtered_gene_bc_matrices.tar.gz");
}

TEST(BuiltinDataset, IsHeldWithoutItsFiles) {
  const BuiltinDataset dataset("cortex", "/nonexistent");
  EXPECT_EQ(dataset.save_path(), "/nonexistent");
  EXPECT_EQ(dataset.missing_files().size(), 1U);
  EXPECT_EQ(BuiltinDataset("hemato").save_path(), "data/HEMATO/");
}

TEST(BuiltinDataset, AsksForTheFilesThatItsOptionsCallFor) {
  BuiltinDataset dataset("pbmc8k");
  dataset.set("type", "raw");
  ASSERT_EQ(dataset.files().size(), 1U);
  EXPECT_EQ(dataset.files()[0].name, "pbmc8k/raw_gene_bc_matrices.tar.gz");
  EXPECT_NE(dataset.files()[0].url.find("pbmc8k_raw_gene"), std::string::npos);
  BuiltinDataset brain("brain_small");
  EXPECT_EQ(brain.files()[1].name, "neuron_9k/filtered_gene_bc_matrices.tar.gz");
  EXPECT_EQ(brain.set("save_path_10X", "/elsewhere").files()[1].name,
            "/elsewhere/neuron_9k/filtered_gene_bc_matrices.tar.gz");
  EXPECT_EQ(BuiltinDataset("purified_pbmc").files().size(), 10U);
  EXPECT_EQ(BuiltinDataset("purified_pbmc").set("subset_datasets", "0,7,8").files().size(), 2U);
}

TEST(BuiltinDataset, RefusesOptionsThatDoNotExistOrMakeNoSense) {
  BuiltinDataset cortex("cortex");
  EXPECT_NE(message_of([&] { cortex.set("total_gene", "10"); }).find("did you mean 'total_genes'?"),
            std::string::npos);
  EXPECT_NE(message_of([&] { cortex.set("total_genes", "many"); }).find("'many'"), std::string::npos);
  EXPECT_THROW(cortex.set("total_genes", "-1"), InputError);
  EXPECT_EQ(cortex.options().at("total_genes"), "558");
  EXPECT_THROW(BuiltinDataset("smfish").set("use_high_level_cluster", "perhaps"), InputError);
  EXPECT_THROW(BuiltinDataset("pbmc8k").set("type", "filterd"), InputError);
  EXPECT_THROW(BuiltinDataset("brain_large").set("nb_genes_to_keep", "0"), InputError);
  EXPECT_THROW(BuiltinDataset("purified_pbmc").set("subset_datasets", "11"), InputError);
  EXPECT_THROW(BuiltinDataset("purified_pbmc").set("subset_datasets", "1,,2"), InputError);
}

/// Files come from there while it lives.
class Mirror {
 public:
  explicit Mirror(const std::string& mirror) { ::setenv("SCVI_DATASETS_MIRROR", mirror.c_str(), 1); }
  ~Mirror() { ::unsetenv("SCVI_DATASETS_MIRROR"); }
  Mirror(const Mirror&) = delete;
  Mirror& operator=(const Mirror&) = delete;
};

/// The file of that name on a mirror.
CatalogueFile find_file(const BuiltinDataset& dataset, const std::string& mirror_name) {
  for (const CatalogueFile& file : dataset.files()) {
    if ((file.mirror_name.empty() ? file.name : file.mirror_name) == mirror_name) return file;
  }
  throw std::out_of_range(mirror_name);
}

/// Every entry whose files are among the fixtures, the table that says what it must come to, and options for it.
struct FixtureCase {
  std::string entry{};
  std::string expected{};
  std::map<std::string, std::string> options{};
  std::set<std::string> except{};
};

std::vector<FixtureCase> fixture_cases() {
  std::vector<FixtureCase> cases{
      {"cortex", "cortex", {}, {"gene_names"}},
      {"cortex", "cortex_chosen", {{"genes_to_keep", "THY1,sst,Tomem2,Crhbp"}, {"total_genes", "10"}}, {}},
      {"cortex", "cortex_all", {{"total_genes", ""}}, {}},
      {"pbmc", "pbmc", {}, {"cell_types"}},
      {"purified_pbmc", "purified_pbmc", {}, {}},
      {"purified_pbmc", "purified_pbmc_first_6", {{"subset_datasets", "0,1,2,3,4,5"}}, {}},
      {"retina", "retina", {}, {"cell_types"}},
      {"prefrontal_cortex_starmap", "starmap", {}, {"cell Spatial_coordinates"}},
      {"frontal_cortex_dropseq", "dropseq", {}, {}},
      {"frontal_cortex_dropseq", "dropseq_chosen", {{"genes_to_keep", "Gene7,Gene1,Gene0,Gene30"}}, {}},
      {"smfish", "smfish", {}, {}},
      {"smfish", "smfish_fine", {{"use_high_level_cluster", "false"}}, {}},
      {"cbmc", "cbmc", {}, {}},
      {"cite_seq_pbmc", "cite_seq_pbmc", {}, {}},
      {"brain_small",
       "brain_small",
       {},
       {"labels", "labels_first", "labels_weighted", "cell_types", "cell qc", "cell raw_qc"}},
      {"brain_large",
       "brain_large_test",
       {{"sample_size_gene_var", "10"}, {"nb_genes_to_keep", "10"}, {"max_cells_to_keep", "128"}},
       {}},
      {"breast_cancer", "breast_cancer", {}, {}},
      {"mouse_ob", "mouse_ob", {}, {}},
      {"seqfish", "seqfish", {{"reference_0_6_3", "true"}}, {}},
      {"seqfish_plus", "seqfish_plus_svz", {{"reference_0_6_3", "true"}}, {}},
      {"seqfish_plus", "seqfish_plus_ob", {{"reference_0_6_3", "true"}, {"tissue_region", "olfactory bulb"}}, {}},
      {"cd34", "10x cd34, dense, symbols", {{"dense", "true"}, {"measurement_names_column", "1"}}, {}},
  };
  for (const char* name :
       {"b_cells", "cd14_monocytes", "cd34", "cd4_t_helper", "cd56_nk", "cytotoxic_t", "memory_t", "naive_cytotoxic",
        "naive_t", "neuron_9k", "pbmc4k", "pbmc8k", "pbmc_10k_protein_v3", "regulatory_t"}) {
    cases.push_back({name, std::string("10x ") + name, {}, {}});
  }
  return cases;
}

std::string fixtures() {
  return testing::test_data_dir() + "/fixtures";
}

TEST(BuiltinDataset, LoadsEveryFixtureFromAServerAsScviDoes) {
  SCVI_REQUIRE_TEST_DATA();
  const testing::HttpServer server(fixtures());
  const Mirror mirror(server.url());
  for (const FixtureCase& each : fixture_cases()) {
    SCOPED_TRACE(each.expected);
    const testing::TemporaryDirectory folder;
    BuiltinDataset dataset(each.entry, folder.path());
    for (const auto& [option, value] : each.options) dataset.set(option, value);
    EXPECT_EQ(dataset.missing_files().size(), dataset.files().size());
    testing::Expected(each.expected).except(each.except).check(dataset.load());
    EXPECT_TRUE(dataset.missing_files().empty());
  }
}

TEST(BuiltinDataset, LoadsHematoFromAServerAsScviDoes) {
  SCVI_REQUIRE_TEST_DATA();
  const testing::HttpServer server(fixtures());
  const Mirror mirror(server.url());
  const testing::TemporaryDirectory folder;
  BuiltinDataset dataset("hemato", folder.path());
  dataset.set("reference_0_6_3", "true");
  // The fixture's archive is empty; what should be in it lies beside it.
  EXPECT_THROW(dataset.load(), FormatError);
  for (const char* name : {"bBM.spring_and_pba.csv", "bBM.filtered_gene_list.paper.txt"}) {
    std::filesystem::copy(fixtures() + "/HEMATO/" + name, folder.path(name));
  }
  testing::Expected("hemato").check(dataset.load());
}

TEST(BuiltinDataset, TakesFilesFromAFolderAsWell) {
  SCVI_REQUIRE_TEST_DATA();
  const Mirror mirror(fixtures());
  const testing::TemporaryDirectory folder;
  testing::Expected("10x cd34").check(BuiltinDataset("cd34", folder.path()).load());
  EXPECT_TRUE(std::filesystem::exists(folder.path("cd34/filtered_gene_bc_matrices.tar.gz")));
}

TEST(BuiltinDataset, NeedsNoMirrorForFilesThatAreThere) {
  SCVI_REQUIRE_TEST_DATA();
  const Mirror mirror("http://127.0.0.1:9/nothing");
  BuiltinDataset pbmc("pbmc", fixtures());
  pbmc.set("save_path_10X", fixtures() + "/10X");
  testing::Expected("pbmc").except({"cell_types"}).check(pbmc.load());
}

TEST(BuiltinDataset, LeavesNothingBehindWhenAFileCannotBeHad) {
  const testing::HttpServer server;
  const Mirror mirror(server.url());
  const testing::TemporaryDirectory folder;
  EXPECT_THROW(BuiltinDataset("retina", folder.path()).load(), IoError);
  EXPECT_FALSE(std::filesystem::exists(folder.path("retina.loom")));
}

TEST(BuiltinDataset, NamesTheFileThatIsDamaged) {
  SCVI_REQUIRE_TEST_DATA();
  const std::vector<std::pair<std::string, std::string>> cases{{"retina", "retina.loom"},
                                                               {"seqfish", "SeqFISH.xlsx"},
                                                               {"seqfish_plus", "seqfishplus.zip"},
                                                               {"brain_large", "brain_large.h5"},
                                                               {"cd34", "10X/cd34/filtered_gene_bc_matrices.tar.gz"},
                                                               {"cbmc", "citeSeq/cbmc/cbmc_rna.csv.gz"},
                                                               {"cortex", "expression.bin"},
                                                               {"pbmc", "pbmc_metadata.pickle"}};
  for (const auto& [entry, file] : cases) {
    std::ifstream in(fixtures() + "/" + file, std::ios::binary);
    const std::string whole((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
    for (const std::size_t size : {std::size_t{0}, std::size_t{3}, whole.size() / 3, whole.size() * 9 / 10}) {
      SCOPED_TRACE(file + ", " + std::to_string(size) + " bytes");
      const Mirror mirror(fixtures());
      const testing::TemporaryDirectory folder;
      BuiltinDataset dataset(entry, folder.path());
      dataset.download();
      const std::string path = folder.path(find_file(dataset, file).name);
      std::ofstream(path, std::ios::binary | std::ios::trunc) << whole.substr(0, size);
      try {
        dataset.load();
        ADD_FAILURE() << "was loaded";
      } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find(path), std::string::npos) << error.what();
      }
    }
  }
}

}  // namespace
}  // namespace scvi
