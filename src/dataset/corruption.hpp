#pragma once

#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi::dataset_detail {

/// A damaged copy of the counts. @throws InputError unless the rate is in [0, 1]
CountMatrix corrupted_copy(const CountMatrix& counts, const CorruptOptions& options);
/// The same with given draws. @throws InputError when they do not fit the counts
CountMatrix corrupted_copy(const CountMatrix& counts, Corruption corruption, const CorruptionDraws& draws);

}  // namespace scvi::dataset_detail
