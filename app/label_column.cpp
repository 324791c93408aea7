#include "label_column.hpp"

#include <algorithm>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"

namespace scvi::app {

void check_unlabelled(const LabelColumn& column, const io::CountFile& file) {
  const io::Column* values = file.obs.find(column.key);
  if (column.unlabelled.empty() || !values) return;
  const auto categories = values->as_categorical().categories;
  if (std::find(categories.begin(), categories.end(), column.unlabelled) != categories.end()) return;
  throw InputError({.problem = "is '" + column.unlabelled + "', which no cell has in obs column '" + column.key + "'",
                    .field = "--unlabelled",
                    .remedy = suggest(column.unlabelled, categories)});
}

void check_labels(const LabelColumn& column, const GeneExpressionDataset& dataset) {
  const auto refuse = [&](const std::string& problem) {
    throw InputError({.problem = problem,
                      .file = column.file,
                      .field = "obs column '" + column.key + "'",
                      .remedy = "name a column with two labels or more (--labels-key)"});
  };
  const bool none = std::ranges::none_of(dataset.labels(), [](std::int64_t label) { return label >= 0; });
  if (none) {
    refuse("labels no cell: all are empty" +
           (column.unlabelled.empty() ? std::string() : " or '" + column.unlabelled + "'"));
  }
  if (dataset.n_labels() < 2) {
    refuse("has one label only, '" + dataset.cell_types().front() + "', so there is nothing to tell apart");
  }
}

Split labelled_split(std::optional<Split> given, const SplitOptions& options,
                     const std::vector<std::int64_t>& labels) {
  if (!given) return split_by_label(labels, options);
  for (auto* cells : {&given->train, &given->test, &given->validation}) {
    std::erase_if(*cells, [&](std::int64_t cell) { return labels[cell] < 0; });
  }
  if (given->train.empty()) {
    throw InputError({.problem = "holds no cell with a label, so there is nothing to learn from",
                      .field = "the training set",
                      .remedy = "mark some as train in the column that --split-key names"});
  }
  return *given;
}

}  // namespace scvi::app
