// Every built-in data set on the fixtures of shared/data, compared with what scVI 0.6.3 loads from them.

#include "scvi/dataset/builtin.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <functional>

#include "expected_table.hpp"
#include "scvi/core/error.hpp"
#include "scvi/io/hdf5.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using Names = std::vector<std::string>;
using testing::Expected;

std::string fixtures(const std::string& name = "") {
  return testing::test_data_dir() + "/fixtures" + (name.empty() ? "" : "/" + name);
}

class Builtin : public ::testing::Test {
 protected:
  void SetUp() override { SCVI_REQUIRE_TEST_DATA(); }
};

TEST_F(Builtin, CortexIsAsInScvi) {
  // Several genes here have the same counts, and the order among them is up to numpy's sorting.
  const auto dataset = load_cortex(fixtures());
  Expected("cortex").except({"gene_names"}).check(dataset);
  EXPECT_EQ(Names(dataset.gene_names().begin(), dataset.gene_names().begin() + 4),
            (Names{"Kcnip2", "sst", "Tomem2", "FAU"}));
  Expected("cortex_all").check(load_cortex(fixtures(), {.total_genes = std::nullopt}));
  CortexOptions chosen{.genes_to_keep = {"THY1", "sst", "Tomem2", "Crhbp"}, .total_genes = 10};
  Expected("cortex_chosen").check(load_cortex(fixtures(), chosen));
}

/// The ten lines about cells, for two cells, and two genes.
std::string small_cortex() {
  return "\ttissue\tca1\tcortex\n\tgroup #\t8\t7\n\ttotal mRNA mol\t21580\t21748\n\twell\t11\t95\n\tsex\t1\t-1\n"
         "\tage\t21\t20\n\tdiameter\t0\t9.56\n(none)\tcell_id\tA_1\tB_2\n"
         "(none)\tlevel1class\tneurons\tglia\n(none)"
         "\tlevel2class\tInt10\tOligo1\n\t\t\t\nMbp\t1\t0\t3\nSst\t1\t5\t0\n";
}

std::string write(const testing::TemporaryDirectory& folder, const std::string& name, const std::string& content) {
  std::ofstream(folder.path(name), std::ios::binary) << content;
  return folder.path();
}

TEST(BuiltinCortex, KeepsTheOtherLinesAboutCells) {
  const testing::TemporaryDirectory folder;
  const auto dataset = load_cortex(write(folder, "expression.bin", small_cortex()), {.total_genes = std::nullopt});
  EXPECT_EQ(dataset.cell_names(), (Names{"A_1", "B_2"}));
  EXPECT_EQ(dataset.cell_types(), (Names{"glia", "neurons"}));
  EXPECT_EQ(dataset.gene_names(), (Names{"Mbp", "Sst"}));
  EXPECT_EQ(dataset.cell_attribute("tissue").text(1), "cortex");
  EXPECT_EQ(dataset.cell_attribute("level2class").text(0), "Int10");
  EXPECT_EQ(std::get<std::vector<std::int64_t>>(dataset.cell_attribute("sex").values)[1], -1);
  EXPECT_EQ(std::get<std::vector<double>>(dataset.cell_attribute("diameter").values)[1], 9.56);
  EXPECT_EQ(dataset.X().cell_totals(), (std::vector<double>{5, 3}));
}

TEST(BuiltinCortex, RefusesDamagedTablesAndNamesThePlace) {
  const std::string good = small_cortex();
  for (std::size_t size = 0; size < good.find("\t3\nSst"); size += 5) {
    const testing::TemporaryDirectory folder;
    write(folder, "expression.bin", good.substr(0, size));
    EXPECT_THROW(load_cortex(folder.path(), {.total_genes = std::nullopt}), FormatError) << size;
  }
  const testing::TemporaryDirectory folder;
  std::string bad = good;
  bad.replace(bad.find("\t5\t"), 3, "\t?\t");
  write(folder, "expression.bin", bad);
  try {
    load_cortex(folder.path());
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_NE(std::string(error.what()).find("line 13, field 3 is '?'"), std::string::npos) << error.what();
  }
}

