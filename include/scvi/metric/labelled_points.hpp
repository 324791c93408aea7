#pragma once

#include <cstdint>
#include <span>

#include "scvi/metric/points.hpp"

namespace scvi {

/// Points that each bear a label, which classifiers learn from and are held against: a view, as Points is.
struct LabelledPoints {
  Points points;
  std::span<const std::int64_t> labels;  ///< one for each point; any integers, of which only equality counts
};

}  // namespace scvi
