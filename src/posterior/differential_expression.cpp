#include "scvi/posterior/differential_expression.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <numeric>
#include <set>
#include <utility>

#include "scale_sampling.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/random.hpp"

namespace scvi {
namespace {

using namespace differential_detail;

constexpr std::int64_t kFewestCells = 2;

/// One bar for sets of samples that each report as if they were alone.
class SharedProgress final : public Progress {
 public:
  SharedProgress(Progress* whole, std::int64_t total) : whole_(whole) {
    if (whole_) whole_->start("drawing samples", total, "sample");
  }
  ~SharedProgress() override {
    if (whole_) whole_->finish();
  }
  void start(std::string_view, std::int64_t total, std::string_view) override { total_ = total; }
  void update(std::int64_t done, std::string_view) override {
    if (whole_) whole_->update(before_ + done, "");
  }
  void finish() override { before_ += std::exchange(total_, 0); }

 private:
  Progress* whole_;
  std::int64_t before_ = 0;
  std::int64_t total_ = 0;
};

/// Mean of what several groups have, by their sizes.
std::vector<double> mean_over(const std::vector<std::size_t>& members, std::span<const CellGroup> groups,
                              const std::vector<RawCountsOfGroup>& of_groups,
                              std::vector<double> RawCountsOfGroup::*what) {
  std::vector<double> mean((of_groups[members.front()].*what).size());
  double n_cells = 0;
  for (const std::size_t group : members) {
    const auto n = static_cast<double>(groups[group].cells.size());
    n_cells += n;
    for (std::size_t gene = 0; gene < mean.size(); ++gene) mean[gene] += n * (of_groups[group].*what)[gene];
  }
  for (double& value : mean) value /= n_cells;
  return mean;
}

/// Answers contrasts between groups of cells.
class Comparison {
 public:
  /// @param posteriors at least one
  Comparison(std::span<const Posterior> posteriors, std::span<const CellGroup> groups,
             std::span<const Contrast> contrasts, const DifferentialOptions& options)
      : posteriors_(posteriors),
        posterior_(posteriors.front()),
        groups_(groups),
        contrasts_(contrasts),
        options_(options) {
    check_options();
    const bool change = options_.hypothesis.mode == DifferentialMode::change;
    automatic_pseudocount_ = change && options_.automatic_pseudocount;
    if (options_.all_stats || automatic_pseudocount_) {
      std::vector<std::span<const std::int64_t>> cells;
      for (const CellGroup& group : groups_) cells.emplace_back(group.cells);
      raw_counts_ = posterior_.gene_dataset().raw_counts_of_groups(cells);
    }
    pseudocounts_.assign(contrasts_.size(), options_.hypothesis.pseudocount);
    for (std::int64_t repetition = 0; repetition < options_.n_repetitions; ++repetition) {
      plans_.emplace_back(posterior_, groups_, contrasts_, options_, static_cast<std::uint64_t>(repetition));
    }
    compute();
  }

  std::vector<BayesFactors> take_factors() && { return std::move(factors_); }

  /// The table of a contrast.
  io::Frame table(std::size_t contrast) const;

 private:
  void check_options() const;
  void compute();
  void compute(std::size_t repetition, Progress& progress);
  std::vector<GroupComparison> comparisons_of(const SamplingPlan& plan, std::uint64_t repetition) const;
  void decode(std::size_t model, const Latent& latent, std::int64_t first_gene, SetMeans* means, Progress& progress,
              ScaleSamples& samples) const;
  void add_means(const SetMeans& means);
  void choose_pseudocounts(const SamplingPlan& plan);
  std::vector<double> mean_of_side(const SamplingPlan& plan, std::size_t contrast, int side) const;
  std::int64_t n_samples_of(const SamplingPlan& plan) const { return plan.n_samples() * std::ssize(posteriors_); }
  std::int64_t genes_at_a_time(const SamplingPlan& plan) const;
  std::vector<double> spread(std::size_t contrast, const std::vector<double>& (*what)(const BayesFactors&)) const;

