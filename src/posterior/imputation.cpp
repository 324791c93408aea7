#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "samples.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/posterior/posterior.hpp"

namespace scvi {
namespace {

/// Entries of some cells that corruption changed, row by row.
struct ChangedEntries {
  std::vector<std::int64_t> indptr = {0};  // (cells + 1)
  std::vector<std::int64_t> genes;
  std::vector<float> original;
  std::vector<float> imputed;  // (samples, entries)

  std::int64_t size() const { return std::ssize(genes); }
};

/// Where two sparse rows differ: the columns of both increase.
void append_differences(const io::CsrBlock& x, const io::CsrBlock& damaged, std::int64_t row, ChangedEntries& found) {
  std::int64_t a = x.indptr[row];
  std::int64_t b = damaged.indptr[row];
  while (a < x.indptr[row + 1] || b < damaged.indptr[row + 1]) {
    const bool has_a = a < x.indptr[row + 1];
    const bool has_b = b < damaged.indptr[row + 1];
    const bool take_a = has_a && (!has_b || x.indices[a] <= damaged.indices[b]);
    const bool take_b = has_b && (!has_a || damaged.indices[b] <= x.indices[a]);
    const std::int64_t gene = take_a ? x.indices[a] : damaged.indices[b];
    const float before = take_a ? x.values[a++] : 0;
    const float after = take_b ? damaged.values[b++] : 0;
    if (before == after) continue;
    found.genes.push_back(gene);
    found.original.push_back(before);
  }
}

ChangedEntries changed_entries(const GeneExpressionDataset& dataset, std::span<const std::int64_t> cells) {
  io::CsrBlock x, damaged;
  dataset.X().gather_csr(cells, x);
  dataset.corrupted_X().gather_csr(cells, damaged);
  ChangedEntries found;
  for (std::int64_t row = 0; row < std::ssize(cells); ++row) {
    append_differences(x, damaged, row, found);
    found.indptr.push_back(found.size());
  }
  return found;
}

/// What (cells, genes) numbers say of these entries, one sample or several.
void append_imputed(const at::Tensor& rate, ChangedEntries& entries) {
  const at::Tensor values = rate.to(at::kCPU, at::kFloat).contiguous();
  const std::int64_t n_genes = values.size(-1);
  const std::int64_t sample_size = values.size(-2) * n_genes;
  for (std::int64_t first = 0; first < values.numel(); first += sample_size) {
    const float* sample = values.data_ptr<float>() + first;
    for (std::size_t row = 0; row + 1 < entries.indptr.size(); ++row) {
      for (std::int64_t i = entries.indptr[row]; i < entries.indptr[row + 1]; ++i) {
        entries.imputed.push_back(sample[static_cast<std::int64_t>(row) * n_genes + entries.genes[i]]);
      }
    }
  }
}

/// The entries of a minibatch behind those of earlier ones, cell by cell and in each sample by sample.
void append(const ChangedEntries& entries, std::int64_t n_samples, ImputationList& list) {
  for (std::size_t row = 0; row + 1 < entries.indptr.size(); ++row) {
    for (std::int64_t sample = 0; sample < n_samples; ++sample) {
      for (std::int64_t i = entries.indptr[row]; i < entries.indptr[row + 1]; ++i) {
        list.original.push_back(entries.original[i]);
        list.imputed.push_back(entries.imputed[sample * entries.size() + i]);
      }
    }
    list.indptr.push_back(std::ssize(list.original));
  }
}

/// @pre values is not empty
double median(std::vector<double> values) {
  const auto middle = values.begin() + std::ssize(values) / 2;
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*std::max_element(values.begin(), middle) + *middle) / 2;
}

/// Median error of entries begin to end; 0 where there is none.
double median_error(const ImputationList& list, std::int64_t begin, std::int64_t end) {
  std::vector<double> errors;
  for (std::int64_t i = begin; i < end; ++i) {
    errors.push_back(std::abs(static_cast<double>(list.original[i]) - list.imputed[i]));
  }
  return errors.empty() ? 0 : median(std::move(errors));
}

}  // namespace

double imputation_score(const ImputationList& list) {
  return median_error(list, 0, std::ssize(list.original));
}

ImputationList Posterior::imputation_list(std::int64_t n_samples) const {
  check_n_samples(n_samples);
  const Posterior damaged = corrupted();
  std::vector<ChangedEntries> parts(static_cast<std::size_t>(chunk_count(nb_cells(), options_.batch_size)));
  const Samples samples{.purpose = "imputation_list", .n_samples = n_samples, .decode = Decode::rate};
  damaged.for_each_minibatch("imputation", [&](std::int64_t i, std::int64_t, const MiniBatch& batch) {
    ChangedEntries& entries = parts[i];
    entries = changed_entries(*dataset_, batch.cells);
    if (entries.size() == 0) return;
    damaged.for_each_sample(batch, i, samples, [&](std::int64_t, const InferenceOutputs& outputs, Noise&) {
      append_imputed(outputs.px_rate, entries);
    });
  });
  ImputationList list;
  for (const ChangedEntries& entries : parts) append(entries, n_samples, list);
  return list;
}

double Posterior::imputation_score(std::int64_t n_samples) const {
  return scvi::imputation_score(imputation_list(n_samples));
}

ImputationBenchmark Posterior::imputation_benchmark(std::int64_t n_samples) const {
  ImputationBenchmark result{.list = imputation_list(n_samples)};
  result.median_score = scvi::imputation_score(result.list);
  double sum = 0;
  for (std::size_t cell = 0; cell + 1 < result.list.indptr.size(); ++cell) {
    sum += median_error(result.list, result.list.indptr[cell], result.list.indptr[cell + 1]);
  }
  result.mean_score = sum / static_cast<double>(nb_cells());
  return result;
}

}  // namespace scvi
