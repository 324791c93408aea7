#include <iostream>

#include "cli.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/progress.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/catalogue.hpp"
#include "scvi/dataset/write_dataset.hpp"
#include "scvi/io/convert.hpp"

namespace scvi::app {
namespace {

std::string count_text(std::int64_t count) {
  return count > 0 ? with_thousands(count) : "?";
}

std::string padded(const std::string& text, std::size_t width) {
  return text + std::string(width > text.size() ? width - text.size() : 1, ' ');
}

int list(const Arguments& arguments) {
  CommonOptions common;
  CLI::App app(
      "Lists the built-in data sets: real data that are downloaded when asked for.\n\n"
      "  scvi datasets                                 this list\n"
      "  scvi datasets show cortex                     all that is known of one (`show` may be left out)\n"
      "  scvi datasets get cortex -o cortex.h5ad       download and write it",
      "datasets");
  add_common_options(app, common);
  if (!parse(app, arguments)) return 0;
  apply(common);
  constexpr std::size_t kName = 28;
  constexpr std::size_t kOrganism = 10;
  constexpr std::size_t kSize = 22;
  std::cout << padded("name", kName) << padded("organism", kOrganism) << padded("cells x genes", kSize) << "what\n";
  for (const CatalogueEntry& entry : catalogue()) {
    const std::string size = count_text(entry.n_cells) + " x " + count_text(entry.n_genes);
    std::cout << padded(entry.name, kName) << padded(entry.organism, kOrganism) << padded(size, kSize) << entry.what
              << "\n";
  }
  return 0;
}

int show(const Arguments& arguments) {
  std::string name;
  CommonOptions common;
  CLI::App app("Says what is known of a built-in data set. Nothing is downloaded.", "datasets show");
  app.add_option("NAME", name, "one of those that `scvi datasets` lists")->required()->check(not_empty());
  add_common_options(app, common);
  if (!parse(app, arguments)) return 0;
  apply(common);
  const CatalogueEntry& entry = find_in_catalogue(name);
  std::cout << entry.name << ": " << entry.what << " (" << entry.organism << ")\n";
  if (!entry.aliases.empty()) std::cout << "  also called: " << join_some(entry.aliases) << "\n";
  std::cout << "  cells x genes: " << count_text(entry.n_cells) << " x " << count_text(entry.n_genes) << "\n";
  if (!entry.annotations.empty()) std::cout << "  comes with: " << join_some(entry.annotations, 20) << "\n";
  std::cout << "  reference: " << entry.reference << "\n";
  for (const CatalogueFile& file : entry.files) {
    std::cout << "  file: " << file.name;
    if (file.bytes > 0) std::cout << " (" << format_bytes(static_cast<double>(file.bytes)) << ")";
    std::cout << (file.url.empty() ? ", no longer published" : ", " + file.url) << "\n";
  }
  for (const CatalogueOption& option : entry.options) {
    std::cout << "  --set " << option.name << "=" << option.default_value << ": " << option.help << "\n";
  }
  return 0;
}

/// "total_genes=100" as an option of the data set.
void set_option(BuiltinDataset& dataset, const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos) {
    throw InputError({.problem = "is '" + text + "', but must be NAME=VALUE", .field = "--set"});
  }
  dataset.set(text.substr(0, equals), text.substr(equals + 1));
}

int get(const Arguments& arguments) {
  std::string name;
  std::string output;
  std::string folder;
  std::vector<std::string> settings;
  bool force = false;
  CommonOptions common;
  CLI::App app(
      "Downloads a built-in data set, unless its files are in the folder already, and writes it for `scvi train`.\n"
      "SCVI_DATASETS_MIRROR names a folder or an address to take the files from instead.\n\n"
      "  scvi datasets get cortex -o cortex.h5ad --set total_genes=1000",
      "datasets get");
  app.add_option("NAME", name, "one of those that `scvi datasets` lists")->required()->check(not_empty());
  app.add_option("--output,-o", output, "the file to write: .h5ad or .loom (default: NAME.h5ad)")->check(not_empty());
  app.add_option("--folder", folder, "where the downloaded files are kept (default: as scVI has it)")
      ->check(not_empty());
  app.add_option("--set", settings, "an option of the data set, NAME=VALUE; `scvi datasets show` lists them");
  add_force_option(app, force);
  add_common_options(app, common);
  if (!parse(app, arguments)) return 0;
  apply(common);

  BuiltinDataset builtin(name, folder);
  for (const std::string& setting : settings) set_option(builtin, setting);
  if (output.empty()) output = builtin.entry().name + ".h5ad";
  // Refuse what cannot be written before the download, not after.
  io::output_format_of(output);
  { const AtomicFile probe(output, overwrite_of(force)); }
  const auto progress = make_terminal_progress(!common.no_progress);
  const GeneExpressionDataset dataset = builtin.load(progress.get());
  write_dataset(dataset, output, overwrite_of(force));
  log_info("wrote " + output + ": " + with_thousands(dataset.nb_cells()) + " cells x " +
           with_thousands(dataset.nb_genes()) + " genes");
  return 0;
}

}  // namespace

int run_datasets(const Arguments& arguments) {
  const Arguments rest(arguments.empty() ? arguments.begin() : arguments.begin() + 1, arguments.end());
  if (!arguments.empty() && arguments.front() == "get") return get(rest);
  if (!arguments.empty() && arguments.front() == "show") return show(rest);
  if (!arguments.empty() && !arguments.front().starts_with('-')) return show(arguments);
  return list(arguments);
}

}  // namespace scvi::app
