#include <ATen/ATen.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <span>

#include "cli.hpp"
#include "memory.hpp"
#include "model_data.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/write_table.hpp"
#include "scvi/model/autozivae.hpp"

namespace scvi::app {
namespace {

/// Below, the method's authors say, calls are less certain.
constexpr double kEnoughExpression = 1;

struct ZeroInflationOptions {
  std::string run;
  std::string data;
  std::string output;
  double threshold = 0.5;
  CountsInput reading;
  std::string memory;
  bool force = false;
  CommonOptions common;
};

/// What zero inflation is decided for, beside genes: nothing, batches or labels.
struct Categories {
  const char* column = nullptr;  ///< of the table; null: there is none
  std::vector<std::string> names = {""};
};

Categories categories_of(const AutoZIVAE& model, const DataDescription& data) {
  if (model.zero_inflation() == ZeroInflation::gene_batch) return {"batch", data.batch_names};
  if (model.zero_inflation() == ZeroInflation::gene_label) return {"label", data.label_names};
  return {};
}

/// (categories x genes) mean counts, NaN for a category without cells.
std::vector<double> mean_counts(const GeneExpressionDataset& dataset, const Categories& categories) {
  std::vector<std::vector<std::int64_t>> cells(categories.names.size());
  for (std::int64_t cell = 0; cell < dataset.nb_cells(); ++cell) {
    std::int64_t category = 0;
    if (categories.column != nullptr) {
      const bool by_batch = std::string_view(categories.column) == "batch";
      category = by_batch ? dataset.batch_indices()[cell] : dataset.labels()[cell];
    }
    cells.at(static_cast<std::size_t>(category)).push_back(cell);
  }
  std::vector<std::span<const std::int64_t>> groups;
  for (const auto& group : cells) {
    if (!group.empty()) groups.emplace_back(group);
  }
  const auto of_groups = dataset.raw_counts_of_groups(groups);
  std::vector<double> means;
  auto next = of_groups.begin();
  for (const auto& group : cells) {
    const auto n_genes = static_cast<std::size_t>(dataset.nb_genes());
    if (group.empty()) means.insert(means.end(), n_genes, std::numeric_limits<double>::quiet_NaN());
    if (!group.empty()) means.insert(means.end(), next->mean.begin(), next->mean.end()), ++next;
  }
  return means;
}

std::vector<double> load_means(const ZeroInflationOptions& options, const SavedModel& saved,
                               const Categories& categories, bool layer_given) {
  io::CountFile file = open_for_model(options.data, saved, options.reading, layer_given);
  const bool by_label = categories.column != nullptr && std::string_view(categories.column) == "label";
  if (by_label && file.obs.find(saved.data.labels_key) == nullptr) {
    throw InputError({.problem = "has no column '" + saved.data.labels_key + "', which the model's labels come from",
                      .file = options.data,
                      .field = "obs"});
  }
  const auto dataset = load_for_model(std::move(file), saved,
                                      {.drop_empty_cells = false,
                                       .with_batches = categories.column != nullptr,
                                       .memory = parse_memory(options.memory)});
  return mean_counts(*dataset, categories);
}

/// (categories x genes) as (genes) or (genes, categories) in the model.
std::vector<double> by_category(const at::Tensor& values) {
  const at::Tensor rows = values.detach().to(at::kCPU, at::kDouble).t().contiguous();
  return {rows.data_ptr<double>(), rows.data_ptr<double>() + rows.numel()};
}

/// One row for each gene, or for each gene in each category, category by category.
io::Frame table_of(const AutoZIVAE& model, const std::vector<std::string>& genes, const Categories& categories,
                   double threshold) {
  const AlphasBetas of = model.get_alphas_betas();
  const std::vector<double> probability = by_category(model.zero_inflation_probability());
  io::Frame table{.index_name = "gene", .index = {}, .columns = {}};
  std::vector<std::string> category_names;
  for (const std::string& name : categories.names) {
    table.index.insert(table.index.end(), genes.begin(), genes.end());
    category_names.insert(category_names.end(), genes.size(), name);
  }
  io::Boolean is_zero_inflated;
  for (const double p : probability) is_zero_inflated.values.push_back(p > threshold);
  if (categories.column != nullptr) {
    table.columns.push_back({.name = categories.column, .values = std::move(category_names), .missing = {}});
  }
  table.columns.push_back({.name = "zero_inflation_probability", .values = probability, .missing = {}});
  table.columns.push_back({.name = "is_zero_inflated", .values = std::move(is_zero_inflated), .missing = {}});
  table.columns.push_back({.name = "alpha", .values = by_category(of.alpha_posterior), .missing = {}});
  table.columns.push_back({.name = "beta", .values = by_category(of.beta_posterior), .missing = {}});
  return table;
}

std::string percent(std::int64_t part, std::int64_t all) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f%%",
                all == 0 ? 0.0 : 100.0 * static_cast<double>(part) / static_cast<double>(all));
  return text;
}

