#include "cli.hpp"
#include "counts_input.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/text.hpp"
#include "scvi/io/convert.hpp"

namespace scvi::app {

int run_convert(const Arguments& arguments) {
  std::string input;
  std::string output;
  CountsInput reading;
  bool force = false;
  CommonOptions common;
  CLI::App app(
      "Writes counts of any format as .h5ad or .loom, with their annotation. Values are not looked at.\n\n"
      "  scvi convert filtered_feature_bc_matrix.h5 cells.h5ad\n"
      "  scvi convert cells.h5ad cells.loom --layer counts\n"
      "  scvi convert counts.csv.gz cells.h5ad",
      "convert");
  app.add_option("IN", input, kAnyCounts)->required()->check(not_empty());
  app.add_option("OUT", output, "the file to write: its name ends with .h5ad or .loom")
      ->required()
      ->check(not_empty());
  add_input_options(app, reading);
  add_force_option(app, force);
  add_common_options(app, common);
  if (!parse(app, arguments)) return 0;
  apply(common);

  const io::Conversion done = io::convert_counts(input, output, open_options(reading), overwrite_of(force));
  if (!done.left_out.empty()) log_warning("not in " + output + ": " + join_some(done.left_out, 20));
  log_info("wrote " + output + ": " + with_thousands(done.n_cells) + " cells x " + with_thousands(done.n_genes) +
           " genes, from " + input + " (" + done.format + ")");
  return 0;
}

}  // namespace scvi::app
