#pragma once

#include <string>
#include <vector>

#include "cli.hpp"
#include "counts_input.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/posterior/annotation.hpp"

namespace scvi::app {

/// What may be done with labels that were told, and where. `scvi annotate` and `scvi classify` share it.
struct ToldLabelsOutput {
  std::string path;                ///< .h5ad: a copy of the data; .tsv or .xlsx: a table of the cells
  std::string key = "scvi_label";  ///< column of the label; KEY_probability and KEY_margin follow it
  bool force = false;
};

/// Adds --output, --key and --force.
void add_told_labels_options(CLI::App& app, ToldLabelsOutput& output);
/// Refuses what cannot be written, before the work. @throws InputError
void check_output(const ToldLabelsOutput& output);

/// Writes the label of every cell, its probability and its margin over the second one (where they are told).
/// @param label_names per label
/// @param data the file that the cells were read from
void write_told_labels(const ToldLabels& told, const std::vector<std::string>& label_names,
                       const GeneExpressionDataset& dataset, const std::string& data, const CountsInput& reading,
                       const ToldLabelsOutput& output);

}  // namespace scvi::app