TEST_F(Builtin, CortexFillsUpWithTheMostVariableGenes) {
  const auto all = load_cortex(fixtures(), {.total_genes = std::nullopt});
  const auto chosen = load_cortex(fixtures(), {.genes_to_keep = {"Gfap"}, .total_genes = 5});
  EXPECT_EQ(chosen.gene_names()[0], "Gfap");
  EXPECT_EQ(chosen.nb_genes(), 5);
  const auto only = load_cortex(fixtures(), {.genes_to_keep = {"Vip", "Gfap"}, .total_genes = std::nullopt});
  EXPECT_EQ(only.gene_names(), (Names{"Vip", "Gfap"}));
  EXPECT_EQ(only.original_genes(), all.genes_to_index({"Vip", "Gfap"}));
}

TEST_F(Builtin, CortexAnswersAnUnknownGeneWithTheNearestOne) {
  try {
    load_cortex(fixtures(), {.genes_to_keep = {"Gfop"}});
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("'Gfap'"), std::string::npos) << error.what();
  }
}

TEST_F(Builtin, RetinaIsAsInScvi) {
  // scVI keeps the names of all 15 types, though these cells have only five labels.
  const auto dataset = load_retina(fixtures());
  Expected("retina").except({"cell_types"}).check(dataset);
  EXPECT_EQ(dataset.cell_types(), (Names{"RBC", "MG", "BC5A", "BC7", "BC6"}));
}

TEST_F(Builtin, StarmapIsAsInScvi) {
  const auto dataset = load_prefrontal_cortex_starmap(fixtures());
  Expected("starmap").except({"cell Spatial_coordinates"}).check(dataset);
  const CellMeasurement& places = dataset.cell_measurement("Spatial_coordinates");
  EXPECT_EQ(places.columns.size(), 2U);
  EXPECT_FLOAT_EQ(places.data[3], 120.41285207594409F);
}

TEST_F(Builtin, DropseqIsAsInScvi) {
  Expected("dropseq").check(load_frontal_cortex_dropseq(fixtures()));
  const Names genes{"Gene7", "Gene1", "Gene0", "Gene30"};
  Expected("dropseq_chosen").check(load_frontal_cortex_dropseq(fixtures(), genes));
}

TEST_F(Builtin, SmfishIsAsInScvi) {
  Expected("smfish").check(load_smfish(fixtures()));
  Expected("smfish_fine").check(load_smfish(fixtures(), {.use_high_level_cluster = false}));
}

TEST_F(Builtin, HematoIsAsInScvi) {
  const auto dataset = load_hemato(fixtures("HEMATO"));
  // scVI makes labels of a continuous quantity by cutting it to 16 bits: here only when asked.
  Expected("hemato").except({"n_labels", "labels", "labels_first", "labels_weighted"}).check(dataset);
  EXPECT_EQ(dataset.n_labels(), 1);
  Expected("hemato").check(load_hemato(fixtures("HEMATO"), {.reference_0_6_3 = true}));
}

TEST_F(Builtin, HematoKeepsTheResultsOfPopulationBalanceAnalysis) {
  const auto dataset = load_hemato(fixtures("HEMATO"));
  const auto value = [&](const std::string& name) {
    return std::get<std::vector<double>>(dataset.cell_attribute(name).values)[0];
  };
  EXPECT_EQ(value("Potential"), 18.431);
  EXPECT_EQ(value("Pr_Gr"), 0.99954);
  EXPECT_NEAR(value("lineage"), std::log(0.99954 / 0.00046) - std::log(2.7139e-05 / (1 - 2.7139e-05)), 1e-9);
}

TEST_F(Builtin, CiteSeqIsAsInScvi) {
  Expected("cite_seq_cbmc").check(load_cite_seq(fixtures("citeSeq"), "cbmc"));
  Expected("cbmc").check(load_cite_seq(fixtures("citeSeq")));
  Expected("cite_seq_pbmc").check(load_cite_seq(fixtures("citeSeq"), "pbmc"));
}

