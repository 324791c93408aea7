#pragma once

#include <memory>

#include "comparison.hpp"
#include "golden_case.hpp"
#include "scvi/model/model.hpp"

namespace scvi::parity {

/// Replays a case through the library and compares every expected quantity.
/// @return false when this kind of case is not supported yet (nothing is compared then)
bool replay(const GoldenCase& golden, Comparison& comparison);

void replay_dataset(const GoldenCase& golden, Comparison& comparison);
void replay_hvg(const GoldenCase& golden, Comparison& comparison);
void replay_distributions(const GoldenCase& golden, Comparison& comparison);
void replay_vae(const GoldenCase& golden, Comparison& comparison);
void replay_vae_trajectory(const GoldenCase& golden, Comparison& comparison);
void replay_posterior(const GoldenCase& golden, Comparison& comparison);
void replay_differential(const GoldenCase& golden, Comparison& comparison);
void replay_scale_sampler(const GoldenCase& golden, Comparison& comparison);

/// The model that a case is about, untrained, on the device of the replay.
std::shared_ptr<Model> model_of(const GoldenCase& golden);

}  // namespace scvi::parity
