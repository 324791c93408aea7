#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>
#include <utility>

#include "scvi/core/random.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "synthetic_parts.hpp"

namespace scvi {
namespace {

using namespace dataset_detail;

/// Above this a float no longer holds every whole number.
constexpr double kMaxMean = 1 << 24;

/// `low` <= value <= `high`
void check_closed_range(const char* name, double value, double low, double high) {
  check_range(name, value, low, std::nextafter(high, std::numeric_limits<double>::max()));
}

void check(const SyntheticZinbOptions& options) {
  check_size("n_cells", options.n_cells);
  check_size("n_genes", options.n_genes);
  check_size("n_groups", options.n_groups);
  check_size("n_batches", options.n_batches);
  check_closed_range("share_differential", options.share_differential, 0, 1);
  check_closed_range("share_up", options.share_up, 0, 1);
  check_closed_range("lfc_max", options.lfc_max, 0, 30);
  check_closed_range("lfc_min", options.lfc_min, 0, options.lfc_max);
  check_closed_range("expression_spread", options.expression_spread, 0, 10);
  check_closed_range("batch_effect", options.batch_effect, 0, 10);
  check_closed_range("total", options.total, 1e-3, 1e9);
  check_closed_range("library_spread", options.library_spread, 0, 10);
  check_closed_range("dispersion", options.dispersion, 1e-3, 1e6);
  check_closed_range("dispersion_spread", options.dispersion_spread, 0, 3);
  check_closed_range("zero_inflation", options.zero_inflation, 0, 0.5);
}

/// The factor exp(spread * normal) of each gene.
std::vector<double> log_normal_factors(const SyntheticZinbOptions& options, const char* purpose, std::int64_t which,
                                       double spread) {
  RandomStream stream(options.seed, purpose, {position(which), 0});
  std::vector<double> factors(static_cast<std::size_t>(options.n_genes));
  for (double& factor : factors) factor = std::exp(spread * stream.standard_normal());
  return factors;
}

void divide_by_sum(std::vector<double>& values) {
  const double sum = std::accumulate(values.begin(), values.end(), 0.0);
  for (double& value : values) value /= sum;
}

std::vector<double> changes_of_group(const SyntheticZinbOptions& options, std::int64_t group) {
  RandomStream stream(options.seed, "synthetic_zinb_changes", {position(group), 0});
  const std::int64_t n_changed = std::llround(options.share_differential * static_cast<double>(options.n_genes));
  std::vector<double> lfc(static_cast<std::size_t>(options.n_genes));
  for (const std::int64_t gene : stream.sample_without_replacement(options.n_genes, n_changed)) {
    const double size = options.lfc_min + stream.uniform() * (options.lfc_max - options.lfc_min);
    lfc[static_cast<std::size_t>(gene)] = stream.uniform() < options.share_up ? size : -size;
  }
  return lfc;
}

/// Fills in the truth about genes.
void draw_genes(const SyntheticZinbOptions& options, SyntheticZinbData& data) {
  const auto shared = log_normal_factors(options, "synthetic_zinb_expression", 0, options.expression_spread);
  for (std::int64_t group = 0; group < options.n_groups; ++group) {
    const std::vector<double> lfc = changes_of_group(options, group);
    std::vector<double> scale = shared;
    for (std::size_t gene = 0; gene < scale.size(); ++gene) scale[gene] *= std::exp2(lfc[gene]);
    divide_by_sum(scale);
    data.lfc.insert(data.lfc.end(), lfc.begin(), lfc.end());
    data.scale.insert(data.scale.end(), scale.begin(), scale.end());
  }
  data.dispersion = log_normal_factors(options, "synthetic_zinb_dispersion", 0, options.dispersion_spread);
  for (double& theta : data.dispersion) theta *= options.dispersion;
  RandomStream stream(options.seed, "synthetic_zinb_inflation");
  data.zero_inflation.resize(static_cast<std::size_t>(options.n_genes));
  for (double& probability : data.zero_inflation) probability = 2 * options.zero_inflation * stream.uniform();
}

/// The scales of all groups in all batches, (n_groups * n_batches, n_genes).
std::vector<double> scales_in_batches(const SyntheticZinbOptions& options, const SyntheticZinbData& data) {
  std::vector<double> scales;
  for (std::int64_t group = 0; group < options.n_groups; ++group) {
    for (std::int64_t batch = 0; batch < options.n_batches; ++batch) {
      std::vector<double> scale =
          log_normal_factors(options, "synthetic_zinb_batch", batch, batch == 0 ? 0.0 : options.batch_effect);
      for (std::int64_t gene = 0; gene < options.n_genes; ++gene) {
        scale[gene] *= data.scale[group * options.n_genes + gene];
      }
      divide_by_sum(scale);
      scales.insert(scales.end(), scale.begin(), scale.end());
    }
  }
  return scales;
}

/// Group, batch and expected total count of a cell.
struct CellTraits {
  CellTraits(const SyntheticZinbOptions& options, std::int64_t cell) {
    RandomStream stream(options.seed, "synthetic_zinb_cell", {position(cell), 0});
    group = static_cast<std::int64_t>(stream.below(position(options.n_groups)));
    batch = static_cast<std::int64_t>(stream.below(position(options.n_batches)));
    library = options.total * std::exp(options.library_spread * stream.standard_normal());
  }
  std::int64_t group;
  std::int64_t batch;
  double library;
};

void append_cell(const SyntheticZinbOptions& options, const SyntheticZinbData& data,
                 const std::vector<double>& scales, std::int64_t cell, io::CsrBlock& block) {
  const CellTraits traits(options, cell);
  const double* scale = scales.data() + (traits.group * options.n_batches + traits.batch) * options.n_genes;
  RandomStream stream(options.seed, "synthetic_zinb_counts", {position(cell), 0});
  for (std::int64_t gene = 0; gene < options.n_genes; ++gene) {
    if (stream.uniform() < data.zero_inflation[gene]) continue;
    // A Poisson count of a gamma-distributed mean is negative binomial.
    const double theta = data.dispersion[gene];
    const double mean = traits.library * scale[gene] * stream.standard_gamma(theta) / theta;
    const std::int64_t count = stream.poisson(std::min(mean, kMaxMean));
    if (count == 0) continue;
    block.indices.push_back(static_cast<std::int32_t>(gene));
    block.values.push_back(static_cast<float>(count));
  }
  block.indptr.push_back(static_cast<std::int64_t>(block.indices.size()));
}

/// Batches, groups, names, and the truth as attributes.
PopulateOptions annotation(const SyntheticZinbOptions& options, const SyntheticZinbData& data) {
  PopulateOptions populate;
  std::vector<double> libraries;
  for (std::int64_t cell = 0; cell < options.n_cells; ++cell) {
    const CellTraits traits(options, cell);
    populate.batch_indices.push_back(traits.batch);
    populate.labels.push_back(traits.group);
    libraries.push_back(traits.library);
  }
  populate.cell_attributes.push_back({"library", std::move(libraries), {}});
  populate.gene_names = numbered("gene_", options.n_genes);
  populate.cell_types = numbered("group_", options.n_groups);
  populate.batch_names = numbered("batch_", options.n_batches);
  for (const auto& [name, values] : {std::pair{"lfc_", &data.lfc}, std::pair{"scale_", &data.scale}}) {
    for (std::int64_t group = 0; group < options.n_groups; ++group) {
      const auto first = values->begin() + group * options.n_genes;
      populate.gene_attributes.push_back(
          {name + populate.cell_types[group], std::vector<double>(first, first + options.n_genes), {}});
    }
  }
  populate.gene_attributes.push_back({"dispersion", data.dispersion, {}});
  populate.gene_attributes.push_back({"zero_inflation", data.zero_inflation, {}});
  populate.check_counts = false;
  return populate;
}

}  // namespace

SyntheticZinbData synthetic_zinb(const SyntheticZinbOptions& options) {
  check(options);
  SyntheticZinbData data;
  draw_genes(options, data);
  const std::vector<double> scales = scales_in_batches(options, data);
  const double entries = static_cast<double>(options.n_cells) * static_cast<double>(options.n_genes);
  CountMatrix counts = counts_by_cell(options.n_cells, options.n_genes, std::min(entries, 1e8) / 4,
                                      [&](std::int64_t first, std::int64_t last, io::CsrBlock& block) {
                                        for (std::int64_t cell = first; cell < last; ++cell) {
                                          append_cell(options, data, scales, cell, block);
                                        }
                                      });
  data.dataset.populate_from_data(std::move(counts), annotation(options, data));
  return data;
}

}  // namespace scvi