TEST_F(Builtin, CiteSeqAnswersAnUnknownNameWithTheNearestOne) {
  try {
    load_cite_seq(fixtures("citeSeq"), "pmbc");
    FAIL();
  } catch (const InputError& error) {
    EXPECT_NE(std::string(error.what()).find("did you mean"), std::string::npos) << error.what();
  }
}

TEST_F(Builtin, SpotsAreAsInScvi) {
  Expected("breast_cancer").check(load_breast_cancer(fixtures()));
  Expected("mouse_ob").check(load_mouse_ob(fixtures()));
}

TEST_F(Builtin, SeqfishHasGenesForGenes) {
  // The table lists genes in rows. scVI takes these for cells, and the first of them for a header.
  Expected("seqfish").check(load_seqfish(fixtures(), {.reference_0_6_3 = true}));
  const auto dataset = load_seqfish(fixtures());
  EXPECT_EQ(dataset.nb_cells(), 49);
  EXPECT_EQ(dataset.nb_genes(), 248);
  EXPECT_EQ(dataset.gene_names()[0], "Dmbx1");
  EXPECT_EQ(dataset.gene_names()[1], "Emx2");
  double emx2 = 0;
  for (std::int64_t cell = 0; cell < dataset.nb_cells(); ++cell) {
    dataset.X().for_each_nonzero(cell, [&](std::int64_t gene, float count) { emx2 += gene == 1 ? count : 0; });
  }
  EXPECT_EQ(emx2, 848);
}

TEST_F(Builtin, SeqFishPlusTakesNoRowNumbersForGenes) {
  for (const auto& [region, name] : {std::pair{SeqFishPlusRegion::subventricular_cortex, "seqfish_plus_svz"},
                                     std::pair{SeqFishPlusRegion::olfactory_bulb, "seqfish_plus_ob"}}) {
    Expected(name).check(load_seqfish_plus(fixtures(), {.tissue_region = region, .reference_0_6_3 = true}));
    const auto dataset = load_seqfish_plus(fixtures(), {.tissue_region = region});
    EXPECT_EQ(dataset.nb_genes(), 10);
    EXPECT_EQ(dataset.gene_names()[0], "1700022a21rik");
    EXPECT_EQ(dataset.nb_cells(), 10);
    EXPECT_EQ(dataset.cell_measurement("coords").columns, (Names{"x", "y"}));
  }
}

TEST_F(Builtin, TenXDatasetsAreAsInScvi) {
  for (const char* name :
       {"b_cells", "cd14_monocytes", "cd34", "cd4_t_helper", "cd56_nk", "cytotoxic_t", "memory_t", "naive_cytotoxic",
        "naive_t", "neuron_9k", "pbmc4k", "pbmc8k", "pbmc_10k_protein_v3", "regulatory_t"}) {
    const auto dataset = load_10x_dataset(fixtures("10X"), name);
    EXPECT_TRUE(dataset.X().is_sparse());
    Expected(std::string("10x ") + name).check(dataset);
  }
}

TEST_F(Builtin, TenXDatasetsCanBeDenseAndNamedBySymbols) {
  for (const char* name : {"cd34", "pbmc_10k_protein_v3"}) {
    const auto dataset = load_10x_dataset(fixtures("10X"), name, {.dense = true, .measurement_names_column = 1});
    EXPECT_FALSE(dataset.X().is_sparse());
    Expected(std::string("10x ") + name + ", dense, symbols").check(dataset);
  }
}

TEST_F(Builtin, TenXKnowsEveryNameOfScvi) {
  EXPECT_EQ(available_10x_datasets().size(), 37U);
  EXPECT_EQ(available_10x_datasets().front(), "frozen_pbmc_donor_a");
  EXPECT_EQ(available_10x_datasets().back(), "5k_pbmc_protein_v3_nextgem");
  EXPECT_THROW(load_10x_dataset(fixtures("10X"), "pbmc9k"), InputError);
}

