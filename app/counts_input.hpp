#pragma once

#include <string>

#include "cli.hpp"
#include "scvi/io/open_counts.hpp"

namespace scvi::app {

/// How a file of counts is to be read, as typed.
struct CountsInput {
  io::OpenCountsOptions open{};
  std::string format{};
  bool gene_ids = false;
  std::string lines_are{};
  std::string separator{};
};

/// Adds --format and what the formats need to be told.
void add_input_options(CLI::App& app, CountsInput& input);
/// The same options as words, for another command.
Arguments words_of(const CountsInput& input);
/// The options, once they are parsed.
io::OpenCountsOptions open_options(const CountsInput& input);

/// For the help of a positional argument.
inline constexpr const char* kAnyCounts =
    "counts: .h5ad, .loom, 10x .h5, a folder or archive of 10x, .mtx, or a table (.csv, .tsv, compressed or not)";

}  // namespace scvi::app
