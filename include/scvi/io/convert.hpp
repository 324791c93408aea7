#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scvi/core/atomic_file.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/io/open_counts.hpp"

namespace scvi::io {

/// What became of a file that was converted.
struct Conversion {
  std::string format{};  ///< of the input, in words
  std::int64_t n_cells = 0;
  std::int64_t n_genes = 0;
  /// What the output does not hold, for a person to read: "obsp/distances".
  std::vector<std::string> left_out{};
};

/// The formats that convert_counts() writes, by the ending of the name: ".h5ad", ".loom".
/// @throws InputError for another ending
CountFormat output_format_of(const std::string& path);

/// Writes counts of any format as .h5ad or .loom, by the ending of `output`, with annotation and tables. Counts go
/// through memory in the blocks in which their reader gives them; their values are not looked at. Where names clash
/// or hold slashes, which neither format allows, those of columns and tables are changed. An .h5ad that becomes .h5ad
/// (without another layer being asked for) is copied whole.
/// The output appears whole or not at all.
Conversion convert_counts(const std::string& input, const std::string& output, const OpenCountsOptions& options = {},
                          Overwrite overwrite = Overwrite::refuse);

/// A copy of counts of any format as .h5ad with additions, as copy_h5ad_with() makes it of an .h5ad.
void copy_counts_with(const std::string& input, const std::string& output, const H5adAdditions& additions,
                      const OpenCountsOptions& options, Overwrite overwrite);

}  // namespace scvi::io
