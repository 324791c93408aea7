#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scvi/report/canvas.hpp"

namespace scvi::report {

/// Numbers over epochs.
struct Curve {
  std::string name;
  std::vector<double> epochs;
  std::vector<double> values;  ///< one for each epoch; what is not finite (or beyond 1e100) leaves a gap
};

/// Curves that share their axes.
struct CurvePanel {
  std::string title;
  std::vector<Curve> curves;
};

struct TrainingCurves {
  std::vector<CurvePanel> panels;
  std::optional<double> best_epoch;  ///< of early stopping or of the best state that was kept
};

/// The history of a run as curves: one panel for each metric with the sets of cells it was computed on, or of the
/// training loss where no metric was recorded.
/// @param run the folder that `scvi train` wrote, or a table like its history.tsv
/// @param names columns ("lr", "elbo_test_set") or metrics ("elbo") to show instead, each in a panel of its own
/// @throws InputError when there is no history or no column of such a name, FormatError when it is damaged
TrainingCurves read_training_curves(const std::string& run, const std::vector<std::string>& names = {});

struct TrainingCurvesOptions {
  bool log_scale = false;  ///< of the values, which must be positive
  /// The axis of values covers the epochs from this one on, earlier ones may run off it. Nothing: from 0, but without
  /// the first epochs (a tenth at most) where they would press the others flat.
  std::optional<std::int64_t> first_epoch = {};
  double width = 400;   ///< of a panel's axes, in pixels
  double height = 260;  ///< likewise
  int columns = 0;      ///< panels side by side; 0: up to three
};

/// @throws InputError when there is nothing to show, or a value is not positive on a logarithmic axis
Canvas draw_training_curves(const TrainingCurves& curves, const TrainingCurvesOptions& options = {});

}  // namespace scvi::report
