#pragma once

#include <string>

#include "scvi/report/canvas.hpp"

namespace scvi::report {

/// The pixels of an image as a .png file.
std::string embedded_png(const Image& image);
/// Dots on nothing, cut off at their area, which the image covers. @throws InputError as png_of()
std::string embedded_png(const Dots& dots, double dpi);

}  // namespace scvi::report