TEST_F(Builtin, BrainSmallIsAsInScvi) {
  const auto dataset = load_brain_small(fixtures(), fixtures("10X"));
  // scVI leaves the labels as they are (0 to 5 and 9 here) and names none of them; these are renumbered and named.
  Expected expected("brain_small");
  EXPECT_EQ(dataset.cell_types(), (Names{"1", "2", "3", "4", "5", "6", "10"}));
  std::map<std::int64_t, int> counts;
  for (const std::int64_t label : dataset.labels()) ++counts[std::stoll(dataset.cell_types()[label]) - 1];
  std::string text;
  for (const auto& [label, count] : counts) {
    text += (text.empty() ? "" : ",") + std::to_string(label) + ":" + std::to_string(count);
  }
  EXPECT_EQ(text, expected["labels"]);
  expected.except({"labels", "labels_first", "labels_weighted", "cell_types", "cell qc", "cell raw_qc"})
      .check(dataset);
}

TEST_F(Builtin, BrainSmallHasQualityMetrics) {
  const auto dataset = load_brain_small(fixtures(), fixtures("10X"));
  const CellMeasurement& qc = dataset.cell_measurement("qc");
  EXPECT_EQ(qc.columns_attr_name, "qc_names");
  const auto names = testing::split(Expected("brain_small")["other qc_names"], ';');
  EXPECT_EQ(testing::fnv(qc.columns), names[1]);
  double sum = 0;
  for (const float value : qc.data) sum += value;
  const auto expected = testing::split(Expected("brain_small")["cell qc"], ';');
  EXPECT_NEAR(sum, std::stod(expected[1]), 1e-6 * sum);
  const auto first = testing::numbers_of(expected[2]);
  for (std::size_t i = 0; i < first.size(); ++i) EXPECT_FLOAT_EQ(qc.data[i], first[i]);
}

TEST_F(Builtin, BrainLargeIsAsInScvi) {
  BrainLargeOptions test{.sample_size_gene_var = 10, .max_cells_to_keep = 128, .nb_genes_to_keep = 10};
  Expected("brain_large_test").check(load_brain_large(fixtures(), test));
  BrainLargeOptions chunks{.sample_size_gene_var = 50, .nb_genes_to_keep = 20, .loading_batch_size = 30};
  Expected("brain_large_chunks").check(load_brain_large(fixtures(), chunks));
  // The 720th variance is shared by several genes here, and which of them scVI takes is up to numpy's sorting.
  Expected("brain_large").except({"weighted", "cell_totals"}).check(load_brain_large(fixtures()));
}

TEST_F(Builtin, BrainLargeKeepsNoMoreCellsThanAsked) {
  // scVI keeps whole batches: all 70 cells here.
  const auto dataset = load_brain_large(fixtures(), {.max_cells_to_keep = 25, .loading_batch_size = 10});
  EXPECT_EQ(dataset.nb_cells(), 25);
  const auto all = load_brain_large(fixtures(), {.loading_batch_size = 10});
  EXPECT_EQ(dataset.original_genes(), all.original_genes());
  EXPECT_EQ(dataset.X().cell_totals()[24], all.X().cell_totals()[24]);
}

/// A 10x .h5 of three cells and `n_genes` genes, without names.
std::string write_unnamed_h5(const testing::TemporaryDirectory& folder, std::int64_t n_genes) {
  auto file = io::Hdf5File::create(folder.path("brain_large.h5"));
  file.write("mm10/shape", std::vector<std::int64_t>{n_genes, 3});
  file.write("mm10/indptr", std::vector<std::int64_t>{0, 2, 2, 4});
  file.write("mm10/indices", std::vector<std::int32_t>{0, 3, 1, 3});
  file.write("mm10/data", std::vector<std::int32_t>{1, 9, 2, 4});
  file.close();
  return folder.path();
}

