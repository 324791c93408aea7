#include <ATen/Context.h>

#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>

#include "cli.hpp"
#include "label_column.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "run_folder.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/model/cell_classifier.hpp"
#include "scvi/training/classifier_trainer.hpp"
#include "scvi/training/semi_supervised_trainer.hpp"
#include "scvi/training/trainer.hpp"
#include "training.hpp"

namespace scvi::app {
namespace {

struct TrainCommand {
  std::string data;
  std::string output;
  std::string model = "vae";
  std::map<std::string, std::string> hyperparameters;  // as typed, by name

  CountsInput reading;
  LoadOptions load;
  bool make_unique = false;
  std::string memory;
  bool profile = false;
  std::int64_t n_top_genes = 0;
  std::string gene_selection = "variance";
  std::string corruption = "none";
  double corruption_rate = 0.1;

  std::string split_key;
  std::string train_size = "0.8";
  std::string test_size;
  std::string kl_warmup_epochs = "400";
  std::string kl_warmup_iterations = "none";
  std::string normalize_loss = "auto";
  std::string metrics = "elbo";
  TrainerOptions trainer;
  TrainOptions train;
  std::string unlabelled;
  std::string on_latent;
  std::string labelled_per_class = "all";
  SemiSupervisedOptions semi_supervised;
  std::uint64_t seed = 0;
  std::string device = "auto";

