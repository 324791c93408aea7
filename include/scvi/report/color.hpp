#pragma once

#include <cstdint>
#include <vector>

namespace scvi::report {

/// A colour of sRGB with its opacity.
struct Color {
  std::uint8_t red = 0;
  std::uint8_t green = 0;
  std::uint8_t blue = 0;
  std::uint8_t alpha = 255;

  bool operator==(const Color&) const = default;
};

/// 0xRRGGBB as a colour.
constexpr Color rgb(std::uint32_t value) {
  return {static_cast<std::uint8_t>(value >> 16), static_cast<std::uint8_t>(value >> 8 & 0xFF),
          static_cast<std::uint8_t>(value & 0xFF)};
}

inline constexpr Color kWhite = rgb(0xFFFFFF);
inline constexpr Color kInk = rgb(0x222222);           ///< text and axes
inline constexpr Color kMutedInk = rgb(0x606060);      ///< what matters less
inline constexpr Color kGridColor = rgb(0xE6E6E6);     ///< lines behind data
inline constexpr Color kMissingColor = rgb(0xD4D4D4);  ///< cells without a value, genes that are not called

/// More categories than this cannot be told apart by colour.
inline constexpr std::int64_t kMostCategoryColors = 60;

/// The colour of a category. The first seven are those of Okabe and Ito (2008) without black; each of the others is
/// the one farthest from all before it, white and grey, in OKLab distance as seen with normal, protanopic and
/// deuteranopic eyes. Beyond kMostCategoryColors they repeat.
Color category_color(std::int64_t category);

/// A number between 0 and 1 (clipped) as a colour from dark violet over green to yellow, steps of equal size in
/// OKLab: equal differences look equal, and it reads in grey and with any colour vision.
Color sequential_color(double part);
/// The same from light (0) to dark (1), for marks on white.
Color sequential_color_on_white(double part);
/// A number between -1 and 1 (clipped) from blue over near-white to vermillion.
Color diverging_color(double value);

/// The colour as eyes without one kind of cone see it (Machado et al. 2009, severity 1).
enum class ColorVision { protanopia, deuteranopia };
Color as_seen_with(ColorVision vision, Color color);
/// How different two colours look: their Euclidean distance in OKLab (Ottosson 2020); black and white are 1 apart.
double color_distance(Color first, Color second);
/// How light a colour looks: L of OKLab, 0 black, 1 white.
double lightness_of(Color color);

}  // namespace scvi::report