TEST(BuiltinBrainLarge, DropsEmptyCellsAndSaysWhereTheOthersStood) {
  const testing::TemporaryDirectory folder;
  const auto dataset =
      load_brain_large(write_unnamed_h5(folder, 4), {.nb_genes_to_keep = 2, .loading_batch_size = 1});
  EXPECT_EQ(dataset.original_genes(), (std::vector<std::int64_t>{3, 1}));
  EXPECT_EQ(dataset.original_cells(), (std::vector<std::int64_t>{0, 2}));
  EXPECT_EQ(dataset.X().cell_totals(), (std::vector<double>{9, 6}));
  EXPECT_EQ(dataset.gene_names(), (Names{"3", "1"}));
}

TEST(BuiltinBrainLarge, BelievesNoNumberOfGenesWithoutNames) {
  for (const std::int64_t n_genes :
       {std::int64_t{1} << 40, std::int64_t{2'000'000}, std::int64_t{3}, std::int64_t{-1}}) {
    const testing::TemporaryDirectory folder;
    write_unnamed_h5(folder, n_genes);
    EXPECT_THROW(load_brain_large(folder.path()), FormatError) << n_genes;
  }
}

TEST_F(Builtin, PbmcIsAsInScvi) {
  const auto dataset = load_pbmc(fixtures(), {.folder_10x = fixtures("10X")});
  // No cell here is a megakaryocyte, and scVI then gives their name to the next type.
  Expected("pbmc").except({"cell_types"}).check(dataset);
  EXPECT_EQ(dataset.cell_types(), (Names{"B cells", "CD14+ Monocytes", "CD4 T cells", "CD8 T cells",
                                         "Dendritic Cells", "FCGR3A+ Monocytes", "NK cells", "Other"}));
}

TEST_F(Builtin, PbmcHasQualityMetrics) {
  const auto dataset = load_pbmc(fixtures(), {.folder_10x = fixtures("10X")});
  const Expected expected("pbmc");
  for (const std::string name : {"design", "raw_qc", "qc_pc", "normalized_qc"}) {
    const auto parts = testing::split(expected["other " + name], ';');
    const CellMeasurement& measurement = dataset.cell_measurement(name == "raw_qc" ? "qc" : name);
    EXPECT_EQ(std::to_string(dataset.nb_cells()) + "x" + std::to_string(measurement.columns.size()), parts[0]);
    double sum = 0;
    for (const float value : measurement.data) sum += value;
    EXPECT_NEAR(sum, std::stod(parts[1]), 1e-5 * (1 + std::abs(sum))) << name;
  }
  EXPECT_EQ(dataset.gene_attribute("GS").text(0), "NOC2L");
}

TEST_F(Builtin, PurifiedPbmcIsAsInScvi) {
  Expected("purified_pbmc").check(load_purified_pbmc(fixtures("10X")));
  const auto first = load_purified_pbmc(fixtures("10X"), {.subset_datasets = {0, 1, 2, 3, 4, 5}});
  Expected("purified_pbmc_first_6").check(first);
  EXPECT_THROW(load_purified_pbmc(fixtures("10X"), {.subset_datasets = {11}}), InputError);
}

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "nothing was thrown";
}

/// What Hemato is made of, for three cells, of which one is of the library left out.
struct SmallHemato {
  std::string counts =
      "cell_id,library_id,Kit,Gata1,Elane\nc1,bm2,1,2,0\nc2,basal_bm1,1,1,1\nc3,bm2,0,5,7\nc4,bm2,1,0,0\n";
  std::string cells =
      "cell_id,x_spring,y_spring,Potential,Pr_Er,Pr_Gr\nc3,1.5,2,3,0,0.9\nc2,9,9,9,0.5,0.5\nc1,4,5,6,0.25,1\n";
  std::string genes = "Elane\nKit\n";

  GeneExpressionDataset load(const HematoOptions& options = {}) const {
    const testing::TemporaryDirectory folder;
    write(folder, "bBM.raw_umifm_counts.csv.gz", counts);
    write(folder, "bBM.spring_and_pba.csv", cells);
    write(folder, "bBM.filtered_gene_list.paper.txt", genes);
    return load_hemato(folder.path(), options);
  }
};

