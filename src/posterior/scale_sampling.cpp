#include "scale_sampling.hpp"

#include <algorithm>
#include <numeric>
#include <set>

#include "scvi/core/error.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace differential_detail {
namespace {

constexpr std::int64_t kGenesPerChunk = 16;
constexpr std::int64_t kFewestPerBatch = 2;

/// A pointer that owns nothing: what it points to belongs to a posterior that outlives its use.
template <class T>
std::shared_ptr<T> borrowed(T& object) {
  return std::shared_ptr<T>(std::shared_ptr<T>(), &object);
}

std::string purpose_of(const SampleSet& set) {
  const std::string batch = set.batch == kObservedBatch ? "observed" : std::to_string(set.batch);
  return "differential/" + set.group->name + "/" + batch;
}

[[noreturn]] void refuse_batches(const char* option, std::string problem, std::string remedy = {}) {
  throw InputError({.problem = std::move(problem), .field = option, .remedy = std::move(remedy)});
}

}  // namespace

std::vector<std::int64_t> batches_to_decode(const Posterior& posterior,
                                            const std::optional<std::vector<std::int64_t>>& batchid,
                                            bool use_observed_batches, const char* option) {
  if (use_observed_batches) {
    if (batchid) refuse_batches(option, "cannot be given together with use_observed_batches", "choose one");
    return {kObservedBatch};
  }
  const std::int64_t n_batches = posterior.gene_dataset().n_batches();
  std::vector<std::int64_t> batches;
  if (!batchid) {
    batches.resize(static_cast<std::size_t>(n_batches));
    std::iota(batches.begin(), batches.end(), std::int64_t{0});
    return batches;
  }
  if (batchid->empty()) refuse_batches(option, "names no batch");
  for (const std::int64_t batch : *batchid) {
    if (batch < 0 || batch >= n_batches) {
      refuse_batches(option, "names batch " + std::to_string(batch) + ", but there are batches 0 to " +
                                 std::to_string(n_batches - 1));
    }
  }
  const std::set<std::int64_t> different(batchid->begin(), batchid->end());
  if (different.size() < batchid->size()) refuse_batches(option, "names a batch twice");
  batches.assign(different.begin(), different.end());
  return batches;
}

std::int64_t samples_per_batch(std::int64_t n_samples, std::int64_t n_batches) {
  if (n_samples < 1) {
    throw InputError(
        {.problem = "is " + std::to_string(n_samples) + ", but must be at least 1", .field = "n_samples"});
  }
  return std::max(n_samples / n_batches, kFewestPerBatch);
}

void check_group(const Posterior& posterior, const CellGroup& group, std::int64_t least) {
  const std::string field = "group '" + group.name + "'";
  if (std::ssize(group.cells) < least) {
    const std::string size = group.cells.empty() ? "no cell" : std::to_string(group.cells.size()) + " cell";
    throw InputError(
        {.problem = "has " + size + ", but at least " + std::to_string(least) + " are needed", .field = field});
  }
  for (const std::int64_t cell : group.cells) {
    if (cell >= 0 && cell < posterior.gene_dataset().nb_cells()) continue;
    throw InputError({.problem = "names cell " + std::to_string(cell) + ", but the data set has " +
                                 std::to_string(posterior.gene_dataset().nb_cells()) + " cells",
                      .field = field});
  }
}

DecodedSet decode(const Posterior& posterior, const SampleSet& set, std::uint64_t repetition, Progress* progress) {
  const PosteriorOptions& of_posterior = posterior.options();
  RandomStream draws(of_posterior.seed, "posterior/" + of_posterior.name + "/" + purpose_of(set) + "/cells",
                     {repetition, 0});
  const std::vector<std::int64_t>& cells = set.group->cells;
  std::vector<std::int64_t> drawn(static_cast<std::size_t>(set.n_samples));
  for (std::int64_t& cell : drawn) cell = cells[draws.below(cells.size())];

  // In the order of the data set, so that counts on disk are read once.
  DecodedSet decoded;
  decoded.places.resize(drawn.size());
  std::iota(decoded.places.begin(), decoded.places.end(), std::int64_t{0});
  std::stable_sort(decoded.places.begin(), decoded.places.end(),
                   [&](std::int64_t a, std::int64_t b) { return drawn[a] < drawn[b]; });
  std::vector<std::int64_t> sorted;
  sorted.reserve(drawn.size());
  for (const std::int64_t place : decoded.places) sorted.push_back(drawn[place]);

  PosteriorOptions options = of_posterior;
  options.name += "/" + purpose_of(set);
  Posterior of_drawn(borrowed(posterior.model()), borrowed(posterior.gene_dataset()), std::move(sorted), options);
  of_drawn.set_position(repetition);
  of_drawn.set_progress(progress);
  ExpressionOptions expression;
  if (set.batch != kObservedBatch) expression.transform_batch = {set.batch};
  decoded.scale = of_drawn.get_sample_scale(expression);
  return decoded;
}

SamplingPlan::SamplingPlan(const Posterior& posterior, std::span<const CellGroup> groups,
                           std::span<const Contrast> contrasts, const DifferentialOptions& options,
                           std::uint64_t repetition)
    : posterior_(posterior), groups_(groups), n_samples_wanted_(options.n_samples) {
  const auto batches1 = batches_to_decode(posterior, options.batchid1, options.use_observed_batches, "batchid1");
  const auto batches2 = batches_to_decode(posterior, options.batchid2, options.use_observed_batches, "batchid2");
  for (const Contrast& contrast : contrasts) {
    sides_.push_back(plan_side(contrast, contrast.first, batches1, "/first", repetition));
    sides_.push_back(plan_side(contrast, contrast.second, batches2, "/second", repetition));
  }
  offsets_.push_back(0);
  for (const SampleSet& set : sets_) offsets_.push_back(offsets_.back() + set.n_samples);
}