  bool resume = false;
  bool force = false;
  CommonOptions common;
};

std::string rounded(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.5g", value);
  return text;
}

/// "--n-latent" for "n_latent".
std::string option_name(std::string name) {
  for (char& letter : name) letter = letter == '_' ? '-' : letter;
  return "--" + name;
}

/// The word after --model, which decides which other options there are.
std::string model_in(const Arguments& arguments) {
  std::string model = "vae";
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    if (arguments[i] == "--model" && i + 1 < arguments.size()) model = arguments[i + 1];
    if (arguments[i].starts_with("--model=")) model = arguments[i].substr(8);
  }
  return model;
}

void add_data_options(CLI::App& app, TrainCommand& command, const ModelSpec& spec) {
  const char* group = "Data";
  add_input_options(app, command.reading);
  if (spec.is_generative) {
    app.add_option("--batch-key", command.load.batch_key,
                   "obs column with the batch of each cell; none: no correction")
        ->group(group);
  }
  app.add_option("--labels-key", command.load.labels_key, "obs column with the cell type of each cell")->group(group);
  app.add_option("--missing-label", command.load.missing_label, "cell type given to cells that have none")
      ->group(group);
  app.add_option("--n-top-genes", command.n_top_genes, "keep this many of the most variable genes; 0: all")
      ->check(whole_number(0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--gene-selection", command.gene_selection,
                 "how they are chosen: " + join_some(available_gene_selection_modes(), 20))
      ->check(one_of(available_gene_selection_modes()))
      ->capture_default_str()
      ->group(group);
  add_memory_option(app, command.memory);
  app.add_flag("--make-unique", command.make_unique, "number gene names that occur more than once")->group(group);
  app.add_option("--corruption", command.corruption, "train on damaged counts: none, uniform or binomial")
      ->check(one_of({"none", "uniform", "binomial"}))
      ->capture_default_str()
      ->group(group);
  app.add_option("--corruption-rate", command.corruption_rate, "share of the counts that is damaged")
      ->check(number(0, 1))
      ->capture_default_str()
      ->group(group);
  app.add_option("--split-key", command.split_key, "obs column that says train, test or validation for each cell")
      ->group(group);
  app.add_option("--train-size", command.train_size, "share of the cells that train, or their number (1.0: all)")
      ->capture_default_str()
      ->group(group);
  app.add_option("--test-size", command.test_size, "the same for the test set; default: all the others")
      ->group(group);
}

/// How the loss of a model that decodes counts is made up.
void add_loss_options(CLI::App& app, TrainCommand& command) {
  const char* group = "Training";
  app.add_option("--kl-warmup-epochs", command.kl_warmup_epochs,
                 "epochs over which the KL term comes into force, or none")
      ->capture_default_str()
      ->group(group);
  app.add_option("--kl-warmup-iterations", command.kl_warmup_iterations,
                 "the same in minibatches; used where epochs are none")
      ->capture_default_str()
      ->group(group);
  app.add_option("--normalize-loss", command.normalize_loss,
                 "divide the loss by the number of cells: auto, true, false")
      ->check(one_of({"auto", "true", "false"}))
      ->capture_default_str()
      ->group(group);
}

void add_training_options(CLI::App& app, TrainCommand& command, const ModelSpec& spec) {
  const char* group = "Training";
  app.add_option("--epochs", command.train.n_epochs, "passes over the training cells")
      ->check(whole_number(0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--batch-size", command.trainer.batch_size, "cells in a minibatch")
      ->check(whole_number(kSmallestMinibatch, 1 << 20))
      ->capture_default_str()
      ->group(group);
  app.add_option("--lr", command.train.lr, "learning rate")
      ->check(positive_number())
      ->capture_default_str()
      ->group(group);
  app.add_option("--eps", command.train.eps, "eps of Adam")
      ->check(positive_number())
      ->capture_default_str()
      ->group(group);
  app.add_option("--weight-decay", command.trainer.weight_decay, "weight decay of Adam")
      ->check(number(0))
      ->capture_default_str()
      ->group(group);
  if (spec.is_generative) add_loss_options(app, command);
  app.add_option("--max-nans", command.trainer.max_nans, "minibatches without a finite loss before giving up")
      ->check(whole_number(1))
      ->capture_default_str()
      ->group(group);
  app.add_option("--seed", command.seed, "seed of the split, the initial weights and all draws")
      ->check(whole_number(0))
      ->capture_default_str()
      ->group(group);
  add_device_option(app, command.device);
}

void add_monitoring_options(CLI::App& app, TrainCommand& command) {
  const char* group = "Monitoring and early stopping";
  auto& stopping = command.trainer.early_stopping;
  app.add_option("--metrics", command.metrics, "metrics to follow, e.g. elbo,reconstruction_error,ari")
      ->capture_default_str()
      ->group(group);
  app.add_option("--frequency", command.trainer.frequency, "epochs between two looks at the metrics; 0: never")
      ->check(whole_number(0))
      ->capture_default_str()
      ->group(group);
  app.add_flag("--benchmark", command.trainer.benchmark, "nothing but training: no metrics, no early stopping")
      ->group(group);
  app.add_option("--early-stopping", stopping.early_stopping_metric, "stop when this metric no longer improves")
      ->group(group);
  app.add_option("--save-best", stopping.save_best_state_metric, "end with the weights that were best by this metric")
      ->group(group);
  app.add_option("--early-stopping-on", stopping.on, "the set that both look at: train_set, test_set, validation_set")
      ->check(one_of({"train_set", "test_set", "validation_set"}))
      ->capture_default_str()
      ->group(group);
  app.add_option("--patience", stopping.patience, "epochs without improvement before stopping")
      ->check(whole_number(0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--threshold", stopping.threshold, "smallest improvement that counts")
      ->capture_default_str()
      ->group(group);
  app.add_flag("--reduce-lr-on-plateau", stopping.reduce_lr_on_plateau, "reduce the learning rate first")
      ->group(group);
  app.add_option("--lr-patience", stopping.lr_patience, "epochs without improvement before that")
      ->check(whole_number(0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--lr-factor", stopping.lr_factor, "factor of the reduction")
      ->check(number(0, 1))
      ->capture_default_str()
      ->group(group);
}

void add_model_options(CLI::App& app, TrainCommand& command, const ModelSpec& spec) {
  const std::string group = "Model " + spec.name + ": " + spec.summary;
  for (const auto& hyperparameter : spec.hyperparameters) {
    std::string help = hyperparameter.help;
    if (!hyperparameter.choices.empty()) help += " (" + join_some(hyperparameter.choices, 20) + ")";
    app.add_option(option_name(hyperparameter.name), command.hyperparameters[hyperparameter.name], help)
        ->default_str(to_text(hyperparameter.default_value))
        ->group(group);
  }
}

/// What models that tell labels have besides.
void add_label_options(CLI::App& app, TrainCommand& command, const ModelSpec& spec) {
  const char* group = "Labels";
  auto& options = command.semi_supervised;
  app.add_option("--unlabelled", command.unlabelled,
                 "value of the label column that says that a cell's label is not known, as an empty one does")
      ->group(group);
  if (spec.build_on_latent) {
    app.add_option("--on-latent", command.on_latent,
                   "folder of a trained model whose latent space is read instead of counts, with its genes")
        ->group(group);
  }
  if (!spec.is_generative) return;
  app.add_option("--labelled-per-class", command.labelled_per_class,
                 "labels that the model may see, so many of each class, or all")
      ->capture_default_str()
      ->group(group);
  app.add_option("--classification-ratio", options.classification_ratio,
                 "weight of the classification loss beside the bound; 0: none")
      ->check(number(0))
      ->capture_default_str()
      ->group(group);
  app.add_option("--classifier-epochs", options.n_epochs_classifier,
                 "epochs of the classifier alone after each epoch")
      ->check(whole_number(0, 1 << 20))
      ->capture_default_str()
      ->group(group);
  app.add_option("--classifier-lr", options.lr_classification, "their learning rate")
      ->check(positive_number())
      ->capture_default_str()
      ->group(group);
}

std::optional<std::int64_t> parse_warmup(const std::string& text, const char* option) {
  if (text == "none") return std::nullopt;
  const SplitSize size = parse_split_size(text, option);
  const auto* whole = std::get_if<std::int64_t>(&size);
  if (!whole || *whole < 1) {
    throw InputError(
        {.problem = "is '" + text + "', but must be a whole number of at least 1, or none", .field = option});
  }
  return *whole;
}

Hyperparameters hyperparameters_of(const TrainCommand& command, const ModelSpec& spec) {
  Hyperparameters values;
  for (const auto& hyperparameter : spec.hyperparameters) {
    const std::string& text = command.hyperparameters.at(hyperparameter.name);
    if (text.empty()) continue;
    try {
      values[hyperparameter.name] = parse_hyperparameter(hyperparameter, text);
    } catch (const InputError& error) {
      Fault fault = error.fault();
      fault.field = option_name(hyperparameter.name);
      throw InputError(std::move(fault));
    }
  }
  return values;
}

/// @param latent the model whose latent space it reads, or nullptr
std::shared_ptr<Model> build_model(const TrainCommand& command, const ModelSpec& spec,
                                   const Hyperparameters& hyperparameters, const DataShape& shape,
                                   const SavedModel* latent) {
  if (!latent) return spec.build(shape, hyperparameters, command.seed);
  return spec.build_on_latent(latent->model, shape, hyperparameters, command.seed);
}

/// Memory for the counts, which is what training leaves of --memory.
std::size_t counts_memory(const TrainCommand& command, const io::CountFile& file, const ModelSpec& spec,
                          const Hyperparameters& hyperparameters, const SavedModel* latent) {
  const std::int64_t limit = parse_memory(command.memory);
  if (limit == 0) return 0;
  const auto n_categories = [&](const std::string& key) -> std::int64_t {
    const io::Column* column = key.empty() ? nullptr : file.obs.find(key);
    return column ? std::ssize(column->as_categorical().categories) : 0;
  };
  const std::int64_t n_genes = latent                    ? std::ssize(latent->data.gene_names)
                               : command.n_top_genes > 0 ? std::min(command.n_top_genes, file.var.n_rows())
                                                         : file.var.n_rows();
  // That there are too few labels is said once they have been read.
  const std::int64_t least_labels = spec.tells_labels ? 2 : 0;
  const DataShape shape{.n_input = n_genes,
                        .n_batch = n_categories(command.load.batch_key),
                        .n_labels = std::max(n_categories(command.load.labels_key), least_labels)};
  // Weights, gradients, two moments, the best state and a copy on its way to a checkpoint.
  constexpr std::int64_t kCopies = 6;
  const auto model = build_model(command, spec, hyperparameters, shape, latent);
  const std::int64_t read = latent ? weight_bytes(*latent->model) : 0;
  return memory_for_counts(limit, {.annotation = annotation_bytes(file),
                                   .model = kCopies * weight_bytes(*model) + read,
                                   .minibatches = minibatch_bytes(command.trainer.batch_size, n_genes)});
}

LabelColumn label_column(const TrainCommand& command) {
  return {.file = command.data, .key = command.load.labels_key, .unlabelled = command.unlabelled};
}

/// Counts and annotation, with the genes chosen. Sets aside how many cells the file holds and a fingerprint of them,
/// and the split that the file dictates.
std::shared_ptr<GeneExpressionDataset> load_data(const TrainCommand& command, DataDescription& description,
                                                 TrainerOptions& trainer, const ModelSpec& spec,
                                                 const Hyperparameters& hyperparameters, const SavedModel* latent) {
  io::OpenCountsOptions open = open_options(command.reading);
  open.tables = false;
  io::CountFile file = latent ? open_for_model(command.data, *latent, command.reading, !open.layer.empty())
                              : io::open_counts(command.data, open);
  LoadOptions load = command.load;
  if (latent) load.genes = latent->data.gene_names;
  if (spec.tells_labels) {
    check_unlabelled(label_column(command), file);
    load.hidden_label = command.unlabelled;
  }
  load.memory_bytes = counts_memory(command, file, spec, hyperparameters, latent);
  load.on_duplicate_genes = command.make_unique ? DuplicateGenes::make_unique : DuplicateGenes::error;
  description.source = command.data;
  description.layer = latent && open.layer.empty() ? latent->data.layer : open.layer;
  description.batch_key = load.batch_key;
  description.labels_key = load.labels_key;
  description.n_cells_in_file = file.obs.n_rows();
  description.fingerprint = fingerprint_of_cells(file.obs.index);
  std::optional<io::Column> split;
  if (!command.split_key.empty()) split = split_column(file, command.split_key);
  auto dataset = std::make_shared<GeneExpressionDataset>(load_counts(std::move(file), load));
  const std::int64_t n_genes = dataset->nb_genes();
  if (command.n_top_genes > 0) {
    dataset->subsample_genes(SubsampleGenesOptions{.new_n_genes = command.n_top_genes,
                                                   .new_ratio_genes = {},
                                                   .mode = parse_gene_selection_mode(command.gene_selection)});
  }
  if (split) trainer.explicit_split = split_of(*split, *dataset, command.data);
  if (spec.tells_labels) check_labels(label_column(command), *dataset);
  if (!spec.is_generative) {
    trainer.explicit_split = labelled_split(trainer.explicit_split, trainer.split, dataset->labels());
  }
  std::string line =
      with_thousands(dataset->nb_cells()) + " cells x " + with_thousands(dataset->nb_genes()) + " genes";
  if (dataset->nb_genes() < n_genes)
    line += " (of " + with_thousands(n_genes) + ", by " + command.gene_selection + ")";
  if (!load.batch_key.empty()) line += ", " + std::to_string(dataset->n_batches()) + " batches";
  if (!load.labels_key.empty()) line += ", " + std::to_string(dataset->n_labels()) + " labels";
  const auto n_hidden = std::count(dataset->labels().begin(), dataset->labels().end(), kHiddenLabel);
  if (n_hidden > 0) line += " (" + with_thousands(n_hidden) + " cells without)";
  log_info(line);
  log_memory(parse_memory(command.memory), *dataset, /*training=*/true);
  if (command.corruption != "none") {
    dataset->corrupt(
        {.rate = command.corruption_rate, .corruption = parse_corruption(command.corruption), .seed = command.seed});
  }
  description.gene_names = dataset->gene_names();
  if (!load.batch_key.empty()) description.batch_names = dataset->batch_names();
  if (!load.labels_key.empty()) description.label_names = dataset->cell_types();
  return dataset;
}

TrainerOptions trainer_options(const TrainCommand& command) {
  TrainerOptions options = command.trainer;
  options.seed = command.seed;
  options.metrics_to_monitor = split_list(command.metrics);
  for (const auto& name : options.metrics_to_monitor) posterior_metric(name);
  for (const auto& name :
       {options.early_stopping.early_stopping_metric, options.early_stopping.save_best_state_metric}) {
    if (!name.empty()) posterior_metric(name);
  }
  options.corrupted = command.corruption != "none";
  options.split.seed = static_cast<std::uint32_t>(command.seed);
  options.split.train_size = parse_split_size(command.train_size, "--train-size");
  if (!command.test_size.empty()) options.split.test_size = parse_split_size(command.test_size, "--test-size");
  return options;
}

UnsupervisedTrainerOptions unsupervised_options(const TrainCommand& command) {
  UnsupervisedTrainerOptions options;
  options.n_epochs_kl_warmup = parse_warmup(command.kl_warmup_epochs, "--kl-warmup-epochs");
  options.n_iter_kl_warmup = parse_warmup(command.kl_warmup_iterations, "--kl-warmup-iterations");
  if (command.normalize_loss != "auto") options.normalize_loss = command.normalize_loss == "true";
  return options;
}

SemiSupervisedOptions semi_supervised_options(const TrainCommand& command) {
  SemiSupervisedOptions options = command.semi_supervised;
  options.seed = static_cast<std::uint32_t>(command.seed);
  options.n_labelled_samples_per_class.reset();
  if (command.labelled_per_class == "all") return options;
  const SplitSize size = parse_split_size(command.labelled_per_class, "--labelled-per-class");
  const auto* whole = std::get_if<std::int64_t>(&size);
  if (!whole || *whole < 1) {
    throw InputError(
        {.problem = "is '" + command.labelled_per_class + "', but must be a whole number of at least 1, or all",
         .field = "--labelled-per-class"});
  }
  options.n_labelled_samples_per_class = *whole;
  return options;
}

/// The trainer that the model asks for.
std::unique_ptr<Trainer> make_trainer(const TrainCommand& command, const ModelSpec& spec,
                                      const std::shared_ptr<Model>& model,
                                      const std::shared_ptr<const GeneExpressionDataset>& dataset,
                                      TrainerOptions options) {
  if (auto classifier = std::dynamic_pointer_cast<CellClassifier>(model)) {
    return std::make_unique<ClassifierTrainer>(std::move(classifier), dataset, std::move(options));
  }
  const UnsupervisedTrainerOptions unsupervised = unsupervised_options(command);
  if (!spec.tells_labels) {
    return std::make_unique<UnsupervisedTrainer>(model, dataset, std::move(options), unsupervised);
  }
  return std::make_unique<SemiSupervisedTrainer>(model, dataset, std::move(options), unsupervised,
                                                 semi_supervised_options(command));
}

std::vector<std::int64_t> rows_of(const std::vector<std::int64_t>& cells, const GeneExpressionDataset& dataset) {
  std::vector<std::int64_t> rows;
  for (const auto cell : cells) rows.push_back(dataset.original_cells()[cell]);
  return rows;
}

TrainingDescription describe_training(const TrainCommand& command, const Trainer& trainer) {
  const auto& options = trainer.options();
  TrainingDescription description = {
      {"epochs", std::to_string(trainer.epoch())},
      {"iterations", std::to_string(trainer.n_iter())},
      {"batch_size", std::to_string(options.batch_size)},
      {"lr", to_text(HyperparameterValue(command.train.lr))},
      {"eps", to_text(HyperparameterValue(command.train.eps))},
      {"weight_decay", to_text(HyperparameterValue(options.weight_decay))},
      {"seed", std::to_string(command.seed)},
      {"device", trainer.model().device().str()},
      {"gene_selection", command.n_top_genes > 0 ? command.gene_selection : "all"},
      {"seconds", std::to_string(static_cast<std::int64_t>(trainer.training_seconds()))},
  };
  if (model_spec(command.model).is_generative) {
    description.emplace_back("kl_warmup_epochs", command.kl_warmup_epochs);
    description.emplace_back("kl_warmup_iterations", command.kl_warmup_iterations);
  }
  if (!command.on_latent.empty()) description.emplace_back("on_latent", command.on_latent);
  if (!command.unlabelled.empty()) description.emplace_back(kUnlabelled, command.unlabelled);
  if (command.make_unique) description.emplace_back(kMadeUnique, "true");
  if (!command.load.missing_label.empty()) description.emplace_back(kMissingLabel, command.load.missing_label);
  if (trainer.best_epoch() >= 0) description.emplace_back("best_epoch", std::to_string(trainer.best_epoch()));
  return description;
}

/// Reads the arguments. An interrupted run supplies those that are not given again.
bool read_arguments(const Arguments& given, TrainCommand& command, bool needs_output) {
  const ModelSpec& spec = model_spec(model_in(given));
  CLI::App app("Trains a model on a file of counts. Counts are validated in full while they are read.", "train");
  app.add_option("DATA", command.data, kAnyCounts)->required()->check(not_empty());
  app.add_option("--output,-o", command.output, "folder for the trained model, its history and a log")
      ->required(needs_output)
      ->check(not_empty());
  std::vector<std::string> models;
  for (const auto& known : model_specs()) models.push_back(known.name);
  app.add_option("--model", command.model, "the model: " + join_some(models, 20))->capture_default_str();
  add_data_options(app, command, spec);
  add_training_options(app, command, spec);
  add_monitoring_options(app, command);
  if (spec.tells_labels) add_label_options(app, command, spec);
  add_model_options(app, command, spec);
  app.add_option("--checkpoint-seconds", command.train.checkpoint_seconds, "time between two checkpoints")
      ->check(number(0))
      ->capture_default_str();
  app.add_flag("--profile", command.profile,
               "print where the time of the training went, when it is done (what two threads did at once, twice)");
  app.add_flag("--resume", command.resume,
               "go on with the interrupted run in the output folder; options not given are as they were");
  add_force_option(app, command.force);
  add_kernel_option(app, command.common);
  add_common_options(app, command.common);
  if (!parse(app, given)) return false;
  if (command.resume && command.force) {
    throw InputError({.problem = "exclude each other", .field = "--resume and --force"});
  }
  if (!command.on_latent.empty() && command.n_top_genes > 0) {
    throw InputError({.problem = "exclude each other: the genes are those of the model that is read",
                      .field = "--on-latent and --n-top-genes"});
  }
  return true;
}

/// The options of the interrupted run, then the ones given now, which go before them.
Arguments with_options_of_run(const Arguments& given, const std::string& run) {
  Arguments merged = RunFolder::arguments_of(run);
  merged.insert(merged.end(), given.begin(), given.end());
  return merged;
}

/// What a later --resume needs of these arguments: the options, without the data file and the flags that end a run.
Arguments worth_keeping(const Arguments& given, const TrainCommand& command) {
  Arguments kept;
  for (std::size_t i = 0; i < given.size(); ++i) {
    const std::string& word = given[i];
    if (word.starts_with("--force") || word.starts_with("--resume") || word == command.data) continue;
    if (word == "--output" || word == "-o") {
      ++i;
      continue;
    }
    if (word.starts_with("--output=")) continue;
    kept.push_back(word);
  }
  return kept;
}

/// Refuses what cannot work, before the data are read.
void check_command(const TrainCommand& command, const ModelSpec& spec) {
  if (spec.is_generative) unsupervised_options(command);
  if (spec.tells_labels) semi_supervised_options(command);
  if (spec.tells_labels && command.load.labels_key.empty()) {
    throw InputError({.problem = "learns from the labels of cells, and no column of labels is named",
                      .field = "model " + spec.name,
                      .remedy = "name it with --labels-key"});
  }
  parse_memory(command.memory);
}

/// @param folder where checkpoints go; nullptr: nowhere
void run_trainer(Trainer& trainer, TrainCommand& command, RunFolder* folder) {
  const auto progress = make_terminal_progress(!command.common.no_progress);
  command.train.progress = progress.get();
  if (folder) command.train.checkpoint = [&] { folder->save_checkpoint(trainer); };
  if (command.resume) {
    trainer.load_checkpoint(folder->checkpoint_path());
    log_info("going on after epoch " + std::to_string(trainer.epoch()));
  }
  set_profiling(command.profile);
  try {
    const ProfileSection section("all");
    trainer.train(command.train);
  } catch (const Interrupted& stop) {
    Fault fault = stop.fault();
    if (!folder || !folder->has_checkpoint()) throw;
    fault.remedy = "a checkpoint is in " + command.output + ", go on with `scvi train " + command.data +
                   " --output " + command.output + " --resume`";
    throw Interrupted(fault);
  }
}

void log_outcome(const TrainCommand& command, const Trainer& trainer) {
  const auto last = [&](const char* series) { return trainer.history().last(series); };
  std::string line = command.output.empty() ? "trained for " : "wrote " + command.output + " after ";
  line += std::to_string(trainer.epoch()) + " epochs";
  if (const auto loss = last("train_loss")) line += ", training loss " + rounded(*loss);
  if (const auto elbo = last("elbo_test_set")) line += ", test elbo " + rounded(*elbo);
  log_info(line);
}

/// How many labels a model is shown that learns from some of them.
std::string labels_seen(const Trainer& trainer) {
  const auto* const semi_supervised = dynamic_cast<const SemiSupervisedTrainer*>(&trainer);
  if (!semi_supervised) return {};
  return "labels of " + with_thousands(semi_supervised->labelled_set().nb_cells()) + ", ";
}

/// @param given the words, which a folder keeps for --resume
SavedModel train(TrainCommand& command, const Arguments& given) {
  apply(command.common);
  settings().seed = command.seed;
  const ModelSpec& spec = model_spec(command.model);
  const Hyperparameters hyperparameters = complete_hyperparameters(spec, hyperparameters_of(command, spec));
  TrainerOptions options = trainer_options(command);
  check_command(command, spec);
  const c10::Device device = device_of(command.device);
  SavedModel saved;
  if (!command.on_latent.empty()) {
    saved.latent = std::make_shared<SavedModel>(load_latent_model(command.on_latent));
    command.make_unique = genes_of(*saved.latent).on_duplicate_genes == DuplicateGenes::make_unique;
  }
  std::optional<RunFolder> folder;
  if (command.resume) {
    folder.emplace(RunFolder::resume(command.output));
  } else if (!command.output.empty()) {
    folder.emplace(RunFolder::create(command.output, overwrite_of(command.force), worth_keeping(given, command)));
  }

  const auto dataset = load_data(command, saved.data, options, spec, hyperparameters, saved.latent.get());
  const DataShape shape{.n_input = dataset->nb_genes(),
                        .n_batch = std::ssize(saved.data.batch_names),
                        .n_labels = std::ssize(saved.data.label_names)};
  saved.model = build_model(command, spec, hyperparameters, shape, saved.latent.get());
  saved.model->to(device);
  const std::unique_ptr<Trainer> trainer = make_trainer(command, spec, saved.model, dataset, std::move(options));
  const Split& split = trainer->split();
  saved.data.train_rows = rows_of(split.train, *dataset);
  saved.data.test_rows = rows_of(split.test, *dataset);
  saved.data.validation_rows = rows_of(split.validation, *dataset);
  log_info("training " + spec.name + " on " + with_thousands(std::ssize(split.train)) + " cells (" +
           with_thousands(std::ssize(split.test)) + " test, " + with_thousands(std::ssize(split.validation)) +
           " validation), " + labels_seen(*trainer) + (device.is_cpu() ? "" : "on " + device.str() + ", ") +
           std::to_string(effective_threads()) + " threads");
  run_trainer(*trainer, command, folder ? &*folder : nullptr);
  saved.training = describe_training(command, *trainer);
  saved.model->to(c10::Device(c10::kCPU));
  if (folder) folder->finish(saved, trainer->history());
  log_outcome(command, *trainer);
  if (command.profile) std::cout << profile_table(profile_seconds("all"));
  return saved;
}

int train_as_told(const Arguments& given) {
  TrainCommand command;
  if (!read_arguments(given, command, /*needs_output=*/true)) return 0;
  if (command.resume) {
    const std::string run = command.output;
    command = TrainCommand();
    read_arguments(with_options_of_run(given, run), command, /*needs_output=*/true);
  }
  train(command, given);
  return 0;
}

}  // namespace

SavedModel train_with(const Arguments& words) {
  TrainCommand command;
  read_arguments(words, command, /*needs_output=*/false);
  return train(command, words);
}

int run_train(const Arguments& arguments) {
  return with_plain_errors(train_as_told, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_train(const scvi::app::Arguments& arguments) {
  return scvi::app::run_train(arguments);
}
