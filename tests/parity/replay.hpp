#pragma once

#include <functional>
#include <memory>

#include "comparison.hpp"
#include "golden_case.hpp"
#include "scvi/kernel/noise.hpp"
#include "scvi/model/model.hpp"
#include "scvi/training/trainer.hpp"

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

void replay_classifier(const GoldenCase& golden, Comparison& comparison);
void replay_classifier_trajectory(const GoldenCase& golden, Comparison& comparison);
void replay_label_model(const GoldenCase& golden, Comparison& comparison);
void replay_label_trajectory(const GoldenCase& golden, Comparison& comparison);

/// Largest relative deviation of a loss along a trajectory.
inline constexpr double kTrajectoryLoss = 1e-3;

// Parts of a replay that cases of several models share.
MiniBatch inputs_of(const GoldenCase& golden);
MiniBatch rows_of(const MiniBatch& all, const at::Tensor& rows);
RecordedNoise noise_of(const GoldenCase& golden, const std::string& group);
void compare_gradients(const GoldenCase& golden, const Model& model, const std::string& group,
                       Comparison& comparison);
void compare_buffers(const GoldenCase& golden, const Model& model, const std::string& group, Comparison& comparison);
void compare_weights(const GoldenCase& golden, const Model& model, const std::string& group, Comparison& comparison);

/// Trains along the minibatches of a trajectory and compares losses, KL weights and weights.
/// @param train_on trains on the minibatch of that number, and says the loss
void replay_steps(const GoldenCase& golden, UnsupervisedTrainer& trainer, const Model& model,
                  const std::function<double(std::int64_t, Noise&)>& train_on, Comparison& comparison);

/// The model that a case is about, untrained, on the device of the replay.
std::shared_ptr<Model> model_of(const GoldenCase& golden);

}  // namespace scvi::parity
