#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

/// Names made different as anndata does it: the first of several equal ones stays, the others get "-1", "-2", ..., or
/// the next number that is free.
std::vector<std::string> make_names_unique(std::vector<std::string> names);

/// Names that occur more than once, each listed once, in order of appearance.
std::vector<std::string> repeated_names(const std::vector<std::string>& names);

/// Where each of the `wanted` genes stands among the `available` ones. Surplus genes are passed over with a log line.
/// @throws InputError when genes are missing, with how many and which, or when a wanted name stands there twice
std::vector<std::int64_t> align_genes(const std::vector<std::string>& available,
                                      const std::vector<std::string>& wanted);

/// Brings a data set to the genes of a trained model, in its order. Cells stay, even those that become empty.
/// @throws InputError as above
void align_genes(GeneExpressionDataset& dataset, const std::vector<std::string>& wanted);

}  // namespace scvi
