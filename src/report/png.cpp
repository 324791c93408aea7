#include <algorithm>
#include <cmath>
#include <numbers>

#include "cairo_handles.hpp"
#include "dot_pixels.hpp"
#include "embedded_png.hpp"
#include "scvi/core/error.hpp"
#include "scvi/report/save_figure.hpp"
#include "scvi/report/ticks.hpp"

namespace scvi::report {
namespace {

constexpr double kPixelsPerInch = 96;
constexpr double kMostPixels = 2e8;
constexpr double kLongestSide = 32767;  // of a cairo image
constexpr double kHaloWidth = 3;

struct Size {
  std::int64_t width;
  std::int64_t height;
};

Size size_of(const Canvas& canvas, double dpi) {
  const double width = std::round(canvas.width() * dpi / kPixelsPerInch);
  const double height = std::round(canvas.height() * dpi / kPixelsPerInch);
  const bool fits = dpi > 0 && width * height <= kMostPixels && std::max(width, height) <= kLongestSide;
  if (!fits || width < 1 || height < 1) {
    throw InputError(
        {.problem = "makes a picture of " + short_number(width, 7) + " x " + short_number(height, 7) + " pixels",
         .field = "a resolution of " + short_number(dpi, 7) + " dots per inch",
         .remedy = "choose another, or .svg, which has none"});
  }
  return {static_cast<std::int64_t>(width), static_cast<std::int64_t>(height)};
}

/// Draws shapes with cairo.
class Painter {
 public:
  Painter(cairo_surface_t* surface, double scale)
      : surface_(surface), context_(cairo_create(surface)), scale_(scale) {
    cairo_t* c = context_.get();
    cairo_scale(c, scale, scale);
    set(kWhite);
    cairo_paint(c);
    cairo_set_line_join(c, CAIRO_LINE_JOIN_ROUND);
  }

  void operator()(const Line& line) {
    trace(line.points);
    stroke(line.stroke);
  }
  void operator()(const Polygon& polygon) {
    trace(polygon.points);
    cairo_close_path(context_.get());
    set(polygon.fill);
    cairo_fill(context_.get());
  }
  void operator()(const Box& box) {
    cairo_t* c = context_.get();
    // Tiles side by side must not show what is between them.
    cairo_set_antialias(c, box.stroke ? CAIRO_ANTIALIAS_DEFAULT : CAIRO_ANTIALIAS_NONE);
    cairo_new_path(c);
    cairo_rectangle(c, box.area.x, box.area.y, box.area.width, box.area.height);
    fill_and_stroke(box.fill, box.stroke);
    cairo_set_antialias(c, CAIRO_ANTIALIAS_DEFAULT);
  }
  void operator()(const Circle& circle) {
    cairo_new_path(context_.get());
    cairo_arc(context_.get(), circle.center.x, circle.center.y, circle.radius, 0, 2 * std::numbers::pi);
    fill_and_stroke(circle.fill, circle.stroke);
  }
  void operator()(const Text& text) {
    cairo_t* c = context_.get();
    const TextStyle& style = text.style;
    choose_font(c, style);
    const double width = measured_width(text.text, style);
    cairo_save(c);
    cairo_translate(c, text.at.x, text.at.y);
    cairo_rotate(c, -style.rotation * std::numbers::pi / 180);
    cairo_move_to(c, style.anchor == Anchor::start ? 0 : style.anchor == Anchor::middle ? -width / 2 : -width, 0);
    if (style.halo) {
      cairo_text_path(c, text.text.c_str());
      set(kWhite);
      cairo_set_line_width(c, kHaloWidth);
      cairo_stroke_preserve(c);
      set(style.color);
      cairo_fill(c);
    } else {
      set(style.color);
      cairo_show_text(c, text.text.c_str());
    }
    cairo_restore(c);
  }
  void operator()(const Dots& dots) {
    cairo_surface_flush(surface_);
    const auto pixel = [&](double at, int most) {
      return static_cast<std::int64_t>(std::clamp(std::round(at * scale_), 0.0, static_cast<double>(most)));
    };
    const int width = cairo_image_surface_get_width(surface_), height = cairo_image_surface_get_height(surface_);
    stamp_dots({.pixels = reinterpret_cast<std::uint32_t*>(cairo_image_surface_get_data(surface_)),
                .stride = cairo_image_surface_get_stride(surface_) / 4,
                .left = pixel(dots.area.x, width),
                .top = pixel(dots.area.y, height),
                .right = pixel(dots.area.right(), width),
                .bottom = pixel(dots.area.bottom(), height)},
               dots.dots, dots.radius, scale_, {0, 0});
    cairo_surface_mark_dirty(surface_);
  }
  void operator()(const Image& image) {
    cairo_t* c = context_.get();
    const CairoSurface pixels = surface_of(image);
    cairo_save(c);
    cairo_translate(c, image.area.x, image.area.y);
    cairo_scale(c, image.area.width / static_cast<double>(image.width),
                image.area.height / static_cast<double>(image.height));
    cairo_set_source_surface(c, pixels.get(), 0, 0);
    cairo_pattern_set_filter(cairo_get_source(c), CAIRO_FILTER_NEAREST);
    cairo_new_path(c);
    cairo_rectangle(c, 0, 0, static_cast<double>(image.width), static_cast<double>(image.height));
    cairo_fill(c);
    cairo_restore(c);
  }
  void operator()(const Clip& clip) {
    cairo_save(context_.get());
    cairo_new_path(context_.get());
    cairo_rectangle(context_.get(), clip.area.x, clip.area.y, clip.area.width, clip.area.height);
    cairo_clip(context_.get());
  }
  void operator()(const Unclip&) { cairo_restore(context_.get()); }

