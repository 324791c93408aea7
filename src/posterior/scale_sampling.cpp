#include "scale_sampling.hpp"

#include <algorithm>
#include <numeric>
#include <set>
#include <stdexcept>

#include <ATen/ATen.h>

#include "scvi/core/error.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace differential_detail {
namespace {

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

/// A sample on the way to its draw.
struct Visit {
  std::int64_t cell;
  std::size_t set;
  std::int64_t number;  ///< among those of the set, by their cells
  std::int64_t place;   ///< among those of all sets, by their draws
};

/// In the order of the data set, so that counts on disk are read once.
std::vector<Visit> visits_of(const Posterior& posterior, std::span<const SampleSet> sets, std::uint64_t repetition) {
  const PosteriorOptions& options = posterior.options();
  const auto by_cell = [](const Visit& a, const Visit& b) { return a.cell < b.cell; };
  std::vector<Visit> visits;
  for (std::size_t set = 0; set < sets.size(); ++set) {
    RandomStream draws(options.seed, "posterior/" + options.name + "/" + purpose_of(sets[set]) + "/cells",
                       {repetition, 0});
    const std::vector<std::int64_t>& cells = sets[set].group->cells;
    const auto first = std::ssize(visits);
    for (std::int64_t i = 0; i < sets[set].n_samples; ++i) {
      visits.push_back({.cell = cells[draws.below(cells.size())], .set = set, .number = 0, .place = first + i});
    }
    std::stable_sort(visits.begin() + first, visits.end(), by_cell);
    for (std::int64_t i = 0; i < sets[set].n_samples; ++i) visits[first + i].number = i;
  }
  std::stable_sort(visits.begin(), visits.end(), by_cell);
  return visits;
}

/// The noise of every set, as a posterior of its cells alone would draw it for get_sample_scale().
class NoiseOfSets {
 public:
  NoiseOfSets(const PosteriorOptions& options, std::span<const SampleSet> sets, std::uint64_t repetition)
      : options_(options), sets_(sets), repetition_(repetition) {}

  /// (n_samples of the set, n_columns) normal variables
  at::Tensor normal(std::size_t set, const std::string& name, std::int64_t n_columns) {
    const std::lock_guard lock(mutex_);
    at::Tensor& rows = drawn_[{set, name}];
    if (!rows.defined()) rows = draw(set, name, n_columns);
    return rows;
  }

 private:
  at::Tensor draw(std::size_t set, const std::string& name, std::int64_t n_columns) const {
    const std::string purpose = "posterior/" + options_.name + "/" + purpose_of(sets_[set]) + "/expression";
    std::vector<at::Tensor> parts;
    for (std::int64_t first = 0; first < sets_[set].n_samples; first += options_.batch_size) {
      RandomNoise noise(options_.seed, purpose, {repetition_, static_cast<std::uint64_t>(parts.size())});
      const std::int64_t n = std::min(options_.batch_size, sets_[set].n_samples - first);
      parts.push_back(noise.standard_normal(name, {n, n_columns}, at::kFloat));
    }
    return at::cat(parts);
  }

  const PosteriorOptions& options_;
  std::span<const SampleSet> sets_;
  std::uint64_t repetition_;
  std::mutex mutex_;
  std::map<std::pair<std::size_t, std::string>, at::Tensor> drawn_;
};

/// What NoiseOfSets holds for some visits. A latent space is drawn from normal variables and nothing else.
class NoiseOfVisits final : public Noise {
 public:
  NoiseOfVisits(NoiseOfSets& sets, std::span<const Visit> visits) : sets_(sets), visits_(visits) {}

  at::Tensor standard_normal(std::string_view name, at::IntArrayRef shape,
                             const at::TensorOptions& options) override {
    if (shape.size() != 2 || shape[0] != std::ssize(visits_)) refuse(name);
    at::Tensor rows = at::empty(shape, at::kFloat);
    float* to = rows.data_ptr<float>();
    std::map<std::size_t, at::Tensor> of_sets;
    for (const Visit& visit : visits_) {
      at::Tensor& of_set = of_sets[visit.set];
      if (!of_set.defined()) of_set = sets_.normal(visit.set, std::string(name), shape[1]);
      to = std::copy_n(of_set.data_ptr<float>() + visit.number * shape[1], shape[1], to);
    }
    return rows.to(options.device(), c10::typeMetaToScalarType(options.dtype()));
  }
  at::Tensor uniform(std::string_view name, at::IntArrayRef, const at::TensorOptions&) override { refuse(name); }
  at::Tensor standard_gamma(std::string_view name, const at::Tensor&) override { refuse(name); }
  at::Tensor poisson(std::string_view name, const at::Tensor&) override { refuse(name); }

 private:
  [[noreturn]] static void refuse(std::string_view name) {
    throw std::logic_error("no latent variable of each cell: " + std::string(name));
  }

