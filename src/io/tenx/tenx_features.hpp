#pragma once

#include <string>
#include <vector>

#include "scvi/io/tenx.hpp"

namespace scvi::io {

/// What 10x files say of the lines of their matrix. Lists that a file does not have are empty.
struct TenXFeatures {
  std::vector<std::string> ids{};
  std::vector<std::string> symbols{};
  std::vector<std::string> types{};
  std::vector<std::string> genomes{};
};

/// What all 10x files come to in the end.
struct TenXParts {
  std::string path{};
  std::string format{};
  TenXFeatures features{};
  std::vector<std::string> barcodes{};     ///< empty where there are none
  std::unique_ptr<MatrixReader> matrix{};  ///< cells x all features
};

/// Parts the features into genes and tables. @throws FormatError when the parts do not fit each other
CountFile assemble_tenx(TenXParts parts, const TenXOptions& options);

}  // namespace scvi::io
