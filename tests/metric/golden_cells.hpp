#pragma once

// The latent space of a golden case, cut in two for classifiers.

#include "scvi/metric/labelled_points.hpp"

namespace scvi::testing {

#include "classifier_tables.inc"
#include "golden_case.inc"

inline constexpr std::int64_t kLearned = 100;

inline LabelledPoints golden_cells(std::int64_t first, std::int64_t count) {
  return {Points(std::span(kLatentValues)
                     .subspan(static_cast<std::size_t>(first * kLatent), static_cast<std::size_t>(count * kLatent)),
                 count, kLatent),
          std::span(kLabels).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count))};
}
inline LabelledPoints golden_train() {
  return golden_cells(0, kLearned);
}
inline LabelledPoints golden_test() {
  return golden_cells(kLearned, kCells - kLearned);
}

}  // namespace scvi::testing
