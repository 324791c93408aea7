#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli.hpp"
#include "counts_input.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/io/h5ad.hpp"

namespace scvi::app {

// What commands share that write numbers for cells and genes.

/// What each of them is told.
struct ExpressionCommand {
  std::string run;
  std::string data;
  std::string output;
  std::string genes;
  std::string transform_batch;
  CountsInput reading;
  std::string memory;
  std::int64_t batch_size = 128;
  std::uint64_t seed = 0;
  std::string device = "auto";
  bool force = false;
  CommonOptions common;
};

/// RUN, DATA, --output, --genes and --transform-batch.
/// @param output what the file may be
/// @param transform_batch what --transform-batch does
void add_expression_options(CLI::App& app, ExpressionCommand& command, const std::string& output,
                            const std::string& transform_batch);
/// How counts are read, what is computed with, and what every command has.
void add_computing_options(CLI::App& app, ExpressionCommand& command);

/// ".h5ad" of "OUT.h5ad".
std::string ending_of(const std::string& path);

/// The batches that an option lists, "a,b" or "all"; none for "".
/// @throws InputError naming the option for one that the model does not know
std::vector<std::int64_t> batch_positions(const std::string& text, const std::vector<std::string>& names,
                                          const char* option);

/// The genes that --genes lists, "a,b" or a file with one a line; none for "".
/// @throws InputError for one that the model does not know, or that is named twice
std::vector<std::int64_t> gene_positions(const std::string& text, const std::vector<std::string>& names);

/// The names at these positions; all where there are none.
std::vector<std::string> names_at(const std::vector<std::int64_t>& positions, const std::vector<std::string>& names);

/// Names of the rows and columns of a table, and what its upper left corner says.
struct TableNames {
  std::string corner;
  std::vector<std::string> rows;
  std::vector<std::string> columns;
};

/// Writes numbers as text, separated by commas where the name ends in .csv, else by tabs.
void write_number_table(const std::string& path, const TableNames& names, const io::DenseRows& rows,
                        Overwrite overwrite);

}  // namespace scvi::app
