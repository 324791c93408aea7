#include <algorithm>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <optional>
#include <unordered_map>

#include "cli.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/convert.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi::app {
namespace {

/// Numbers of one block of cells on their way from the model to the file, but at least so many minibatches: they are
/// computed at a time.
constexpr std::int64_t kNumbersAtATime = std::int64_t{1} << 22;
constexpr std::int64_t kMinibatchesAtATime = 8;
constexpr const char* kAllBatches = "all";
constexpr const char* kLatentLibrary = "latent";

struct NormalizeOptions {
  std::string run;
  std::string data;
  std::string output;
  CountsInput reading;
  std::string memory;
  std::string transform_batch;
  std::string genes;
  std::string library_size = "1";
  std::string layer;
  std::int64_t n_samples = 1;
  std::int64_t batch_size = 128;
  std::uint64_t seed = 0;
  std::string device = "auto";
  bool force = false;
  CommonOptions common;
};

/// What is written, and how.
enum class Output { new_file, layer, table };

std::string ending_of(const std::string& path) {
  return std::filesystem::path(path).extension().string();
}

Output output_of(const NormalizeOptions& options) {
  const std::string ending = ending_of(options.output);
  if (ending == ".h5ad") return options.layer.empty() ? Output::new_file : Output::layer;
  if (ending != ".tsv" && ending != ".csv") {
    throw InputError({.problem = "cannot be written in a format that its name ends with",
                      .file = options.output,
                      .remedy = "end the name with .h5ad, .tsv or .csv"});
  }
  if (options.layer.empty()) return Output::table;
  throw InputError({.problem = "needs an .h5ad file to be written to", .field = "--as-layer"});
}

/// What frequencies are multiplied with; nothing for the library size that the model infers.
std::optional<double> library_size_of(const std::string& text) {
  if (text == kLatentLibrary) return std::nullopt;
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && rest == end && std::isfinite(value) && value > 0) return value;
  throw InputError(
      {.problem = "is '" + text + "', but must be a number larger than 0, or latent", .field = "--library-size"});
}

std::int64_t position_of(const std::string& name, const std::vector<std::string>& names, const char* option,
                         const char* problem) {
  const auto found = std::find(names.begin(), names.end(), name);
  if (found != names.end()) return found - names.begin();
  throw InputError(
      {.problem = "names '" + name + "', which " + problem, .field = option, .remedy = suggest(name, names)});
}

std::vector<std::int64_t> batches_of(const std::string& text, const std::vector<std::string>& names) {
  if (text.empty()) return {};
  const char* option = "--transform-batch";
  if (names.empty()) throw InputError({.problem = "needs a model that was trained with batches", .field = option});
  std::vector<std::int64_t> batches;
  if (text == kAllBatches) {
    for (std::int64_t batch = 0; batch < std::ssize(names); ++batch) batches.push_back(batch);
    return batches;
  }
  // A name may hold a comma itself.
  const bool is_name = std::find(names.begin(), names.end(), text) != names.end();
  for (const auto& name : is_name ? std::vector{text} : split_list(text)) {
    batches.push_back(position_of(name, names, option, "is no batch that the model was trained with"));
  }
  return batches;
}

std::vector<std::int64_t> genes_of(const std::string& text, const std::vector<std::string>& names) {
  std::vector<std::int64_t> genes;
  for (const auto& name : text.empty() ? std::vector<std::string>() : list_or_file(text)) {
    const std::int64_t gene = position_of(name, names, "--genes", "is no gene that the model was trained with");
    if (std::find(genes.begin(), genes.end(), gene) != genes.end()) {
      throw InputError({.problem = "names '" + name + "' twice", .field = "--genes"});
    }
    genes.push_back(gene);
  }
  return genes;
}

/// Normalised expression with everything that says how it is made.
class Normalizer {
 public:
  Normalizer(const NormalizeOptions& options, const SavedModel& saved)
      : options_(options), library_size_(library_size_of(options.library_size)), names_(saved.data.gene_names) {
    expression_ = {.n_samples = options.n_samples,
                   .transform_batch = batches_of(options.transform_batch, saved.data.batch_names),
                   .genes = genes_of(options.genes, names_)};
  }

