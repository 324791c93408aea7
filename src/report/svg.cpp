#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>

#include "embedded_png.hpp"
#include "scvi/report/save_figure.hpp"

namespace scvi::report {
namespace {

/// A hundredth of a pixel is more than anyone sees.
std::string number(double value) {
  std::array<char, 64> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value, std::chars_format::fixed, 2);
  std::string text(buffer.data(), end.ptr);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') text.pop_back();
  return text == "-0" ? "0" : text;
}

std::string attribute(const char* name, double value) {
  return std::string(" ") + name + "=\"" + number(value) + "\"";
}

std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    switch (c) {
      case '&':
        result += "&amp;";
        break;
      case '<':
        result += "&lt;";
        break;
      case '>':
        result += "&gt;";
        break;
      case '"':
        result += "&quot;";
        break;
      default:
        result += c;
    }
  }
  return result;
}

std::string hex(Color color) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text = "#";
  for (const std::uint8_t value : {color.red, color.green, color.blue}) {
    text += kDigits[value >> 4];
    text += kDigits[value & 15];
  }
  // "#aabbcc" is "#abc".
  if (text[1] == text[2] && text[3] == text[4] && text[5] == text[6]) return {'#', text[1], text[3], text[5]};
  return text;
}

std::string paint(const char* what, const std::optional<Color>& color) {
  if (!color) return std::string(" ") + what + "=\"none\"";
  std::string text = std::string(" ") + what + "=\"" + hex(*color) + "\"";
  if (color->alpha < 255) text += attribute((std::string(what) + "-opacity").c_str(), color->alpha / 255.0);
  return text;
}

std::string painted(const std::optional<Stroke>& stroke) {
  if (!stroke) return "";
  std::string text = paint("stroke", stroke->color);
  if (stroke->width != 1) text += attribute("stroke-width", stroke->width);
  if (stroke->dashed) text += " stroke-dasharray=\"4 3\"";
  return text;
}

std::string area_of(const Rect& area) {
  return attribute("x", area.x) + attribute("y", area.y) + attribute("width", area.width) +
         attribute("height", area.height);
}

std::string path_of(const std::vector<Point>& points) {
  std::string path;
  for (const Point& point : points) {
    path += (path.empty() ? "M" : "L") + number(point.x) + " " + number(point.y);
  }
  return path;
}

std::string base64(const std::string& bytes) {
  constexpr const char* kLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  text.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    std::uint32_t word = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      word = word << 8 | (i + j < bytes.size() ? static_cast<std::uint8_t>(bytes[i + j]) : 0);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? kLetters[word >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

/// Writes shapes as elements of SVG.
class Writer {
 public:
  explicit Writer(double dpi) : dpi_(dpi) {}

  void operator()(const Line& line) {
    text_ += "<path fill=\"none\" d=\"" + path_of(line.points) + "\" stroke-linejoin=\"round\"" +
             painted(line.stroke) + "/>\n";
  }
  void operator()(const Polygon& polygon) {
    text_ += "<path d=\"" + path_of(polygon.points) + "Z\"" + paint("fill", polygon.fill) + "/>\n";
  }
  void operator()(const Box& box) {
    // Tiles side by side must not show what is between them.
    const char* crisp = box.stroke ? "" : " shape-rendering=\"crispEdges\"";
    text_ += "<rect" + area_of(box.area) + crisp + paint("fill", box.fill) + painted(box.stroke);
    close("rect", box.title);
  }
  void operator()(const Circle& circle) {
    text_ += "<circle" + attribute("cx", circle.center.x) + attribute("cy", circle.center.y) +
             attribute("r", circle.radius) + paint("fill", circle.fill) + painted(circle.stroke);
    close("circle", circle.title);
  }
  void operator()(const Text& text) {
    const TextStyle& style = text.style;
    text_ += "<text" + attribute("x", text.at.x) + attribute("y", text.at.y) + attribute("font-size", style.size);
    if (style.bold) text_ += " font-weight=\"bold\"";
    if (style.anchor != Anchor::start) {
      text_ += std::string(" text-anchor=\"") + (style.anchor == Anchor::middle ? "middle" : "end") + "\"";
    }
    if (style.rotation != 0) {
      text_ += " transform=\"rotate(" + number(-style.rotation) + " " + number(text.at.x) + " " + number(text.at.y) +
               ")\"";
    }
    if (style.halo) text_ += " stroke=\"#fff\" stroke-width=\"3\" stroke-linejoin=\"round\" paint-order=\"stroke\"";
    text_ += paint("fill", style.color) + ">";
    if (!text.title.empty()) text_ += "<title>" + escaped(text.title) + "</title>";
    text_ += escaped(text.text) + "</text>\n";
  }
  void operator()(const Dots& dots) {
    if (std::ssize(dots.dots) > kMostVectorDots) return embed(dots.area, embedded_png(dots, dpi_), "");
    (*this)(Clip{dots.area});
    const std::string radius = attribute("r", dots.radius);
    const Dot* before = nullptr;
    for (const Dot& dot : dots.dots) {
      if (!before || before->color != dot.color) {
        text_ += (before ? "</g>\n<g" : "<g") + paint("fill", dot.color) + ">\n";
      }
      text_ += "<circle" + attribute("cx", dot.x) + attribute("cy", dot.y) + radius + "/>\n";
      before = &dot;
    }
    if (before) text_ += "</g>\n";
    (*this)(Unclip{});
  }
  void operator()(const Image& image) {
    embed(image.area, embedded_png(image), " style=\"image-rendering:pixelated\"");
  }
  void operator()(const Clip& clip) {
    // An inner svg cuts off by itself and, other than a clipPath, needs no name, which another figure of a page might
    // have.
    text_ += "<svg" + area_of(clip.area) + " viewBox=\"" + number(clip.area.x) + " " + number(clip.area.y) + " " +
             number(clip.area.width) + " " + number(clip.area.height) + "\">\n";
  }
  void operator()(const Unclip&) { text_ += "</svg>\n"; }

  std::string take() { return std::move(text_); }

 private:
  double dpi_;
  std::string text_;

  void close(const std::string& element, const std::string& title) {
    text_ += title.empty() ? "/>\n" : "><title>" + escaped(title) + "</title></" + element + ">\n";
  }
  void embed(const Rect& area, const std::string& png, const char* style) {
    text_ += "<image" + area_of(area) + style + " preserveAspectRatio=\"none\" xlink:href=\"data:image/png;base64," +
             base64(png) + "\"/>\n";
  }
};

}  // namespace

std::string svg_of(const Canvas& canvas, double dpi) {
  Writer writer(dpi);
  for (const Shape& shape : canvas.shapes()) std::visit(writer, shape);
  const std::string width = number(canvas.width()), height = number(canvas.height());
  return "<svg xmlns=\"http://www.w3.org/2000/svg\" xmlns:xlink=\"http://www.w3.org/1999/xlink\" width=\"" + width +
         "\" height=\"" + height + "\" viewBox=\"0 0 " + width + " " + height +
         "\" font-family=\"'DejaVu Sans',Verdana,Helvetica,Arial,sans-serif\">\n<rect width=\"" + width +
         "\" height=\"" + height + "\" fill=\"#fff\"/>\n" + writer.take() + "</svg>\n";
}

}  // namespace scvi::report
