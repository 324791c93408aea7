#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scvi/report/canvas.hpp"

namespace scvi::report {

/// What a model decided on genes, in all cells or in those of one batch or label.
struct ZeroInflationGroup {
  std::string name;  ///< the batch or label; "" for all cells
  std::vector<std::string> genes;
  std::vector<double> probability;   ///< of being zero-inflated
  std::vector<std::uint8_t> called;  ///< 1: called zero-inflated
  std::vector<double> mean_count;    ///< NaN where there is no cell; empty when the table does not have it
};

/// A table of `scvi zero-inflation`.
struct ZeroInflationTable {
  std::vector<ZeroInflationGroup> groups;
};

/// Below this mean count, the authors of the method say, calls are less certain.
inline constexpr double kEnoughExpression = 1;

/// Reads the .tsv that `scvi zero-inflation` writes. @throws FormatError when it lacks its columns, IoError
ZeroInflationTable read_zero_inflation(const std::string& path);

struct ZeroInflationFigureOptions {
  std::int64_t n_labels = 10;  ///< genes to name in a panel, as far as there is room
  int columns = 0;             ///< panels side by side; 0: up to three
};

inline constexpr std::int64_t kMostZeroInflationGroups = 60;

/// How many genes have which probability, and, where mean counts are known, the probability of each gene against its
/// mean count, a panel a group; called genes in colour. The called genes with the highest means are named.
/// @throws InputError for no genes or more than kMostZeroInflationGroups groups
Canvas draw_zero_inflation(const ZeroInflationTable& table, const ZeroInflationFigureOptions& options = {});

}  // namespace scvi::report
