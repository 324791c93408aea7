#include "dot_pixels.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

namespace scvi::report {
namespace {

constexpr int kPlaces = 4;
constexpr int kSamples = 8;

/// A disc on pixels: how much of each it covers, 0 to 255.
struct Stamp {
  std::int64_t size = 0;
  std::vector<std::uint8_t> covered;
};

/// A disc whose centre is (x, y) behind the corner of the middle pixel.
Stamp stamp_of(double radius, double x, double y) {
  const auto reach = static_cast<std::int64_t>(std::ceil(radius)) + 1;
  Stamp stamp{.size = 2 * reach + 1, .covered = {}};
  for (std::int64_t row = -reach; row <= reach; ++row) {
    for (std::int64_t column = -reach; column <= reach; ++column) {
      int inside = 0;
      for (int i = 0; i < kSamples * kSamples; ++i) {
        const int down = i / kSamples, across = i % kSamples;
        const double dx = static_cast<double>(column) + (across + 0.5) / kSamples - x;
        const double dy = static_cast<double>(row) + (down + 0.5) / kSamples - y;
        inside += dx * dx + dy * dy <= radius * radius;
      }
      stamp.covered.push_back(static_cast<std::uint8_t>(255 * inside / (kSamples * kSamples)));
    }
  }
  return stamp;
}

std::uint32_t scaled(std::uint32_t channel, std::uint32_t by) {
  return (channel * by + 127) / 255;
}

std::uint32_t over(std::uint32_t below, Color color, std::uint8_t covered) {
  const std::uint32_t alpha = scaled(color.alpha, covered);
  const std::uint32_t rest = 255 - alpha;
  const std::uint32_t red = scaled(color.red, alpha) + scaled(below >> 16 & 0xFF, rest);
  const std::uint32_t green = scaled(color.green, alpha) + scaled(below >> 8 & 0xFF, rest);
  const std::uint32_t blue = scaled(color.blue, alpha) + scaled(below & 0xFF, rest);
  const std::uint32_t opacity = alpha + scaled(below >> 24, rest);
  return std::min(opacity, 255U) << 24 | std::min(red, 255U) << 16 | std::min(green, 255U) << 8 |
         std::min(blue, 255U);
}

void put(const PixelArea& area, const Stamp& stamp, std::int64_t column, std::int64_t row, Color color) {
  const std::int64_t reach = stamp.size / 2;
  const std::int64_t first_row = std::max(area.top, row - reach), last_row = std::min(area.bottom, row + reach + 1);
  const std::int64_t first = std::max(area.left, column - reach), last = std::min(area.right, column + reach + 1);
  for (std::int64_t y = first_row; y < last_row; ++y) {
    const std::uint8_t* covered = stamp.covered.data() + (y - row + reach) * stamp.size;
    std::uint32_t* pixels = area.pixels + y * area.stride;
    for (std::int64_t x = first; x < last; ++x) {
      const std::uint8_t part = covered[x - column + reach];
      if (part > 0) pixels[x] = over(pixels[x], color, part);
    }
  }
}

}  // namespace

void stamp_dots(const PixelArea& area, std::span<const Dot> dots, double radius, double scale, Point origin) {
  std::array<Stamp, kPlaces * kPlaces> stamps;
  for (int i = 0; i < kPlaces * kPlaces; ++i) {
    const int down = i / kPlaces, across = i % kPlaces;
    stamps[i] = stamp_of(radius * scale, (across + 0.5) / kPlaces, (down + 0.5) / kPlaces);
  }
  for (const Dot& dot : dots) {
    const double x = (dot.x - origin.x) * scale;
    const double y = (dot.y - origin.y) * scale;
    const double column = std::floor(x), row = std::floor(y);
    const int place = static_cast<int>((y - row) * kPlaces) * kPlaces + static_cast<int>((x - column) * kPlaces);
    put(area, stamps[place], static_cast<std::int64_t>(column), static_cast<std::int64_t>(row), dot.color);
  }
}

}  // namespace scvi::report
