// bench_layers: the layer kernels beside the same in ATen operations, on one thread. Columns "CPU" are the ones to
// read on a busy machine; --benchmark_repetitions=N --benchmark_enable_random_interleaving=true gives medians of
// turns.

#include <ATen/ATen.h>
#include <benchmark/benchmark.h>

#include <cmath>
#include <vector>

#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/csr_transposed.hpp"
#include "scvi/kernel/fused_adam.hpp"
#include "scvi/kernel/latent_sample.hpp"
#include "scvi/kernel/norm_relu_dropout.hpp"
#include "scvi/kernel/softmax_rows.hpp"
#include "scvi/kernel/sparse_linear.hpp"
#include "scvi/kernel/threads.hpp"

namespace {

using scvi::kernel::CsrView;

constexpr std::int64_t kCells = 128;
constexpr std::int64_t kHidden = 128;

std::vector<float> normals(std::int64_t n, const char* name) {
  std::vector<float> values(static_cast<std::size_t>(n));
  scvi::RandomStream(1, name).fill_standard_normal(values);
  return values;
}

std::vector<float> uniforms(std::int64_t n, const char* name) {
  std::vector<float> values(static_cast<std::size_t>(n));
  scvi::RandomStream(1, name).fill_uniform(values);
  return values;
}

at::Tensor tensor_of(const std::vector<float>& values, at::IntArrayRef shape) {
  return at::from_blob(const_cast<float*>(values.data()), shape, at::kFloat).clone();
}

/// A minibatch with about `percent` of its counts above zero.
struct SparseBatch {
  SparseBatch(std::int64_t n_genes, std::int64_t percent) : genes(n_genes), indptr{0} {
    const auto draws = uniforms(kCells * n_genes, "counts");
    for (std::int64_t r = 0; r < kCells; ++r) {
      for (std::int64_t g = 0; g < n_genes; ++g) {
        const float draw = draws[static_cast<std::size_t>(r * n_genes + g)] * 100;
        if (draw >= static_cast<float>(percent)) continue;
        indices.push_back(static_cast<std::int32_t>(g));
        values.push_back(1 + std::floor(draw));
      }
      indptr.push_back(static_cast<std::int64_t>(values.size()));
    }
  }
  CsrView view() const {
    return {.n_rows = kCells,
            .n_columns = genes,
            .indptr = indptr.data(),
            .indices = indices.data(),
            .values = values.data()};
  }
  at::Tensor dense() const {
    at::Tensor x = at::zeros({kCells, genes});
    auto* data = x.data_ptr<float>();
    for (std::int64_t r = 0; r < kCells; ++r)
      for (std::int64_t i = indptr[r]; i < indptr[r + 1]; ++i) data[r * genes + indices[i]] = values[i];
    return x;
  }

