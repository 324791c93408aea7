#include "scvi/training/labelled_cells.hpp"

#include <algorithm>
#include <map>
#include <string>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"

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

}  // namespace scvi