  bool needs_own_batches() const { return expression_.transform_batch.empty(); }
  /// Names of the columns.
  std::vector<std::string> genes() const {
    if (expression_.genes.empty()) return names_;
    std::vector<std::string> names;
    for (const std::int64_t gene : expression_.genes) names.push_back(names_[gene]);
    return names;
  }
  /// Orders the columns as a file has its genes.
  void follow(const std::vector<std::string>& genes_of_file) {
    if (genes_of_file == names_) return;
    std::unordered_map<std::string, std::int64_t> positions;
    for (std::int64_t gene = 0; gene < std::ssize(names_); ++gene) positions.emplace(names_[gene], gene);
    for (const auto& name : genes_of_file) {
      const auto found = positions.find(name);
      if (found == positions.end()) {
        throw InputError(
            {.problem = "needs a value for every gene of the file, but the model was not trained with '" + name + "'",
             .field = "--as-layer",
             .remedy = "leave it out: the output then holds the genes of the model"});
      }
      expression_.genes.push_back(found->second);
    }
  }

  std::int64_t cells_per_block() const {
    return std::max(kNumbersAtATime / std::ssize(genes()), kMinibatchesAtATime * options_.batch_size);
  }
  /// Of a block and its copy at another library size, as if every one of the cells had its share.
  std::int64_t bytes_per_cell(std::int64_t n_cells) const {
    const std::int64_t n_numbers = 2 * std::min(cells_per_block(), n_cells) * std::ssize(genes());
    return n_numbers * static_cast<std::int64_t>(sizeof(float)) / std::max<std::int64_t>(n_cells, 1) + 1;
  }

  io::DenseRows rows(const Posterior& posterior) const {
    return [this, &posterior](const io::AppendRows& append) {
      const Expression what = library_size_ ? Expression::scale : Expression::rate;
      const auto factor = static_cast<float>(library_size_.value_or(1));
      std::vector<float> scaled;
      posterior.for_each_expression_block(what, expression_, cells_per_block(),
                                          [&](std::int64_t, const CellArray& block) {
                                            if (factor == 1) return append(block.values);
                                            scaled = block.values;
                                            for (float& value : scaled) value *= factor;
                                            append(scaled);
                                          });
    };
  }

  /// For uns: how the numbers came about.
  io::UnsDict description() const {
    return {{"library_size", options_.library_size},
            {"transform_batch", options_.transform_batch.empty() ? std::string("own") : options_.transform_batch},
            {"n_samples", options_.n_samples},
            {"seed", static_cast<std::int64_t>(options_.seed)}};
  }

 private:
  const NormalizeOptions& options_;
  std::optional<double> library_size_;
  std::vector<std::string> names_;
  ExpressionOptions expression_;
};

/// A name as a field of a table.
std::string field_of(const std::string& name, char separator) {
  const std::string special = std::string("\"\n\r") + separator;
  if (name.find_first_of(special) == std::string::npos) return name;
  std::string quoted = "\"";
  for (const char letter : name) quoted += letter == '"' ? "\"\"" : std::string(1, letter);
  return quoted + "\"";
}

void write_table(const std::string& path, const std::vector<std::string>& cells,
                 const std::vector<std::string>& genes, const io::DenseRows& rows, Overwrite overwrite) {
  const char separator = ending_of(path) == ".csv" ? ',' : '\t';
  AtomicFile output(path, overwrite);
  std::string text = "cell";
  for (const auto& gene : genes) text += separator + field_of(gene, separator);
  text += '\n';
  std::size_t cell = 0;
  rows([&](std::span<const float> values) {
    for (std::size_t i = 0; i < values.size(); i += genes.size()) {
      text += field_of(cells[cell++], separator);
      for (std::size_t gene = 0; gene < genes.size(); ++gene) {
        char number[32];
        const auto end = std::to_chars(number, number + sizeof number, values[i + gene]).ptr;
        text += separator;
        text.append(number, end);
      }
      text += '\n';
      if (text.size() < (1U << 20)) continue;
      output.write(text.data(), text.size());
      text.clear();
    }
  });
  output.write(text.data(), text.size());
  output.commit();
}

