#include "replay.hpp"

namespace scvi::parity {

bool replay(const GoldenCase& golden, Comparison& comparison) {
  if (golden.model() == "distributions") {
    replay_distributions(golden, comparison);
    return true;
  }
  if (golden.model() == "dataset") {
    replay_dataset(golden, comparison);
    return true;
  }
  if (golden.model() == "hvg") {
    replay_hvg(golden, comparison);
    return true;
  }
  if (golden.model() == "differential") {
    replay_differential(golden, comparison);
    return true;
  }
  if (golden.name().starts_with("posterior_scale_sampler")) {
    replay_scale_sampler(golden, comparison);
    return true;
  }
  if (golden.model() == "VAE" || golden.model() == "LDVAE" || golden.model() == "AutoZIVAE") {
    if (golden.name().starts_with("posterior_")) {
      replay_posterior(golden, comparison);
    } else if (golden.is_trajectory()) {
      replay_vae_trajectory(golden, comparison);
    } else {
      replay_vae(golden, comparison);
    }
    return true;
  }
  if (golden.model() == "Classifier") {
    (golden.is_trajectory() ? replay_classifier_trajectory : replay_classifier)(golden, comparison);
    return true;
  }
  if (golden.model() == "VAEC" || golden.model() == "SCANVI") {
    (golden.is_trajectory() ? replay_label_trajectory : replay_label_model)(golden, comparison);
    return true;
  }
  return false;
}

}  // namespace scvi::parity
