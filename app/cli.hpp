#pragma once

#include <CLI/CLI.hpp>

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "scvi/core/atomic_file.hpp"

namespace scvi::app {

/// The words after the name of the command.
using Arguments = std::vector<std::string>;

/// Options that every command has.
struct CommonOptions {
  int threads = 0;
  std::string verbosity = "info";
  bool no_progress = false;
  std::string kernel = "fused";  ///< only commands that run a model offer it
};

/// Adds --threads, --verbosity and --no-progress.
void add_common_options(CLI::App& app, CommonOptions& options);
/// Adds --kernel, which apply() puts into force, too.
void add_kernel_option(CLI::App& app, CommonOptions& options);
/// Puts them into force.
void apply(const CommonOptions& options);

/// Adds --force. What it means for an output that exists: overwrite_of(force).
void add_force_option(CLI::App& app, bool& force);
inline Overwrite overwrite_of(bool force) {
  return force ? Overwrite::replace : Overwrite::refuse;
}

/// Reads the arguments. An option given twice counts as given last.
/// @return false when only help was asked for (and printed)
/// @throws InputError naming what is wrong; an unknown option with the nearest known one
bool parse(CLI::App& app, const Arguments& arguments);

// Checks of what is typed after an option, with messages that name the option, the value and what it must be.
/// A whole number from `least` to `most`; one that does not fit 64 bits is refused, too.
CLI::Validator whole_number(std::int64_t least, std::int64_t most = std::numeric_limits<std::int64_t>::max());
/// A finite number from `least` to `most`.
CLI::Validator number(double least, double most = std::numeric_limits<double>::max());
/// A finite number larger than 0.
CLI::Validator positive_number();
/// One of these words.
CLI::Validator one_of(std::vector<std::string> words);
/// The name of a file or folder: anything but nothing.
CLI::Validator not_empty();

/// "a,b , c" as its parts, blanks trimmed.
std::vector<std::string> split_list(const std::string& text);
/// The lines of a file of that name that hold anything, or, where there is none, split_list().
std::vector<std::string> list_or_file(const std::string& text);

// The commands, each in a file of its own. They return the exit status.
int run_info(const Arguments& arguments);
int run_convert(const Arguments& arguments);
int run_prepare(const Arguments& arguments);
int run_datasets(const Arguments& arguments);
int run_simulate(const Arguments& arguments);
int run_plot(const Arguments& arguments);
int run_train(const Arguments& arguments);
int run_embed(const Arguments& arguments);
int run_annotate(const Arguments& arguments);
int run_classify(const Arguments& arguments);
int run_cluster(const Arguments& arguments);
int run_evaluate(const Arguments& arguments);
int run_normalize(const Arguments& arguments);
int run_generate(const Arguments& arguments);
int run_correlations(const Arguments& arguments);
int run_de(const Arguments& arguments);
int run_loadings(const Arguments& arguments);
int run_zero_inflation(const Arguments& arguments);
int run_report(const Arguments& arguments);
int run_run(const Arguments& arguments);

}  // namespace scvi::app
