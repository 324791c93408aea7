// The data sets of 10x Genomics that scVI's Dataset10X knows by name.

#include <filesystem>

#include "definition.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/builtin.hpp"
#include "scvi/io/tenx.hpp"
#include "sources.hpp"

namespace scvi {
namespace {

constexpr const char* kZheng = "Zheng et al. 2017, doi:10.1038/ncomms14049";
constexpr const char* kTenX = "10x Genomics, single cell gene expression data sets";

/// What differs from one of these data sets to the next.
struct TenXRecord {
  const char* name;
  const char* group;  ///< the release of Cell Ranger, part of the address
  const char* organism;
  const char* what;
  std::int64_t n_cells;  ///< 0: not known
  std::int64_t n_genes;
  bool proteins;
  const char* reference;
};

constexpr TenXRecord kRecords[] = {
    {"frozen_pbmc_donor_a", "1.1.0", "human", "blood cells, frozen, donor A; Chromium v1", 2900, 32738, false,
     kZheng},
    {"frozen_pbmc_donor_b", "1.1.0", "human", "blood cells, frozen, donor B; Chromium v1", 7783, 32738, false,
     kZheng},
    {"frozen_pbmc_donor_c", "1.1.0", "human", "blood cells, frozen, donor C; Chromium v1", 9519, 32738, false,
     kZheng},
    {"fresh_68k_pbmc_donor_a", "1.1.0", "human", "blood cells, fresh, donor A; Chromium v1", 68579, 32738, false,
     kZheng},
    {"cd14_monocytes", "1.1.0", "human", "purified CD14+ monocytes; Chromium v1", 2612, 32738, false, kZheng},
    {"b_cells", "1.1.0", "human", "purified CD19+ B cells; Chromium v1", 10085, 32738, false, kZheng},
    {"cd34", "1.1.0", "human", "purified CD34+ cells; Chromium v1", 9232, 32738, false, kZheng},
    {"cd56_nk", "1.1.0", "human", "purified CD56+ natural killer cells; Chromium v1", 8385, 32738, false, kZheng},
    {"cd4_t_helper", "1.1.0", "human", "purified CD4+ helper T cells; Chromium v1", 11213, 32738, false, kZheng},
    {"regulatory_t", "1.1.0", "human", "purified CD4+/CD25+ regulatory T cells; Chromium v1", 10263, 32738, false,
     kZheng},
    {"naive_t", "1.1.0", "human", "purified CD4+/CD45RA+/CD25- naive T cells; Chromium v1", 10479, 32738, false,
     kZheng},
    {"memory_t", "1.1.0", "human", "purified CD4+/CD45RO+ memory T cells; Chromium v1", 10224, 32738, false, kZheng},
    {"cytotoxic_t", "1.1.0", "human", "purified CD8+ cytotoxic T cells; Chromium v1", 10209, 32738, false, kZheng},
    {"naive_cytotoxic", "1.1.0", "human", "purified CD8+/CD45RA+ naive cytotoxic T cells; Chromium v1", 11953, 32738,
     false, kZheng},
    {"pbmc8k", "2.1.0", "human", "blood cells of a healthy donor; Chromium v2", 8381, 33694, false, kTenX},
    {"pbmc4k", "2.1.0", "human", "blood cells of a healthy donor; Chromium v2", 4340, 33694, false, kTenX},
    {"t_3k", "2.1.0", "human", "pan T cells of a healthy donor; Chromium v2", 0, 33694, false, kTenX},
    {"t_4k", "2.1.0", "human", "pan T cells of a healthy donor; Chromium v2", 0, 33694, false, kTenX},
    {"neuron_9k", "2.1.0", "mouse", "brain cells of an embryo (E18); Chromium v2", 9128, 27998, false, kTenX},
    {"pbmc_1k_protein_v3", "3.0.0", "human", "blood cells with proteins; Chromium v3", 713, 33538, true, kTenX},
    {"pbmc_10k_protein_v3", "3.0.0", "human", "blood cells with proteins; Chromium v3", 7865, 33538, true, kTenX},
    {"malt_10k_protein_v3", "3.0.0", "human", "cells of a MALT tumour with proteins; Chromium v3", 8412, 33538, true,
     kTenX},
    {"pbmc_1k_v2", "3.0.0", "human", "blood cells; Chromium v2", 996, 33538, false, kTenX},
    {"pbmc_1k_v3", "3.0.0", "human", "blood cells; Chromium v3", 1222, 33538, false, kTenX},
    {"pbmc_10k_v3", "3.0.0", "human", "blood cells; Chromium v3", 11769, 33538, false, kTenX},
    {"hgmm_1k_v2", "3.0.0", "human and mouse", "HEK293T and NIH3T3 cells mixed; Chromium v2", 0, 0, false, kTenX},
    {"hgmm_1k_v3", "3.0.0", "human and mouse", "HEK293T and NIH3T3 cells mixed; Chromium v3", 0, 0, false, kTenX},
    {"hgmm_5k_v3", "3.0.0", "human and mouse", "HEK293T and NIH3T3 cells mixed; Chromium v3", 0, 0, false, kTenX},
    {"hgmm_10k_v3", "3.0.0", "human and mouse", "HEK293T and NIH3T3 cells mixed; Chromium v3", 0, 0, false, kTenX},
    {"neuron_1k_v2", "3.0.0", "mouse", "brain cells of an embryo (E18); Chromium v2", 0, 31053, false, kTenX},
    {"neuron_1k_v3", "3.0.0", "mouse", "brain cells of an embryo (E18); Chromium v3", 1301, 31053, false, kTenX},
    {"neuron_10k_v3", "3.0.0", "mouse", "brain cells of an embryo (E18); Chromium v3", 11843, 31053, false, kTenX},
    {"heart_1k_v2", "3.0.0", "mouse", "heart cells of an embryo (E18); Chromium v2", 0, 31053, false, kTenX},
    {"heart_1k_v3", "3.0.0", "mouse", "heart cells of an embryo (E18); Chromium v3", 1011, 31053, false, kTenX},
    {"heart_10k_v3", "3.0.0", "mouse", "heart cells of an embryo (E18); Chromium v3", 7713, 31053, false, kTenX},
    {"5k_pbmc_protein_v3", "3.1.0", "human", "blood cells with proteins; Chromium v3", 5247, 33538, true, kTenX},
    {"5k_pbmc_protein_v3_nextgem", "3.1.0", "human", "blood cells with proteins; Chromium v3, Next GEM", 5527, 33538,
     true, kTenX},
};

const TenXRecord& record_of(const std::string& name) {
  for (const TenXRecord& record : kRecords) {
    if (record.name == name) return record;
  }
  throw InputError(
      {.problem = "there is no 10x data set '" + name + "'", .remedy = suggest(name, available_10x_datasets())});
}

/// From Cell Ranger 3 on, matrices hold features of several kinds.
bool has_features(const TenXRecord& record) {
  return record.group[0] >= '3';
}

std::string archive_name(const TenXRecord& record, TenXType type) {
  const std::string kind = has_features(record) ? "feature_bc_matrix" : "gene_bc_matrices";
  return (type == TenXType::filtered ? "filtered_" : "raw_") + kind + ".tar.gz";
}

CatalogueFile archive_of(const TenXRecord& record, TenXType type) {
  const std::string name = record.name;
  const std::string archive = archive_name(record, type);
  return {.name = name + "/" + archive,
          .url = "http://cf.10xgenomics.com/samples/cell-exp/" + std::string(record.group) + "/" + name + "/" + name +
                 "_" + archive,
          .mirror_name = "10X/" + name + "/" + archive};
}

/// The archive, or what somebody has unpacked it to.
std::string archive_or_folder(const std::string& folder, const std::string& archive) {
  const std::filesystem::path unpacked = std::filesystem::path(folder) / archive.substr(0, archive.find(".tar"));
  const bool packed = std::filesystem::exists(std::filesystem::path(folder) / archive);
  return !packed && std::filesystem::is_directory(unpacked) ? unpacked.string()
                                                            : builtin::existing_file(folder, archive);
}

}  // namespace

const std::vector<std::string>& available_10x_datasets() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> out;
    for (const TenXRecord& record : kRecords) out.emplace_back(record.name);
    return out;
  }();
  return names;
}

