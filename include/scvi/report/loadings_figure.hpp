#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "scvi/report/canvas.hpp"

namespace scvi::report {

/// One factor of a linear decoder.
struct Factor {
  std::string name;             ///< "Z_0"
  std::vector<double> loading;  ///< one a gene: what a step along the factor adds to its log frequency
};

/// A table of `scvi loadings`.
struct LoadingsTable {
  std::vector<std::string> genes;
  std::vector<Factor> factors;
};

/// Reads the .tsv that `scvi loadings` writes.
/// @throws FormatError when it holds other than a number for each gene and factor, IoError
LoadingsTable read_loadings(const std::string& path);

/// The positions of the `n` genes with the highest loadings, the highest first, and then of the `n` with the lowest,
/// the lowest last. No gene twice: of few genes there are fewer at either end.
std::vector<std::size_t> extreme_genes(const Factor& factor, std::int64_t n);

struct LoadingsFigureOptions {
  std::int64_t n_genes = 5;  ///< at either end of a factor
  int columns = 0;           ///< panels side by side; 0: up to five
};

inline constexpr std::int64_t kMostExtremeGenes = 50;  ///< at either end of a factor
inline constexpr std::int64_t kMostFactors = 100;

/// The genes at the two ends of each factor as bars, a panel a factor, all on one scale.
/// @throws InputError for no genes, no factors, more than kMostFactors, or n_genes not in [1, kMostExtremeGenes]
Canvas draw_loadings(const LoadingsTable& table, const LoadingsFigureOptions& options = {});

}  // namespace scvi::report
