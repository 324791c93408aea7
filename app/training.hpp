#pragma once

#include "cli.hpp"
#include "scvi/model/saved_model.hpp"

namespace scvi::app {

/// Trains as `scvi train` does with these words. Without --output nothing is written, and nothing is left when it is
/// interrupted.
SavedModel train_with(const Arguments& words);

}  // namespace scvi::app