  static CairoSurface surface_of(const Image& image);

 private:
  cairo_surface_t* surface_;
  CairoContext context_;
  double scale_;

  void set(Color color) {
    cairo_set_source_rgba(context_.get(), color.red / 255.0, color.green / 255.0, color.blue / 255.0,
                          color.alpha / 255.0);
  }
  void trace(const std::vector<Point>& points) {
    // A text leaves a point behind from which a line would go on.
    cairo_new_path(context_.get());
    for (const Point& point : points) cairo_line_to(context_.get(), point.x, point.y);
  }
  void stroke(const Stroke& stroke) {
    constexpr double kDashes[] = {4, 3};
    set(stroke.color);
    cairo_set_line_width(context_.get(), stroke.width);
    cairo_set_dash(context_.get(), kDashes, stroke.dashed ? 2 : 0, 0);
    cairo_stroke(context_.get());
    cairo_set_dash(context_.get(), nullptr, 0, 0);
  }
  void fill_and_stroke(const std::optional<Color>& fill, const std::optional<Stroke>& edge) {
    if (fill) {
      set(*fill);
      cairo_fill_preserve(context_.get());
    }
    if (edge) stroke(*edge);
    cairo_new_path(context_.get());
  }
};

CairoSurface Painter::surface_of(const Image& image) {
  CairoSurface surface = image_surface(CAIRO_FORMAT_ARGB32, image.width, image.height);
  const std::int64_t stride = cairo_image_surface_get_stride(surface.get()) / 4;
  auto* pixels = reinterpret_cast<std::uint32_t*>(cairo_image_surface_get_data(surface.get()));
  for (std::int64_t i = 0; i < image.width * image.height; ++i) {
    const Color color = image.pixels[i];
    const auto part = [&](std::uint32_t channel) { return channel * color.alpha / 255; };
    pixels[i / image.width * stride + i % image.width] = static_cast<std::uint32_t>(color.alpha) << 24 |
                                                         part(color.red) << 16 | part(color.green) << 8 |
                                                         part(color.blue);
  }
  cairo_surface_mark_dirty(surface.get());
  return surface;
}

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
  return bytes;
}

/// The check sum of a chunk (PNG specification, annex D).
std::uint32_t crc_of(const std::string& bytes) {
  std::uint32_t crc = 0xFFFFFFFFU;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int i = 0; i < 8; ++i) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
  }
  return ~crc;
}

/// A .png that says how large it is in print, in a chunk behind its header.
std::string with_resolution(std::string png, double dpi) {
  constexpr std::size_t kHeaderEnd = 33;
  constexpr double kInchesPerMetre = 1 / 0.0254;
  const std::string density = big_endian(static_cast<std::uint32_t>(std::lround(dpi * kInchesPerMetre)));
  const std::string chunk = "pHYs" + density + density + '\1';
  return png.insert(kHeaderEnd, big_endian(9) + chunk + big_endian(crc_of(chunk)));
}

}  // namespace

std::string png_of(const Canvas& canvas, double dpi) {
  const Size size = size_of(canvas, dpi);
  const CairoSurface surface = image_surface(CAIRO_FORMAT_RGB24, size.width, size.height);
  {
    Painter painter(surface.get(), dpi / kPixelsPerInch);
    for (const Shape& shape : canvas.shapes()) std::visit(painter, shape);
  }
  return with_resolution(png_bytes(surface.get()), dpi);
}

std::string embedded_png(const Image& image) {
  return png_bytes(Painter::surface_of(image).get());
}

std::string embedded_png(const Dots& dots, double dpi) {
  const double scale = dpi / kPixelsPerInch;
  const Canvas page(dots.area.width, dots.area.height);
  const Size size = size_of(page, dpi);
  const CairoSurface surface = image_surface(CAIRO_FORMAT_ARGB32, size.width, size.height);
  stamp_dots({.pixels = reinterpret_cast<std::uint32_t*>(cairo_image_surface_get_data(surface.get())),
              .stride = cairo_image_surface_get_stride(surface.get()) / 4,
              .left = 0,
              .top = 0,
              .right = size.width,
              .bottom = size.height},
             dots.dots, dots.radius, scale, {dots.area.x, dots.area.y});
  cairo_surface_mark_dirty(surface.get());
  return png_bytes(surface.get());
}

}  // namespace scvi::report