GeneExpressionDataset load_10x_dataset(const std::string& folder, const std::string& name,
                                       const Dataset10XOptions& options) {
  const std::string archive = archive_of(record_of(name), options.type).name;
  io::CountFile file = io::read_tenx(archive_or_folder(folder, archive),
                                     {.measurement_names_column = options.measurement_names_column});
  PopulateOptions populate;
  if (const io::Column* batches = file.obs.find("batch_indices")) {
    populate.batch_indices = builtin::whole_numbers(*batches, file.path);
  }
  populate.gene_names = std::move(file.var.index);
  populate.gene_attributes = std::move(file.var.columns);
  populate.cell_attributes = builtin::columns_but(file.obs, {"batch_indices"});
  if (file.obs.index_name == "barcodes") {
    populate.cell_attributes.push_back(builtin::column_of("barcodes", file.obs.index));
    populate.cell_names = std::move(file.obs.index);
  }
  for (const io::CellTable& table : file.tables) populate.measurements.push_back(builtin::measurement_of(table));
  CountMatrix counts = builtin::read_counts(*file.counts);
  if (options.dense) counts = counts.to_dense();
  GeneExpressionDataset dataset;
  dataset.populate_from_data(std::move(counts), std::move(populate));
  builtin::drop_empty_cells(dataset);
  return dataset;
}

