#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "scvi/metric/accuracy.hpp"
#include "scvi/metric/points.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi {

/// A plain classifier of the latent space, to hold a model's own annotations against.
struct BaselineAnnotator {
  enum class Kind {
    nearest_neighbors,  ///< the vote of the 5 nearest, one each
    svm,                ///< a support vector machine, its parameters found by cross-validation
    random_forest       ///< its depth and number of trees found by cross-validation
  };
  std::string name;  ///< of its accuracy: "knn_accuracy", "svm_accuracy", "random_forest_accuracy"
  Kind kind = Kind::nearest_neighbors;
  std::string help;
};

const std::vector<BaselineAnnotator>& baseline_annotators();

/// Learns to tell the labels of cells from their latent mean. It makes no difference how the model was trained.
class LatentAnnotator {
 public:
  /// Why this kind cannot learn from these cells; "" where it can.
  static std::string why_impossible(BaselineAnnotator::Kind kind, const Posterior& train);

  /// @param train the cells to learn from, all of which have labels. Draws come from its seed.
  /// @throws InputError where why_impossible() has an answer; Interrupted
  LatentAnnotator(BaselineAnnotator::Kind kind, const Posterior& train);

  /// The label of each cell, in the order of its indices.
  std::vector<std::int64_t> predict(const Posterior& cells) const;
  /// How often these agree with the labels of the data set. Of the cells that it learned from, it flatters.
  /// @throws InputError without cells
  Accuracy accuracy(const Posterior& cells) const;

 private:
  std::function<std::vector<std::int64_t>(const Points&)> predict_;
};

/// Share of the cells whose label is that of most of their 5 nearest neighbours among the train cells, in the latent
/// space: scVI's AnnotationPosterior.nn_latentspace.
/// @throws InputError for fewer than 5 train cells, or no test cells
double nn_latentspace(const Posterior& train, const Posterior& test);

}  // namespace scvi
