#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <numeric>

#include "scvi/core/settings.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/model/spec.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/posterior/differential_expression.hpp"
#include "scvi/posterior/generation.hpp"
#include "scvi/posterior/metrics.hpp"
#include "scvi/posterior/posterior.hpp"
#include "with_gpu.hpp"

namespace scvi {
namespace {

class PosteriorOnGpu : public testing::WithGpu {
 protected:
  PosteriorOnGpu() {
    SyntheticDatasetCorrOptions options;
    options.n_cells_cluster = 100;
    options.n_genes_high = 20;
    options.n_batches = 2;
    options.seed = 2;
    dataset_ = std::make_shared<GeneExpressionDataset>(synthetic_dataset_corr(options).dataset);
  }
  std::shared_ptr<Model> model(c10::Device device, LatentDistribution latent, ReconstructionLoss likelihood) const {
    auto made = std::make_shared<VAE>(VaeOptions{.n_input = dataset_->nb_genes(),
                                                 .n_batch = 2,
                                                 .reconstruction_loss = likelihood,
                                                 .latent_distribution = latent},
                                      4);
    made->to(device);
    return made;
  }
  std::shared_ptr<const GeneExpressionDataset> dataset_;
};

void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  float largest = 0;
  for (const float value : a) largest = std::max(largest, std::abs(value));
  for (std::size_t i = 0; i < a.size(); ++i) ASSERT_NEAR(a[i], b[i], 1e-4F * largest) << i;
}

TEST_F(PosteriorOnGpu, AgreesWithTheCpu) {
  for (const auto latent : {LatentDistribution::normal, LatentDistribution::ln}) {
    for (const auto likelihood : {ReconstructionLoss::zinb, ReconstructionLoss::nb, ReconstructionLoss::poisson}) {
      const Posterior here = Posterior::of_all_cells(model(c10::Device(c10::kCPU), latent, likelihood), dataset_);
      const Posterior there = Posterior::of_all_cells(model(gpu_, latent, likelihood), dataset_);
      const auto expect_close = [](double a, double b) { EXPECT_NEAR(a, b, 1e-4 * std::abs(a)); };
      expect_close(here.elbo(), there.elbo());
      expect_close(here.reconstruction_error(), there.reconstruction_error());
      if (latent == LatentDistribution::normal) expect_close(here.marginal_ll(7), there.marginal_ll(7));
      expect_near(here.get_latent().z.values, there.get_latent().z.values);
      expect_near(here.get_library().values, there.get_library().values);
      expect_near(here.get_sample_scale().values, there.get_sample_scale().values);
      expect_near(here.get_sample_scale({.transform_batch = {1}}).values,
                  there.get_sample_scale({.transform_batch = {1}}).values);
    }
  }
}

TEST_F(PosteriorOnGpu, AgreesWithTheCpuForEveryModelThatDecodesCounts) {
  for (const char* name : {"ldvae", "vaec", "scanvi", "autozi"}) {
    SCOPED_TRACE(name);
    const auto posterior_on = [&](c10::Device device) {
      const auto made = make_model(name, {dataset_->nb_genes(), 2, dataset_->n_labels()}, {}, 4);
      made->to(device);
      return Posterior::of_all_cells(made, dataset_).with_hidden_labels();
    };
    const Posterior here = posterior_on(c10::Device(c10::kCPU));
    const Posterior there = posterior_on(gpu_);
    const auto expect_close = [](double a, double b) { EXPECT_NEAR(a, b, 1e-4 * std::abs(a)); };
    expect_close(here.elbo(), there.elbo());
    expect_close(here.marginal_ll(7), there.marginal_ll(7));
    expect_near(here.get_latent().z.values, there.get_latent().z.values);
    expect_near(here.get_sample_rate({.n_samples = 3}).values, there.get_sample_rate({.n_samples = 3}).values);
    // Of counts that are drawn with nearly the same rates some differ by one.
    const auto mean_count = [](const Posterior& posterior) {
      const auto counts = posterior.generate({.n_samples = 2}).x_new.values;
      return std::accumulate(counts.begin(), counts.end(), 0.0) / static_cast<double>(counts.size());
    };
    EXPECT_NEAR(mean_count(here), mean_count(there), 1e-3 * mean_count(here));
  }
}

TEST_F(PosteriorOnGpu, ComparesGroupsAsTheCpuDoes) {
  const auto groups = groups_of_labels(*dataset_);
  std::vector<std::vector<io::NamedTable>> results;
  for (const c10::Device device : {c10::Device(c10::kCPU), gpu_, gpu_}) {
    const Posterior posterior =
        Posterior::of_all_cells(model(device, LatentDistribution::normal, ReconstructionLoss::zinb), dataset_);
    results.push_back(one_vs_all_degenes(posterior, groups, {.n_samples = 1000}));
  }
  ASSERT_EQ(results[0].size(), groups.size());
  const auto scales_of = [](const io::NamedTable& named) {
    std::map<std::string, double> scales;
    const auto& values = std::get<std::vector<double>>(named.table.find("scale1")->values);
    for (std::size_t i = 0; i < values.size(); ++i) scales[named.table.index[i]] = values[i];
    return scales;
  };
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const auto here = scales_of(results[0][i]), there = scales_of(results[1][i]);
    ASSERT_EQ(std::ssize(here), dataset_->nb_genes());
    for (const auto& [gene, scale] : here) EXPECT_NEAR(scale, there.at(gene), 1e-4 * scale) << gene;
    EXPECT_EQ(there, scales_of(results[2][i]));
  }
}

TEST_F(PosteriorOnGpu, GivesTheSameBitsForAnyNumberOfThreads) {
  const Posterior posterior =
      Posterior::of_all_cells(model(gpu_, LatentDistribution::normal, ReconstructionLoss::zinb), dataset_);
  const int before = settings().n_threads;
  std::vector<double> marginal;
  std::vector<std::vector<float>> latent;
  for (const int threads : {1, 2, 7}) {
    settings().n_threads = threads;
    marginal.push_back(posterior.marginal_ll(7));
    latent.push_back(posterior.get_latent(false).z.values);
  }
  settings().n_threads = before;
  EXPECT_TRUE(marginal[0] == marginal[1] && marginal[0] == marginal[2]);
  EXPECT_TRUE(latent[0] == latent[1] && latent[0] == latent[2]);
}

}  // namespace
}  // namespace scvi
