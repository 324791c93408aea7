#include "scvi/posterior/posterior.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "posterior/example.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/posterior/metrics.hpp"

namespace scvi {
namespace {

using testing::Example;
using testing::example;

TEST(Posterior, GivesTheSameBitsForAnyNumberOfThreads) {
  const Example cells = example();
  const int before = settings().n_threads;
  std::vector<double> elbo;
  std::vector<double> marginal;
  std::vector<std::vector<float>> latent;
  for (const int threads : {1, 2, 7}) {
    settings().n_threads = threads;
    elbo.push_back(cells.posterior().elbo());
    marginal.push_back(cells.posterior().marginal_ll(7));
    latent.push_back(cells.posterior().get_latent(false).z.values);
  }
  settings().n_threads = before;
  EXPECT_TRUE(elbo[0] == elbo[1] && elbo[0] == elbo[2]);
  EXPECT_TRUE(marginal[0] == marginal[1] && marginal[0] == marginal[2]);
  EXPECT_TRUE(latent[0] == latent[1] && latent[0] == latent[2]);
}

TEST(Posterior, GivesALatentMeanThatDoesNotDependOnTheMinibatchSize) {
  const Example cells = example();
  const auto large = cells.posterior({.batch_size = 300}).get_latent().z.values;
  const auto small = cells.posterior({.batch_size = 7}).get_latent().z.values;
  ASSERT_EQ(large.size(), small.size());
  for (std::size_t i = 0; i < large.size(); ++i) ASSERT_NEAR(large[i], small[i], 1e-4);
}

TEST(Posterior, KeepsTheOrderOfItsIndices) {
  const Example cells = example();
  const auto all = cells.posterior().get_latent();
  const Posterior some(cells.model, cells.dataset, {299, 0, 150});
  const auto picked = some.get_latent();
  EXPECT_EQ(picked.z.n_cells, 3);
  EXPECT_EQ(picked.labels[0], cells.dataset->labels()[299]);
  EXPECT_NEAR(picked.z.values[0], all.z.values[299 * 3], 1e-4);
  EXPECT_NEAR(picked.z.values[3], all.z.values[0], 1e-4);
}

TEST(Posterior, BoundsTheMarginalLikelihoodFromAbove) {
  const Example cells = example();
  const double elbo = cells.posterior().elbo();
  const double one = cells.posterior().marginal_ll(1);
  const double many = cells.posterior().marginal_ll(60);
  EXPECT_LT(many, elbo);
  EXPECT_LT(many, one);
  EXPECT_LT(cells.posterior().reconstruction_error(), elbo);
}

TEST(Posterior, CanBeLookedAtThroughOtherCellsAndMinibatches) {
  const Posterior all = example().posterior();
  const Posterior some = all.with_indices({299, 0, 150});
  EXPECT_EQ(some.indices(), (std::vector<std::int64_t>{299, 0, 150}));
  EXPECT_EQ(all.nb_cells(), 300);
  EXPECT_EQ(all.with_batch_size(7).options().batch_size, 7);
  EXPECT_THROW(all.with_indices({300}), InputError);
  EXPECT_THROW(all.with_batch_size(0), InputError);
  const auto library = all.with_batch_size(300).get_library().values;
  const auto of_some = some.get_library().values;
  for (const int i : {0, 1, 2}) EXPECT_NEAR(of_some[i], library[some.indices()[i]], 1e-5);
}

TEST(Posterior, DrawsTheSameInPartsOfItsMinibatches) {
  const Posterior posterior = example().posterior({.batch_size = 64});
  const std::vector<float> whole = posterior.generate({.n_samples = 1}).x_new.values;
  std::vector<float> joined;
  for (const std::int64_t first : {0, 2, 4, 6}) {
    const Posterior part = posterior.minibatches(first, first + 2);
    if (part.nb_cells() == 0) break;
    // And in parts of parts.
    for (const std::int64_t half : {0, 1}) {
      const Posterior of_part = part.minibatches(half, half + 1);
      if (of_part.nb_cells() == 0) break;
      const std::vector<float> drawn = of_part.generate({.n_samples = 1}).x_new.values;
      joined.insert(joined.end(), drawn.begin(), drawn.end());
    }
  }
  EXPECT_EQ(joined, whole);
  EXPECT_EQ(posterior.minibatches(3, 2).nb_cells(), 0);
  EXPECT_EQ(posterior.minibatches(-1, 100).nb_cells(), 300);
}

TEST(Posterior, ReadsTheCorruptedCountsOnRequestAlone) {
  const Posterior clean = example().posterior();
  const Posterior corrupted = clean.corrupted();
  EXPECT_NE(corrupted.get_library().values, clean.get_library().values);
  EXPECT_EQ(corrupted.uncorrupted().get_library().values, clean.get_library().values);
}

TEST(Posterior, HandsOutTheCountsOfItsCells) {
  const Example cells = example();
  const RawData raw = cells.posterior().with_indices({7, 250}).raw_data();
  EXPECT_EQ(raw.labels, (std::vector<std::int64_t>{cells.dataset->labels()[7], cells.dataset->labels()[250]}));
  std::vector<float> expected(static_cast<std::size_t>(2 * cells.dataset->nb_genes())), found = expected;
  cells.dataset->X().gather_dense(std::vector<std::int64_t>{7, 250}, expected.data());
  raw.X.gather_dense(std::vector<std::int64_t>{0, 1}, found.data());
  EXPECT_EQ(found, expected);
}

TEST(Posterior, GivesASampleOfTheLibraryOfEveryCell) {
  const Posterior all = example().posterior();
  EXPECT_EQ(all.get_stats(), all.get_library(false).values);
  EXPECT_NE(all.get_stats(), all.get_library().values);
}

TEST(Posterior, LeavesTheModelInItsMode) {
  const Example cells = example();
  cells.model->train();
  cells.posterior().elbo();
  EXPECT_TRUE(cells.model->is_training());
  cells.model->eval();
  cells.posterior().elbo();
  EXPECT_FALSE(cells.model->is_training());
}

TEST(Posterior, RefusesWhatHasNoAnswer) {
  const Example cells = example(LatentDistribution::ln);
  EXPECT_THROW(cells.posterior().marginal_ll(3), InputError);
  EXPECT_THROW(Posterior(cells.model, cells.dataset, {0, 300}), InputError);
  EXPECT_THROW(Posterior(cells.model, cells.dataset, std::vector<std::int64_t>{}).elbo(), InputError);
  const auto other = std::make_shared<VAE>(VaeOptions{.n_input = 5}, 1);
  EXPECT_THROW(Posterior::of_all_cells(other, cells.dataset), InputError);
}

TEST(PosteriorMetrics, SayWhyTheyHaveNoValue) {
  const Example ln = example(LatentDistribution::ln);
  EXPECT_NE(posterior_metric("marginal_ll").why_undefined(ln.posterior()), "");
  const Example normal = example();
  EXPECT_EQ(posterior_metric("marginal_ll").why_undefined(normal.posterior()), "");
  EXPECT_EQ(posterior_metric("entropy_batch_mixing").why_undefined(normal.posterior()), "");
  const Posterior one_batch(normal.model, normal.dataset, {0, 1, 2});
  EXPECT_NE(posterior_metric("entropy_batch_mixing").why_undefined(one_batch), "");
  EXPECT_NE(posterior_metric("ari").why_undefined(one_batch), "");
  EXPECT_THROW(posterior_metric("elbw"), InputError);
}

TEST(PosteriorMetrics, ScoreImputation) {
  const Posterior posterior = example().posterior();
  const ImputationBenchmark benchmark = posterior.imputation_benchmark(3);
  const MetricOptions three{.n_imputation_samples = 3};
  EXPECT_EQ(posterior_metric("imputation_median_score").compute(posterior, three), benchmark.median_score);
  EXPECT_EQ(posterior_metric("imputation_mean_score").compute(posterior, three), benchmark.mean_score);
  EXPECT_EQ(posterior_metric("imputation_mean_score").why_undefined(posterior), "");
  const auto cells = example();
  auto plain = std::make_shared<GeneExpressionDataset>();
  plain->populate_from_data(cells.dataset->X());
  const auto without = Posterior::of_all_cells(cells.model, plain);
  EXPECT_NE(posterior_metric("imputation_median_score").why_undefined(without), "");
}

TEST(PosteriorMetrics, FindClustersAsAsked) {
  const Example cells = example();
  const Posterior all = cells.posterior();
  const auto scores_by = [&](PredictionAlgorithm algorithm) {
    const MetricOptions options{.clustering = algorithm};
    ClusteringScoresOptions scores{.algorithm = algorithm, .seed = 0};
    if (algorithm == PredictionAlgorithm::kmeans) scores.n_init = 50;
    const ClusteringScores expected = clustering_scores(all, scores);
    EXPECT_EQ(posterior_metric("silhouette").compute(all, options), expected.silhouette);
    EXPECT_EQ(posterior_metric("nmi").compute(all, options), expected.nmi);
    EXPECT_EQ(posterior_metric("ari").compute(all, options), expected.ari);
    EXPECT_EQ(posterior_metric("uca").compute(all, options), expected.uca);
    return expected.ari;
  };
  const double of_kmeans = scores_by(PredictionAlgorithm::kmeans);
  EXPECT_NE(of_kmeans, scores_by(PredictionAlgorithm::gaussian_mixture));
  EXPECT_EQ(posterior_metric("ari").compute(all), of_kmeans);
}

TEST(PosteriorMetrics, DrawAsManySamplesAsAsked) {
  const Posterior all = example().posterior();
  EXPECT_EQ(posterior_metric("marginal_ll").compute(all, {.n_mc_samples = 3}), all.marginal_ll(3));
}

}  // namespace
}  // namespace scvi
