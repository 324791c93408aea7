// The operations that models are made of, held against the same in LibTorch's operations in float64.

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

#include <exception>

#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/distribution/count.hpp"
#include "scvi/distribution/divergence.hpp"
#include "scvi/kernel/count_heads.hpp"
#include "scvi/kernel/count_logits.hpp"
#include "scvi/kernel/fully_connected.hpp"
#include "scvi/kernel/latent_draw.hpp"
#include "scvi/kernel/mixed_dropout.hpp"

namespace scvi::kernel {
namespace {

constexpr std::int64_t kRows = 7, kGenes = 37, kHidden = 11;

at::Tensor counts_like(double density) {
  return torch::rand({kRows, kGenes}).lt(density).to(at::kFloat) * torch::randint(1, 30, {kRows, kGenes});
}

at::Tensor wide(const at::Tensor& tensor) {
  return tensor.detach().to(at::kDouble).requires_grad_(tensor.requires_grad());
}

void expect_close(const at::Tensor& ours, const at::Tensor& plain, const char* what) {
  ASSERT_EQ(ours.defined(), plain.defined()) << what;
  if (!ours.defined()) return;
  const double scale = plain.abs().max().item<double>();
  EXPECT_LE((ours.to(at::kDouble) - plain).abs().max().item<double>(), 2e-5 * scale + 1e-6) << what;
}

LayerInput input_of(const at::Tensor& counts, bool sparse) {
  return sparse ? LayerInput(sparse_rows(counts), [counts] { return counts; }) : LayerInput(counts);
}

/// The layer in plain operations.
at::Tensor plain_layer(const at::Tensor& x, const FullyConnected& layer, const at::Tensor& weight,
                       const at::Tensor& bias, const at::Tensor& gamma, const at::Tensor& beta) {
  std::vector<at::Tensor> input = {x};
  for (const auto& category : layer.categories)
    input.push_back(at::one_hot(category.index.reshape(-1), category.n).to(x.scalar_type()));
  at::Tensor h = at::linear(at::cat(input, 1), weight, bias);
  if (layer.batch_norm) {
    const auto& norm = *layer.batch_norm;
    h = at::batch_norm(h, gamma, beta, norm.running_mean.to(at::kDouble), norm.running_var.to(at::kDouble),
                       norm.training, norm.momentum, norm.eps, false);
  }
  if (layer.relu) h = at::relu(h);
  if (!layer.dropout_draws.defined()) return h;
  return h * (layer.dropout_draws >= layer.dropout_rate) / (1 - layer.dropout_rate);
}

struct LayerCase {
  bool sparse, categories, norm, training, relu, dropout;
};

class FusedLayer : public ::testing::TestWithParam<LayerCase> {};

TEST_P(FusedLayer, EqualsItsPartsAndTheirGradients) {
  torch::manual_seed(5);
  const LayerCase what = GetParam();
  const at::Tensor x = what.sparse ? counts_like(0.2) : torch::randn({kRows, kGenes}).requires_grad_(true);
  const std::int64_t n_in = kGenes + (what.categories ? 5 : 0);
  const at::Tensor bias = torch::randn({kHidden}).requires_grad_(true);
  const at::Tensor gamma = torch::randn({kHidden}).requires_grad_(true);
  const at::Tensor beta = torch::randn({kHidden}).requires_grad_(true);
  FullyConnected layer{
      .weight = input_major(torch::randn({kHidden, n_in})).requires_grad_(true), .bias = bias, .relu = what.relu};
  if (what.categories) {
    layer.categories = {{torch::randint(0, 2, {kRows, 1}), 2}, {torch::randint(0, 3, {kRows, 1}), 3}};
  }
  if (what.norm) {
    layer.batch_norm = FullyConnected::BatchNorm{.weight = gamma,
                                                 .bias = beta,
                                                 .running_mean = torch::randn({kHidden}),
                                                 .running_var = torch::rand({kHidden}) + 0.5,
                                                 .training = what.training};
  }
  if (what.dropout) layer.dropout_draws = torch::rand({kRows, kHidden}), layer.dropout_rate = 0.3;
  const LayerInput input = input_of(x, what.sparse);
  ASSERT_TRUE(can_fuse(input, layer));

  const at::Tensor x2 = wide(x), weight2 = wide(layer.weight), bias2 = wide(bias), gamma2 = wide(gamma),
                   beta2 = wide(beta);
  const at::Tensor plain = plain_layer(x2, layer, weight2, bias2, gamma2, beta2);
  const at::Tensor ours = fully_connected(input, layer);
  expect_close(ours, plain, "output");
  const at::Tensor direction = torch::randn({kRows, kHidden});
  (ours * direction).sum().backward();
  (plain * direction.to(at::kDouble)).sum().backward();
  expect_close(layer.weight.grad(), weight2.grad(), "weight");
  EXPECT_EQ(layer.weight.grad().strides(), layer.weight.strides());
  expect_close(bias.grad(), bias2.grad(), "bias");
  expect_close(x.grad(), x2.grad(), "input");
  if (what.norm) {
    expect_close(gamma.grad(), gamma2.grad(), "gamma");
    expect_close(beta.grad(), beta2.grad(), "beta");
  }
}

INSTANTIATE_TEST_SUITE_P(All, FusedLayer,
                         ::testing::Values(LayerCase{true, false, true, true, true, true},
                                           LayerCase{true, true, true, false, true, false},
                                           LayerCase{true, false, false, false, false, false},
                                           LayerCase{false, true, true, true, true, true},
                                           LayerCase{false, false, true, false, true, false},
                                           LayerCase{false, true, false, false, true, true},
                                           LayerCase{false, false, false, false, false, false}));

FullyConnected small_layer() {
  return {.weight = input_major(torch::randn({kHidden, kGenes})).requires_grad_(true), .relu = true};
}

TEST(FusedLayer, SaysWhenWhatItsBackwardPassNeedsWasChangedOrIsGone) {
  const FullyConnected layer = small_layer();
  const at::Tensor x = torch::randn({kRows, kGenes}).requires_grad_(true);
  const at::Tensor twice = fully_connected(LayerInput(x), layer).sum();
  twice.backward({}, /*retain_graph=*/true);
  const at::Tensor first = x.grad().clone();
  twice.backward();
  EXPECT_TRUE(at::allclose(x.grad(), 2 * first));
  EXPECT_THROW(twice.backward(), std::exception);
  const at::Tensor changed = fully_connected(LayerInput(x), layer).sum();
  at::NoGradGuard no_grad;
  layer.weight.mul_(2);
  EXPECT_THROW(changed.backward(), std::exception);
}

TEST(FusedLayer, GivesUpItsMemoryWithoutABackwardPass) {
  FullyConnected layer = small_layer();
  layer.dropout_draws = torch::rand({kRows, kHidden});
  const c10::weak_intrusive_ptr<c10::TensorImpl> draws(layer.dropout_draws.getIntrusivePtr());
  const at::Tensor x = torch::randn({kRows, kGenes}).requires_grad_(true);
  at::Tensor y = fully_connected(LayerInput(x), layer);
  layer = {};
  EXPECT_FALSE(draws.expired());
  y = at::Tensor();
  EXPECT_TRUE(draws.expired());
}

TEST(FusedLayer, HasNoHistoryWhereNoneIsWanted) {
  const FullyConnected layer = small_layer();
  const at::Tensor x = torch::randn({kRows, kGenes});
  EXPECT_TRUE(fully_connected(LayerInput(x), layer).requires_grad());
  at::NoGradGuard no_grad;
  EXPECT_FALSE(fully_connected(LayerInput(x), layer).requires_grad());
}

TEST(FusedLayer, ComputesTheGradientOfARectifiedInputWhereItPasses) {
  torch::manual_seed(12);
  const at::Tensor input = at::relu(torch::randn({kRows, kHidden}));
  FullyConnected layer{.weight = input_major(torch::randn({kGenes, kHidden})), .relu = false};
  const at::Tensor weights = torch::randn({kRows, kGenes});
  const auto gradient = [&](bool rectified) {
    layer.input_is_rectified = rectified;
    const at::Tensor x = input.clone().requires_grad_(true);
    (fully_connected(x, layer) * weights).sum().backward();
    return x.grad();
  };
  const at::Tensor whole = gradient(false);
  expect_close(gradient(true), (whole * (input > 0)).to(at::kDouble), "input");
}

TEST(FusedLayer, RefusesACategoryOutOfRange) {
  FullyConnected layer{.weight = input_major(torch::randn({3, kGenes + 2}))};
  layer.categories = {{at::full({kRows, 1}, 2, at::kLong), 2}};
  EXPECT_THROW(fully_connected(torch::randn({kRows, kGenes}), layer), InputError);
}

TEST(FusedLayer, LeavesOtherTypesLayoutsAndTheOtherRoadAlone) {
  const FullyConnected layer{.weight = input_major(torch::randn({3, kGenes}))};
  EXPECT_TRUE(can_fuse(torch::randn({kRows, kGenes}), layer));
  EXPECT_FALSE(can_fuse(torch::randn({2, kRows, kGenes}), layer));
  EXPECT_FALSE(can_fuse(torch::randn({kRows, kGenes}).to(at::kDouble), layer));
  EXPECT_FALSE(can_fuse(torch::randn({kRows, kGenes}), {.weight = torch::randn({3, kGenes})}));
  settings().kernel = KernelRoad::aten;
  EXPECT_FALSE(can_fuse(torch::randn({kRows, kGenes}), layer));
  settings().kernel = KernelRoad::fused;
}

/// Heads of latent variables with their twins in float64.
struct HeadsAndTwins {
  LatentHeads heads;
  std::vector<at::Tensor> parameters, twins;

