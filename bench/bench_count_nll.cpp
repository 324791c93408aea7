// bench_count_nll: the fused count likelihoods with all gradients beside the same by ATen operations and autograd,
// for 128 cells on one thread. Columns "CPU" are the ones to read on a busy machine;
// --benchmark_repetitions=N --benchmark_enable_random_interleaving=true gives medians of turns.

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>
#include <hwy/targets.h>
#include <torch/types.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "scvi/core/random.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/distribution/count.hpp"
#include "scvi/kernel/count_nll.hpp"
#include "scvi/kernel/threads.hpp"

namespace {

using scvi::kernel::CountLikelihood;

constexpr std::int64_t kCells = 128;

std::vector<float> normals(std::int64_t n, const char* name) {
  std::vector<float> values(static_cast<std::size_t>(n));
  scvi::RandomStream(1, name).fill_standard_normal(values);
  return values;
}

/// Logits, a shared dispersion and counts, most of them small, of which about `percent` are above zero.
struct Minibatch {
  Minibatch(std::int64_t n_genes, std::int64_t percent) : genes(n_genes), indptr{0} {
    scale = normals(kCells * genes, "scale");
    dropout = normals(kCells * genes, "dropout");
    log_theta = normals(genes, "theta");
    library.assign(kCells, std::log(0.5F * static_cast<float>(genes)));
    std::vector<float> draws(static_cast<std::size_t>(kCells * genes));
    scvi::RandomStream(1, "counts").fill_uniform(draws);
    for (std::int64_t r = 0; r < kCells; ++r) {
      for (std::int64_t g = 0; g < genes; ++g) {
        const float draw = draws[static_cast<std::size_t>(r * genes + g)] * 100 / static_cast<float>(percent);
        if (draw >= 1) continue;
        indices.push_back(static_cast<std::int32_t>(g));
        counts.push_back(std::min(1000.0F, std::floor(1 / std::pow(draw, 0.8F))));
      }
      indptr.push_back(static_cast<std::int64_t>(counts.size()));
    }
    log_factorials.resize(kCells);
    scvi::kernel::log_factorials(view(), log_factorials.data());
  }

  scvi::kernel::CsrView view() const {
    return {.n_rows = kCells,
            .n_columns = genes,
            .indptr = indptr.data(),
            .indices = indices.data(),
            .values = counts.data()};
  }
  scvi::kernel::CountNll<float> cells(CountLikelihood likelihood) const {
    return {.likelihood = likelihood,
            .counts = view(),
            .log_factorials = log_factorials.data(),
            .scale_logits = scale.data(),
            .dropout_logits = dropout.data(),
            .library = library.data(),
            .log_theta = {.values = log_theta.data()}};
  }
  at::Tensor dense() const {
    at::Tensor x = at::zeros({kCells, genes});
    auto* data = x.data_ptr<float>();
    for (std::int64_t r = 0; r < kCells; ++r)
      for (std::int64_t i = indptr[r]; i < indptr[r + 1]; ++i) data[r * genes + indices[i]] = counts[i];
    return x;
  }