std::size_t SamplingPlan::set_of(std::size_t group, std::int64_t batch) {
  const auto [entry, is_new] = number_of_.try_emplace({group, batch}, sets_.size());
  if (is_new) sets_.push_back({.group = &groups_[group], .batch = batch, .n_samples = 0});
  return entry->second;
}

SamplingPlan::Side SamplingPlan::plan_side(const Contrast& contrast, std::span<const std::size_t> members,
                                           std::span<const std::int64_t> batches, const std::string& purpose,
                                           std::uint64_t repetition) {
  // ends[i]: how many cells the first i + 1 members have, so that a cell of all of them names its group.
  std::vector<std::int64_t> ends;
  for (const std::size_t group : members) {
    ends.push_back((ends.empty() ? 0 : ends.back()) + std::ssize(groups_[group].cells));
  }
  const std::int64_t n = samples_per_batch(n_samples_wanted_, std::ssize(batches));
  const PosteriorOptions& of_posterior = posterior_.options();
  RandomStream draws(of_posterior.seed, "posterior/" + of_posterior.name + "/differential/" + contrast.name + purpose,
                     {repetition, 0});
  Side side;
  for (const std::int64_t batch : batches) {
    std::vector<std::int64_t> taken(members.size());
    for (std::int64_t i = 0; i < n; ++i) {
      std::size_t member = 0;
      if (members.size() > 1) {
        const auto cell = static_cast<std::int64_t>(draws.below(static_cast<std::uint64_t>(ends.back())));
        member = static_cast<std::size_t>(std::upper_bound(ends.begin(), ends.end(), cell) - ends.begin());
      }
      const std::size_t set = set_of(members[member], batch);
      side.emplace_back(set, taken[member]++);
      sets_[set].n_samples = std::max(sets_[set].n_samples, taken[member]);
    }
  }
  return side;
}

GroupSamples SamplingPlan::located(const Side& side) const {
  GroupSamples samples;
  for (const auto& [set, number] : side) {
    samples.samples.push_back(offsets_[set] + number);
    samples.batches.push_back(sets_[set].batch);
  }
  return samples;
}

std::map<std::size_t, std::int64_t> SamplingPlan::shares_of(std::size_t contrast, int side) const {
  std::map<std::size_t, std::int64_t> shares;
  for (const auto& [set, number] : sides_[2 * contrast + static_cast<std::size_t>(side - 1)]) ++shares[set];
  return shares;
}

void scatter(const DecodedSet& decoded, std::int64_t first_gene, std::int64_t offset, ScaleSamples& samples) {
  const CellArray& scale = decoded.scale;
  parallel_for(samples.n_genes, kGenesPerChunk, [&](std::int64_t begin, std::int64_t end) {
    // Samples in the outer loop: a chunk of genes of one sample lies in one cache line.
    for (std::int64_t row = 0; row < scale.n_cells; ++row) {
      const float* from = scale.values.data() + row * scale.n_columns + first_gene;
      float* to = samples.values.data() + offset + decoded.places[row];
      for (std::int64_t gene = begin; gene < end; ++gene) to[gene * samples.n_samples] = from[gene];
    }
  });
}

}  // namespace differential_detail

using namespace differential_detail;

ScaleSamplerResult scale_sampler(const Posterior& posterior, std::span<const std::int64_t> cells,
                                 const ScaleSamplerOptions& options) {
  const CellGroup group{.name = "scale_sampler", .cells = {cells.begin(), cells.end()}};
  check_group(posterior, group, 1);
  const auto batches = batches_to_decode(posterior, options.batchid, options.use_observed_batches, "batchid");
  const std::int64_t n_per_batch = options.n_samples_per_cell
                                       ? samples_per_batch(*options.n_samples_per_cell * std::ssize(group.cells), 1)
                                       : samples_per_batch(options.n_samples, std::ssize(batches));
  const std::int64_t n_genes = posterior.gene_dataset().nb_genes();
  ScaleSamplerResult result;
  std::vector<double> sums(static_cast<std::size_t>(n_genes));
  result.scale.n_columns = n_genes;
  for (const std::int64_t batch : batches) {
    const DecodedSet decoded =
        decode(posterior, {.group = &group, .batch = batch, .n_samples = n_per_batch}, 0, nullptr);
    result.batches.insert(result.batches.end(), static_cast<std::size_t>(n_per_batch), batch);
    const std::vector<float>& rows = decoded.scale.values;
    if (options.give_mean) {
      for (std::size_t i = 0; i < rows.size(); ++i) sums[i % sums.size()] += rows[i];
      continue;
    }
    const std::size_t first = result.scale.values.size();
    result.scale.values.resize(first + rows.size());
    for (std::int64_t row = 0; row < n_per_batch; ++row) {
      std::copy_n(rows.begin() + row * n_genes, n_genes,
                  result.scale.values.begin() + static_cast<std::ptrdiff_t>(first) + decoded.places[row] * n_genes);
    }
  }
  if (options.give_mean) {
    for (const double sum : sums) {
      result.scale.values.push_back(static_cast<float>(sum / static_cast<double>(result.batches.size())));
    }
  }
  result.scale.n_cells = options.give_mean ? 1 : std::ssize(result.batches);
  return result;
}

}  // namespace scvi