  std::span<const Posterior> posteriors_;
  const Posterior& posterior_;  // the first, whose groups, batches and draws of pairs go for all
  std::span<const CellGroup> groups_;
  std::span<const Contrast> contrasts_;
  const DifferentialOptions& options_;
  bool automatic_pseudocount_ = false;
  std::vector<RawCountsOfGroup> raw_counts_;
  std::vector<SamplingPlan> plans_;                 // one for each repetition
  std::vector<std::vector<double>> mean_scales_;    // of each set, per gene; over all posteriors
  std::vector<double> pseudocounts_;                // of each contrast
  std::vector<BayesFactors> factors_;               // of each contrast, over all posteriors
  std::vector<std::vector<BayesFactors>> singles_;  // the same of each posterior in each repetition
};

void Comparison::check_options() const {
  check(options_.hypothesis);
  const auto at_least_one = [](std::int64_t value, const char* field) {
    if (value >= 1) return;
    throw InputError({.problem = "is " + std::to_string(value) + ", but must be at least 1", .field = field});
  };
  at_least_one(options_.n_samples, "n_samples");
  at_least_one(options_.n_repetitions, "n_repetitions");
  at_least_one(options_.memory_bytes, "memory_bytes");
  if (options_.pairs.use_permutation) at_least_one(options_.pairs.M_permutation, "M_permutation");
  for (const double target : options_.fdr_targets) call_genes({}, target);
}

std::int64_t Comparison::genes_at_a_time(const SamplingPlan& plan) const {
  const std::int64_t tile = ScaleSamples::genes_per_tile();
  const std::int64_t n_tiles = options_.memory_bytes / ScaleSamples::bytes(tile, n_samples_of(plan));
  return std::min(std::max<std::int64_t>(n_tiles, 1), chunk_count(posterior_.gene_dataset().nb_genes(), tile)) * tile;
}

void Comparison::compute() {
  const std::int64_t n_genes = posterior_.gene_dataset().nb_genes();
  std::int64_t total = 0;
  for (const SamplingPlan& plan : plans_) {
    const std::int64_t genes = genes_at_a_time(plan);
    total += n_samples_of(plan) * (1 + chunk_count(n_genes, genes));
  }
  SharedProgress progress(options_.progress, total);
  for (std::size_t repetition = 0; repetition < plans_.size(); ++repetition) {
    compute(repetition, progress);
  }
}

void Comparison::compute(std::size_t repetition, Progress& progress) {
  const SamplingPlan& plan = plans_[repetition];
  const std::int64_t n_genes = posterior_.gene_dataset().nb_genes();
  const std::int64_t step = genes_at_a_time(plan);
  std::vector<GroupComparison> comparisons = comparisons_of(plan, repetition);
  std::vector<BayesFactors> factors(comparisons.size());
  std::vector<Latent> latent;
  for (const Posterior& posterior : posteriors_) {
    latent.push_back(draw_latent(posterior, plan.sets(), repetition, &progress));
  }
  for (std::int64_t first = 0; first < n_genes; first += step) {
    ScaleSamples samples(std::min(step, n_genes - first), n_samples_of(plan));
    const bool needs_means = automatic_pseudocount_ && repetition == 0 && first == 0;
    for (std::size_t model = 0; model < posteriors_.size(); ++model) {
      SetMeans means(plan.sets());
      decode(model, latent[model], first, needs_means ? &means : nullptr, progress, samples);
      if (needs_means) add_means(means);
    }
    if (needs_means) choose_pseudocounts(plan);
    for (std::size_t i = 0; i < comparisons.size(); ++i) {
      comparisons[i].options.pseudocount = pseudocounts_[i % contrasts_.size()];
    }
    const std::vector<BayesFactors> part = bayes_factors(samples, comparisons);
    for (std::size_t i = 0; i < part.size(); ++i) append_genes(factors[i], part[i]);
  }
  const auto n = std::ssize(contrasts_);
  if (repetition == 0) factors_.assign(factors.begin(), factors.begin() + n);
  const std::ptrdiff_t first_single = posteriors_.size() > 1 ? n : 0;
  for (auto i = factors.begin() + first_single; i != factors.end(); i += n) singles_.emplace_back(i, i + n);
}

/// The same samples and pairs of a number of models, whose samples lie one behind the other.
GroupComparison of_models(const GroupComparison& of_first, std::int64_t n_samples, std::size_t first,
                          std::size_t end) {
  GroupComparison all{.group1 = {}, .group2 = {}, .pairs = {}, .options = of_first.options};
  const auto append = [](std::vector<std::int64_t>& to, const std::vector<std::int64_t>& from, std::int64_t offset) {
    for (const std::int64_t value : from) to.push_back(value + offset);
  };
  for (std::size_t model = first; model < end; ++model) {
    const std::int64_t offset = static_cast<std::int64_t>(model) * n_samples;
    append(all.group1.samples, of_first.group1.samples, offset);
    append(all.group1.batches, of_first.group1.batches, 0);
    append(all.group2.samples, of_first.group2.samples, offset);
    append(all.group2.batches, of_first.group2.batches, 0);
    append(all.pairs.first, of_first.pairs.first, offset);
    append(all.pairs.second, of_first.pairs.second, offset);
  }
  return all;
}

/// One for each contrast over all posteriors, then, where there are several, those of each.
std::vector<GroupComparison> Comparison::comparisons_of(const SamplingPlan& plan, std::uint64_t repetition) const {
  std::vector<GroupComparison> of_first;
  for (std::size_t i = 0; i < contrasts_.size(); ++i) {
    RandomStream draws(posterior_.options().seed,
                       "posterior/" + posterior_.options().name + "/differential/" + contrasts_[i].name + "/pairs",
                       {repetition, 0});
    const PickSamples pick = [&](int, std::int64_t, std::int64_t n, std::int64_t count) {
      std::vector<std::int64_t> picked(static_cast<std::size_t>(count));
      for (std::int64_t& at : picked) at = static_cast<std::int64_t>(draws.below(static_cast<std::uint64_t>(n)));
      return picked;
    };
    GroupComparison& comparison = of_first.emplace_back();
    comparison.group1 = plan.samples1(i);
    comparison.group2 = plan.samples2(i);
    comparison.pairs = make_pairs(comparison.group1, comparison.group2, options_.pairs, pick);
    comparison.options = options_.hypothesis;
  }
  const std::size_t n_models = posteriors_.size();
  if (n_models == 1) return of_first;
  std::vector<GroupComparison> all;
  const auto add = [&](std::size_t first, std::size_t end) {
    for (const GroupComparison& one : of_first) all.push_back(of_models(one, plan.n_samples(), first, end));
  };
  add(0, n_models);
  for (std::size_t model = 0; model < n_models; ++model) add(model, model + 1);
  return all;
}

void Comparison::decode(std::size_t model, const Latent& latent, std::int64_t first_gene, SetMeans* means,
                        Progress& progress, ScaleSamples& samples) const {
  Posterior decoding = posteriors_[model];
  decoding.set_progress(&progress);
  const std::int64_t n_columns = posterior_.gene_dataset().nb_genes();
  const std::int64_t offset = static_cast<std::int64_t>(model) * latent.n_cells();
  decoding.for_each_scale(latent, [&](std::int64_t first, const float* rows, std::int64_t n) {
    if (means) means->add(first, rows, n, n_columns);
    samples.set_rows(offset + first, rows + first_gene, n, n_columns);
  });
}

void Comparison::add_means(const SetMeans& means) {
  const std::vector<std::vector<double>> of_model = means.means();
  mean_scales_.resize(of_model.size());
  for (std::size_t set = 0; set < of_model.size(); ++set) {
    mean_scales_[set].resize(of_model[set].size());
    for (std::size_t gene = 0; gene < of_model[set].size(); ++gene) {
      mean_scales_[set][gene] += of_model[set][gene] / static_cast<double>(posteriors_.size());
    }
  }
}

std::vector<double> Comparison::mean_of_side(const SamplingPlan& plan, std::size_t contrast, int side) const {
  std::vector<double> mean(static_cast<std::size_t>(posterior_.gene_dataset().nb_genes()));
  double n_samples = 0;
  for (const auto& [set, share] : plan.shares_of(contrast, side)) {
    n_samples += static_cast<double>(share);
    for (std::size_t gene = 0; gene < mean.size(); ++gene) {
      mean[gene] += static_cast<double>(share) * mean_scales_[set][gene];
    }
  }
  for (double& value : mean) value /= n_samples;
  return mean;
}

void Comparison::choose_pseudocounts(const SamplingPlan& plan) {
  for (std::size_t i = 0; i < contrasts_.size(); ++i) {
    const auto mean1 = mean_over(contrasts_[i].first, groups_, raw_counts_, &RawCountsOfGroup::mean);
    const auto mean2 = mean_over(contrasts_[i].second, groups_, raw_counts_, &RawCountsOfGroup::mean);
    pseudocounts_[i] = suggested_pseudocount(mean1, mean_of_side(plan, i, 1), mean2, mean_of_side(plan, i, 2));
  }
}

/// Standard deviation of a column over posteriors and repetitions.
std::vector<double> Comparison::spread(std::size_t contrast,
                                       const std::vector<double>& (*what)(const BayesFactors&)) const {
  const auto n = static_cast<double>(singles_.size());
  std::vector<double> result(what(singles_.front()[contrast]).size());
  for (std::size_t gene = 0; gene < result.size(); ++gene) {
    double mean = 0;
    for (const auto& single : singles_) mean += what(single[contrast])[gene] / n;
    double squares = 0;
    for (const auto& single : singles_) squares += std::pow(what(single[contrast])[gene] - mean, 2);
    result[gene] = std::sqrt(squares / (n - 1));
  }
  return result;
}

const std::vector<double>& proba_of(const BayesFactors& factors) {
  return factors.proba;
}

const std::vector<double>& mean_change_of(const BayesFactors& factors) {
  return factors.change.mean;
}

std::string shortest(double value) {
  std::array<char, 40> text;
  return {text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr};
}

/// A table that is filled column by column, in an order of its own.
class TableBuilder {
 public:
  TableBuilder(const GeneExpressionDataset& dataset, const std::vector<double>& by_largest)
      : order_(by_largest.size()) {
    std::iota(order_.begin(), order_.end(), std::size_t{0});
    std::stable_sort(order_.begin(), order_.end(),
                     [&](std::size_t a, std::size_t b) { return by_largest[a] > by_largest[b]; });
    const std::vector<std::string>& names = dataset.gene_names();
    for (const std::size_t gene : order_) {
      frame_.index.push_back(names.empty() ? std::to_string(gene) : names[gene]);
    }
    frame_.index_name = "gene";
  }

