#include "counts_input.hpp"

namespace scvi::app {

void add_input_options(CLI::App& app, CountsInput& input) {
  const char* group = "How the input is read";
  app.add_option("--format", input.format,
                 "what the input is, where that is not seen from its content: h5ad, loom, 10x_h5, 10x, mtx, text")
      ->check(one_of(io::count_format_names()))
      ->group(group);
  app.add_option("--layer", input.open.layer, "of .h5ad and .loom: the matrix to read (X, raw, or a layer)")
      ->group(group);
}

io::OpenCountsOptions open_options(const CountsInput& input) {
  io::OpenCountsOptions options = input.open;
  if (!input.format.empty()) options.format = io::parse_count_format(input.format);
  return options;
}

}  // namespace scvi::app
