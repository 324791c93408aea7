#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "scvi/metric/accuracy.hpp"
#include "scvi/metric/points.hpp"
#include "scvi/posterior/annotation.hpp"
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

/// Learns to tell the labels of cells from their latent mean. It makes no difference how the model was trained; no
/// label is shown to it. Cells whose label is hidden (negative) teach nothing and are not counted.
class LatentAnnotator {
 public:
  /// Why this kind cannot learn from these cells; "" where it can.
  static std::string why_impossible(BaselineAnnotator::Kind kind, const Posterior& train);

  /// @param train the cells to learn from. Draws come from its seed.
  /// @param with_library learn from the mean log library size, too, as one more dimension
  /// @throws InputError where why_impossible() has an answer; Interrupted
  LatentAnnotator(BaselineAnnotator::Kind kind, const Posterior& train, bool with_library = false);

  /// The probability of a label is its share: of the votes of the neighbours, or in the leaves of the trees. A
  /// support vector machine tells none.
  ToldLabels tell(const Posterior& cells) const;
  /// The label of each cell, in the order of its indices.
  std::vector<std::int64_t> predict(const Posterior& cells) const { return tell(cells).labels; }
  /// How often these agree with the labels of the data set. Of the cells that it learned from, it flatters.
  /// @throws InputError when no cell has a label
  Accuracy accuracy(const Posterior& cells) const;

 private:
  bool with_library_;
  std::function<ToldLabels(const Points&)> tell_;
};

/// Share of the cells whose label is that of most of their 5 nearest neighbours among the train cells, in the latent
/// space: scVI's AnnotationPosterior.nn_latentspace. Cells without a label are left out.
/// @throws InputError for fewer than 5 train cells, or no test cells
double nn_latentspace(const Posterior& train, const Posterior& test);

}  // namespace scvi
