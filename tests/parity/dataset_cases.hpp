#pragma once

#include <string>
#include <vector>

#include "scvi/io/hdf5.hpp"

namespace scvi::parity {

/// A result of the data layer beside what the reference has there.
struct DatasetQuantity {
  std::string path;
  double deviation;  ///< the largest; infinite when the shapes differ, or names do
  double allowed;
};

/// Replays dataset_preprocessing: every group of /expected but train_test_validation, which needs a higher room.
/// @param sparse hold the counts as CSR instead of dense
std::vector<DatasetQuantity> replay_dataset_operations(const io::Hdf5File& file, bool sparse);

/// Replays a case of gene selection (hvg_*).
std::vector<DatasetQuantity> replay_gene_selection(const io::Hdf5File& file, bool sparse);

}  // namespace scvi::parity
