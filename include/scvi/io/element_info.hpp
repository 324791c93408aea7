#pragma once

#include <string>

namespace scvi::io {

/// One element of a file as `scvi info` lists it.
struct ElementInfo {
  std::string path;         ///< "obsm/X_pca"
  std::string description;  ///< "dense float32 (450, 50)", "categorical, 3 categories", "csr float32 ..."
};

}  // namespace scvi::io
