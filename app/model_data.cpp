#include "model_data.hpp"

#include "memory.hpp"

#include <ATen/Context.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/model/label_model.hpp"

namespace scvi::app {
namespace {

/// Renumbers categories of the data to those of the model, by name.
/// @param hide_unknown those that it does not know become kHiddenLabel
std::vector<std::int64_t> as_model_numbers(const std::vector<std::int64_t>& indices,
                                           const std::vector<std::string>& names,
                                           const std::vector<std::string>& model_names, const std::string& column,
                                           bool hide_unknown) {
  std::vector<std::int64_t> number_of(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    const auto found = std::find(model_names.begin(), model_names.end(), names[i]);
    if (found == model_names.end() && hide_unknown) {
      log_info("obs['" + column + "'] holds '" + names[i] + "', which the model has not seen: taken for unknown");
      number_of[i] = kHiddenLabel;
      continue;
    }
    if (found == model_names.end()) {
      throw InputError({.problem = "holds '" + names[i] + "', which the model has not seen",
                        .field = "obs['" + column + "']",
                        .remedy = suggest(names[i], model_names)});
    }
    number_of[i] = found - model_names.begin();
  }
  std::vector<std::int64_t> result;
  result.reserve(indices.size());
  for (const auto index : indices) result.push_back(index == kHiddenLabel ? kHiddenLabel : number_of[index]);
  return result;
}

/// Of "cuda:7", 7; of a name without a number, 0; nothing when it names no device.
std::optional<int> gpu_number(const std::string& name) {
  if (name == "cuda") return 0;
  const std::string prefix = "cuda:";
  if (!name.starts_with(prefix)) return std::nullopt;
  int number = 0;
  const char* end = name.data() + name.size();
  const auto [rest, error] = std::from_chars(name.data() + prefix.size(), end, number);
  // LibTorch counts devices in eight bits.
  if (error != std::errc() || rest != end || number < 0 || number > 127) return std::nullopt;
  return number;
}

/// What a user can do about memory that was not to be had.
[[noreturn]] void refuse_for_memory(const std::string& text) {
  const std::string gpu = "CUDA out of memory. ";
  const std::string remedy = "use a smaller --batch-size or fewer genes";
  if (!text.starts_with(gpu)) {
    throw InputError({.problem = text.substr(0, text.find('\n')), .field = "memory", .remedy = remedy});
  }
  // What was asked for and what there is, without the advice to programmers behind it.
  const std::size_t end = std::min(text.find(". Including"), text.find('\n'));
  throw InputError({.problem = "is out of memory (" + text.substr(gpu.size(), end - gpu.size()) + ")",
                    .field = "the GPU",
                    .remedy = remedy + ", or --device cpu"});
}

}  // namespace

void add_batch_size_option(CLI::App& app, std::int64_t& batch_size) {
  app.add_option("--batch-size", batch_size, "cells computed at a time")
      ->check(whole_number(1, 1 << 20))
      ->capture_default_str();
}

void add_device_option(CLI::App& app, std::string& device) {
  app.add_option("--device", device, "cpu, cuda (or cuda:1 and so on), or auto: a GPU where there is one")
      ->check(CLI::Validator(
          [](std::string& text) {
            const bool known = text == "auto" || text == "cpu" || gpu_number(text).has_value();
            return known ? std::string() : "is '" + text + "', but must be auto, cpu, cuda or cuda:NUMBER";
          },
          ""))
      ->capture_default_str();
}

c10::Device device_of(const std::string& name) {
  const auto n_gpus = static_cast<std::int64_t>(at::getNumGPUs());
  if (name == "cpu" || (name == "auto" && n_gpus == 0)) return c10::Device(c10::kCPU);
  const int number = gpu_number(name).value_or(0);
  if (n_gpus == 0) {
    throw InputError({.problem = "is " + name + ", but there is no usable GPU",
                      .field = "--device",
                      .remedy = "use --device cpu, or a LibTorch built for CUDA on a machine with a GPU"});
  }
  if (number >= n_gpus) {
    throw InputError({.problem = "is " + name + ", but the last GPU is cuda:" + std::to_string(n_gpus - 1),
                      .field = "--device",
                      .remedy = "use cuda:0" + (n_gpus > 1 ? " to cuda:" + std::to_string(n_gpus - 1) : "")});
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(number));
}

const io::Column& split_column(const io::CountFile& file, const std::string& key) {
  if (const io::Column* column = file.obs.find(key)) return *column;
  throw InputError({.problem = "has no column '" + key + "' (asked for as the split)",
                    .file = file.path,
                    .field = "obs",
                    .remedy = suggest(key, file.obs.column_names())});
}

Split split_of(const io::Column& column, const GeneExpressionDataset& dataset, const std::string& file) {
  // Checked here for the sake of the message: cells that are left out have shifted the positions.
  static const std::vector<std::string> kSets = {"train", "test", "validation"};
  std::vector<std::string> labels;
  for (std::int64_t cell = 0; cell < dataset.nb_cells(); ++cell) {
    labels.push_back(column.text(dataset.original_cells()[cell]));
    if (std::find(kSets.begin(), kSets.end(), labels.back()) != kSets.end()) continue;
    throw InputError({.problem = "is '" + labels.back() + "', but must be train, test or validation",
                      .file = file,
                      .field = "obs column '" + column.name + "', cell '" + dataset.cell_names()[cell] + "'"});
  }
  return split_from_labels(labels, column.name);
}

SavedModel load_latent_model(const std::string& run) {
  SavedModel saved = load_model(run);
  if (model_spec(saved.model->name()).is_generative) return saved;
  throw InputError({.problem = "holds a model '" + saved.model->name() + "', which has no latent space",
                    .file = run,
                    .remedy = saved.latent ? "the model that it reads is in " + run + "/latent"
                                           : "give the folder of another model"});
}

LoadOptions genes_of(const SavedModel& saved) {
  LoadOptions load;
  load.measurements.emplace();
  load.genes = saved.data.gene_names;
  for (const auto& [name, value] : saved.training) {
    if (name == kMadeUnique && value == "true") load.on_duplicate_genes = DuplicateGenes::make_unique;
  }
  return load;
}

io::CountFile open_for_model(const std::string& path, const SavedModel& saved, const CountsInput& input,
                             bool layer_given, bool tables) {
  io::OpenCountsOptions open = open_options(input);
  open.tables = tables;
  if (!layer_given && !saved.data.layer.empty()) {
    if (!open.format) open.format = io::recognise_counts(path);
    if (io::has_layers(*open.format)) open.layer = saved.data.layer;
  }
  return io::open_counts(path, open);
}

std::shared_ptr<GeneExpressionDataset> load_for_model(io::CountFile file, const SavedModel& saved,
                                                      const ModelDataOptions& options) {
  const DataDescription& data = saved.data;
  LoadOptions load = genes_of(saved);
  for (const auto& [name, value] : saved.training) {
    if (name == kMissingLabel) load.missing_label = value;
    if (name == kUnlabelled) load.hidden_label = value;
  }
  const bool tells_labels = dynamic_cast<const LabelModel*>(saved.model.get()) != nullptr;
  if (tells_labels && !load.hidden_label) load.hidden_label = "";
  const bool own_labels = !options.labels_key.empty();
  if (own_labels) load.hidden_label = options.unlabelled;
  load.drop_empty_cells = options.drop_empty_cells;
  load.keep_attributes = options.keep_attributes;
  if (options.memory > 0) {
    const std::int64_t results = options.result_bytes + options.result_bytes_per_cell * file.obs.n_rows();
    const MemoryUse use{.annotation = annotation_bytes(file) + results,
                        .model = weight_bytes(*saved.model),
                        .minibatches = minibatch_bytes(options.batch_size, std::ssize(data.gene_names))};
    load.memory_bytes = memory_for_counts(options.memory, use);
  }
  const bool with_batches = options.with_batches && !data.batch_key.empty();
  const bool with_labels =
      options.with_batches && !own_labels && !data.labels_key.empty() && file.obs.find(data.labels_key);
  if (with_batches) load.batch_key = data.batch_key;
  if (with_labels) load.labels_key = data.labels_key;
  if (own_labels) load.labels_key = options.labels_key;
  auto dataset = std::make_shared<GeneExpressionDataset>(load_counts(std::move(file), load));
  log_memory(options.memory, *dataset, /*training=*/false);
  const auto renumber = [&](const char* attribute, const char* mapping, const std::vector<std::int64_t>& indices,
                            const std::vector<std::string>& names, const std::vector<std::string>& model_names,
                            const std::string& key) {
    io::Column column{.name = attribute,
                      .values = as_model_numbers(indices, names, model_names, key,
                                                 tells_labels && std::string_view(attribute) == "labels"),
                      .missing = {}};
    dataset->initialize_cell_attribute(std::move(column), /*categorical=*/true);
    dataset->initialize_mapped_attribute(attribute, mapping, model_names);
  };
  if (with_batches) {
    renumber("batch_indices", "batch_names", dataset->batch_indices(), dataset->batch_names(), data.batch_names,
             data.batch_key);
  }
  if (with_labels) {
    renumber("labels", "cell_types", dataset->labels(), dataset->cell_types(), data.label_names, data.labels_key);
  } else if (tells_labels && !own_labels) {
    renumber("labels", "cell_types", std::vector<std::int64_t>(dataset->labels().size(), kHiddenLabel), {},
             data.label_names, data.labels_key);
  }
  return dataset;
}

int with_plain_errors(int (*work)(const Arguments&), const Arguments& arguments) {
  try {
    return work(arguments);
  } catch (const c10::OutOfMemoryError& error) {
    refuse_for_memory(error.what_without_backtrace());
  } catch (const c10::Error& error) {
    const std::string text = error.what_without_backtrace();
    // The allocator of the CPU, and CUDA itself where LibTorch's allocator was not asked.
    for (const char* sign : {"can't allocate memory", "not enough memory", "out of memory"}) {
      if (text.find(sign) != std::string::npos) refuse_for_memory(text);
    }
    throw std::runtime_error(text);
  }
}

}  // namespace scvi::app