void add_options(CLI::App& app, NormalizeOptions& options) {
  app.add_option("RUN", options.run, "the folder that `scvi train` wrote")->required()->check(not_empty());
  app.add_option("DATA", options.data, kAnyCounts)->required()->check(not_empty());
  app.add_option("--output,-o", options.output, "the .h5ad, .tsv or .csv file to write")
      ->required()
      ->check(not_empty());
  app.add_option("--transform-batch", options.transform_batch,
                 "decode every cell as if it came from this batch; of several (a,b, or all) the mean is taken")
      ->check(not_empty());
  app.add_option("--n-samples", options.n_samples, "samples of the latent space whose mean is taken")
      ->check(whole_number(1, 1000000))
      ->capture_default_str();
  app.add_option("--genes", options.genes, "only these genes, in this order: a,b, or a file with one a line")
      ->check(not_empty());
  app.add_option("--library-size", options.library_size,
                 "what the frequencies of a cell sum to; latent: the library size that the model infers for it")
      ->capture_default_str();
  app.add_option("--as-layer", options.layer,
                 "write a copy of the data with this layer, instead of a new file with the expression in X")
      ->check(not_empty());
  add_input_options(app, options.reading);
  add_memory_option(app, options.memory);
  add_batch_size_option(app, options.batch_size);
  app.add_option("--seed", options.seed, "seed of the draws")->check(whole_number(0))->capture_default_str();
  add_device_option(app, options.device);
  add_force_option(app, options.force);
  add_kernel_option(app, options.common);
  add_common_options(app, options.common);
}

void write(const NormalizeOptions& options, Output output, const Normalizer& normalizer, io::Frame obs,
           const Posterior& posterior) {
  const Overwrite overwrite = overwrite_of(options.force);
  const io::DenseRows rows = normalizer.rows(posterior);
  if (output == Output::table) return write_table(options.output, obs.index, normalizer.genes(), rows, overwrite);
  if (output == Output::layer) {
    io::H5adAdditions additions;
    additions.layers.push_back({options.layer, rows});
    additions.uns.emplace_back("scvi_normalize", normalizer.description());
    return io::copy_counts_with(options.data, options.output, additions, open_options(options.reading), overwrite);
  }
  io::H5adContents contents;
  contents.obs = std::move(obs);
  contents.var.index = normalizer.genes();
  contents.dense_rows = rows;
  contents.uns.emplace_back("scvi_normalize", normalizer.description());
  io::write_h5ad(options.output, contents, overwrite);
}

int normalize(const Arguments& arguments) {
  NormalizeOptions options;
  CLI::App app(
      "Writes normalised expression: the frequency of each gene in each cell that a trained model expects, without\n"
      "the noise of counting and, with --transform-batch, without the effects of batches.",
      "normalize");
  add_options(app, options);
  if (!parse(app, arguments)) return 0;
  apply(options.common);

  const Output output = output_of(options);
  const std::int64_t memory = parse_memory(options.memory);
  if (output == Output::layer && !options.genes.empty()) {
    throw InputError({.problem = "holds all genes, so that --genes cannot be given", .field = "--as-layer"});
  }
  // Refuse what cannot be written before the work, not after.
  { const AtomicFile probe(options.output, overwrite_of(options.force)); }
  const c10::Device device = device_of(options.device);
  SavedModel saved = load_latent_model(options.run);
  Normalizer normalizer(options, saved);
  io::CountFile file = open_for_model(options.data, saved, options.reading, app.count("--layer") > 0);
  if (output == Output::layer) normalizer.follow(file.var.index);
  io::Frame obs = file.obs;
  const auto dataset = load_for_model(std::move(file), saved,
                                      {.drop_empty_cells = false,
                                       .with_batches = normalizer.needs_own_batches(),
                                       .keep_attributes = false,
                                       .memory = memory,
                                       .batch_size = options.batch_size,
                                       .result_bytes_per_cell = normalizer.bytes_per_cell(obs.n_rows())});
  saved.model->to(device);
  auto posterior = Posterior::of_all_cells(
      saved.model, dataset, {.batch_size = options.batch_size, .seed = options.seed, .name = "normalize"});
  const auto progress = make_terminal_progress(!options.common.no_progress);
  if (posterior.nb_cells() >= kCellsWorthReporting) posterior.set_progress(progress.get());
  write(options, output, normalizer, std::move(obs), posterior);
  log_info("wrote " + options.output + ": " + (output == Output::layer ? "layers/" + options.layer + " " : "") + "(" +
           with_thousands(posterior.nb_cells()) + " cells x " + with_thousands(std::ssize(normalizer.genes())) +
           " genes)");
  return 0;
}

}  // namespace

int run_normalize(const Arguments& arguments) {
  return with_plain_errors(normalize, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_normalize(const scvi::app::Arguments& arguments) {
  return scvi::app::run_normalize(arguments);
}
