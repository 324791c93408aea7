#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace scvi::report {

/// One comparison of two groups of cells, a gene each.
struct Comparison {
  std::string name;  ///< the group (or "category/group") that was compared; "" when the table names none
  std::vector<std::string> genes;
  std::vector<double> change;        ///< log2 fold change
  std::vector<double> bayes_factor;  ///< natural log odds that the gene differs
  std::vector<double> probability;   ///< that it differs
  std::vector<std::uint8_t> called;  ///< 1: called different
};

/// A table of `scvi de`.
struct DifferentialTable {
  std::vector<Comparison> comparisons;
  std::string change_title;
  std::string call_title;  ///< how genes were called: "false discovery rate 0.05"
};

/// Reads the .tsv that `scvi de` writes. Vanilla tables have no change of their own: it is log2(scale1 / scale2);
/// their probability and Bayes factor are those of the likelier direction; genes with a Bayes factor above 3 are
/// called.
/// @throws FormatError when it lacks the columns that `scvi de` writes, IoError
DifferentialTable read_differential_table(const std::string& path);

/// The table with one of its comparisons alone. @throws InputError for an unknown name, with the nearest
DifferentialTable with_comparison(const DifferentialTable& table, const std::string& name, const std::string& file);

/// Genes that mark a group.
struct Markers {
  std::string group;
  std::vector<std::string> genes;
};

/// The first `n` genes of each comparison that are higher in its group, in the order of the table; no gene twice.
std::vector<Markers> top_markers(const DifferentialTable& table, std::int64_t n);

}  // namespace scvi::report
