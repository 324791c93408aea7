#pragma once

#include <string>

#include "scvi/core/atomic_file.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi {

/// Writes a posterior with its model and its data, a folder that appears whole or not at all: `model` as save_model()
/// makes it, `data.h5ad` (and `corrupted.h5ad` where the data set has corrupted counts), and `posterior.json` with
/// the indices and options. Counts on disk are copied in blocks. What stays behind: recorded noise, progress, and
/// versions of the counts but these two.
/// @throws InputError when the folder exists and must not be replaced
void save_posterior(const Posterior& posterior, const std::string& folder, Overwrite overwrite = Overwrite::refuse);

/// Reads such a folder, with the model on the CPU and the counts in memory. Its results have the same bits as those
/// of the posterior that was saved. Genes or cells that had no names are named by their numbers, and later ones of
/// the same name get suffixes.
/// @throws InputError when the folder holds no posterior, FormatError when it is damaged or of a newer format
Posterior load_posterior(const std::string& folder);

}  // namespace scvi
