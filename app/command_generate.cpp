#include <algorithm>
#include <iterator>
#include <optional>
#include <type_traits>
#include <variant>

#include "cli.hpp"
#include "expression.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi::app {
namespace {

/// Numbers that are drawn at a time, on their way to the file, but at least those of one minibatch.
constexpr std::int64_t kNumbersAtATime = std::int64_t{1} << 22;

struct GenerateOptionsOfCommand : ExpressionCommand {
  double rna_size_factor = 1000;
  bool denoised = false;
  std::int64_t n_samples = 1;
};

/// What is contradictory is refused before any file is opened.
void check_options(const GenerateOptionsOfCommand& options, const CLI::App& app) {
  if (ending_of(options.output) != ".h5ad") {
    throw InputError({.problem = "must end in .h5ad", .file = options.output, .field = "--output"});
  }
  for (const char* option : {"--transform-batch", "--rna-size-factor"}) {
    if (options.denoised || app.count(option) == 0) continue;
    throw InputError(
        {.problem = "is for --denoised alone", .field = option, .remedy = "add --denoised, or leave it out"});
  }
}

/// Draws the cells of some minibatches after the other, the samples of a cell side by side.
class Generator {
 public:
  Generator(const GenerateOptionsOfCommand& options, const SavedModel& saved)
      : options_(options), genes_(gene_positions(options.genes, saved.data.gene_names)) {
    gene_names_ = names_at(genes_, saved.data.gene_names);
    const auto batches = batch_positions(options.transform_batch, saved.data.batch_names, "--transform-batch");
    if (batches.size() > 1) {
      throw InputError(
          {.problem = "names several batches, but samples are drawn for one", .field = "--transform-batch"});
    }
    if (!batches.empty()) transform_batch_ = batches.front();
  }

  const std::vector<std::string>& gene_names() const { return gene_names_; }
  bool needs_own_batches() const { return !transform_batch_.has_value(); }
  /// Of a block and of its copy in compressed rows, twice.
  std::int64_t block_bytes() const {
    const std::int64_t n_numbers = minibatches_at_a_time() * numbers_of_minibatch();
    return n_numbers * static_cast<std::int64_t>(4 * sizeof(float));
  }

  /// The next rows of the file, or false where there are no more.
  bool next(const Posterior& posterior, io::CsrBlock& block) {
    const Posterior part = posterior.minibatches(minibatch_, minibatch_ + minibatches_at_a_time());
    if (part.nb_cells() == 0) return false;
    block.clear();
    block.first_row = n_rows_;
    block.indptr = {0};
    const SampleArray drawn = draw(part);
    for (std::int64_t cell = 0; cell < drawn.n_cells; ++cell) {
      for (std::int64_t sample = 0; sample < drawn.n_samples; ++sample) append_row(drawn, sample, cell, block);
    }
    minibatch_ += minibatches_at_a_time();
    n_rows_ += block.n_rows();
    return true;
  }

 private:
  std::int64_t numbers_of_minibatch() const {
    return options_.batch_size * options_.n_samples * std::ssize(gene_names_);
  }
  std::int64_t minibatches_at_a_time() const {
    return std::max<std::int64_t>(kNumbersAtATime / numbers_of_minibatch(), 1);
  }

  SampleArray draw(const Posterior& part) const {
    if (!options_.denoised) return part.generate({.n_samples = options_.n_samples, .genes = genes_}).x_new;
    return part.generate_denoised_samples({.n_samples = options_.n_samples,
                                           .rna_size_factor = options_.rna_size_factor,
                                           .transform_batch = transform_batch_,
                                           .genes = genes_});
  }

  static void append_row(const SampleArray& drawn, std::int64_t sample, std::int64_t cell, io::CsrBlock& block) {
    const float* row = drawn.values.data() + (sample * drawn.n_cells + cell) * drawn.n_columns;
    for (std::int64_t gene = 0; gene < drawn.n_columns; ++gene) {
      if (row[gene] == 0) continue;
      block.indices.push_back(static_cast<std::int32_t>(gene));
      block.values.push_back(row[gene]);
    }
    block.indptr.push_back(std::ssize(block.values));
  }

