#include "scvi/model/saved_model.hpp"

#include <torch/version.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/core/version.hpp"

namespace scvi {
namespace {

using json = nlohmann::ordered_json;

constexpr std::int64_t kModelFormat = 1;
constexpr const char* kFormatName = "scvi-cpp model";
constexpr const char* kWeightsFile = "/weights.pt";
constexpr const char* kFactsFile = "/model.json";
constexpr const char* kLatentFolder = "/latent";
constexpr const char* kOnLatent = "on_latent";

json to_json(const HyperparameterValue& value) {
  return std::visit([](const auto& plain) { return json(plain); }, value);
}

HyperparameterValue to_value(const json& value, const std::string& name) {
  if (value.is_boolean()) return value.get<bool>();
  if (value.is_number_integer()) return value.get<std::int64_t>();
  if (value.is_number()) return value.get<double>();
  if (value.is_string()) return value.get<std::string>();
  throw FormatError({.problem = "has a value of an unknown kind", .field = "hyperparameter '" + name + "'"});
}

json to_json(const DataDescription& data) {
  return {{"source", data.source},
          {"layer", data.layer},
          {"batch_key", data.batch_key},
          {"labels_key", data.labels_key},
          {"n_cells_in_file", data.n_cells_in_file},
          {"fingerprint", data.fingerprint},
          {"batch_names", data.batch_names},
          {"label_names", data.label_names},
          {"gene_names", data.gene_names},
          {"train_rows", data.train_rows},
          {"test_rows", data.test_rows},
          {"validation_rows", data.validation_rows}};
}

DataDescription to_data(const json& value) {
  DataDescription data;
  value.at("source").get_to(data.source);
  value.at("layer").get_to(data.layer);
  value.at("batch_key").get_to(data.batch_key);
  value.at("labels_key").get_to(data.labels_key);
  value.at("n_cells_in_file").get_to(data.n_cells_in_file);
  value.at("fingerprint").get_to(data.fingerprint);
  value.at("batch_names").get_to(data.batch_names);
  value.at("label_names").get_to(data.label_names);
  value.at("gene_names").get_to(data.gene_names);
  value.at("train_rows").get_to(data.train_rows);
  value.at("test_rows").get_to(data.test_rows);
  value.at("validation_rows").get_to(data.validation_rows);
  return data;
}

/// Refuses numbers that the rest of the file contradicts, before anything is allocated by them.
void check(const DataShape& shape, const DataDescription& data, const std::string& file) {
  const auto refuse = [&](const char* field, std::int64_t is, std::size_t should_be) {
    throw FormatError(
        {.problem = "is " + std::to_string(is) + ", but " + std::to_string(should_be) + " names are given",
         .file = file,
         .field = field});
  };
  if (shape.n_input != std::ssize(data.gene_names)) refuse("n_input", shape.n_input, data.gene_names.size());
  if (shape.n_batch != std::ssize(data.batch_names)) refuse("n_batch", shape.n_batch, data.batch_names.size());
  if (shape.n_labels != std::ssize(data.label_names)) refuse("n_labels", shape.n_labels, data.label_names.size());
  for (const auto* rows : {&data.train_rows, &data.test_rows, &data.validation_rows}) {
    for (const std::int64_t row : *rows) {
      if (row < 0 || row >= data.n_cells_in_file) {
        throw FormatError({.problem = "holds row " + std::to_string(row) + " of a file of " +
                                      std::to_string(data.n_cells_in_file) + " cells",
                           .file = file,
                           .field = "the split"});
      }
    }
  }
}

/// The model that the facts describe, with random weights.
/// @param latent the one whose latent space it reads, or nullptr
std::shared_ptr<Model> built(const std::string& name, const DataShape& shape, const Hyperparameters& given,
                             const SavedModel* latent) {
  if (!latent) return make_model(name, shape, given);
  const ModelSpec& spec = model_spec(name);
  if (!spec.build_on_latent) {
    throw FormatError({.problem = "reads counts, but is said to read a latent space", .field = "model " + name});
  }
  return spec.build_on_latent(latent->model, shape, complete_hyperparameters(spec, given), /*seed=*/0);
}

/// The model in folder "latent", where the facts say that there is one.
std::shared_ptr<const SavedModel> latent_of(const json& facts, const DataDescription& data,
                                            const std::string& folder) {
  if (!facts.value(kOnLatent, false)) return nullptr;
  auto latent = std::make_shared<SavedModel>(load_model(folder + kLatentFolder));
  if (latent->data.gene_names != data.gene_names) {
    throw FormatError({.problem = "was built for other genes than the classifier that reads it",
                       .file = folder + kLatentFolder,
                       .field = "gene_names"});
  }
  return latent;
}

SavedModel from_json(const json& facts, const std::string& folder) {
  const std::string file = folder + kFactsFile;
  if (facts.at("format").get<std::string>() != kFormatName) {
    throw FormatError({.problem = "is not the description of a model", .file = file});
  }
  if (facts.at("format_version").get<std::int64_t>() > kModelFormat) {
    throw FormatError({.problem = "was written by a newer scvi-cpp (" +
                                  facts.at("software").at("scvi_cpp").get<std::string>() + "; this is " + version() +
                                  ")",
                       .file = file,
                       .remedy = "use that version"});
  }
  SavedModel saved;
  saved.data = to_data(facts.at("data"));
  const DataShape shape{.n_input = facts.at("n_input").get<std::int64_t>(),
                        .n_batch = facts.at("n_batch").get<std::int64_t>(),
                        .n_labels = facts.at("n_labels").get<std::int64_t>()};
  check(shape, saved.data, file);
  Hyperparameters hyperparameters;
  for (const auto& [name, value] : facts.at("hyperparameters").items()) {
    hyperparameters[name] = to_value(value, name);
  }
  for (const auto& [name, value] : facts.at("training").items()) {
    saved.training.emplace_back(name, value.get<std::string>());
  }
  saved.latent = latent_of(facts, saved.data, folder);
  saved.model = built(facts.at("model").get<std::string>(), shape, hyperparameters, saved.latent.get());
  return saved;
}

}  // namespace

std::string fingerprint_of_cells(const std::vector<std::string>& cell_names) {
  // FNV-1a, 64 bits, with a separator that no name can hold.
  std::uint64_t hash = 14695981039346656037ULL;
  const auto mix = [&](unsigned char byte) { hash = (hash ^ byte) * 1099511628211ULL; };
  for (const auto& name : cell_names) {
    for (const char letter : name) mix(static_cast<unsigned char>(letter));
    mix(0xFF);
  }
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text(16, '0');
  for (int i = 15; i >= 0; --i, hash >>= 4) text[i] = kDigits[hash & 15];
  return text;
}

void save_model(const SavedModel& saved, const std::string& folder) {
  if (saved.latent) {
    std::filesystem::create_directories(folder + kLatentFolder);
    save_model(*saved.latent, folder + kLatentFolder);
  }
  {
    AtomicFile weights(folder + kWeightsFile, Overwrite::replace);
    io::write_torch_archive(weights.temporary_path(), state_dict(*saved.model));
    weights.commit();
  }
  json hyperparameters = json::object();
  for (const auto& [name, value] : saved.model->hyperparameters()) hyperparameters[name] = to_json(value);
  json training = json::object();
  for (const auto& [name, value] : saved.training) training[name] = value;
  const DataShape& shape = saved.model->shape();
  json facts = {{"format", kFormatName},
                {"format_version", kModelFormat},
                {"model", saved.model->name()},
                {"hyperparameters", hyperparameters},
                {"n_input", shape.n_input},
                {"n_batch", shape.n_batch},
                {"n_labels", shape.n_labels},
                {"training", training},
                {"software", {{"scvi_cpp", version()}, {"libtorch", TORCH_VERSION}}},
                {"weights_sha256", sha256_of_file(folder + kWeightsFile)},
                {"data", to_json(saved.data)}};
  if (saved.latent) facts[kOnLatent] = true;
  // Names come from files that may not be UTF-8; what is not is replaced rather than refused.
  write_file_atomically(folder + kFactsFile, facts.dump(1, ' ', false, json::error_handler_t::replace) + "\n");
}

bool holds_model(const std::string& folder) {
  return std::filesystem::exists(folder + kFactsFile);
}

SavedModel load_model(const std::string& folder) {
  const std::string file = folder + kFactsFile;
  if (!std::filesystem::is_directory(folder)) {
    throw InputError({.problem = "is not the folder of a trained model",
                      .file = folder,
                      .remedy = "give the folder that `scvi train --output` wrote"});
  }
  if (!holds_model(folder)) {
    const bool unfinished = std::filesystem::exists(folder + "/checkpoint");
    throw InputError({.problem = unfinished ? "holds a training run that was interrupted" : "holds no model.json",
                      .file = folder,
                      .remedy = unfinished ? "finish it with `scvi train ... --resume`"
                                           : "give the folder that `scvi train --output` wrote"});
  }
  try {
    const json facts = json::parse(read_file(file));
    SavedModel saved = from_json(facts, folder);
    if (facts.at("weights_sha256").get<std::string>() != sha256_of_file(folder + kWeightsFile)) {
      throw FormatError(
          {.problem = "is damaged: its checksum is not the one in model.json", .file = folder + kWeightsFile});
    }
    load_state_dict(*saved.model, io::read_torch_archive(folder + kWeightsFile), folder + kWeightsFile);
    saved.model->eval();
    return saved;
  } catch (const json::exception& error) {
    throw FormatError({.problem = std::string("is damaged: ") + error.what(), .file = file});
  }
}

}  // namespace scvi
