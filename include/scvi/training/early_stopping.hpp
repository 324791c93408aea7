#pragma once

#include <cstdint>
#include <limits>
#include <string>

namespace scvi {

/// When to stop before the last epoch, and which state of the model to keep; scVI's names and defaults.
struct EarlyStoppingOptions {
  std::string early_stopping_metric = {};  ///< e.g. "elbo"; empty: train to the last epoch
  std::string save_best_state_metric =
      {};                             ///< restore the weights that were best by this metric; empty: keep the last
  std::string on = "test_set";        ///< the set on which both are measured
  std::int64_t patience = 15;         ///< epochs without an improvement of `threshold` before training stops
  double threshold = 3;               ///< smallest improvement that counts, in the unit of the metric (nats)
  bool reduce_lr_on_plateau = false;  ///< multiply the learning rate by lr_factor after lr_patience such epochs
  std::int64_t lr_patience = 10;
  double lr_factor = 0.5;
};

/// Watches a metric from epoch to epoch.
class EarlyStopping {
 public:
  struct Decision {
    bool continue_training = true;
    bool reduce_lr = false;
  };
  /// Everything that changes while training, for checkpoints.
  struct State {
    std::int64_t wait = 0;
    std::int64_t wait_lr = 0;
    double best_performance = std::numeric_limits<double>::infinity();        ///< as a cost: smaller is better
    double best_performance_state = std::numeric_limits<double>::infinity();  ///< likewise
  };

  EarlyStopping() = default;
  /// @param larger_is_better of the two metrics
  /// @throws InputError for a negative patience, or an lr_factor outside (0, 1)
  EarlyStopping(EarlyStoppingOptions options, bool metric_larger_is_better, bool state_larger_is_better);

  /// Takes the metric of one more epoch. Stops at the first update that finds `patience` epochs waited.
  Decision update(double value);
  /// Whether this value is better than all before it.
  bool update_state(double value);

  const EarlyStoppingOptions& options() const { return options_; }
  const State& state() const { return state_; }
  void restore(const State& state) { state_ = state; }

 private:
  EarlyStoppingOptions options_;
  bool metric_larger_is_better_ = false;
  bool state_larger_is_better_ = false;
  State state_;
};

}  // namespace scvi
