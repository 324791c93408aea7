#include "scvi/training/labelled_cells.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/random.hpp"
#include "scvi/loader/minibatch.hpp"

namespace scvi {

LabelledCells choose_labelled_cells(std::span<const std::int64_t> labels, std::int64_t n_per_class,
                                    std::uint32_t seed) {
  if (n_per_class < 1) {
    throw InputError({.problem = "is " + std::to_string(n_per_class) + ", but must be at least 1",
                      .field = "the number of labelled cells per class"});
  }
  LabelledCells cells;
  std::map<std::int64_t, std::int64_t> taken;
  for (const std::int64_t cell : numpy_permutation(seed, std::ssize(labels))) {
    const std::int64_t label = labels[cell];
    const bool takes = label >= 0 && taken[label] < n_per_class;
    if (takes) ++taken[label];
    (takes ? cells.labelled : cells.unlabelled).push_back(cell);
  }
  std::reverse(cells.labelled.begin(), cells.labelled.end());
  return cells;
}

void check_labelled_cells(std::span<const std::int64_t> labelled, const GeneExpressionDataset& dataset,
                          std::int64_t n_labels) {
  if (std::ssize(labelled) < kSmallestMinibatch) {
    throw InputError(
        {.problem = "holds " + std::to_string(labelled.size()) + (labelled.size() == 1 ? " cell" : " cells") +
                    " with a label, but learning labels needs at least " + std::to_string(kSmallestMinibatch),
         .field = "the training set",
         .remedy = "name the column of labels, give more labelled cells or a larger train size"});
  }
  std::vector<std::int64_t> n_cells(static_cast<std::size_t>(n_labels));
  for (const std::int64_t cell : labelled) {
    const std::int64_t label = dataset.labels()[cell];
    if (label >= std::ssize(n_cells)) {
      throw InputError({.problem = "has label " + std::to_string(label) + ", but the model knows " +
                                   std::to_string(n_cells.size()),
                        .field = "the data set"});
    }
    ++n_cells[label];
  }
  for (std::int64_t label = 0; label < std::ssize(n_cells); ++label) {
    if (n_cells[label] > 1) continue;
    const auto& names = dataset.cell_types();
    const std::string name = label < std::ssize(names) ? names[label] : std::to_string(label);
    log_warning("label '" + name + "' has " + (n_cells[label] == 0 ? "no cell" : "one cell") +
                " to learn from in the training set");
  }
}

}  // namespace scvi
