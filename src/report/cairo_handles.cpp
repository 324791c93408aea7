#include "cairo_handles.hpp"

#include "scvi/core/error.hpp"

namespace scvi::report {
namespace {

constexpr const char* kFont = "DejaVu Sans";

void check(cairo_status_t status, const char* field) {
  if (status == CAIRO_STATUS_SUCCESS) return;
  throw IoError({.problem = cairo_status_to_string(status), .field = field});
}

cairo_status_t append_bytes(void* closure, const unsigned char* data, unsigned int length) {
  static_cast<std::string*>(closure)->append(reinterpret_cast<const char*>(data), length);
  return CAIRO_STATUS_SUCCESS;
}

}  // namespace

void choose_font(cairo_t* context, const TextStyle& style) {
  cairo_select_font_face(context, kFont, CAIRO_FONT_SLANT_NORMAL,
                         style.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
  cairo_set_font_size(context, style.size);
  cairo_font_options_t* options = cairo_font_options_create();
  cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
  cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
  cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
  cairo_set_font_options(context, options);
  cairo_font_options_destroy(options);
}

double measured_width(const std::string& text, const TextStyle& style) {
  thread_local const CairoSurface surface = image_surface(CAIRO_FORMAT_A8, 1, 1);
  thread_local const CairoContext context(cairo_create(surface.get()));
  choose_font(context.get(), style);
  cairo_text_extents_t extents;
  cairo_text_extents(context.get(), text.c_str(), &extents);
  check(cairo_status(context.get()), "the font");
  return extents.x_advance;
}

CairoSurface image_surface(cairo_format_t format, std::int64_t width, std::int64_t height) {
  CairoSurface surface(cairo_image_surface_create(format, static_cast<int>(width), static_cast<int>(height)));
  check(cairo_surface_status(surface.get()), "the pixels of a figure");
  return surface;
}

std::string png_bytes(cairo_surface_t* surface) {
  std::string bytes;
  check(cairo_surface_write_to_png_stream(surface, append_bytes, &bytes), "the .png");
  return bytes;
}

}  // namespace scvi::report
