#pragma once

#include <cstdint>
#include <numeric>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/random.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"

/// Small data sets and matrices for the tests of the room.
namespace scvi::testing {

using Names = std::vector<std::string>;
using Numbers = std::vector<std::int64_t>;
using Dense = std::vector<float>;

inline Dense dense_of(const CountMatrix& matrix) {
  Numbers cells(static_cast<std::size_t>(matrix.n_cells()));
  std::iota(cells.begin(), cells.end(), 0);
  Dense out(static_cast<std::size_t>(matrix.n_cells() * matrix.n_genes()), -1.0F);
  matrix.gather_dense(cells, out.data());
  return out;
}

inline CountMatrix random_counts(std::int64_t n_cells, std::int64_t n_genes, double mean = 3) {
  RandomStream stream(5, "gene_expression_dataset_test");
  Dense values(static_cast<std::size_t>(n_cells * n_genes));
  for (float& value : values) value = 1 + static_cast<float>(stream.poisson(mean));
  return CountMatrix::from_dense(n_cells, n_genes, values);
}

inline CountMatrix constant_counts(std::int64_t n_cells, std::int64_t n_genes, float value) {
  return CountMatrix::from_dense(n_cells, n_genes, Dense(static_cast<std::size_t>(n_cells * n_genes), value));
}

inline Names numbered(const std::string& prefix, std::int64_t n) {
  Names names;
  for (std::int64_t i = 0; i < n; ++i) names.push_back(prefix + std::to_string(i));
  return names;
}

inline GeneExpressionDataset dataset_of(CountMatrix counts, PopulateOptions options = {}) {
  GeneExpressionDataset dataset;
  dataset.populate_from_data(std::move(counts), std::move(options));
  return dataset;
}

/// 4 cells x 4 genes, two batches, two labels, cell 1 empty.
inline GeneExpressionDataset small_dataset() {
  PopulateOptions options;
  options.batch_indices = {0, 0, 1, 1};
  options.labels = {1, 0, 1, 1};
  options.gene_names = {"a", "b", "c", "d"};
  options.cell_types = {"T", "B"};
  options.batch_names = {"first", "second"};
  options.cell_names = {"w", "x", "y", "z"};
  options.cell_attributes = {{"depth", std::vector<double>{0.5, 1.5, 2.5, 3.5}, {}}};
  options.gene_attributes = {{"length", Numbers{10, 20, 30, 40}, {}}};
  options.measurements = {{"protein", {1, 2, 3, 4, 5, 6, 7, 8}, "protein_names", {"p", "q"}}};
  return dataset_of(CountMatrix::from_dense(4, 4,
                                            Dense{0, 3, 0, 5,  //
                                                  0, 0, 0, 0,  //
                                                  7, 0, 1, 2,  //
                                                  4, 4, 0, 0}),
                    options);
}

template <class Action>
std::string message_of(Action&& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "no InputError";
}

/// Messages of at least warning level while it lives.
class Warnings {
 public:
  Warnings()
      : sink_([this](LogLevel level, std::string_view text) {
          if (level >= LogLevel::warning) messages_.emplace_back(text);
        }) {}
  const Names& messages() const { return messages_; }

 private:
  Names messages_;
  ScopedLogSink sink_;
};

}  // namespace scvi::testing
