#pragma once

#include <string>

#include "scvi/core/atomic_file.hpp"
#include "scvi/report/canvas.hpp"

namespace scvi::report {

inline constexpr double kDefaultDpi = 200;

enum class FigureFormat { svg, png };

/// By the ending of a path. @throws InputError when it is neither .svg nor .png
FigureFormat figure_format_of(const std::string& path);

/// A whole .svg document: shapes and text (in DejaVu Sans or what resembles it), and an image for what are too many
/// points. The same canvas gives the same bytes.
/// @param dpi dots per inch of that image
std::string svg_of(const Canvas& canvas, double dpi = kDefaultDpi);

/// A whole .png file of round(width * dpi / 96) x round(height * dpi / 96) pixels.
/// @throws InputError for a resolution that is not positive or makes more than 200 million pixels
std::string png_of(const Canvas& canvas, double dpi = kDefaultDpi);

/// Writes the canvas as the ending of `path` says. The file appears whole or not at all.
/// @throws as figure_format_of() and png_of(); InputError when it exists and must not be replaced; IoError
void save_figure(const std::string& path, const Canvas& canvas, Overwrite overwrite, double dpi = kDefaultDpi);

}  // namespace scvi::report
