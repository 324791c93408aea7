#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "scvi/dataset/gene_selection.hpp"

namespace scvi::dataset_detail {

/// The cells of each batch that has at least two. @throws InputError when there is none
std::vector<std::vector<std::int64_t>> usable_batches(std::span<const std::int64_t> batch_of_cell,
                                                      std::int64_t n_batches);

/// Marks the first `n` genes of an order. @return those genes, in increasing order
std::vector<std::int64_t> mark_first(HighlyVariableGenes& found, std::vector<std::int64_t> order, std::int64_t n);

// The modes. `batches` holds the cells of each batch that counts on its own, at least two in each.
using Batches = std::vector<std::vector<std::int64_t>>;
HighlyVariableGenes select_by_dispersion(const CountMatrix& counts, const Batches& batches,
                                         const HighlyVariableGenesOptions& options);
HighlyVariableGenes select_by_standardised_variance(const CountMatrix& counts, const Batches& batches,
                                                    const HighlyVariableGenesOptions& options);
/// The same as scVI 0.6.3 computes it. @see HighlyVariableGenesOptions::reference_0_6_3
HighlyVariableGenes select_like_reference(const CountMatrix& counts, const Batches& batches,
                                          const HighlyVariableGenesOptions& options);

/// Median; of the two in the middle the mean. NaN for no value. @pre no NaN
double median(std::vector<double> values);

}  // namespace scvi::dataset_detail
