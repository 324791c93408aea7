#pragma once

// What tests ask of figures: that nothing is cut off or covered, and that files hold what was drawn.

#include <cairo.h>
#include <expat.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/io/h5ad.hpp"
#include "scvi/report/canvas.hpp"
#include "scvi/report/save_figure.hpp"
#include "testing.hpp"

namespace scvi::testing {

template <class T>
std::vector<T> shapes_of(const report::Canvas& canvas) {
  std::vector<T> found;
  for (const report::Shape& shape : canvas.shapes()) {
    if (const T* one = std::get_if<T>(&shape)) found.push_back(*one);
  }
  return found;
}

/// All texts, and the titles of shortened ones.
inline std::set<std::string> words_of(const report::Canvas& canvas) {
  std::set<std::string> words;
  for (const report::Text& text : shapes_of<report::Text>(canvas)) {
    words.insert(text.text);
    words.insert(text.title);
  }
  return words;
}

inline bool shows(const report::Canvas& canvas, const std::string& text) {
  return words_of(canvas).contains(text);
}

/// Every text lies on the page, and no two cover each other by more than a hair.
inline void expect_readable(const report::Canvas& canvas) {
  const std::vector<report::Text> texts = shapes_of<report::Text>(canvas);
  std::vector<report::Rect> places;
  for (const report::Text& text : texts) {
    const report::Rect place = extent_of(text);
    EXPECT_GE(place.x, 0) << text.text;
    EXPECT_GE(place.y, 0) << text.text;
    EXPECT_LE(place.right(), canvas.width()) << text.text;
    EXPECT_LE(place.bottom(), canvas.height()) << text.text;
    // Lines of text may be set closer than the tallest letters ask for.
    constexpr double kHair = 2.5;
    places.push_back({place.x + kHair, place.y + kHair, place.width - 2 * kHair, place.height - 2 * kHair});
  }
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      EXPECT_FALSE(places[i].overlaps(places[j])) << "'" << texts[i].text << "' and '" << texts[j].text << "'";
    }
  }
}

/// An .svg, read back.
struct ParsedSvg {
  std::map<std::string, int> elements;
  std::set<std::string> texts;  ///< content of text elements and titles
  std::string error;            ///< empty: well formed
  std::vector<std::string> stack{};
  std::string content{};
};

inline ParsedSvg parse_svg(const std::string& svg) {
  ParsedSvg parsed;
  XML_Parser parser = XML_ParserCreate("UTF-8");
  XML_SetUserData(parser, &parsed);
  XML_SetElementHandler(
      parser,
      [](void* user, const char* name, const char**) {
        auto* into = static_cast<ParsedSvg*>(user);
        ++into->elements[name];
        into->stack.emplace_back(name);
        into->content.clear();
      },
      [](void* user, const char* name) {
        auto* into = static_cast<ParsedSvg*>(user);
        if (std::strcmp(name, "text") == 0 || std::strcmp(name, "title") == 0) into->texts.insert(into->content);
        into->stack.pop_back();
        into->content.clear();
      });
  XML_SetCharacterDataHandler(parser, [](void* user, const char* text, int length) {
    static_cast<ParsedSvg*>(user)->content.append(text, static_cast<std::size_t>(length));
  });
  if (XML_Parse(parser, svg.data(), static_cast<int>(svg.size()), 1) != XML_STATUS_OK) {
    parsed.error = XML_ErrorString(XML_GetErrorCode(parser));
  }
  XML_ParserFree(parser);
  return parsed;
}

/// A .png, read back.
struct ParsedPng {
  int width = 0;
  int height = 0;
  std::set<std::uint32_t> colors;
  std::vector<std::uint32_t> pixels;
};

inline ParsedPng parse_png(const std::string& bytes) {
  struct Rest {
    const std::string& bytes;
    std::size_t at;
  } rest{bytes, 0};
  const auto read = [](void* user, unsigned char* into, unsigned int length) {
    auto* from = static_cast<Rest*>(user);
    if (from->at + length > from->bytes.size()) return CAIRO_STATUS_READ_ERROR;
    std::memcpy(into, from->bytes.data() + from->at, length);
    from->at += length;
    return CAIRO_STATUS_SUCCESS;
  };
  cairo_surface_t* surface = cairo_image_surface_create_from_png_stream(read, &rest);
  ParsedPng parsed;
  EXPECT_EQ(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
  parsed.width = cairo_image_surface_get_width(surface);
  parsed.height = cairo_image_surface_get_height(surface);
  const unsigned char* data = cairo_image_surface_get_data(surface);
  for (int y = 0; y < parsed.height; ++y) {
    for (int x = 0; x < parsed.width; ++x) {
      std::uint32_t pixel = 0;
      std::memcpy(&pixel, data + y * cairo_image_surface_get_stride(surface) + 4 * x, sizeof pixel);
      parsed.pixels.push_back(pixel & 0xFFFFFF);
      parsed.colors.insert(parsed.pixels.back());
    }
  }
  cairo_surface_destroy(surface);
  return parsed;
}

/// The message of an error; "" when there is none.
template <class Work>
std::string error_of(const Work& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

inline std::string bytes_of(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline void write_bytes(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A small .h5ad: counts (cells, genes) with annotation and a map.
struct SmallFile {
  std::vector<std::vector<float>> counts;
  std::vector<std::string> genes;
  std::vector<io::Column> obs{};
  std::vector<io::Column> var{};
  std::vector<float> map{};  ///< (cells, 2), to obsm/X_umap

  void write(const std::string& path) const {
    io::H5adContents contents;
    for (std::size_t i = 0; i < counts.size(); ++i) contents.obs.index.push_back("cell" + std::to_string(i));
    contents.obs.columns = obs;
    contents.var.index = genes;
    contents.var.columns = var;
    std::size_t row = 0;
    contents.next_rows = [&](io::CsrBlock& block) {
      if (row == counts.size()) return false;
      block.clear();
      block.first_row = static_cast<std::int64_t>(row);
      for (std::size_t gene = 0; gene < genes.size(); ++gene) {
        if (counts[row][gene] == 0) continue;
        block.indices.push_back(static_cast<std::int32_t>(gene));
        block.values.push_back(counts[row][gene]);
      }
      block.indptr.push_back(static_cast<std::int64_t>(block.values.size()));
      ++row;
      return true;
    };
    io::write_h5ad(path, contents, Overwrite::replace);
    if (map.empty()) return;
    io::H5adAdditions additions;
    additions.obsm.emplace_back(
        "X_umap", io::FloatArray{.n_rows = static_cast<std::int64_t>(counts.size()), .n_cols = 2, .values = map});
    io::copy_h5ad_with(path, path, additions, Overwrite::replace);
  }
};

inline io::Column text_column(const std::string& name, std::vector<std::string> values) {
  return {.name = name, .values = std::move(values), .missing = {}};
}

}  // namespace scvi::testing