/// How many of the rows with at least so much expression are called; all of them without means.
std::string summary(const io::Frame& table, const std::vector<double>& means, double least) {
  const auto& called = std::get<io::Boolean>(table.find("is_zero_inflated")->values).values;
  std::int64_t n = 0, n_called = 0;
  for (std::size_t row = 0; row < called.size(); ++row) {
    if (!means.empty() && !(means[row] > least)) continue;
    ++n;
    n_called += called[row];
  }
  return with_thousands(n_called) + " of " + with_thousands(n) + " (" + percent(n_called, n) + ")";
}

int zero_inflation(const Arguments& arguments) {
  ZeroInflationOptions options;
  CLI::App app(
      "Writes for each gene how probable it is that its zeros are more than a negative binomial explains, by a "
      "trained\n"
      "AutoZI model. With DATA, mean counts stand beside it: where they are low, the method calls too many genes.\n"
      "`scvi plot zero-inflation` draws both.",
      "zero-inflation");
  app.add_option("RUN", options.run, "the folder that `scvi train --model autozi` wrote")
      ->required()
      ->check(not_empty());
  app.add_option("DATA", options.data, kAnyCounts)->check(not_empty());
  app.add_option("--output,-o", options.output, "the table to write: .tsv, or .xlsx")->required()->check(not_empty());
  app.add_option("--threshold", options.threshold, "call a gene zero-inflated where this is more than so probable")
      ->check(number(0, 1))
      ->capture_default_str();
  add_input_options(app, options.reading);
  add_memory_option(app, options.memory);
  add_force_option(app, options.force);
  add_common_options(app, options.common);
  if (!parse(app, arguments)) return 0;
  apply(options.common);
  { const AtomicFile probe(options.output, overwrite_of(options.force)); }

  const SavedModel saved = load_model(options.run);
  const auto* model = dynamic_cast<const AutoZIVAE*>(saved.model.get());
  if (model == nullptr) {
    throw InputError(
        {.problem = "holds a model '" + saved.model->name() + "', which does not decide on zero inflation",
         .file = options.run,
         .remedy = "train one with `scvi train --model autozi`"});
  }
  const Categories categories = categories_of(*model, saved.data);
  io::NamedTable table{.name = "zero inflation",
                       .table = table_of(*model, saved.data.gene_names, categories, options.threshold)};
  std::vector<double> means;
  if (!options.data.empty()) {
    means = load_means(options, saved, categories, app.count("--layer") > 0);
    table.table.columns.push_back({.name = "mean_count", .values = means, .missing = {}});
  }
  const bool workbook = options.output.ends_with(".xlsx");
  (workbook ? io::write_xlsx : io::write_tsv)(options.output, {&table, 1}, overwrite_of(options.force));
  const std::string what = categories.column == nullptr ? "genes" : std::string("genes by ") + categories.column;
  log_info("zero-inflated: " + summary(table.table, {}, 0) + " " + what);
  if (!means.empty()) {
    log_info("of those with a mean count above 1: " + summary(table.table, means, kEnoughExpression));
  }
  log_info("wrote " + options.output);
  return 0;
}

}  // namespace

int run_zero_inflation(const Arguments& arguments) {
  return with_plain_errors(zero_inflation, arguments);
}

}  // namespace scvi::app

extern "C" int scvi_command_zero_inflation(const scvi::app::Arguments& arguments) {
  return scvi::app::run_zero_inflation(arguments);
}
