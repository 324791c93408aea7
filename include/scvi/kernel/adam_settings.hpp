#pragma once

namespace scvi::kernel {

/// Settings of the reference's Adam: eps is added after the bias-corrected root, weight decay is added to the
/// gradient.
struct AdamSettings {
  double lr = 1e-3;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 0.01;
  double weight_decay = 1e-6;
};

}  // namespace scvi::kernel