TEST(BuiltinHemato, JoinsItsTablesByCellAndKeepsTheListedGenes) {
  const auto dataset = SmallHemato().load();
  EXPECT_EQ(dataset.cell_names(), (Names{"c1", "c3"}));
  EXPECT_EQ(dataset.gene_names(), (Names{"Elane", "Kit"}));
  EXPECT_EQ(dataset.X().cell_totals(), (std::vector<double>{1, 7}));
  EXPECT_EQ(dataset.cell_attribute("x_coord").text(1), "1.5");
  // A probability of 1 becomes the largest below 1, and one of 0 the smallest above 0, among the cells kept.
  const auto& lineage = std::get<std::vector<double>>(dataset.cell_attribute("lineage").values);
  EXPECT_NEAR(lineage[0], std::log(9.0) + std::log(3.0), 1e-12);
  EXPECT_NEAR(lineage[1], std::log(9.0) + std::log(3.0), 1e-12);
}

TEST(BuiltinHemato, NamesWhatIsWrongWithItsTables) {
  SmallHemato hemato;
  hemato.genes = "Elane\nSpi1\n";
  EXPECT_NE(message_of([&] { hemato.load(); }).find("has no column 'Spi1'"), std::string::npos);
  hemato = {};
  hemato.counts.replace(hemato.counts.find(",5,7"), 4, ",5,x");
  EXPECT_NE(message_of([&] { hemato.load(); }).find("line 4, field 5 is 'x'"), std::string::npos);
  hemato = {};
  hemato.counts += "c9,bm2,1\n";
  EXPECT_NE(message_of([&] { hemato.load(); }).find("line 6 has 3 fields"), std::string::npos);
  hemato = {};
  hemato.cells += "c1,4,5,6,0.25,1\n";
  EXPECT_NE(message_of([&] { hemato.load(); }).find("'c1' twice"), std::string::npos);
  hemato = {};
  hemato.cells = "cell_id,x_spring,y_spring,Potential,Pr_Er,Pr_Gr\nz,1,2,3,0,0.9\n";
  EXPECT_NE(message_of([&] { hemato.load(); }).find("holds no cell of"), std::string::npos);
  hemato = {};
  hemato.cells.replace(hemato.cells.find("Pr_Gr"), 5, "Pr_XX");
  EXPECT_NE(message_of([&] { hemato.load(); }).find("'Pr_Gr'"), std::string::npos);
}

/// Two cells, two human genes and one of the mouse, two proteins. The proteins list the cells the other way round.
struct SmallCiteSeq {
  std::string counts = "\"\",\"AAA\",\"CCC\"\n\"HUMAN_CD3E\",1,2\n\"MOUSE_Cd3e\",5,5\n\"HUMAN_MT_ND1\",0,3\n";
  std::string proteins = ",CCC,AAA\nCD3,10,20\nCD4,30,40\n";
  std::string centered = ",CCC,AAA\nCD3,1.5,-0.5\nCD4,0,1\n";

  GeneExpressionDataset load() const {
    const testing::TemporaryDirectory folder;
    std::filesystem::create_directory(folder.path("cbmc"));
    write(folder, "cbmc/cbmc_rna.csv.gz", counts);
    write(folder, "cbmc/cbmc_adt.csv.gz", proteins);
    write(folder, "cbmc/cbmc_adt_centered.csv.gz", centered);
    return load_cite_seq(folder.path());
  }
};

TEST(BuiltinCiteSeq, KeepsHumanGenesAndGivesEachCellItsOwnProteins) {
  const auto dataset = SmallCiteSeq().load();
  EXPECT_EQ(dataset.gene_names(), (Names{"CD3E", "ND1"}));
  EXPECT_EQ(dataset.cell_names(), (Names{"AAA", "CCC"}));
  EXPECT_EQ(dataset.X().cell_totals(), (std::vector<double>{1, 5}));
  EXPECT_EQ(dataset.cell_measurement("protein_expression").data, (std::vector<float>{20, 40, 10, 30}));
  EXPECT_EQ(dataset.cell_measurement("protein_expression_clr").data, (std::vector<float>{-0.5F, 1, 1.5F, 0}));
}