  std::int64_t genes;
  std::vector<float> scale, dropout, log_theta, library, counts;
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices;
  std::vector<double> log_factorials;
};

/// Gradients are written over the logits, as a layer would have it; to lay new ones there is not counted.
void fused(benchmark::State& state, CountLikelihood likelihood, std::int64_t target) {
  if (target != 0) hwy::SetSupportedTargetsForTest(target);
  const Minibatch batch(state.range(0), state.range(1));
  std::vector<float> nll(kCells), scale(batch.scale.size()), dropout(batch.scale.size()), library(kCells);
  std::vector<float> theta(batch.log_theta.size());
  scvi::kernel::CountNll<float> cells = batch.cells(likelihood);
  cells.scale_logits = scale.data();
  cells.dropout_logits = dropout.data();
  const scvi::kernel::CountNllGradients<float> gradients{.scale_logits = scale.data(),
                                                         .dropout_logits = dropout.data(),
                                                         .library = library.data(),
                                                         .log_theta = theta.data()};
  for (auto _ : state) {
    state.PauseTiming();
    std::copy(batch.scale.begin(), batch.scale.end(), scale.begin());
    std::copy(batch.dropout.begin(), batch.dropout.end(), dropout.begin());
    state.ResumeTiming();
    scvi::kernel::count_nll(cells, nll.data(), gradients);
    benchmark::ClobberMemory();
  }
  if (target != 0) hwy::SetSupportedTargetsForTest(0);
}

void fused_loss(benchmark::State& state, CountLikelihood likelihood) {
  const Minibatch batch(state.range(0), state.range(1));
  std::vector<float> nll(kCells);
  for (auto _ : state) {
    scvi::kernel::count_nll(batch.cells(likelihood), nll.data());
    benchmark::ClobberMemory();
  }
}

at::Tensor leaf(const std::vector<float>& values, at::IntArrayRef shape) {
  return at::from_blob(const_cast<float*>(values.data()), shape, at::kFloat).clone().requires_grad_(true);
}

at::Tensor log_prob(CountLikelihood likelihood, const at::Tensor& rate, const at::Tensor& theta,
                    const at::Tensor& dropout, const at::Tensor& x) {
  if (likelihood == CountLikelihood::poisson) return scvi::Poisson{rate}.log_prob(x);
  if (likelihood == CountLikelihood::nb) return scvi::NegativeBinomial{rate, theta}.log_prob(x);
  return scvi::ZeroInflatedNegativeBinomial{rate, theta, dropout}.log_prob(x);
}

void aten(benchmark::State& state, CountLikelihood likelihood) {
  const Minibatch batch(state.range(0), state.range(1));
  const at::Tensor x = batch.dense();
  const at::Tensor scale = leaf(batch.scale, {kCells, batch.genes});
  const at::Tensor dropout = leaf(batch.dropout, {kCells, batch.genes});
  const at::Tensor library = leaf(batch.library, {kCells, 1}), log_theta = leaf(batch.log_theta, {batch.genes});
  for (auto _ : state) {
    const at::Tensor rate = library.exp() * at::softmax(scale, -1);
    const at::Tensor loss = -log_prob(likelihood, rate, log_theta.exp(), dropout, x).sum();
    loss.backward();
    for (const at::Tensor& parameter : {scale, dropout, library, log_theta}) parameter.mutable_grad().reset();
  }
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  for (const auto& [genes, percent] : {std::pair{558, 27}, {720, 11}, {3346, 8}, {4000, 21}})
    benchmark->Args({genes, percent});
  benchmark->Unit(benchmark::kMicrosecond);
}

void register_all() {
  const std::pair<const char*, CountLikelihood> likelihoods[] = {
      {"zinb", CountLikelihood::zinb}, {"nb", CountLikelihood::nb}, {"poisson", CountLikelihood::poisson}};
  for (const auto& [name, likelihood] : likelihoods) {
    const std::string suffix = std::string("/") + name;
    sizes(benchmark::RegisterBenchmark(("fused" + suffix).c_str(), fused, likelihood, 0));
    sizes(benchmark::RegisterBenchmark(("fused_loss" + suffix).c_str(), fused_loss, likelihood));
    sizes(benchmark::RegisterBenchmark(("aten" + suffix).c_str(), aten, likelihood));
  }
  // Those that kernels are compiled for.
  for (std::int64_t left = hwy::SupportedTargets() & HWY_TARGETS; left != 0; left &= left - 1) {
    const std::int64_t target = left & -left;
    const std::string name = std::string("fused_on/zinb/") + hwy::TargetName(target);
    sizes(benchmark::RegisterBenchmark(name.c_str(), fused, CountLikelihood::zinb, target));
  }
}

}  // namespace

int main(int argc, char** argv) {
  scvi::settings().n_threads = 1;
  scvi::kernel::use_own_threads();
  benchmark::Initialize(&argc, argv);
  register_all();
  benchmark::RunSpecifiedBenchmarks();
}
