#include "scvi/posterior/annotation.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "example.hpp"
#include "scvi/core/error.hpp"
#include "scvi/model/scanvi.hpp"
#include "scvi/posterior/metrics.hpp"

namespace scvi {
namespace {

Posterior posterior(std::vector<std::int64_t> groups) {
  const auto example = testing::example();
  const auto model = std::make_shared<SCANVI>(
      ScanviOptions{
          .vae = {.n_input = example.dataset->nb_genes(), .n_batch = 2, .n_labels = 3, .n_hidden = 8, .n_latent = 3},
          .labels_groups = std::move(groups)},
      4);
  return Posterior::of_all_cells(model, example.dataset, {.batch_size = 64});
}

TEST(Annotation, PredictsTheMostProbableLabelOfEachCell) {
  const Posterior cells = posterior({});
  const CellArray p = cells.get_label_probabilities();
  ASSERT_EQ(p.n_columns, 3);
  ASSERT_EQ(p.n_cells, cells.nb_cells());
  const Predictions found = compute_predictions(cells);
  EXPECT_EQ(found.labels, cells.gene_dataset().labels());
  for (std::int64_t i = 0; i < p.n_cells; ++i) {
    const auto row = p.values.begin() + i * 3;
    EXPECT_NEAR(row[0] + row[1] + row[2], 1, 1e-5);
    EXPECT_EQ(row[found.predicted[i]], *std::max_element(row, row + 3));
  }
}

TEST(Annotation, CountsHowOftenLabelsAndTheirGroupsAreRight) {
  const Posterior cells = posterior({0, 0, 1});
  const Predictions found = compute_predictions(cells);
  double right = 0, right_group = 0;
  for (std::size_t i = 0; i < found.labels.size(); ++i) {
    right += found.labels[i] == found.predicted[i];
    right_group += (found.labels[i] == 2) == (found.predicted[i] == 2);
  }
  const auto n = static_cast<double>(found.labels.size());
  EXPECT_DOUBLE_EQ(annotation_accuracy(cells).unweighted, right / n);
  EXPECT_DOUBLE_EQ(hierarchical_accuracy(cells), right_group / n);
  EXPECT_GE(unsupervised_classification_accuracy(cells), right / n);
  EXPECT_DOUBLE_EQ(posterior_metric("accuracy").compute(cells), right / n);
  EXPECT_DOUBLE_EQ(posterior_metric("hierarchical_accuracy").compute(cells), right_group / n);
  EXPECT_EQ(posterior_metric("unsupervised_classification_accuracy").compute(cells),
            unsupervised_classification_accuracy(cells));
}

TEST(Annotation, RefusesModelsThatTellNoLabelsOrKnowNoGroups) {
  const Posterior plain = testing::example().posterior();
  EXPECT_THROW(plain.get_label_probabilities(), InputError);
  EXPECT_THROW(annotation_accuracy(plain), InputError);
  EXPECT_FALSE(posterior_metric("accuracy").why_undefined(plain).empty());
  EXPECT_THROW(hierarchical_accuracy(posterior({})), InputError);
  EXPECT_FALSE(posterior_metric("hierarchical_accuracy").why_undefined(posterior({})).empty());
}

}  // namespace
}  // namespace scvi
