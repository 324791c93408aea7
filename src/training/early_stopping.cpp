#include "scvi/training/early_stopping.hpp"

#include <utility>

#include "scvi/core/error.hpp"

namespace scvi {

EarlyStopping::EarlyStopping(EarlyStoppingOptions options, bool metric_larger_is_better, bool state_larger_is_better)
    : options_(std::move(options)),
      metric_larger_is_better_(metric_larger_is_better),
      state_larger_is_better_(state_larger_is_better) {
  if (options_.patience < 0 || options_.lr_patience < 0) {
    throw InputError({.problem = "cannot be negative", .field = "the patience of early stopping"});
  }
  if (!(options_.lr_factor > 0 && options_.lr_factor < 1)) {
    throw InputError({.problem = "must lie between 0 and 1", .field = "lr_factor"});
  }
}

EarlyStopping::Decision EarlyStopping::update(double value) {
  if (state_.wait >= options_.patience) return {.continue_training = false, .reduce_lr = false};
  Decision decision;
  if (options_.reduce_lr_on_plateau && state_.wait_lr >= options_.lr_patience) {
    decision.reduce_lr = true;
    state_.wait_lr = 0;
  }
  const double cost = metric_larger_is_better_ ? -value : value;
  const double improvement = state_.best_performance - cost;
  if (improvement > 0) state_.best_performance = cost;
  // Written so that a NaN counts as no improvement.
  if (improvement >= options_.threshold) {
    state_.wait = 0;
    state_.wait_lr = 0;
  } else {
    ++state_.wait;
    ++state_.wait_lr;
  }
  return decision;
}

bool EarlyStopping::update_state(double value) {
  const double cost = state_larger_is_better_ ? -value : value;
  if (!(cost < state_.best_performance_state)) return false;
  state_.best_performance_state = cost;
  return true;
}

}  // namespace scvi
