#include <algorithm>
#include <charconv>
#include <cmath>
#include <optional>
#include <unordered_map>

#include "cli.hpp"
#include "expression.hpp"
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
constexpr const char* kLatentLibrary = "latent";

struct NormalizeOptions : ExpressionCommand {
  std::string library_size = "1";
  std::string layer;
  std::int64_t n_samples = 1;
};

/// What is written, and how.
enum class Output { new_file, layer, table };

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

/// Normalised expression with everything that says how it is made.
class Normalizer {
 public:
  Normalizer(const NormalizeOptions& options, const SavedModel& saved)
      : options_(options), library_size_(library_size_of(options.library_size)), names_(saved.data.gene_names) {
    expression_ = {
        .n_samples = options.n_samples,
        .transform_batch = batch_positions(options.transform_batch, saved.data.batch_names, "--transform-batch"),
        .genes = gene_positions(options.genes, names_)};
  }

  bool needs_own_batches() const { return expression_.transform_batch.empty(); }
  /// Names of the columns.
  std::vector<std::string> genes() const { return names_at(expression_.genes, names_); }
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

void add_options(CLI::App& app, NormalizeOptions& options) {
  add_expression_options(
      app, options, "the .h5ad, .tsv or .csv file to write",
      "decode every cell as if it came from this batch; of several (a,b, or all) the mean is taken");
  app.add_option("--n-samples", options.n_samples, "samples of the latent space whose mean is taken")
      ->check(whole_number(1, 1000000))
      ->capture_default_str();
  app.add_option("--library-size", options.library_size,
                 "what the frequencies of a cell sum to; latent: the library size that the model infers for it")
      ->capture_default_str();
  app.add_option("--as-layer", options.layer,
                 "write a copy of the data with this layer, instead of a new file with the expression in X")
      ->check(not_empty());
  add_computing_options(app, options);
}

void write(const NormalizeOptions& options, Output output, const Normalizer& normalizer, io::Frame obs,
           const Posterior& posterior) {
  const Overwrite overwrite = overwrite_of(options.force);
  const io::DenseRows rows = normalizer.rows(posterior);
  if (output == Output::table)
    return write_number_table(options.output, {"cell", obs.index, normalizer.genes()}, rows, overwrite);
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
