#pragma once

#include <vector>

#include "scvi/report/canvas.hpp"

namespace scvi::report {

/// Panels side by side and below each other, with a margin around all.
/// @param columns 0: up to three, as square as it gets
Canvas arranged(const std::vector<Canvas>& panels, int columns);

}  // namespace scvi::report
