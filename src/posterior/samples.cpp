#include "samples.hpp"

#include <limits>
#include <string>

#include "scvi/core/error.hpp"

namespace scvi {

void check_n_samples(std::int64_t n_samples) {
  if (n_samples >= 1) return;
  throw InputError({.problem = "is " + std::to_string(n_samples) + ", but must be at least 1", .field = "n_samples"});
}

void check_genes(const std::vector<std::int64_t>& genes, std::int64_t n_genes) {
  for (const std::int64_t gene : genes) {
    if (gene >= 0 && gene < n_genes) continue;
    throw InputError(
        {.problem = "holds " + std::to_string(gene) + ", but there are " + std::to_string(n_genes) + " genes",
         .field = "genes"});
  }
}

at::Tensor of_genes(const at::Tensor& values, const std::vector<std::int64_t>& genes) {
  if (genes.empty()) return values.contiguous();
  const auto columns = at::tensor(genes, at::TensorOptions(at::kLong)).to(values.device());
  return values.index_select(-1, columns);
}

SamplePlaces::SamplePlaces(std::int64_t n_samples, std::int64_t n_cells, std::int64_t n_columns)
    : array_{.n_samples = n_samples, .n_cells = n_cells, .n_columns = n_columns, .values = {}} {
  const std::int64_t most = std::numeric_limits<std::int64_t>::max() / static_cast<std::int64_t>(sizeof(float));
  const std::int64_t per_sample = n_cells * n_columns;
  if (per_sample > 0 && n_samples > most / per_sample) {
    throw InputError({.problem = "is " + std::to_string(n_samples) + ", and so many samples fit no memory",
                      .field = "n_samples",
                      .remedy = "ask for fewer samples, cells or genes"});
  }
  array_.values.resize(static_cast<std::size_t>(n_samples * per_sample));
}

void SamplePlaces::add(std::int64_t first_sample, std::int64_t first_cell, const at::Tensor& values) {
  const at::Tensor part = values.to(at::kCPU, at::kFloat).contiguous();
  const std::int64_t n_cells = part.size(-2);
  const std::int64_t length = n_cells * array_.n_columns;
  const std::int64_t n_samples = part.dim() == 3 ? part.size(0) : 1;
  const float* from = part.data_ptr<float>();
  for (std::int64_t s = 0; s < n_samples; ++s) {
    float* to = array_.values.data() + ((first_sample + s) * array_.n_cells + first_cell) * array_.n_columns;
    for (std::int64_t i = 0; i < length; ++i) to[i] += from[s * length + i];
  }
}

}  // namespace scvi
