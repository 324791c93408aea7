#include "scvi/posterior/saved_posterior.hpp"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "scvi/core/error.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/dataset/write_dataset.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/model/saved_model.hpp"

namespace scvi {
namespace {

using json = nlohmann::ordered_json;

constexpr std::int64_t kPosteriorFormat = 1;
constexpr const char* kFormatName = "scvi-cpp posterior";
constexpr const char* kFactsFile = "/posterior.json";
constexpr const char* kModelFolder = "/model";
constexpr const char* kDataFile = "/data.h5ad";
constexpr const char* kCorruptedFile = "/corrupted.h5ad";

/// n names: those that there are, then numbers.
std::vector<std::string> names_for(std::int64_t n, const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (std::int64_t i = 0; i < n; ++i) result.push_back(i < std::ssize(names) ? names[i] : std::to_string(i));
  return result;
}

DataDescription description_of(const Posterior& posterior) {
  const GeneExpressionDataset& dataset = posterior.gene_dataset();
  const DataShape& shape = posterior.model().shape();
  DataDescription data;
  data.gene_names = names_for(shape.n_input, dataset.gene_names());
  data.batch_names = names_for(shape.n_batch, dataset.batch_names());
  data.label_names = names_for(shape.n_labels, dataset.cell_types());
  data.source = std::string(kDataFile).substr(1);
  data.n_cells_in_file = dataset.nb_cells();
  return data;
}

/// The library size priors follow from the batches, so that these are all there is to keep.
json facts_of(const Posterior& posterior) {
  const GeneExpressionDataset& dataset = posterior.gene_dataset();
  const PosteriorOptions& options = posterior.options();
  return {{"format", kFormatName},
          {"format_version", kPosteriorFormat},
          {"name", options.name},
          {"batch_size", options.batch_size},
          {"seed", options.seed},
          {"corrupted", options.corrupted},
          {"indices", posterior.indices()},
          {"batch_indices", dataset.batch_indices()},
          {"batch_names", dataset.batch_names()},
          {"labels", dataset.labels()},
          {"cell_types", dataset.cell_types()}};
}

GeneExpressionDataset read_counts(const std::string& path) {
  LoadOptions load;
  load.on_duplicate_genes = DuplicateGenes::make_unique;
  load.drop_empty_cells = false;
  return load_counts(io::open_h5ad(path), load);
}

/// Categories under their old numbers, whatever the order in which a file lists them.
void set_categories(GeneExpressionDataset& dataset, const json& facts, const char* attribute, const char* stored,
                    const char* mapping, const std::string& file) {
  auto codes = facts.at(stored).get<std::vector<std::int64_t>>();
  auto names = facts.at(mapping).get<std::vector<std::string>>();
  const auto known = [&](std::int64_t code) { return code >= 0 && code < std::ssize(names); };
  if (std::ssize(codes) != dataset.nb_cells() || !std::all_of(codes.begin(), codes.end(), known)) {
    throw FormatError({.problem = "does not fit the cells of data.h5ad", .file = file, .field = stored});
  }
  dataset.initialize_cell_attribute({.name = attribute, .values = std::move(codes), .missing = {}},
                                    /*categorical=*/true);
  dataset.initialize_mapped_attribute(attribute, mapping, std::move(names));
}

std::shared_ptr<const GeneExpressionDataset> read_dataset(const std::string& folder, const json& facts,
                                                          const std::string& file) {
  auto dataset = std::make_shared<GeneExpressionDataset>(read_counts(folder + kDataFile));
  set_categories(*dataset, facts, "batch_indices", "batch_indices", "batch_names", file);
  set_categories(*dataset, facts, "labels", "labels", "cell_types", file);
  if (std::filesystem::exists(folder + kCorruptedFile)) {
    dataset->register_dataset_version(kCorruptedVersion, read_counts(folder + kCorruptedFile).X());
  }
  return dataset;
}

PosteriorOptions options_of(const json& facts, const std::string& file) {
  const PosteriorOptions options{.batch_size = facts.at("batch_size").get<std::int64_t>(),
                                 .seed = facts.at("seed").get<std::uint64_t>(),
                                 .corrupted = facts.at("corrupted").get<bool>(),
                                 .name = facts.at("name").get<std::string>()};
  if (options.batch_size < 1) {
    throw FormatError({.problem = "is " + std::to_string(options.batch_size), .file = file, .field = "batch_size"});
  }
  return options;
}

void check_format(const json& facts, const std::string& file) {
  if (facts.at("format").get<std::string>() != kFormatName) {
    throw FormatError({.problem = "is not the description of a posterior", .file = file});
  }
  if (facts.at("format_version").get<std::int64_t>() > kPosteriorFormat) {
    throw FormatError(
        {.problem = "was written by a newer scvi-cpp", .file = file, .remedy = "use that version to read it"});
  }
}

}  // namespace

void save_posterior(const Posterior& posterior, const std::string& folder, Overwrite overwrite) {
  const GeneExpressionDataset& dataset = posterior.gene_dataset();
  AtomicDirectory output(folder, overwrite);
  const std::string& place = output.temporary_path();
  std::filesystem::create_directory(place + kModelFolder);
  // The model is shared with the posterior and only read.
  const std::shared_ptr<Model> model(&posterior.model(), [](Model*) {});
  save_model({.model = model, .data = description_of(posterior), .training = {}}, place + kModelFolder);
  write_dataset_h5ad(dataset, place + kDataFile, Overwrite::refuse);
  if (dataset.has_corrupted_X()) {
    GeneExpressionDataset corrupted;
    corrupted.populate_from_data(dataset.corrupted_X());
    write_dataset_h5ad(corrupted, place + kCorruptedFile, Overwrite::refuse);
  }
  const json facts = facts_of(posterior);
  write_file_atomically(place + kFactsFile, facts.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
  output.commit();
}

Posterior load_posterior(const std::string& folder) {
  const std::string file = folder + kFactsFile;
  if (!std::filesystem::exists(file)) {
    throw InputError({.problem = "holds no posterior.json",
                      .file = folder,
                      .remedy = "give the folder that save_posterior() wrote"});
  }
  try {
    const json facts = json::parse(read_file(file));
    check_format(facts, file);
    PosteriorOptions options = options_of(facts, file);
    auto indices = facts.at("indices").get<std::vector<std::int64_t>>();
    const SavedModel saved = load_model(folder + kModelFolder);
    const auto dataset = read_dataset(folder, facts, file);
    if (options.corrupted) dataset->corrupted_X();
    const auto outside = [&](std::int64_t cell) { return cell < 0 || cell >= dataset->nb_cells(); };
    if (std::any_of(indices.begin(), indices.end(), outside)) {
      throw FormatError({.problem = "do not fit the cells of data.h5ad", .file = file, .field = "indices"});
    }
    return Posterior(saved.model, dataset, std::move(indices), std::move(options));
  } catch (const json::exception& error) {
    throw FormatError({.problem = std::string("is damaged: ") + error.what(), .file = file});
  }
}

}  // namespace scvi
