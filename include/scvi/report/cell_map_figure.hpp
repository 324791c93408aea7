#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "scvi/io/h5ad.hpp"
#include "scvi/report/canvas.hpp"
#include "scvi/report/gene_values.hpp"

namespace scvi::report {

/// Colours by category.
struct CategoryColors {
  std::vector<std::int32_t> codes;  ///< one a cell; -1: missing
  std::vector<std::string> categories;
};
/// Colours by number.
struct NumberColors {
  std::vector<double> values;  ///< one a cell; NaN, infinite or beyond 1e100: missing
  std::string title;           ///< for the colour bar: what the numbers are
};

struct CellMapPanel {
  std::string title;
  std::variant<CategoryColors, NumberColors> colors;
};

/// Cells on a plane, shown once for each panel.
struct CellMapFigure {
  std::vector<double> x;  ///< one a cell
  std::vector<double> y;
  std::string x_title;  ///< "UMAP 1"
  std::string y_title;
  std::vector<CellMapPanel> panels;
};

struct CellMapFigureOptions {
  bool legend = true;       ///< names and sizes of categories
  bool labels = false;      ///< names of categories at the medians of their cells
  double point_radius = 0;  ///< in pixels; 0: by the number of cells
  /// Numbers above this percentile (and, where there are any below zero, beyond its counterpart) have the last
  /// colour.
  double clip_percentile = 100;
  std::uint64_t seed = 0;   ///< of the order in which cells are drawn
  double panel_size = 400;  ///< the longer side of a panel, in pixels
  int columns = 0;          ///< panels side by side; 0: up to three
};

/// Every panel shows the same cells. Categories: in random order, so that none hides another, missing ones grey and
/// below all. Numbers: the higher the later.
/// @throws InputError for no cells, coordinates that are not finite, or more than kMostCategoryColors categories
Canvas draw_cell_map(const CellMapFigure& figure, const CellMapFigureOptions& options = {});
/// The panels of several maps side by side. @throws as draw_cell_map()
Canvas draw_cell_maps(const std::vector<CellMapFigure>& figures, const CellMapFigureOptions& options = {});

/// What to show of an .h5ad file.
struct CellMapSource {
  std::string basis = "X_umap";  ///< matrix of obsm with the coordinates
  int first_axis = 0;            ///< its columns to show
  int second_axis = 1;
  /// One panel each: columns of obs, else columns of a matrix of obsm ("X_scVI:3", counted from 1), else genes.
  /// Texts, truth values, categorical columns and at most 20 different whole numbers are categories. Empty: all cells
  /// alike.
  std::vector<std::string> colors = {};
  std::string layer = {};  ///< the matrix for genes, as in H5adFile::matrix()
  ValueTransform transform = ValueTransform::log_per_ten_thousand;
  std::string gene_symbols = {};  ///< column of var, as in GeneNames
};

/// @throws InputError for what the file does not hold, coordinates that are not finite, or a column of more than
///         kMostCategoryColors categories
CellMapFigure read_cell_map(const io::H5adFile& file, const CellMapSource& source);

}  // namespace scvi::report