  const GenerateOptionsOfCommand& options_;
  std::vector<std::int64_t> genes_;
  std::vector<std::string> gene_names_;
  std::optional<std::int64_t> transform_batch_;
  std::int64_t minibatch_ = 0;
  std::int64_t n_rows_ = 0;
};

template <class T>
std::vector<T> repeated(const std::vector<T>& values, std::int64_t n_times) {
  std::vector<T> result;
  result.reserve(values.size() * static_cast<std::size_t>(n_times));
  for (const T& value : values) std::fill_n(std::back_inserter(result), n_times, value);
  return result;
}

io::Column repeated_column(const io::Column& column, std::int64_t n_times) {
  io::Column result = column;
  std::visit(
      [&](auto& values) {
        using Values = std::decay_t<decltype(values)>;
        if constexpr (std::is_same_v<Values, io::Categorical>) {
          values.codes = repeated(values.codes, n_times);
        } else if constexpr (std::is_same_v<Values, io::Boolean>) {
          values.values = repeated(values.values, n_times);
        } else {
          values = repeated(values, n_times);
        }
      },
      result.values);
  result.missing = repeated(column.missing, n_times);
  return result;
}

/// Cells "CELL-1" to "CELL-N" for each, with their annotation and which cell and sample they are; of one sample, the
/// cells themselves.
io::Frame repeated_cells(io::Frame obs, std::int64_t n_samples) {
  if (n_samples == 1) return obs;
  io::Frame result{.index_name = obs.index_name, .index = {}, .columns = {}};
  std::vector<std::int64_t> samples;
  for (const std::string& name : obs.index) {
    for (std::int64_t sample = 1; sample <= n_samples; ++sample) {
      result.index.push_back(name + "-" + std::to_string(sample));
      samples.push_back(sample);
    }
  }
  for (const io::Column& column : obs.columns) {
    if (column.name == "scvi_cell" || column.name == "scvi_sample") continue;
    result.columns.push_back(repeated_column(column, n_samples));
  }
  result.columns.push_back({.name = "scvi_cell", .values = repeated(obs.index, n_samples), .missing = {}});
  result.columns.push_back({.name = "scvi_sample", .values = std::move(samples), .missing = {}});
  return result;
}

void add_options(CLI::App& app, GenerateOptionsOfCommand& options) {
  add_expression_options(app, options, "the .h5ad file to write",
                         "denoised: decode every cell as if it came from this batch");
  app.add_option("--n-samples", options.n_samples,
                 "samples of each cell; of several, the rows of the file are CELL-1, CELL-2, ...")
      ->check(whole_number(1, 100000))
      ->capture_default_str();
  app.add_flag("--denoised", options.denoised,
               "the rates that counts would be drawn from, at a common library size, in place of counts");
  app.add_option("--rna-size-factor", options.rna_size_factor, "denoised: the library size of every cell")
      ->check(positive_number())
      ->capture_default_str();
  add_computing_options(app, options);
}

int generate(const Arguments& arguments) {
  GenerateOptionsOfCommand options;
  CLI::App app(
      "Draws counts as a trained model expects to see them when the same cells are measured again: from its "
      "posterior\n"
      "predictive distribution. What the real counts have that these lack, the model has not learned.",
      "generate");
  add_options(app, options);
  if (!parse(app, arguments)) return 0;
  apply(options.common);
  check_options(options, app);
  const std::int64_t memory = parse_memory(options.memory);
  { const AtomicFile probe(options.output, overwrite_of(options.force)); }
  const c10::Device device = device_of(options.device);
  SavedModel saved = load_model(options.run);
  Generator generator(options, saved);
  io::CountFile file = open_for_model(options.data, saved, options.reading, app.count("--layer") > 0);
  io::Frame obs = file.obs;
  const auto dataset = load_for_model(std::move(file), saved,
                                      {.drop_empty_cells = false,
                                       .with_batches = generator.needs_own_batches(),
                                       .keep_attributes = false,
                                       .memory = memory,
                                       .batch_size = options.batch_size,
                                       .result_bytes = generator.block_bytes()});
  saved.model->to(device);
  const auto posterior = Posterior::of_all_cells(
      saved.model, dataset, {.batch_size = options.batch_size, .seed = options.seed, .name = "generate"});

  io::H5adContents contents;
  contents.obs = repeated_cells(std::move(obs), options.n_samples);
  contents.var.index = generator.gene_names();
  contents.next_rows = [&](io::CsrBlock& block) { return generator.next(posterior, block); };
  contents.dense = options.denoised;
  contents.uns.emplace_back("scvi_generate",
                            io::UnsDict{{"kind", std::string(options.denoised ? "denoised" : "counts")},
                                        {"n_samples", options.n_samples},
                                        {"seed", static_cast<std::int64_t>(options.seed)}});
  io::write_h5ad(options.output, contents, overwrite_of(options.force));
  log_info("wrote " + options.output + ": " + with_thousands(contents.obs.n_rows()) + " cells x " +
           with_thousands(std::ssize(generator.gene_names())) + " genes");
  return 0;
}

}  // namespace

int run_generate(const Arguments& arguments) {
  return with_plain_errors(generate, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_generate(const scvi::app::Arguments& arguments) {
  return scvi::app::run_generate(arguments);
}
