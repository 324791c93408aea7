#pragma once

// What is ours of cairo: handles that close themselves, its fonts, and its .png writer.

#include <cairo.h>

#include <memory>
#include <string>

#include "scvi/report/canvas.hpp"

namespace scvi::report {

struct CairoDeleter {
  void operator()(cairo_t* context) const { cairo_destroy(context); }
  void operator()(cairo_surface_t* surface) const { cairo_surface_destroy(surface); }
};
using CairoContext = std::unique_ptr<cairo_t, CairoDeleter>;
using CairoSurface = std::unique_ptr<cairo_surface_t, CairoDeleter>;

/// Chooses the font of a text, unhinted: lengths are the same at any resolution.
void choose_font(cairo_t* context, const TextStyle& style);

/// @pre the text is valid UTF-8
double measured_width(const std::string& text, const TextStyle& style);

/// @throws IoError when there is no memory for so many pixels
CairoSurface image_surface(cairo_format_t format, std::int64_t width, std::int64_t height);

/// The surface as a .png file.
std::string png_bytes(cairo_surface_t* surface);

}  // namespace scvi::report