namespace builtin {

CatalogueFile tenx_file(const std::string& name, const std::string& folder_10x) {
  CatalogueFile file = archive_of(record_of(name), TenXType::filtered);
  if (!folder_10x.empty()) file.name = (std::filesystem::absolute(folder_10x) / file.name).string();
  return file;
}

namespace {

CatalogueEntry entry_of(const TenXRecord& record) {
  CatalogueEntry entry{.name = record.name,
                       .aliases = {"10x_" + std::string(record.name)},
                       .organism = record.organism,
                       .what = record.what,
                       .n_cells = record.n_cells,
                       .n_genes = record.n_genes,
                       .annotations = {"barcodes"},
                       .reference = record.reference,
                       .save_path = "data/10X",
                       .files = {archive_of(record, TenXType::filtered)},
                       .options = {{"type", "filtered", "filtered (called cells) or raw (every barcode)"},
                                   {"dense", "false", "keep the counts dense"},
                                   {"measurement_names_column", "0", "names of genes: 0 identifiers, 1 symbols"}}};
  if (record.proteins) entry.annotations.emplace_back("proteins");
  return entry;
}

Dataset10XOptions options_of(const OptionValues& values) {
  const bool raw = values.choice("type", {"filtered", "raw"}) == "raw";
  const std::int64_t column = values.number("measurement_names_column");
  if (column < 0 || column > 1) {
    throw InputError({.problem = "is " + std::to_string(column) + ", but must be 0 (identifiers) or 1 (symbols)",
                      .field = "measurement_names_column"});
  }
  return {.type = raw ? TenXType::raw : TenXType::filtered,
          .dense = values.flag("dense"),
          .measurement_names_column = static_cast<int>(column)};
}

}  // namespace

std::vector<Definition> tenx_definitions() {
  std::vector<Definition> out;
  for (const TenXRecord& record : kRecords) {
    out.push_back({.entry = entry_of(record),
                   .prepare = [&record](const OptionValues& values) -> Load {
                     const Dataset10XOptions options = options_of(values);
                     return [&record, options](const std::string& folder) {
                       return load_10x_dataset(folder, record.name, options);
                     };
                   },
                   .files = [&record](const OptionValues& values) -> std::vector<CatalogueFile> {
                     return {archive_of(record, options_of(values).type)};
                   }});
  }
  return out;
}

}  // namespace builtin
}  // namespace scvi
