#pragma once

#include <string>

#include "scvi/report/canvas.hpp"
#include "scvi/report/gene_values.hpp"

namespace scvi::report {

/// What is done to the means of each gene over the groups before they are coloured.
enum class Standardization {
  none,
  z_score,  ///< minus their mean, divided by their standard deviation
  range,    ///< from 0, the lowest group, to 1, the highest
};
/// "none", "z-score" or "range". @throws InputError for anything else
Standardization parse_standardization(const std::string& name);

struct ExpressionFigureOptions {
  Standardization standardization = Standardization::none;
  bool genes_are_rows = false;
  bool group_colors = true;  ///< a strip with the colours that the groups have on the map of cells
};

/// Means by groups and genes as coloured tiles.
/// @throws InputError for no groups, no genes, more than kMostGenes, or more than kMostGroups
Canvas draw_heat_map(const GroupExpression& expression, const ExpressionFigureOptions& options = {});

/// Discs whose area says which part of the cells of a group express a gene, their colour how strongly on average.
/// @throws as draw_heat_map()
Canvas draw_dot_plot(const GroupExpression& expression, const ExpressionFigureOptions& options = {});

inline constexpr std::int64_t kMostGenes = 1000;
inline constexpr std::int64_t kMostGroups = 200;

}  // namespace scvi::report
