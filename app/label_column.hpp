#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/io/count_file.hpp"
#include "scvi/loader/split.hpp"

namespace scvi::app {

/// The labels that a command learns from, as typed.
struct LabelColumn {
  std::string file;        ///< of counts
  std::string key;         ///< obs column
  std::string unlabelled;  ///< the value that says that a label is not known; "": only an empty one does
};

/// @throws InputError when no cell has the value that stands for none
void check_unlabelled(const LabelColumn& column, const io::CountFile& file);

/// @throws InputError where no cell has a label, or all have the same
void check_labels(const LabelColumn& column, const GeneExpressionDataset& dataset);

/// The split of a classifier, which has use for cells with a label alone; the others are in no set.
/// @param given by the user, else split_by_label() is asked
/// @throws InputError when no cell that trains has a label
Split labelled_split(std::optional<Split> given, const SplitOptions& options,
                     const std::vector<std::int64_t>& labels);

}  // namespace scvi::app
