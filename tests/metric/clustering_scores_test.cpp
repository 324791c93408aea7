#include "scvi/metric/clustering_scores.hpp"

#include <gtest/gtest.h>

#include "clouds.hpp"
#include "scvi/core/error.hpp"
#include "scvi/metric/clustering.hpp"
#include "scvi/metric/gaussian_mixture.hpp"

namespace scvi {
namespace {

using testing::Clouds;

TEST(ClusteringScores, ArePerfectForCloudsWellApart) {
  const Clouds clouds(200, 5, 4, 20);
  for (const auto algorithm : {PredictionAlgorithm::kmeans, PredictionAlgorithm::gaussian_mixture}) {
    const ClusteringScores scores = clustering_scores(clouds.points(), clouds.labels, {.algorithm = algorithm});
    EXPECT_EQ(scores.ari, 1);
    EXPECT_NEAR(scores.nmi, 1, 1e-12);
    EXPECT_EQ(scores.uca, 1);
    EXPECT_GT(scores.silhouette, 0.8);
  }
}

TEST(ClusteringScores, CompareLabelsWithTheClustersTheyReturn) {
  const Clouds clouds(300, 4, 3, 1);
  const ClusteringScores scores =
      clustering_scores(clouds.points(), clouds.labels, {.algorithm = PredictionAlgorithm::gaussian_mixture});
  EXPECT_EQ(scores.clusters, gaussian_mixture(clouds.points(), 3).labels);
  EXPECT_EQ(scores.ari, adjusted_rand_index(clouds.labels, scores.clusters));
  EXPECT_EQ(scores.nmi, normalized_mutual_information(clouds.labels, scores.clusters));
  EXPECT_EQ(scores.uca, unsupervised_clustering_accuracy(clouds.labels, scores.clusters).accuracy);
  EXPECT_EQ(scores.silhouette, silhouette_score(clouds.points(), clouds.labels));
}

TEST(ClusteringScores, HonourTheNumberOfClusters) {
  const Clouds clouds(100, 3, 2, 5);
  const auto scores = clustering_scores(clouds.points(), clouds.labels, {.n_clusters = 7, .n_init = 2});
  EXPECT_EQ(*std::max_element(scores.clusters.begin(), scores.clusters.end()), 6);
}

TEST(ClusteringScores, RefuseWhatHasNoScore) {
  const Clouds clouds(10, 3, 2, 5);
  const std::vector<std::int64_t> one(10, 4), few(9, 1);
  EXPECT_THROW(clustering_scores(clouds.points(), one), InputError);
  EXPECT_THROW(clustering_scores(clouds.points(), few), InputError);
  EXPECT_THROW(clustering_scores(clouds.points(), clouds.labels, {.n_clusters = 11}), InputError);
  EXPECT_THROW(clustering_scores(clouds.points(), clouds.labels, {.n_clusters = -1}), InputError);
  EXPECT_THROW(clustering_scores(clouds.points(), clouds.labels, {.n_init = -1}), InputError);
}

TEST(PredictionAlgorithm, IsNamedAsInScvi) {
  EXPECT_EQ(parse_prediction_algorithm("knn"), PredictionAlgorithm::kmeans);
  EXPECT_EQ(parse_prediction_algorithm("kmeans"), PredictionAlgorithm::kmeans);
  EXPECT_EQ(parse_prediction_algorithm("gmm"), PredictionAlgorithm::gaussian_mixture);
  EXPECT_THROW(parse_prediction_algorithm("gnm"), InputError);
}

}  // namespace
}  // namespace scvi