  HeadsAndTwins() {
    const auto parameter = [](at::IntArrayRef shape) { return (0.3 * torch::randn(shape)).requires_grad_(true); };
    parameters = {parameter({4, kHidden}), parameter({4}), parameter({4, kHidden}), parameter({4})};
    heads = {.mean_weight = parameters[0],
             .mean_bias = parameters[1],
             .variance_weight = parameters[2],
             .variance_bias = parameters[3],
             .variance_floor = 1e-4};
    for (const at::Tensor& tensor : parameters) twins.push_back(wide(tensor));
  }
  at::Tensor mean(const at::Tensor& hidden) const { return at::linear(hidden, twins[0], twins[1]); }
  at::Tensor variance(const at::Tensor& hidden) const { return at::linear(hidden, twins[2], twins[3]).exp() + 1e-4; }

  void expect_same_gradients() const {
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      expect_close(parameters[i].grad(), twins[i].grad(), std::to_string(i).c_str());
    }
  }
};

TEST(LatentDraw, EqualsItsPartsAndTheirGradients) {
  torch::manual_seed(6);
  for (const int which : {0, 1, 2, 3}) {
    const bool with_prior = (which & 1) != 0, with_density = (which & 2) != 0;
    const at::Tensor hidden = torch::randn({kRows, kHidden}).requires_grad_(true);
    HeadsAndTwins both;
    LatentHeads& heads = both.heads;
    if (with_prior) {
      heads.prior_mean = torch::randn({kRows, 1});
      heads.prior_variance = torch::rand({kRows, 1}) + 0.2;
    }
    const at::Tensor eps = torch::randn({kRows, 4});
    ASSERT_TRUE(can_fuse(hidden, heads));
    const LatentDraw ours = latent_draw(hidden, heads, eps, with_density);
    const at::Tensor hidden2 = wide(hidden);
    const at::Tensor mean = both.mean(hidden2), variance = both.variance(hidden2);
    const at::Tensor z = mean + variance.sqrt() * eps;
    const at::Tensor kl = (with_prior ? kl_normal(mean, variance, heads.prior_mean.to(at::kDouble),
                                                  heads.prior_variance.to(at::kDouble))
                                      : kl_standard_normal(mean, variance))
                              .sum(1);
    expect_close(ours.z, z, "z");
    expect_close(ours.kl, kl, "kl");
    const at::Tensor dz = torch::randn({kRows, 4}), dkl = torch::randn({kRows}), ddensity = torch::randn({kRows});
    at::Tensor sum = (ours.z * dz).sum() + (ours.kl * dkl).sum(), plain_sum = (z * dz).sum() + (kl * dkl).sum();
    EXPECT_EQ(ours.log_density.defined(), with_density);
    if (with_density) {
      const at::Tensor density = normal_log_prob(z, mean, variance).sum(1);
      expect_close(ours.log_density, density, "log density");
      sum = sum + (ours.log_density * ddensity).sum();
      plain_sum = plain_sum + (density * ddensity).sum();
    }
    sum.backward();
    plain_sum.backward();
    expect_close(hidden.grad(), hidden2.grad(), "hidden");
    both.expect_same_gradients();
  }
}

TEST(LatentLogDensity, EqualsItsFormulaAndItsGradients) {
  torch::manual_seed(7);
  const at::Tensor hidden = torch::randn({kRows, kHidden}).requires_grad_(true);
  const at::Tensor z = torch::randn({kRows, 4}).requires_grad_(true);
  const HeadsAndTwins both;
  const at::Tensor ours = latent_log_density(z, hidden, both.heads);
  const at::Tensor hidden2 = wide(hidden), z2 = wide(z);
  const at::Tensor plain = normal_log_prob(z2, both.mean(hidden2), both.variance(hidden2)).sum(1);
  expect_close(ours, plain, "density");
  const at::Tensor direction = torch::randn({kRows});
  (ours * direction).sum().backward();
  (plain * direction).sum().backward();
  expect_close(hidden.grad(), hidden2.grad(), "hidden");
  expect_close(z.grad(), z2.grad(), "z");
  both.expect_same_gradients();
}

/// The loss of the heads in plain operations of float64.
at::Tensor plain_nll(const at::Tensor& hidden, const at::Tensor& library, const std::vector<at::Tensor>& parameters,
                     const CountHeads& heads, const at::Tensor& counts) {
  const at::Tensor mean = at::exp(library) * at::softmax(at::linear(hidden, parameters[0], parameters[1]), -1);
  if (heads.likelihood == CountLikelihood::poisson) return -Poisson{mean}.log_prob(counts).sum(-1);
  at::Tensor log_theta = heads.r_weight.defined() ? at::linear(hidden, parameters[4], parameters[5]) : parameters[6];
  if (heads.category.defined()) log_theta = log_theta.index_select(0, heads.category.reshape(-1));
  if (heads.likelihood == CountLikelihood::nb)
    return -NegativeBinomial{mean, log_theta.exp()}.log_prob(counts).sum(-1);
  const at::Tensor dropout = at::linear(hidden, parameters[2], parameters[3]);
  return -ZeroInflatedNegativeBinomial{mean, log_theta.exp(), dropout}.log_prob(counts).sum(-1);
}

enum class Form { shared, by_category, per_cell };

class FusedHeads : public ::testing::TestWithParam<std::tuple<CountLikelihood, Form, bool>> {};

TEST_P(FusedHeads, EqualTheirPartsAndTheirGradients) {
  torch::manual_seed(7);
  const auto [likelihood, form, same_weights] = GetParam();
  const auto parameter = [](at::IntArrayRef shape) { return (0.4 * torch::randn(shape)).requires_grad_(true); };
  const at::Tensor hidden = torch::randn({kRows, kHidden}).requires_grad_(true);
  const at::Tensor library = (torch::randn({kRows, 1}) + 5).requires_grad_(true);
  const at::Tensor counts = counts_like(0.4);
  CountHeads heads{
      .likelihood = likelihood, .scale_weight = parameter({kGenes, kHidden}), .scale_bias = parameter({kGenes})};
  if (likelihood == CountLikelihood::zinb) {
    heads.dropout_weight = parameter({kGenes, kHidden});
    heads.dropout_bias = parameter({kGenes});
  }
  if (likelihood != CountLikelihood::poisson) {
    if (form == Form::per_cell) heads.r_weight = parameter({kGenes, kHidden}), heads.r_bias = parameter({kGenes});
    if (form == Form::shared) heads.log_theta = parameter({kGenes});
    if (form == Form::by_category) {
      heads.log_theta = parameter({3, kGenes});
      heads.category = torch::randint(0, 2, {kRows, 1});
    }
  }
  ASSERT_TRUE(can_fuse(hidden, library, heads));
  const at::Tensor ours = count_heads_nll(hidden, library, heads, sparse_rows(counts));

  const std::vector<at::Tensor> used = {heads.scale_weight, heads.scale_bias, heads.dropout_weight,
                                        heads.dropout_bias, heads.r_weight,   heads.r_bias,
                                        heads.log_theta};
  std::vector<at::Tensor> twins;
  for (const at::Tensor& tensor : used) twins.push_back(tensor.defined() ? wide(tensor) : at::Tensor());
  const at::Tensor hidden2 = wide(hidden), library2 = wide(library);
  const at::Tensor plain = plain_nll(hidden2, library2, twins, heads, counts.to(at::kDouble));
  expect_close(ours, plain, "loss");
  {
    at::NoGradGuard no_grad;
    expect_close(count_heads_nll(hidden, library, heads, sparse_rows(counts)), plain, "loss without gradients");
  }

  const at::Tensor weights = same_weights ? at::full({kRows}, 0.25F) : torch::rand({kRows});
  (ours * weights).sum().backward();
  (plain * weights.to(at::kDouble)).sum().backward();
  expect_close(hidden.grad(), hidden2.grad(), "hidden");
  expect_close(library.grad(), library2.grad(), "library");
  for (std::size_t i = 0; i < used.size(); ++i)
    if (used[i].defined()) expect_close(used[i].grad(), twins[i].grad(), std::to_string(i).c_str());
}

INSTANTIATE_TEST_SUITE_P(
    All, FusedHeads,
    ::testing::Combine(::testing::Values(CountLikelihood::zinb, CountLikelihood::nb, CountLikelihood::poisson),
                       ::testing::Values(Form::shared, Form::by_category, Form::per_cell), ::testing::Bool()));

class FusedLogits : public ::testing::TestWithParam<std::tuple<CountLikelihood, Form, bool>> {};

TEST_P(FusedLogits, EqualTheirPartsAndTheirGradients) {
  torch::manual_seed(9);
  const auto [likelihood, form, same_weights] = GetParam();
  const auto parameter = [](at::IntArrayRef shape) { return (0.7 * torch::randn(shape)).requires_grad_(true); };
  const at::Tensor library = (torch::randn({kRows, 1}) + 5).requires_grad_(true);
  const at::Tensor counts = counts_like(0.4);
  CountLogits logits{.likelihood = likelihood, .scale = parameter({kRows, kGenes})};
  if (likelihood == CountLikelihood::zinb) logits.dropout = parameter({kRows, kGenes});
  if (likelihood != CountLikelihood::poisson) {
    if (form == Form::per_cell) logits.log_theta = parameter({kRows, kGenes});
    if (form == Form::shared) logits.log_theta = parameter({kGenes});
    if (form == Form::by_category) {
      logits.log_theta = parameter({3, kGenes});
      logits.category = torch::randint(0, 2, {kRows, 1});
    }
  }
  ASSERT_TRUE(can_fuse(logits, library));
  const at::Tensor ours = count_logits_nll(logits, library, sparse_rows(counts));

  const at::Tensor library2 = wide(library), scale = wide(logits.scale);
  const at::Tensor mean = at::exp(library2) * at::softmax(scale, -1);
  const at::Tensor dropout = logits.dropout.defined() ? wide(logits.dropout) : at::Tensor();
  const at::Tensor log_theta = logits.log_theta.defined() ? wide(logits.log_theta) : at::Tensor();
  at::Tensor theta = log_theta;
  if (logits.category.defined()) theta = at::index_select(theta, 0, logits.category.reshape(-1));
  if (theta.defined()) theta = theta.exp();
  const at::Tensor x = counts.to(at::kDouble);
  at::Tensor log_prob;
  if (likelihood == CountLikelihood::zinb) log_prob = ZeroInflatedNegativeBinomial{mean, theta, dropout}.log_prob(x);
  if (likelihood == CountLikelihood::nb) log_prob = NegativeBinomial{mean, theta}.log_prob(x);
  if (likelihood == CountLikelihood::poisson) log_prob = Poisson{mean}.log_prob(x);
  const at::Tensor plain = -log_prob.sum(-1);
  expect_close(ours, plain, "loss");
  {
    at::NoGradGuard no_grad;
    expect_close(count_logits_nll(logits, library, sparse_rows(counts)), plain, "loss without gradients");
  }

  const at::Tensor weights = same_weights ? at::full({kRows}, 0.25F) : torch::rand({kRows});
  (ours * weights).sum().backward();
  (plain * weights.to(at::kDouble)).sum().backward();
  expect_close(library.grad(), library2.grad(), "library");
  expect_close(logits.scale.grad(), scale.grad(), "scale");
  if (dropout.defined()) expect_close(logits.dropout.grad(), dropout.grad(), "dropout");
  if (log_theta.defined()) expect_close(logits.log_theta.grad(), log_theta.grad(), "log_theta");
}

INSTANTIATE_TEST_SUITE_P(
    All, FusedLogits,
    ::testing::Combine(::testing::Values(CountLikelihood::zinb, CountLikelihood::nb, CountLikelihood::poisson),
                       ::testing::Values(Form::shared, Form::by_category, Form::per_cell), ::testing::Bool()));

TEST(FusedLogits, RefuseACategoryOutOfRange) {
  const CountLogits logits{.likelihood = CountLikelihood::nb,
                           .scale = torch::randn({kRows, kGenes}),
                           .log_theta = torch::randn({2, kGenes}),
                           .category = at::full({kRows, 1}, 2, at::kLong)};
  EXPECT_THROW(count_logits_nll(logits, torch::randn({kRows, 1}), sparse_rows(counts_like(0.3))), InputError);
}

// The ReLU's own gradient takes the rest away.
TEST(FusedHeads, ComputeTheGradientOfARectifiedInputWhereItPasses) {
  torch::manual_seed(11);
  const at::Tensor input = torch::randn({kRows, kHidden});
  CountHeads heads{.scale_weight = input_major(torch::randn({kGenes, kHidden})),
                   .scale_bias = torch::randn({kGenes}),
                   .dropout_weight = input_major(torch::randn({kGenes, kHidden})),
                   .dropout_bias = torch::randn({kGenes}),
                   .log_theta = torch::randn({kGenes})};
  const at::Tensor library = torch::randn({kRows, 1}) + 5;
  const SparseRows counts = sparse_rows(counts_like(0.4));
  const auto gradient = [&](bool rectified, bool behind_relu) {
    heads.hidden_is_rectified = rectified;
    const at::Tensor x = input.clone().requires_grad_(true);
    const at::Tensor hidden = behind_relu ? at::relu(x) : x.clamp_min(0).detach().requires_grad_(true);
    (count_heads_nll(hidden, library, heads, counts) * at::arange(kRows)).sum().backward();
    return behind_relu ? x.grad() : hidden.grad();
  };
  const at::Tensor expected = gradient(false, true);
  expect_close(gradient(true, true), expected.to(at::kDouble), "behind the ReLU");
  expect_close(gradient(true, false), expected.to(at::kDouble), "before it");
  EXPECT_GT((gradient(false, false) != 0).sum().item<int>(), (expected != 0).sum().item<int>());
}

TEST(FusedHeads, MayLackTheirBiases) {
  torch::manual_seed(13);
  const at::Tensor hidden = torch::randn({kRows, kHidden}), library = torch::randn({kRows, 1}) + 5;
  const SparseRows counts = sparse_rows(counts_like(0.4));
  CountHeads heads{.likelihood = CountLikelihood::nb,
                   .scale_weight = torch::randn({kGenes, kHidden}).requires_grad_(true),
                   .log_theta = torch::randn({kGenes})};
  ASSERT_TRUE(can_fuse(hidden, library, heads));
  const auto loss_and_gradient = [&] {
    heads.scale_weight.mutable_grad().reset();
    const at::Tensor loss = count_heads_nll(hidden, library, heads, counts);
    loss.sum().backward();
    return std::pair{loss.detach(), heads.scale_weight.grad()};
  };
  const auto [loss, gradient] = loss_and_gradient();
  heads.scale_bias = torch::zeros({kGenes});
  const auto [same_loss, same_gradient] = loss_and_gradient();
  EXPECT_TRUE(at::equal(loss, same_loss));
  EXPECT_TRUE(at::equal(gradient, same_gradient));
}

TEST(FusedHeads, RefuseACategoryOutOfRange) {
  CountHeads heads{.likelihood = CountLikelihood::nb,
                   .scale_weight = torch::randn({kGenes, kHidden}),
                   .scale_bias = torch::randn({kGenes})};
  heads.log_theta = torch::randn({2, kGenes});
  heads.category = at::full({kRows, 1}, -1, at::kLong);
  EXPECT_THROW(
      count_heads_nll(torch::randn({kRows, kHidden}), torch::randn({kRows, 1}), heads, sparse_rows(counts_like(0.3))),
      InputError);
}

class FusedMixedDropout : public ::testing::TestWithParam<std::tuple<double, bool>> {};

TEST_P(FusedMixedDropout, EqualsItsFormulaAndItsGradients) {
  torch::manual_seed(10);
  const auto [minimum, by_category] = GetParam();
  const std::int64_t n_tables = by_category ? 3 : 1;
  const at::Tensor bernoulli = torch::rand({n_tables, kGenes}) * 0.9998 + 0.0001;
  MixedDropout what{.logits = (6 * torch::randn({kRows, kGenes})).requires_grad_(true),
                    .minimum = minimum,
                    .log_inflated = (1 - bernoulli).log().requires_grad_(true),
                    .log_plain = bernoulli.log().requires_grad_(true)};
  if (by_category) what.category = torch::randint(0, 3, {kRows, 1});
  ASSERT_TRUE(can_fuse(what));
  const at::Tensor ours = mixed_dropout(what);

  const at::Tensor logits = wide(what.logits), log_inflated = wide(what.log_inflated),
                   log_plain = wide(what.log_plain);
  const at::Tensor index = by_category ? what.category.reshape(-1) : at::zeros({kRows}, at::kLong);
  at::Tensor lifted = logits;
  if (minimum > 0) {
    const at::Tensor p = minimum + (1 - minimum) * at::sigmoid(logits);
    lifted = at::log(p / (1 - p + 1e-8));
  }
  const at::Tensor plain =
      lifted + log_inflated.index_select(0, index) - at::softplus(lifted + log_plain.index_select(0, index));
  expect_close(ours, plain, "logits");
  const at::Tensor weights = torch::randn({kRows, kGenes});
  (ours * weights).sum().backward();
  (plain * weights.to(at::kDouble)).sum().backward();
  expect_close(what.logits.grad(), logits.grad(), "by logits");
  expect_close(what.log_inflated.grad(), log_inflated.grad(), "by log_inflated");
  expect_close(what.log_plain.grad(), log_plain.grad(), "by log_plain");
  if (!by_category) return;
  what.category = at::full({kRows, 1}, 3, at::kLong);
  EXPECT_THROW(mixed_dropout(what), InputError);
}

INSTANTIATE_TEST_SUITE_P(All, FusedMixedDropout, ::testing::Combine(::testing::Values(0.0, 0.01), ::testing::Bool()));

TEST(CountMeansNll, EqualsTheDistributionsOverSamples) {
  torch::manual_seed(8);
  at::NoGradGuard no_grad;
  const at::Tensor counts = counts_like(0.4);
  const at::Tensor mean = torch::rand({3, kRows, kGenes}) * 10;
  const at::Tensor dropout = torch::randn({3, kRows, kGenes});
  const SparseRows rows = sparse_rows(counts);
  for (const at::Tensor& theta : {torch::rand({kGenes}) + 0.1, torch::rand({kRows, kGenes}) + 0.1}) {
    const CountMeansTensors zinb{CountLikelihood::zinb, mean, theta, dropout};
    ASSERT_TRUE(can_fuse(zinb, &rows));
    const auto wide_of = [](const at::Tensor& tensor) { return tensor.to(at::kDouble); };
    expect_close(count_means_nll(zinb, rows),
                 -ZeroInflatedNegativeBinomial{wide_of(mean), wide_of(theta), wide_of(dropout)}
                      .log_prob(wide_of(counts))
                      .sum(-1),
                 "zinb");
    expect_close(count_means_nll({CountLikelihood::nb, mean, theta}, rows),
                 -NegativeBinomial{wide_of(mean), wide_of(theta)}.log_prob(wide_of(counts)).sum(-1), "nb");
  }
  expect_close(count_means_nll({CountLikelihood::poisson, mean}, rows),
               -Poisson{mean.to(at::kDouble)}.log_prob(counts.to(at::kDouble)).sum(-1), "poisson");
}

TEST(SparseRowsTest, KeepTheirValuesAndTakeLogarithms) {
  const at::Tensor counts = counts_like(0.3);
  EXPECT_TRUE(at::equal(to_dense(sparse_rows(counts)), counts));
  EXPECT_TRUE(at::allclose(to_dense(log1p(sparse_rows(counts))), at::log1p(counts), 1e-6, 1e-7));
}

}  // namespace
}  // namespace scvi::kernel
