#include "scvi/report/color.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

namespace scvi::report {
namespace {

using Triple = std::array<double, 3>;
using Matrix = std::array<Triple, 3>;

constexpr std::array<std::uint32_t, kMostCategoryColors> kCategoryColors = {
    0x0072B2, 0xE69F00, 0x009E73, 0xD55E00, 0x56B4E9, 0xCC79A7, 0xF0E442, 0x860D63, 0x4F5106, 0x8A40F5,
    0x2E1CD1, 0x4FD57F, 0xCB1B98, 0x8A5558, 0x9886FD, 0x680EA7, 0xFC3977, 0x44467D, 0xBE53D6, 0xB00921,
    0x42E2F7, 0xF686F4, 0x7EB396, 0x727E4E, 0xFB93B4, 0xB2D10F, 0x574FCE, 0x9995C5, 0x64608C, 0xFB794A,
    0x6D7DB6, 0xA65706, 0xC09E74, 0x753644, 0xFEB79E, 0x853397, 0x2F7FE3, 0xDAB1D8, 0x65A642, 0xF36CC1,
    0x226972, 0xDB4144, 0xC5BB4E, 0x9853BE, 0xD94C95, 0xAC4278, 0x1A48BC, 0x64EC69, 0xAD7D64, 0x886AFE,
    0xDA8418, 0xCD97D9, 0x5D9DAE, 0x9F6F8B, 0xC974DC, 0x0A42E7, 0x87E1B2, 0x6AC9CE, 0x3A763B, 0x734B2D,
};

// OKLab (Ottosson 2020): linear sRGB to responses of cones, their cube roots to lightness and two opponents; and
// back.
constexpr Matrix kConesOfRgb = {{{0.4122214708, 0.5363325363, 0.0514459929},
                                 {0.2119034982, 0.6806995451, 0.1073969566},
                                 {0.0883024619, 0.2817188376, 0.6299787005}}};
constexpr Matrix kLabOfCones = {{{0.2104542553, 0.7936177850, -0.0040720468},
                                 {1.9779984951, -2.4285922050, 0.4505937099},
                                 {0.0259040371, 0.7827717662, -0.8086757660}}};
constexpr Matrix kConesOfLab = {
    {{1, 0.3963377774, 0.2158037573}, {1, -0.1055613458, -0.0638541728}, {1, -0.0894841775, -1.2914855480}}};
constexpr Matrix kRgbOfCones = {{{4.0767416621, -3.3077115913, 0.2309699292},
                                 {-1.2684380046, 2.6097574011, -0.3413193965},
                                 {-0.0041960863, -0.7034186147, 1.7076147010}}};
// Machado, Oliveira and Fernandes (2009), severity 1, on linear sRGB.
constexpr Matrix kProtanopia = {
    {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}}};
constexpr Matrix kDeuteranopia = {
    {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}}};

Triple product(const Matrix& matrix, const Triple& vector) {
  Triple result{};
  for (int i = 0; i < 3; ++i)
    for (int j = 0; j < 3; ++j) result[i] += matrix[i][j] * vector[j];
  return result;
}

double linear_of(std::uint8_t value) {
  const double part = value / 255.0;
  return part <= 0.04045 ? part / 12.92 : std::pow((part + 0.055) / 1.055, 2.4);
}

std::uint8_t stored(double linear) {
  const double clipped = std::clamp(linear, 0.0, 1.0);
  const double part = clipped <= 0.0031308 ? 12.92 * clipped : 1.055 * std::pow(clipped, 1 / 2.4) - 0.055;
  return static_cast<std::uint8_t>(std::lround(255 * part));
}

Triple linear_of(Color color) {
  return {linear_of(color.red), linear_of(color.green), linear_of(color.blue)};
}

Color stored(const Triple& linear, std::uint8_t alpha = 255) {
  return {stored(linear[0]), stored(linear[1]), stored(linear[2]), alpha};
}

Triple lab_of(Color color) {
  Triple cones = product(kConesOfRgb, linear_of(color));
  for (double& cone : cones) cone = std::cbrt(cone);
  return product(kLabOfCones, cones);
}

/// A colour by its lightness, how colourful it is, and its hue in degrees.
struct Lch {
  double lightness;
  double chroma;
  double hue;
};

Triple linear_of(const Lch& color) {
  const double angle = color.hue * std::numbers::pi / 180;
  Triple cones =
      product(kConesOfLab, {color.lightness, color.chroma * std::cos(angle), color.chroma * std::sin(angle)});
  for (double& cone : cones) cone = cone * cone * cone;
  return product(kRgbOfCones, cones);
}

