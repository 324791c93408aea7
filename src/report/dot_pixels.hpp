#pragma once

#include <cstdint>
#include <span>

#include "scvi/report/canvas.hpp"

namespace scvi::report {

/// Pixels that dots are put on: blue, green, red, opacity in the bytes of a native 32-bit word, colours multiplied by
/// the opacity, as cairo keeps them.
struct PixelArea {
  std::uint32_t* pixels = nullptr;
  std::int64_t stride = 0;  ///< words of a row
  std::int64_t left = 0;    ///< what may be changed: [left, right) x [top, bottom)
  std::int64_t top = 0;
  std::int64_t right = 0;
  std::int64_t bottom = 0;
};

/// Puts discs with smooth edges on pixels, each over those before it. Their centres are kept to a quarter of a pixel,
/// so that a disc is a stamp: a million of them take a moment.
/// @param scale pixels for each unit of the dots, whose point (origin.x, origin.y) is pixel (0, 0)
void stamp_dots(const PixelArea& area, std::span<const Dot> dots, double radius, double scale, Point origin);

}  // namespace scvi::report
