#include <ATen/ATen.h>
#include <torch/types.h>

#include <functional>
#include <map>

#include "replay.hpp"
#include "scvi/distribution/count.hpp"
#include "scvi/distribution/divergence.hpp"

namespace scvi::parity {
namespace {

constexpr double kRelative = 1e-6;
constexpr double kAbsolute = 1e-10;
/// In float32 the corner of large theta loses digits, in the reference and here alike; how they fall there is chance.
constexpr double kFloat32Errors = 2;
/// CUDA's lgamma of float32 may be wrong by 6 units in the last place, by its manual.
constexpr double kFloat32ErrorsOnGpu = 6;

using Inputs = std::map<std::string, at::Tensor>;
using LogProb = std::function<at::Tensor(Inputs&)>;

/// One likelihood of the file: its group, its parameters (as the file names their gradients), the computation.
struct Likelihood {
  std::string group;
  std::map<std::string, std::string> gradients;  // name in the file -> input
  LogProb log_prob;
};

std::vector<Likelihood> likelihoods() {
  const auto nb = [](Inputs& in) { return NegativeBinomial{in["mu"], in["theta"]}.log_prob(in["x"]); };
  const auto zinb = [](Inputs& in) {
    return ZeroInflatedNegativeBinomial{in["mu"], in["theta"], in["pi"]}.log_prob(in["x"]);
  };
  const auto poisson = [](Inputs& in) { return Poisson{in["mu"]}.log_prob(in["x"]); };
  const auto mixture_shared = [](Inputs& in) {
    return NegativeBinomialMixture{in["mu"], in["mu_2"], in["theta"], {}, in["pi"]}.log_prob(in["x"]);
  };
  const auto mixture = [](Inputs& in) {
    return NegativeBinomialMixture{in["mu"], in["mu_2"], in["theta"], in["theta_2"], in["pi"]}.log_prob(in["x"]);
  };
  const std::map<std::string, std::string> of_nb = {{"grad_mu", "mu"}, {"grad_theta", "theta"}};
  const std::map<std::string, std::string> of_zinb = {{"grad_mu", "mu"}, {"grad_theta", "theta"}, {"grad_pi", "pi"}};
  return {{"NegativeBinomial_log_prob", of_nb, nb},
          {"log_nb_positive", of_nb, nb},
          {"ZeroInflatedNegativeBinomial_log_prob", of_zinb, zinb},
          {"log_zinb_positive", of_zinb, zinb},
          {"Poisson_log_prob", {{"grad_mu", "mu"}}, poisson},
          {"log_mixture_nb_shared_theta",
           {{"grad_mu_1", "mu"}, {"grad_mu_2", "mu_2"}, {"grad_theta", "theta"}, {"grad_pi", "pi"}},
           mixture_shared},
          {"log_mixture_nb_two_theta",
           {{"grad_mu_1", "mu"},
            {"grad_mu_2", "mu_2"},
            {"grad_theta_1", "theta"},
            {"grad_theta_2", "theta_2"},
            {"grad_pi", "pi"}},
           mixture}};
}

Inputs grid(const GoldenCase& golden, at::ScalarType type) {
  Inputs inputs;
  for (const char* name : {"x", "mu", "mu_2", "theta", "theta_2", "pi"}) {
    inputs[name] = golden.tensor64(std::string("inputs/") + name).to(golden.device(), type);
    if (std::string(name) != "x") inputs[name].requires_grad_(true);
  }
  return inputs;
}

void replay_likelihood(const GoldenCase& golden, const Likelihood& likelihood, Comparison& comparison) {
  const std::string group = "expected/" + likelihood.group + "/";
  Inputs inputs = grid(golden, at::kDouble);
  const at::Tensor value = likelihood.log_prob(inputs);
  comparison.element_wise(group + "value", value, golden.tensor64(group + "value"), kRelative, kAbsolute);
  value.sum().backward();
  for (const auto& child : golden.children("expected/" + likelihood.group)) {
    if (!child.starts_with("grad_")) continue;
    const auto of = likelihood.gradients.find(child);
    comparison.fact(group + child + " is known", of != likelihood.gradients.end());
    if (of == likelihood.gradients.end()) continue;
    comparison.element_wise(group + child, inputs[of->second].grad(), golden.tensor64(group + child), kRelative,
                            kAbsolute);
  }
  Inputs narrow = grid(golden, at::kFloat);
  const at::Tensor exact = golden.tensor64(group + "value");
  const at::Tensor reference_error = (golden.tensor64(group + "value_float32") - exact).abs();
  const at::Tensor error = (likelihood.log_prob(narrow).detach().to(at::kCPU, at::kDouble) - exact).abs();
  const double allowed = golden.device().is_cuda() ? kFloat32ErrorsOnGpu : kFloat32Errors;
  comparison.at_most(group + "value_float32: largest error", error.max().item<double>(),
                     allowed * reference_error.max().item<double>());
  comparison.at_most(group + "value_float32: mean error", error.mean().item<double>(),
                     allowed * reference_error.mean().item<double>());
}

void replay_pieces(const GoldenCase& golden, Comparison& comparison) {
  const auto in = [&](const char* name) {
    return golden.tensor64(std::string("inputs/") + name).to(golden.device());
  };
  const auto expect = [&](const char* name, const at::Tensor& got) {
    const std::string path = std::string("expected/pieces/") + name;
    comparison.element_wise(path, got, golden.tensor64(path), kRelative, kAbsolute);
  };
  expect("kl_normal", kl_normal(in("q_mean"), in("q_var"), in("p_mean"), in("p_var")));
  expect("kl_beta", kl_beta(in("beta_q_a"), in("beta_q_b"), in("beta_p_a"), in("beta_p_b")));
  expect("kl_categorical", kl_categorical(in("cat_p"), in("cat_q")));
  expect("gamma_sample_grad", gamma_sample_gradient(in("gamma_concentration"), in("gamma_sample")));
  expect("normal_log_prob", normal_log_prob(in("q_mean"), in("p_mean"), in("p_var")));
}

}  // namespace

void replay_distributions(const GoldenCase& golden, Comparison& comparison) {
  for (const auto& likelihood : likelihoods()) replay_likelihood(golden, likelihood, comparison);
  replay_pieces(golden, comparison);
}

}  // namespace scvi::parity