  NoiseOfSets& sets_;
  std::span<const Visit> visits_;
};

/// sums[gene] += rows[row][gene], a few rows at a time.
void add_rows(const float* rows, std::int64_t n, std::int64_t n_genes, double* sums) {
  constexpr std::int64_t kRows = 8;
  std::int64_t row = 0;
  for (; row + kRows <= n; row += kRows) {
    const float* first = rows + row * n_genes;
    for (std::int64_t gene = 0; gene < n_genes; ++gene) {
      float sum = 0;
      for (std::int64_t i = 0; i < kRows; ++i) sum += first[i * n_genes + gene];
      sums[gene] += static_cast<double>(sum);
    }
  }
  for (; row < n; ++row) {
    for (std::int64_t gene = 0; gene < n_genes; ++gene) sums[gene] += static_cast<double>(rows[row * n_genes + gene]);
  }
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
  std::vector<std::int64_t> batches(static_cast<std::size_t>(n_batches));
  std::iota(batches.begin(), batches.end(), std::int64_t{0});
  if (batchid) batches = *batchid;
  if (batches.empty()) refuse_batches(option, "names no batch");
  const std::int64_t n_known = std::min(n_batches, std::max<std::int64_t>(posterior.model().shape().n_batch, 1));
  for (const std::int64_t batch : batches) {
    if (batch >= 0 && batch < n_known) continue;
    refuse_batches(option, "names batch " + std::to_string(batch) + ", but there are batches 0 to " +
                               std::to_string(n_known - 1) + (n_known < n_batches ? " in the model" : ""));
  }
  const std::set<std::int64_t> different(batches.begin(), batches.end());
  if (different.size() < batches.size()) refuse_batches(option, "names a batch twice");
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

Latent draw_latent(const Posterior& posterior, std::span<const SampleSet> sets, std::uint64_t repetition,
                   Progress* progress) {
  const std::vector<Visit> visits = visits_of(posterior, sets, repetition);
  std::vector<std::int64_t> cells;
  cells.reserve(visits.size());
  for (const Visit& visit : visits) cells.push_back(visit.cell);
  const PosteriorOptions& options = posterior.options();
  Posterior of_drawn(borrowed(posterior.model()), borrowed(posterior.gene_dataset()), std::move(cells), options);
  NoiseOfSets noise(options, sets, repetition);
  of_drawn.set_noise([&](std::string_view, std::int64_t minibatch, std::int64_t) -> std::unique_ptr<Noise> {
    const auto first = static_cast<std::size_t>(minibatch * options.batch_size);
    const auto n = std::min(static_cast<std::size_t>(options.batch_size), visits.size() - first);
    return std::make_unique<NoiseOfVisits>(noise, std::span(visits).subspan(first, n));
  });
  of_drawn.set_progress(progress);
  const Latent visited = of_drawn.draw_latent();

  Latent latent = visited;
  const std::int64_t n_latent = visited.z.n_columns;
  for (std::size_t i = 0; i < visits.size(); ++i) {
    const Visit& visit = visits[i];
    const std::int64_t batch = sets[visit.set].batch;
    latent.batch_indices[visit.place] = batch == kObservedBatch ? visited.batch_indices[i] : batch;
    latent.labels[visit.place] = visited.labels[i];
    std::copy_n(visited.z.values.begin() + static_cast<std::ptrdiff_t>(i) * n_latent, n_latent,
                latent.z.values.begin() + visit.place * n_latent);
  }
  return latent;
}

SetMeans::SetMeans(std::span<const SampleSet> sets) : sets_(sets) {
  for (const SampleSet& set : sets) ends_.push_back((ends_.empty() ? 0 : ends_.back()) + set.n_samples);
}

void SetMeans::add(std::int64_t first, const float* rows, std::int64_t n, std::int64_t n_genes) {
  for (const std::int64_t end = first + n; first < end;) {
    const auto set = static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), first) - ends_.begin());
    const std::int64_t n_here = std::min(end, ends_[set]) - first;
    Part part{.set = set, .sum = std::vector<double>(static_cast<std::size_t>(n_genes))};
    add_rows(rows, n_here, n_genes, part.sum.data());
    {
      const std::lock_guard lock(mutex_);
      parts_.emplace(first, std::move(part));
    }
    rows += n_here * n_genes;
    first += n_here;
  }
}

std::vector<std::vector<double>> SetMeans::means() const {
  std::vector<std::vector<double>> means(sets_.size());
  for (const auto& [first, part] : parts_) {
    std::vector<double>& mean = means[part.set];
    mean.resize(part.sum.size());
    for (std::size_t gene = 0; gene < mean.size(); ++gene) mean[gene] += part.sum[gene];
  }
  for (std::size_t set = 0; set < means.size(); ++set) {
    for (double& value : means[set]) value /= static_cast<double>(sets_[set].n_samples);
  }
  return means;
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
  std::vector<SampleSet> sets;
  ScaleSamplerResult result;
  for (const std::int64_t batch : batches) {
    sets.push_back({.group = &group, .batch = batch, .n_samples = n_per_batch});
    result.batches.insert(result.batches.end(), static_cast<std::size_t>(n_per_batch), batch);
  }
  const std::int64_t n_genes = posterior.gene_dataset().nb_genes();
  const Latent latent = draw_latent(posterior, sets, 0, nullptr);
  result.scale = {.n_cells = options.give_mean ? 1 : latent.n_cells(), .n_columns = n_genes, .values = {}};
  result.scale.values.resize(static_cast<std::size_t>(result.scale.n_cells * n_genes));
  SetMeans means(sets);
  posterior.for_each_scale(latent, [&](std::int64_t first, const float* rows, std::int64_t n) {
    if (options.give_mean) return means.add(first, rows, n, n_genes);
    std::copy_n(rows, n * n_genes, result.scale.values.begin() + first * n_genes);
  });
  if (!options.give_mean) return result;
  // All sets have as many samples.
  for (const std::vector<double>& mean : means.means()) {
    for (std::int64_t gene = 0; gene < n_genes; ++gene) {
      result.scale.values[gene] += static_cast<float>(mean[gene] / static_cast<double>(sets.size()));
    }
  }
  return result;
}

}  // namespace scvi
