#pragma once

#include <string>
#include <vector>

#include "cli.hpp"

namespace scvi::app {

/// Runs `scvi` with these words, the command first, as if they had been typed. @throws as the command does
int run_command(const Arguments& words);

/// The words as a line that a shell reads as the same words: "scvi train 'my cells.h5ad'".
std::string command_line(const Arguments& words);

/// Says what is done (a title, if any, and the command), then does it. @throws as the command does, InputError when
/// it does not succeed
void run_step(const std::string& title, const Arguments& words);

/// Metrics that a model can be scored by, given what it was trained with.
std::string score_names(bool has_batches, bool has_labels);

/// Whether a column of obs in an .h5ad file has two groups that are large enough to be compared.
bool has_groups(const std::string& path, const std::string& column);

/// Whether a file is an .h5ad with a map in obsm and a column of obs.
bool has_map(const std::string& path, const std::string& basis, const std::string& column);

}  // namespace scvi::app