  void add(std::string name, const std::vector<double>& values) {
    std::vector<double> sorted;
    sorted.reserve(order_.size());
    for (const std::size_t gene : order_) sorted.push_back(values[gene]);
    frame_.columns.push_back({.name = std::move(name), .values = std::move(sorted), .missing = {}});
  }
  void add(std::string name, double value) { add(std::move(name), std::vector<double>(order_.size(), value)); }
  void add(std::string name, const std::vector<bool>& values) {
    io::Boolean sorted;
    for (const std::size_t gene : order_) sorted.values.push_back(values[gene]);
    frame_.columns.push_back({.name = std::move(name), .values = std::move(sorted), .missing = {}});
  }
  io::Frame finish() && { return std::move(frame_); }

 private:
  std::vector<std::size_t> order_;
  io::Frame frame_;
};

void add_factors(TableBuilder& table, const BayesFactors& factors) {
  const bool change = factors.mode == DifferentialMode::change;
  std::vector<double> otherwise;
  for (const double p : factors.proba) otherwise.push_back(1.0 - p);
  table.add(change ? "proba_de" : "proba_m1", factors.proba);
  table.add(change ? "proba_not_de" : "proba_m2", otherwise);
  table.add("bayes_factor", factors.bayes_factor);
  table.add("scale1", factors.scale1);
  table.add("scale2", factors.scale2);
  if (!change) return;
  table.add("lfc_mean", factors.change.mean);
  table.add("lfc_median", factors.change.median);
  table.add("lfc_std", factors.change.std);
  table.add("lfc_min", factors.change.min);
  table.add("lfc_max", factors.change.max);
  for (const CredibleIntervals& interval : factors.change.intervals) {
    constexpr std::size_t kReferenceDigits = 5;
    const std::string name = "lfc_confidence_interval_" + shortest(interval.level).substr(0, kReferenceDigits);
    table.add(name + "_min", interval.lower);
    table.add(name + "_max", interval.upper);
  }
}

io::Frame Comparison::table(std::size_t contrast) const {
  const BayesFactors& factors = factors_[contrast];
  const bool change = factors.mode == DifferentialMode::change;
  TableBuilder table(posterior_.gene_dataset(), change ? factors.proba : factors.bayes_factor);
  add_factors(table, factors);
  if (options_.all_stats) {
    const auto add_raw = [&](const std::string& name, std::vector<double> RawCountsOfGroup::*what) {
      table.add(name + "1", mean_over(contrasts_[contrast].first, groups_, raw_counts_, what));
      table.add(name + "2", mean_over(contrasts_[contrast].second, groups_, raw_counts_, what));
    };
    add_raw("raw_mean", &RawCountsOfGroup::mean);
    add_raw("non_zeros_proportion", &RawCountsOfGroup::nonz);
    add_raw("raw_normalized_mean", &RawCountsOfGroup::norm_mean);
  }
  if (change && pseudocounts_[contrast] > 0) table.add("pseudocount", pseudocounts_[contrast]);
  for (const double target : options_.fdr_targets) {
    const std::string name = options_.call_rule == CallRule::each ? "is_de_each_" : "is_de_fdr_";
    if (change) table.add(name + shortest(target), call_genes(factors.proba, target, options_.call_rule));
  }
  if (singles_.size() > 1) {
    table.add(change ? "proba_de_spread" : "proba_m1_spread", spread(contrast, proba_of));
    if (change) table.add("lfc_mean_spread", spread(contrast, mean_change_of));
  }
  return std::move(table).finish();
}

/// Marks the cells of a group, each at most once. @throws InputError for one that another group has
void mark_cells(const Posterior& posterior, const CellGroup& group, std::vector<std::uint8_t>& taken) {
  for (const std::int64_t cell : group.cells) {
    if (taken[cell]++ == 0) continue;
    const std::vector<std::string>& names = posterior.gene_dataset().cell_names();
    throw InputError({.problem = "shares " +
                                 (names.empty() ? "cell " + std::to_string(cell) : "'" + names[cell] + "'") +
                                 " with another group, or holds it twice",
                      .field = "group '" + group.name + "'",
                      .remedy = "compare groups without a cell in common"});
  }
}

/// @throws InputError when groups share a cell or a name, or one has fewer than `least` cells
void check_groups(const Posterior& posterior, std::span<const CellGroup> groups, std::int64_t least) {
  std::vector<std::uint8_t> taken(static_cast<std::size_t>(posterior.gene_dataset().nb_cells()));
  std::set<std::string> names;
  for (const CellGroup& group : groups) {
    check_group(posterior, group, least);
    mark_cells(posterior, group, taken);
    if (names.insert(group.name).second) continue;
    throw InputError({.problem = "is the name of two groups", .field = "'" + group.name + "'"});
  }
}

std::string size_of(const CellGroup& group) {
  const std::size_t n = group.cells.size();
  return "group '" + group.name + "' has only " + std::to_string(n) + (n == 1 ? " cell" : " cells");
}

/// Warns of a group whose cells say little.
void warn_if_small(const CellGroup& group, const DifferentialOptions& options) {
  if (std::ssize(group.cells) > options.min_cells) return;
  log_warning(size_of(group) + ": the model's answer rests on few cells");
}

bool large_enough(std::int64_t n_cells, const DifferentialOptions& options) {
  return n_cells > options.min_cells && n_cells >= kFewestCells;
}

/// @throws InputError where there is none, or they have other data sets
void check_posteriors(std::span<const Posterior> posteriors) {
  if (posteriors.empty()) throw InputError({.problem = "is given", .field = "no posterior"});
  for (const Posterior& posterior : posteriors) {
    if (&posterior.gene_dataset() == &posteriors.front().gene_dataset()) continue;
    throw InputError({.problem = "have other data sets", .field = "posteriors to compare groups by"});
  }
}

Comparison compare_two(std::span<const Posterior> posteriors, std::span<const CellGroup, 2> groups,
                       std::span<const Contrast, 1> contrast, const DifferentialOptions& options) {
  check_posteriors(posteriors);
  check_groups(posteriors.front(), groups, kFewestCells);
  for (const CellGroup& group : groups) warn_if_small(group, options);
  return Comparison(posteriors, groups, contrast, options);
}

Contrast first_against_second(std::string name) {
  return {.name = std::move(name), .first = {0}, .second = {1}};
}

io::NamedTable named_result(const std::string& name, io::Frame table) {
  const auto n = static_cast<std::size_t>(table.n_rows());
  table.columns.push_back({.name = "clusters", .values = std::vector<std::string>(n, name), .missing = {}});
  return {.name = name, .table = std::move(table)};
}

[[noreturn]] void refuse_for_size(const DifferentialOptions& options) {
  throw InputError({.problem = "has more than " + std::to_string(options.min_cells) + " cells on both sides",
                    .field = "no comparison",
                    .remedy = "lower min_cells, or compare larger groups"});
}

CellGroup common_cells(const CellGroup& cluster, const CellGroup& group, const std::vector<std::uint8_t>& in_group) {
  CellGroup common{.name = cluster.name + "/" + group.name, .cells = {}};
  for (const std::int64_t cell : cluster.cells) {
    if (in_group[cell]) common.cells.push_back(cell);
  }
  return common;
}

}  // namespace

BayesFactors get_bayes_factors(std::span<const Posterior> posteriors, const CellGroup& group1,
                               const CellGroup& group2, const DifferentialOptions& options) {
  DifferentialOptions statistics_alone = options;
  statistics_alone.all_stats = false;
  const std::array groups = {group1, group2};
  const std::array contrast = {first_against_second("pair")};
  return std::move(compare_two(posteriors, groups, contrast, statistics_alone).take_factors().front());
}

io::Frame differential_expression_score(std::span<const Posterior> posteriors, const CellGroup& group1,
                                        const CellGroup& group2, const DifferentialOptions& options) {
  const std::array groups = {group1, group2};
  const std::array contrast = {first_against_second("pair")};
  return compare_two(posteriors, groups, contrast, options).table(0);
}

std::vector<io::NamedTable> one_vs_all_degenes(std::span<const Posterior> posteriors,
                                               std::span<const CellGroup> groups,
                                               const DifferentialOptions& options) {
  if (options.batchid1 != options.batchid2) {
    throw InputError({.problem = "must be the same when every group is compared with all others",
                      .field = "batchid1 and batchid2"});
  }
  check_posteriors(posteriors);
  check_groups(posteriors.front(), groups, 1);
  std::int64_t n_cells = 0;
  for (const CellGroup& group : groups) n_cells += std::ssize(group.cells);
  std::vector<Contrast> contrasts;
  for (std::size_t i = 0; i < groups.size(); ++i) {
    const std::int64_t n = std::ssize(groups[i].cells);
    if (!large_enough(n, options)) {
      log_warning(size_of(groups[i]) + ": it is not compared itself, only counted among the others");
      continue;
    }
    if (!large_enough(n_cells - n, options)) continue;
    Contrast& contrast = contrasts.emplace_back(Contrast{.name = groups[i].name, .first = {i}, .second = {}});
    for (std::size_t other = 0; other < groups.size(); ++other) {
      if (other != i) contrast.second.push_back(other);
    }
  }
  if (contrasts.empty()) refuse_for_size(options);
  const Comparison comparison(posteriors, groups, contrasts, options);
  std::vector<io::NamedTable> results;
  for (std::size_t i = 0; i < contrasts.size(); ++i) {
    results.push_back(named_result(contrasts[i].name, comparison.table(i)));
  }
  return results;
}

std::vector<io::NamedTable> within_cluster_degenes(std::span<const Posterior> posteriors,
                                                   std::span<const CellGroup> clusters, const CellGroup& group1,
                                                   const CellGroup& group2, const DifferentialOptions& options) {
  check_posteriors(posteriors);
  const Posterior& posterior = posteriors.front();
  const std::array both = {group1, group2};
  check_groups(posterior, clusters, 1);
  check_groups(posterior, both, 1);
  std::array<std::vector<std::uint8_t>, 2> in_group;
  for (std::size_t i = 0; i < both.size(); ++i) {
    in_group[i].resize(static_cast<std::size_t>(posterior.gene_dataset().nb_cells()));
    mark_cells(posterior, both[i], in_group[i]);
  }
  std::vector<io::NamedTable> results;
  for (const CellGroup& cluster : clusters) {
    const std::array groups = {common_cells(cluster, group1, in_group[0]),
                               common_cells(cluster, group2, in_group[1])};
    const bool fine = std::all_of(groups.begin(), groups.end(), [&](const CellGroup& group) {
      return large_enough(std::ssize(group.cells), options);
    });
    if (!fine) {
      log_warning("cluster '" + cluster.name + "' is left out: it has " + std::to_string(groups[0].cells.size()) +
                  " cells of '" + group1.name + "' and " + std::to_string(groups[1].cells.size()) + " of '" +
                  group2.name + "'");
      continue;
    }
    const std::array contrast = {first_against_second("within/" + cluster.name)};
    const Comparison comparison(posteriors, groups, contrast, options);
    results.push_back(named_result(cluster.name, comparison.table(0)));
  }
  if (results.empty()) refuse_for_size(options);
  return results;
}

std::vector<CellGroup> groups_of_column(const io::Column& column, std::span<const std::int64_t> cells) {
  const io::Categorical categories = column.as_categorical();
  std::vector<CellGroup> groups;
  for (const std::string& name : categories.categories) groups.push_back({.name = name, .cells = {}});
  for (std::size_t position = 0; position < cells.size(); ++position) {
    const std::int32_t code = categories.codes[cells[position]];
    if (code >= 0) groups[code].cells.push_back(static_cast<std::int64_t>(position));
  }
  std::erase_if(groups, [](const CellGroup& group) { return group.cells.empty(); });
  return groups;
}

std::vector<CellGroup> groups_of_labels(const GeneExpressionDataset& dataset) {
  std::vector<CellGroup> groups;
  for (const std::string& name : dataset.cell_types()) groups.push_back({.name = name, .cells = {}});
  for (std::int64_t cell = 0; cell < dataset.nb_cells(); ++cell) {
    const std::int64_t label = dataset.labels()[cell];
    if (label >= 0) groups[label].cells.push_back(cell);
  }
  std::erase_if(groups, [](const CellGroup& group) { return group.cells.empty(); });
  return groups;
}

CellGroup merged_groups(std::span<const CellGroup> groups, std::string name) {
  CellGroup merged{.name = std::move(name), .cells = {}};
  for (const CellGroup& group : groups) {
    merged.cells.insert(merged.cells.end(), group.cells.begin(), group.cells.end());
  }
  return merged;
}

}  // namespace scvi