  std::int64_t genes;
  std::vector<std::int64_t> indptr;
  std::vector<std::int32_t> indices;
  std::vector<float> values;
};

void sparse_forward(benchmark::State& state) {
  const SparseBatch batch(state.range(0), state.range(1));
  const auto weight = normals(batch.genes * kHidden, "w");
  std::vector<float> y(kCells * kHidden);
  for (auto _ : state) {
    scvi::kernel::sparse_linear(
        {.x = batch.view(), .weight = weight.data(), .weight_stride = kHidden, .n_out = kHidden}, y.data(), kHidden);
    benchmark::ClobberMemory();
  }
}

void sparse_gradient(benchmark::State& state) {
  const SparseBatch batch(state.range(0), state.range(1));
  const auto dy = normals(kCells * kHidden, "dy");
  std::vector<float> dweight(batch.genes * kHidden);
  for (auto _ : state) {
    const scvi::kernel::CsrTransposed by_gene(batch.view());
    scvi::kernel::sparse_linear(
        {.x = by_gene.view(), .weight = dy.data(), .weight_stride = kHidden, .n_out = kHidden}, dweight.data(),
        kHidden);
    benchmark::ClobberMemory();
  }
}

void sparse_forward_aten(benchmark::State& state) {
  const at::Tensor x = SparseBatch(state.range(0), state.range(1)).dense();
  const at::Tensor weight = at::ones({kHidden, state.range(0)});
  for (auto _ : state) benchmark::DoNotOptimize(at::mm(x, weight.t()));
}

void sparse_gradient_aten(benchmark::State& state) {
  const at::Tensor x = SparseBatch(state.range(0), state.range(1)).dense();
  const at::Tensor dy = at::ones({kCells, kHidden});
  for (auto _ : state) benchmark::DoNotOptimize(at::mm(dy.t(), x));
}

void log1p(benchmark::State& state) {
  const SparseBatch batch(3346, 8);
  std::vector<float> out(batch.values.size());
  for (auto _ : state) {
    scvi::kernel::log1p_values(batch.values.data(), static_cast<std::int64_t>(out.size()), out.data());
    benchmark::ClobberMemory();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(out.size()));
}

void log1p_aten(benchmark::State& state) {
  const SparseBatch batch(3346, 8);
  const at::Tensor x = tensor_of(batch.values, {static_cast<std::int64_t>(batch.values.size())});
  for (auto _ : state) benchmark::DoNotOptimize(at::log1p(x));
  state.SetItemsProcessed(state.iterations() * x.numel());
}

void norm_both(benchmark::State& state) {
  const auto h = normals(kCells * kHidden, "h"), dy = normals(kCells * kHidden, "dy");
  const auto draws = uniforms(kCells * kHidden, "draws");
  std::vector<float> y(h.size()), dh(h.size());
  std::vector<float> gamma(kHidden, 1), beta(kHidden), mean(kHidden), var(kHidden, 1), m(kHidden), s(kHidden);
  std::vector<float> dgamma(kHidden), dbeta(kHidden);
  const scvi::kernel::NormReluDropout<float> layer{.n_rows = kCells,
                                                   .n_features = kHidden,
                                                   .gamma = gamma.data(),
                                                   .beta = beta.data(),
                                                   .running_mean = mean.data(),
                                                   .running_var = var.data(),
                                                   .draws = draws.data()};
  for (auto _ : state) {
    scvi::kernel::norm_relu_dropout(layer, h.data(), y.data(), {m.data(), s.data()});
    scvi::kernel::norm_relu_dropout_backward(layer, h.data(), y.data(), {m.data(), s.data()}, dy.data(), dh.data(),
                                             dgamma.data(), dbeta.data());
    benchmark::ClobberMemory();
  }
}

void norm_both_aten(benchmark::State& state) {
  const at::Tensor h = tensor_of(normals(kCells * kHidden, "h"), {kCells, kHidden});
  const at::Tensor dy = tensor_of(normals(kCells * kHidden, "dy"), {kCells, kHidden});
  const at::Tensor draws = tensor_of(uniforms(kCells * kHidden, "draws"), {kCells, kHidden});
  const at::Tensor gamma = at::ones({kHidden}), beta = at::zeros({kHidden});
  at::Tensor mean = at::zeros({kHidden}), var = at::ones({kHidden});
  for (auto _ : state) {
    const auto [normed, m, s] = at::native_batch_norm(h, gamma, beta, mean, var, true, 0.01, 1e-3);
    const at::Tensor active = at::relu(normed);
    const at::Tensor keep = (draws >= 0.1).to(at::kFloat).mul_(1 / 0.9);
    benchmark::DoNotOptimize(active * keep);
    const at::Tensor through = at::threshold_backward(dy * keep, active, 0);
    benchmark::DoNotOptimize(
        at::native_batch_norm_backward(through, h, gamma, mean, var, m, s, true, 1e-3, {true, true, true}));
  }
}

void latent_both(benchmark::State& state) {
  constexpr std::int64_t kLatent = 10;
  const auto mean = normals(kCells * kLatent, "m"), raw = normals(kCells * kLatent, "v");
  const auto noise = normals(kCells * kLatent, "n"), dz = normals(kCells * kLatent, "dz"), dkl = normals(kCells, "k");
  std::vector<float> variance(mean.size()), z(mean.size()), kl(kCells), dmean(mean.size()), draw(mean.size());
  const scvi::kernel::LatentSample<float> latent{
      .n_rows = kCells, .n_latent = kLatent, .mean = mean.data(), .raw_variance = raw.data(), .noise = noise.data()};
  for (auto _ : state) {
    scvi::kernel::latent_sample(latent, variance.data(), z.data(), kl.data());
    scvi::kernel::latent_sample_backward(latent, dz.data(), dkl.data(), dmean.data(), draw.data());
    benchmark::ClobberMemory();
  }
}

/// The operations alone; autograd would add its own time, as it would around every benchmark here.
void latent_both_aten(benchmark::State& state) {
  const at::Tensor mean = at::randn({kCells, 10}), raw = at::randn({kCells, 10}), noise = at::randn({kCells, 10});
  const at::Tensor dz = at::randn({kCells, 10}), dkl = at::randn({kCells, 1});
  for (auto _ : state) {
    const at::Tensor exponential = raw.exp();
    const at::Tensor variance = exponential + 1e-4;
    const at::Tensor root = variance.sqrt();
    benchmark::DoNotOptimize(mean + root * noise);
    benchmark::DoNotOptimize(((variance + mean * mean - 1 - variance.log()) * 0.5).sum(1));
    benchmark::DoNotOptimize(dz + dkl * mean);
    benchmark::DoNotOptimize((dz * noise / root + dkl * (1 - variance.reciprocal())) * 0.5 * exponential);
  }
}

/// Frequencies and rates of a minibatch.
void softmax(benchmark::State& state) {
  const std::int64_t n_genes = state.range(0);
  const auto logits = normals(kCells * n_genes, "logits"), library = normals(kCells, "library");
  std::vector<float> scale(logits.size()), rate(logits.size());
  for (auto _ : state) {
    scvi::kernel::softmax_rows({kCells, n_genes, logits.data(), scale.data(), library.data(), rate.data()});
    benchmark::ClobberMemory();
  }
}

void softmax_aten(benchmark::State& state) {
  const at::Tensor logits = at::randn({kCells, state.range(0)}), library = at::randn({kCells, 1});
  for (auto _ : state) {
    const at::Tensor scale = at::softmax(logits, -1);
    benchmark::DoNotOptimize(at::exp(library) * scale);
  }
}

constexpr std::int64_t kParameters = 1700000;

void adam(benchmark::State& state) {
  auto p = normals(kParameters, "p");
  const auto g = normals(kParameters, "g");
  std::vector<float> m(p.size()), v(p.size());
  const scvi::kernel::AdamBuffer<float> buffer{.parameter = p.data(),
                                               .gradient = g.data(),
                                               .first_moment = m.data(),
                                               .second_moment = v.data(),
                                               .size = kParameters};
  std::int64_t step = 0;
  for (auto _ : state) scvi::kernel::fused_adam({&buffer, 1}, ++step, {});
}

void adam_aten(benchmark::State& state) {
  at::Tensor p = tensor_of(normals(kParameters, "p"), {kParameters});
  const at::Tensor g = tensor_of(normals(kParameters, "g"), {kParameters});
  at::Tensor m = at::zeros_like(p), v = at::zeros_like(p);
  double step = 0;
  for (auto _ : state) {
    ++step;
    const at::Tensor with_decay = g.add(p, 1e-6);
    m.mul_(0.9).add_(with_decay, 0.1);
    v.mul_(0.999).addcmul_(with_decay, with_decay, 0.001);
    const at::Tensor denominator = v.sqrt().div_(std::sqrt(1 - std::pow(0.999, step))).add_(0.01);
    p.addcdiv_(m, denominator, -1e-3 / (1 - std::pow(0.9, step)));
  }
}

void draw_uniforms(benchmark::State& state) {
  std::vector<float> values(2 * kCells * kHidden);
  const scvi::RandomStream stream(1, "dropout");
  for (auto _ : state) {
    stream.fill_uniform(values);
    benchmark::ClobberMemory();
  }
}

void draw_normals(benchmark::State& state) {
  std::vector<float> values(kCells * 11);
  const scvi::RandomStream stream(1, "z");
  for (auto _ : state) {
    stream.fill_standard_normal(values);
    benchmark::ClobberMemory();
  }
}

/// Works for about so many microseconds.
void work_for(std::int64_t microseconds) {
  float x = 1;
  for (std::int64_t i = 0; i < microseconds * 300; ++i) benchmark::DoNotOptimize(x = x * 0.5f + 1);
}

/// Thirty parallel loops of 16 to 512 us of work each, with 10 us of other work between them: how a training step
/// uses the pool. Argument: threads.
void step_of_parallel_loops(benchmark::State& state) {
  scvi::settings().n_threads = static_cast<int>(state.range(0));
  for (auto _ : state) {
    for (int repeat = 0; repeat < 5; ++repeat) {
      for (const std::int64_t work : {16, 32, 64, 128, 256, 512}) {
        scvi::parallel_for(8, 1, [work](std::int64_t, std::int64_t) { work_for(work / 8); });
        work_for(10);
      }
    }
  }
  scvi::settings().n_threads = 1;
}

constexpr auto kMicro = benchmark::kMicrosecond;
BENCHMARK(sparse_forward)->Args({558, 27})->Args({3346, 8})->Args({4000, 21})->Unit(kMicro);
BENCHMARK(sparse_forward_aten)->Args({558, 27})->Args({3346, 8})->Args({4000, 21})->Unit(kMicro);
BENCHMARK(sparse_gradient)->Args({558, 27})->Args({3346, 8})->Args({4000, 21})->Unit(kMicro);
BENCHMARK(sparse_gradient_aten)->Args({558, 27})->Args({3346, 8})->Args({4000, 21})->Unit(kMicro);
BENCHMARK(log1p)->Unit(kMicro);
BENCHMARK(log1p_aten)->Unit(kMicro);
BENCHMARK(norm_both)->Unit(kMicro);
BENCHMARK(norm_both_aten)->Unit(kMicro);
BENCHMARK(latent_both)->Unit(kMicro);
BENCHMARK(latent_both_aten)->Unit(kMicro);
BENCHMARK(softmax)->Arg(558)->Arg(2000)->Arg(4000)->Unit(kMicro);
BENCHMARK(softmax_aten)->Arg(558)->Arg(2000)->Arg(4000)->Unit(kMicro);
BENCHMARK(adam)->Unit(kMicro);
BENCHMARK(adam_aten)->Unit(kMicro);
BENCHMARK(draw_uniforms)->Unit(kMicro);
BENCHMARK(draw_normals)->Unit(kMicro);
BENCHMARK(step_of_parallel_loops)->Arg(1)->Arg(2)->Arg(4)->MeasureProcessCPUTime()->UseRealTime()->Unit(kMicro);

}  // namespace

int main(int argc, char** argv) {
  scvi::settings().n_threads = 1;
  scvi::kernel::use_own_threads();
  at::NoGradGuard no_grad;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