/// The colour, or the most colourful one of its hue and lightness that a screen can show.
Triple shown(Lch color) {
  const auto fits = [](const Triple& linear) {
    return std::ranges::all_of(linear, [](double value) { return value >= -1e-9 && value <= 1 + 1e-9; });
  };
  constexpr double kStep = 0.001;
  while (color.chroma > 0 && !fits(linear_of(color))) color.chroma = std::max(0.0, color.chroma - kStep);
  return linear_of(color);
}

constexpr int kSteps = 256;
using Ramp = std::array<Color, kSteps>;

/// A way through colours, walked in steps that look equally long.
template <class Path>
Ramp even_ramp(const Path& path) {
  constexpr int kFine = 4096;
  std::vector<double> walked(kFine + 1);
  std::vector<Triple> colors(kFine + 1);
  Triple before{};
  for (int i = 0; i <= kFine; ++i) {
    const Triple linear = shown(path(static_cast<double>(i) / kFine));
    Triple cones = product(kConesOfRgb, linear);
    for (double& cone : cones) cone = std::cbrt(cone);
    const Triple lab = product(kLabOfCones, cones);
    const double step = std::hypot(lab[0] - before[0], lab[1] - before[1], lab[2] - before[2]);
    walked[i] = i == 0 ? 0 : walked[i - 1] + step;
    colors[i] = linear;
    before = lab;
  }
  Ramp ramp;
  for (int i = 0; i < kSteps; ++i) {
    const double target = walked.back() * i / (kSteps - 1);
    const auto at = std::ranges::lower_bound(walked, target) - walked.begin();
    ramp[i] = stored(colors[std::min<std::ptrdiff_t>(at, kFine)]);
  }
  return ramp;
}

Color of_ramp(const Ramp& ramp, double part) {
  // What is no number falls to the low end.
  const double clipped = part > 0 ? std::min(part, 1.0) : 0.0;
  return ramp[static_cast<std::size_t>(std::lround(clipped * (kSteps - 1)))];
}

// Neither way may meet the border of what a screen can show, which lies near where it is blue-green: a ramp has a
// visible bend there.

const Ramp& sequential_ramp() {
  static const Ramp ramp = even_ramp([](double part) {
    const double chroma = 0.12 - 0.035 * std::sin(std::numbers::pi * part) + 0.06 * part * part * part;
    return Lch{.lightness = 0.27 + 0.64 * part, .chroma = chroma, .hue = 305 - 200 * part};
  });
  return ramp;
}

const Ramp& light_to_dark_ramp() {
  static const Ramp ramp = even_ramp([](double part) {
    return Lch{.lightness = 0.96 - 0.66 * part, .chroma = 0.025 + 0.062 * std::sqrt(part), .hue = 105 + 170 * part};
  });
  return ramp;
}

const Ramp& diverging_ramp() {
  static const Ramp ramp = [] {
    const auto arm = [](double hue) {
      return even_ramp([hue](double part) {
        return Lch{.lightness = 0.97 - 0.5 * part, .chroma = 0.18 * std::pow(part, 0.8), .hue = hue};
      });
    };
    const Ramp low = arm(255);
    const Ramp high = arm(40);
    Ramp both;
    for (int i = 0; i < kSteps; ++i) {
      const double value = 2.0 * i / (kSteps - 1) - 1;
      both[i] = of_ramp(value < 0 ? low : high, std::abs(value));
    }
    return both;
  }();
  return ramp;
}

}  // namespace

Color category_color(std::int64_t category) {
  return rgb(kCategoryColors[static_cast<std::size_t>(category % kMostCategoryColors)]);
}

Color sequential_color(double part) {
  return of_ramp(sequential_ramp(), part);
}

Color sequential_color_on_white(double part) {
  return of_ramp(light_to_dark_ramp(), part);
}

Color diverging_color(double value) {
  return of_ramp(diverging_ramp(), (value + 1) / 2);
}

Color as_seen_with(ColorVision vision, Color color) {
  const Matrix& matrix = vision == ColorVision::protanopia ? kProtanopia : kDeuteranopia;
  return stored(product(matrix, linear_of(color)), color.alpha);
}

double color_distance(Color first, Color second) {
  const Triple a = lab_of(first);
  const Triple b = lab_of(second);
  return std::hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

double lightness_of(Color color) {
  return lab_of(color)[0];
}

}  // namespace scvi::report