TEST(BuiltinCiteSeq, NamesWhatIsWrongWithItsTables) {
  SmallCiteSeq cite;
  cite.centered.replace(cite.centered.find("CD4"), 3, "CD8");
  EXPECT_NE(message_of([&] { cite.load(); }).find("other proteins"), std::string::npos);
  cite = {};
  cite.proteins.replace(cite.proteins.find("AAA"), 3, "GGG");
  EXPECT_NE(message_of([&] { cite.load(); }).find("lacks cell 'AAA'"), std::string::npos);
  cite = {};
  cite.proteins += "CD5,1\n";
  EXPECT_NE(message_of([&] { cite.load(); }).find("line 4, gene 'CD5' has 2 fields"), std::string::npos);
  cite = {};
  cite.counts = ",AAA,CCC\nMOUSE_Cd3e,5,5\n";
  EXPECT_NE(message_of([&] { cite.load(); }).find("'HUMAN'"), std::string::npos);
}

/// A folder of Cell Ranger 2 with one gene that all cells have: the first once, the second twice, ...
void write_tenx(const testing::TemporaryDirectory& folder, const std::string& name, const Names& barcodes) {
  const std::string place = name + "/filtered_gene_bc_matrices/GRCh38/";
  std::filesystem::create_directories(folder.path(place));
  std::string lines;
  std::string matrix = "%%MatrixMarket matrix coordinate integer general\n1 " + std::to_string(barcodes.size()) +
                       " " + std::to_string(barcodes.size()) + "\n";
  for (std::size_t cell = 1; cell <= barcodes.size(); ++cell) {
    lines += barcodes[cell - 1] + "\n";
    matrix += "1 " + std::to_string(cell) + " " + std::to_string(cell) + "\n";
  }
  write(folder, place + "genes.tsv", "ENSG1\tCD3E\n");
  write(folder, place + "barcodes.tsv", lines);
  write(folder, place + "matrix.mtx", matrix);
}

TEST(BuiltinPbmc, KeepsCellsThatShareABarcodeApart) {
  const testing::TemporaryDirectory folder;
  write_tenx(folder, "pbmc8k", {"AAAC-1", "CCCC-1", "TTTT-1"});
  write_tenx(folder, "pbmc4k", {"GGGG-1", "TTTT-1", "AAAC-1"});
  write(folder, "gene_info_pbmc.csv", ",ENSG,GS\n5,ENSG1,CD3E\n");
  std::filesystem::copy(std::string(SCVI_SOURCE_DIR) + "/tests/dataset/expected/shared_barcodes.pickle",
                        folder.path("pbmc_metadata.pickle"));
  const auto dataset = load_pbmc(folder.path());
  EXPECT_EQ(dataset.batch_indices(), (std::vector<std::int64_t>{0, 0, 1, 1}));
  EXPECT_EQ(dataset.X().cell_totals(), (std::vector<double>{1, 2, 1, 3}));
  EXPECT_EQ(dataset.labels(), (std::vector<std::int64_t>{1, 0, 2, 2}));
  EXPECT_EQ(dataset.cell_types(), (Names{"B", "T", "NK"}));
  EXPECT_EQ(dataset.cell_measurement("qc").data, (std::vector<float>{5, 50, 6, 60, 7, 70, 8, 80}));
  EXPECT_EQ(dataset.cell_measurement("qc_pc").columns, (Names{"PC1", "PC2"}));
  // scVI takes the second batch's AAAC for the first one's, and leaves the first one out.
  const auto reference = load_pbmc(folder.path(), {.reference_0_6_3 = true});
  EXPECT_EQ(reference.batch_indices(), (std::vector<std::int64_t>{1, 0, 1}));
  EXPECT_EQ(reference.X().cell_totals(), (std::vector<double>{3, 2, 1}));
}

TEST_F(Builtin, AMissingFileIsNamed) {
  const testing::TemporaryDirectory empty;
  try {
    load_retina(empty.path());
    FAIL();
  } catch (const IoError& error) {
    EXPECT_NE(std::string(error.what()).find("retina.loom"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace scvi
