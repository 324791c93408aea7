#include <algorithm>
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>

#include "cli.hpp"
#include "label_column.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/loader/split.hpp"
#include "scvi/posterior/latent_annotator.hpp"
#include "told_labels.hpp"
#include "training.hpp"

namespace scvi::app {
namespace {

struct ClassifyOptions {
  std::string data;
  ToldLabelsOutput output;
  CountsInput reading;
  std::string labels_key;
  std::string unlabelled;
  std::string method = "nn";
  std::string on_latent;
  bool with_library = false;
  std::string save;
  std::string split_key;
  std::string train_size = "0.8";
  std::int64_t epochs = 100;
  double lr = 1e-3;
  std::string memory;
  std::int64_t batch_size = 512;
  std::uint64_t seed = 0;
  std::string device = "auto";
  CommonOptions common;
};

/// The annotators beside the neural network.
const std::map<std::string, BaselineAnnotator::Kind> kPlainMethods = {
    {"knn", BaselineAnnotator::Kind::nearest_neighbors},
    {"svm", BaselineAnnotator::Kind::svm},
    {"forest", BaselineAnnotator::Kind::random_forest}};

/// Cells with what was told of them, and who taught.
struct Classified {
  std::shared_ptr<const GeneExpressionDataset> dataset;  ///< all cells of the file, with their labels
  std::vector<std::string> label_names;
  Split split;  ///< positions in the data set
  ToldLabels told;
};

/// The words for `scvi train` that stand for these options.
Arguments training_words(const ClassifyOptions& options) {
  Arguments words = {options.data, "--model", "classifier"};
  const auto add = [&](const char* option, const std::string& value) {
    if (!value.empty()) words.insert(words.end(), {option, value});
  };
  add("--labels-key", options.labels_key);
  add("--unlabelled", options.unlabelled);
  add("--on-latent", options.on_latent);
  add("--sampling-zl", options.with_library ? "true" : "");
  add("--train-size", options.train_size);
  add("--split-key", options.split_key);
  add("--epochs", std::to_string(options.epochs));
  add("--lr", to_text(HyperparameterValue(options.lr)));
  add("--seed", std::to_string(options.seed));
  add("--memory", options.memory);
  add("--device", options.device);
  add("--output", options.save);
  add("--kernel", options.common.kernel);
  add("--threads", std::to_string(options.common.threads));
  add("--verbosity", options.common.verbosity);
  if (options.output.force) words.emplace_back("--force");
  if (options.common.no_progress) words.emplace_back("--no-progress");
  const Arguments reading = words_of(options.reading);
  words.insert(words.end(), reading.begin(), reading.end());
  return words;
}

/// Rows of the file as positions in a data set that holds all of them.
Split all_rows(const DataDescription& data) {
  return {.train = data.train_rows, .test = data.test_rows, .validation = data.validation_rows};
}

Posterior posterior_of(const ClassifyOptions& options, const std::shared_ptr<Model>& model,
                       const std::shared_ptr<const GeneExpressionDataset>& dataset) {
  return Posterior::of_all_cells(model, dataset,
                                 {.batch_size = options.batch_size, .seed = options.seed, .name = "classify"});
}

/// By scVI's Classifier, which learns as `scvi train --model classifier` does.
Classified by_network(const ClassifyOptions& options) {
  const SavedModel saved = train_with(training_words(options));
  Classified result{.dataset = {}, .label_names = saved.data.label_names, .split = all_rows(saved.data), .told = {}};
  result.dataset =
      load_for_model(open_for_model(options.data, saved, options.reading, !options.reading.open.layer.empty()), saved,
                     {.drop_empty_cells = false,
                      .with_batches = true,
                      .keep_attributes = false,
                      .memory = parse_memory(options.memory),
                      .batch_size = options.batch_size,
                      .result_bytes_per_cell = (saved.model->shape().n_labels + 4) * 8});
  saved.model->to(device_of(options.device));
  Posterior cells = posterior_of(options, saved.model, result.dataset);
  const auto progress = make_terminal_progress(!options.common.no_progress);
  if (cells.nb_cells() >= kCellsWorthReporting) cells.set_progress(progress.get());
  result.told = tell_labels(cells);
  return result;
}

/// By an annotator of the metric room, in the latent space of a trained model.
Classified by_annotator(const ClassifyOptions& options) {
  const SavedModel latent = load_latent_model(options.on_latent);
  latent.model->to(device_of(options.device));
  const LabelColumn column{.file = options.data, .key = options.labels_key, .unlabelled = options.unlabelled};
  io::CountFile file = open_for_model(options.data, latent, options.reading, !options.reading.open.layer.empty());
  check_unlabelled(column, file);
  std::optional<io::Column> split;
  if (!options.split_key.empty()) split = split_column(file, options.split_key);
  Classified result;
  result.dataset = load_for_model(std::move(file), latent,
                                  {.drop_empty_cells = false,
                                   .with_batches = false,
                                   .keep_attributes = false,
                                   .labels_key = options.labels_key,
                                   .unlabelled = options.unlabelled,
                                   .memory = parse_memory(options.memory),
                                   .batch_size = options.batch_size});
  check_labels(column, *result.dataset);
  result.label_names = result.dataset->cell_types();
  std::optional<Split> given;
  if (split) given = split_of(*split, *result.dataset, options.data);
  SplitOptions sizes{.train_size = parse_split_size(options.train_size, "--train-size")};
  sizes.seed = static_cast<std::uint32_t>(options.seed);
  result.split = labelled_split(given, sizes, result.dataset->labels());
  const Posterior cells = posterior_of(options, latent.model, result.dataset);
  const auto kind = kPlainMethods.at(options.method);
  const Posterior teachers = cells.with_indices(result.split.train);
  if (const std::string reason = LatentAnnotator::why_impossible(kind, teachers); !reason.empty()) {
    throw InputError({.problem = "cannot learn: " + reason, .field = "--method " + options.method});
  }
  log_info("learning from " + with_thousands(teachers.nb_cells()) + " cells (" +
           with_thousands(std::ssize(result.split.test)) + " test)");
  result.told = LatentAnnotator(kind, teachers, options.with_library).tell(cells);
  return result;
}

std::string share(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4f", value);
  return text;
}

/// Label, cells that taught, held-out cells, and how many of these were told rightly.
void print_accuracy(const Classified& result) {
  const auto& labels = result.dataset->labels();
  std::map<std::int64_t, std::int64_t> n_train;
  for (const std::int64_t cell : result.split.train) ++n_train[labels[cell]];
  std::vector<std::int64_t> known, told;
  for (const std::int64_t cell : result.split.test) {
    known.push_back(labels[cell]);
    told.push_back(result.told.labels[cell]);
  }
  std::size_t width = 5;
  for (const auto& name : result.label_names) width = std::max(width, name.size());
  const auto line = [&](const std::string& name, const std::string& train, const std::string& test,
                        const std::string& accuracy) {
    const auto padded = [](const std::string& text, std::size_t n) {
      return text + std::string(n - std::min(n, text.size()), ' ');
    };
    std::cout << padded(name, width + 2) << padded(train, 10) << padded(test, 10) << accuracy << "\n";
  };
  line("label", "learned", "held out", "accuracy");
  const Accuracy accuracy = known.empty() ? Accuracy() : accuracy_of(known, told);
  for (std::int64_t label = 0; label < std::ssize(result.label_names); ++label) {
    const auto found = std::ranges::find(accuracy.classes, label) - accuracy.classes.begin();
    const bool held_out = found < std::ssize(accuracy.classes);
    line(result.label_names[label], std::to_string(n_train[label]), std::to_string(std::ranges::count(known, label)),
         held_out ? share(accuracy.accuracy_classes[found]) : "-");
  }
  line("all", std::to_string(result.split.train.size()), std::to_string(known.size()),
       known.empty() ? "-" : share(accuracy.unweighted));
  std::cout.flush();  // before what is logged next
}

void check_options(const ClassifyOptions& options, const CLI::App& app) {
  const auto refuse = [](const char* option, const std::string& problem, const char* remedy) {
    throw InputError({.problem = problem, .field = option, .remedy = remedy});
  };
  if (options.with_library && options.on_latent.empty())
    refuse("--with-library", "reads the library size that a trained model infers", "name the model with --on-latent");
  if (options.method == "nn") return;
  for (const char* option : {"--save", "--epochs", "--lr"}) {
    if (app.count(option) > 0) refuse(option, "is for the neural network", "leave it out, or use --method nn");
  }
  if (options.on_latent.empty())
    refuse("--method", "is " + options.method + ", which learns in a latent space",
           "name a trained model with --on-latent");
}

void add_options(CLI::App& app, ClassifyOptions& options) {
  app.add_option("DATA", options.data, kAnyCounts)->required()->check(not_empty());
  add_told_labels_options(app, options.output);
  app.add_option("--labels-key", options.labels_key, "obs column with the labels to learn")
      ->required()
      ->check(not_empty());
  app.add_option("--unlabelled", options.unlabelled,
                 "value of that column that says that a cell's label is not known, as an empty one does");
  app.add_option("--method", options.method,
                 "nn (a neural network, scVI's Classifier), knn (the 5 nearest neighbours), svm (a support vector "
                 "machine, which tells no probabilities), forest (a random forest)")
      ->check(one_of({"nn", "knn", "svm", "forest"}))
      ->capture_default_str();
  app.add_option("--on-latent", options.on_latent,
                 "folder of a trained model whose latent space is read instead of counts");
  app.add_flag("--with-library", options.with_library, "read the library size that this model infers, too");
  app.add_option("--save", options.save, "folder for the trained network, which `scvi annotate` takes");
  app.add_option("--train-size", options.train_size, "share of the labelled cells that train, of each label alike")
      ->capture_default_str();
  app.add_option("--split-key", options.split_key, "obs column that says train, test or validation instead");
  app.add_option("--epochs", options.epochs, "of nn: passes over the cells that train")
      ->check(whole_number(1))
      ->capture_default_str();
  app.add_option("--lr", options.lr, "of nn: learning rate")->check(positive_number())->capture_default_str();
  add_input_options(app, options.reading);
  add_memory_option(app, options.memory);
  add_batch_size_option(app, options.batch_size);
  app.add_option("--seed", options.seed, "seed of the split and of all draws")
      ->check(whole_number(0))
      ->capture_default_str();
  add_device_option(app, options.device);
  add_kernel_option(app, options.common);
  add_common_options(app, options.common);
}

int classify(const Arguments& arguments) {
  ClassifyOptions options;
  CLI::App app(
      "Learns the labels of some cells and tells those of all, from their counts or from the latent space of a "
      "trained "
      "model.\n"
      "Some of the labelled cells are held out; how often their labels are told rightly is printed. The labels of "
      "the "
      "data\n"
      "stay as they are; what is told goes to columns beside them. `scvi train --model classifier` has more options "
      "for "
      "the\n"
      "neural network.",
      "classify");
  add_options(app, options);
  if (!parse(app, arguments)) return 0;
  apply(options.common);
  check_options(options, app);
  parse_split_size(options.train_size, "--train-size");
  check_output(options.output);
  const Classified result = options.method == "nn" ? by_network(options) : by_annotator(options);
  print_accuracy(result);
  const auto& labels = result.dataset->labels();
  const auto n_told = std::ranges::count_if(labels, [](std::int64_t label) { return label < 0; });
  log_info(n_told == 0 ? "every cell has a label already" : with_thousands(n_told) + " cells had no label");
  write_told_labels(result.told, result.label_names, *result.dataset, options.data, options.reading, options.output);
  return 0;
}

}  // namespace

int run_classify(const Arguments& arguments) {
  return with_plain_errors(classify, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_classify(const scvi::app::Arguments& arguments) {
  return scvi::app::run_classify(arguments);
}
