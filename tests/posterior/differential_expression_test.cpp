#include "scvi/posterior/differential_expression.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <numeric>

#include "scvi/core/error.hpp"
#include "scvi/dataset/synthetic.hpp"
#include "scvi/model/vae.hpp"
#include "stored_counts.hpp"
#include "with_threads.hpp"

namespace scvi {
namespace {

using Numbers = std::vector<double>;

const Numbers& numbers(const io::Frame& table, const std::string& name) {
  const io::Column* column = table.find(name);
  if (!column) throw std::runtime_error("no column " + name);
  return std::get<Numbers>(column->values);
}

/// A column by gene, whatever the order of the rows.
std::map<std::string, double> by_gene(const io::Frame& table, const std::string& name) {
  std::map<std::string, double> values;
  for (std::size_t row = 0; row < table.index.size(); ++row) values[table.index[row]] = numbers(table, name)[row];
  return values;
}

/// 300 cells of three clusters in two batches and a model that has not been trained: its answers are arbitrary, but
/// they differ between clusters.
class DifferentialExpression : public ::testing::Test {
 protected:
  DifferentialExpression() {
    SyntheticDatasetCorrOptions synthetic;
    synthetic.n_cells_cluster = 50;
    synthetic.n_genes_high = 8;
    synthetic.n_batches = 2;
    synthetic.seed = 2;
    dataset_ = std::make_shared<GeneExpressionDataset>(synthetic_dataset_corr(synthetic).dataset);
    model_ = std::make_shared<VAE>(
        VaeOptions{.n_input = dataset_->nb_genes(), .n_batch = 2, .n_hidden = 8, .n_latent = 3}, 4);
    groups_ = groups_of_labels(*dataset_);
    change_.hypothesis.mode = DifferentialMode::change;
    change_.hypothesis.delta = 0.05;
    change_.n_samples = 200;
  }

  Posterior posterior(std::uint64_t seed = 0) const {
    return Posterior::of_all_cells(model_, dataset_, {.batch_size = 64, .seed = seed, .name = "test"});
  }
  CellGroup others() const { return merged_groups(std::span(groups_).subspan(1), "others"); }

  std::shared_ptr<GeneExpressionDataset> dataset_;
  std::shared_ptr<Model> model_;
  std::vector<CellGroup> groups_;
  DifferentialOptions change_;
};

TEST_F(DifferentialExpression, SamplesAreSharedOutOverTheBatches) {
  const auto sampled = scale_sampler(posterior(), groups_[0].cells, {.n_samples = 101});
  EXPECT_EQ(sampled.scale.n_cells, 100);
  EXPECT_EQ(std::count(sampled.batches.begin(), sampled.batches.end(), 0), 50);
  for (std::int64_t row = 0; row < 100; ++row) {
    const auto first = sampled.scale.values.begin() + row * sampled.scale.n_columns;
    EXPECT_NEAR(std::accumulate(first, first + sampled.scale.n_columns, 0.0), 1, 1e-4);
  }
  EXPECT_EQ(scale_sampler(posterior(), groups_[0].cells, {.n_samples = 1}).scale.n_cells, 4);
  const auto observed = scale_sampler(posterior(), groups_[0].cells, {.n_samples = 30, .use_observed_batches = true});
  EXPECT_EQ(observed.batches, std::vector<std::int64_t>(30, -1));
  const auto one = scale_sampler(posterior(), groups_[0].cells,
                                 {.n_samples_per_cell = 2, .batchid = std::vector<std::int64_t>{1}});
  EXPECT_EQ(one.batches, std::vector<std::int64_t>(200, 1));
  const auto mean = scale_sampler(posterior(), groups_[0].cells, {.n_samples = 101, .give_mean = true});
  ASSERT_EQ(mean.scale.n_cells, 1);
  double sum = 0;
  for (std::int64_t row = 0; row < 100; ++row) sum += sampled.scale.values[row * sampled.scale.n_columns + 3];
  EXPECT_NEAR(mean.scale.values[3], sum / 100, 1e-6);
}

TEST_F(DifferentialExpression, SamplesFollowTheBatchTheyAreDecodedFor) {
  const auto of = [&](std::int64_t batch) {
    return scale_sampler(posterior(), groups_[0].cells,
                         {.n_samples = 100, .batchid = std::vector{batch}, .give_mean = true})
        .scale.values;
  };
  EXPECT_NE(of(0), of(1));
}

TEST_F(DifferentialExpression, TablesHaveTheDocumentedColumnsInTheirOrder) {
  const io::Frame vanilla = differential_expression_score(posterior(), groups_[0], groups_[1], {.n_samples = 20});
  const std::vector<std::string> raw = {
      "raw_mean1",           "raw_mean2", "non_zeros_proportion1", "non_zeros_proportion2", "raw_normalized_mean1",
      "raw_normalized_mean2"};
  std::vector<std::string> expected = {"proba_m1", "proba_m2", "bayes_factor", "scale1", "scale2"};
  expected.insert(expected.end(), raw.begin(), raw.end());
  EXPECT_EQ(vanilla.column_names(), expected);
  EXPECT_TRUE(std::is_sorted(numbers(vanilla, "bayes_factor").rbegin(), numbers(vanilla, "bayes_factor").rend()));

  change_.hypothesis.cred_interval_lvls = {0.94};
  change_.fdr_targets = {0.05};
  change_.n_repetitions = 3;
  change_.automatic_pseudocount = true;
  const io::Frame change = differential_expression_score(posterior(), groups_[0], groups_[1], change_);
  expected = {"proba_de",
              "proba_not_de",
              "bayes_factor",
              "scale1",
              "scale2",
              "lfc_mean",
              "lfc_median",
              "lfc_std",
              "lfc_min",
              "lfc_max",
              "lfc_confidence_interval_0.94_min",
              "lfc_confidence_interval_0.94_max"};
  expected.insert(expected.end(), raw.begin(), raw.end());
  for (const char* name : {"pseudocount", "is_de_fdr_0.05", "proba_de_spread", "lfc_mean_spread"}) {
    expected.emplace_back(name);
  }
  EXPECT_EQ(change.column_names(), expected);
  EXPECT_TRUE(std::is_sorted(numbers(change, "proba_de").rbegin(), numbers(change, "proba_de").rend()));
  EXPECT_EQ(change.n_rows(), dataset_->nb_genes());
}

TEST_F(DifferentialExpression, RawColumnsAreThoseOfTheCounts) {
  const std::vector<CellGroup> all = {groups_[0], others()};
  const io::Frame table = differential_expression_score(posterior(), all[0], all[1], change_);
  const auto tables = one_vs_all_degenes(posterior(), groups_, change_);
  const RawCountsProperties raw = dataset_->raw_counts_properties(all[0].cells, all[1].cells);
  const std::vector<std::pair<std::string, Numbers>> columns = {{"raw_mean1", raw.mean1},
                                                                {"raw_mean2", raw.mean2},
                                                                {"non_zeros_proportion1", raw.nonz1},
                                                                {"non_zeros_proportion2", raw.nonz2},
                                                                {"raw_normalized_mean1", raw.norm_mean1},
                                                                {"raw_normalized_mean2", raw.norm_mean2}};
  for (const auto& [name, expected] : columns) {
    const auto pair = by_gene(table, name);
    const auto one_of_all = by_gene(tables[0].table, name);
    for (std::size_t gene = 0; gene < expected.size(); ++gene) {
      const std::string key = dataset_->gene_names().empty() ? std::to_string(gene) : dataset_->gene_names()[gene];
      EXPECT_NEAR(pair.at(key), expected[gene], 1e-12) << name;
      EXPECT_NEAR(one_of_all.at(key), expected[gene], 1e-12) << name;
    }
  }
}

TEST_F(DifferentialExpression, NeitherThreadsNorMemoryChangeATable) {
  change_.hypothesis.cred_interval_lvls = {0.9};
  change_.automatic_pseudocount = true;
  std::vector<std::vector<io::NamedTable>> results;
  for (const int threads : {1, 2, 7}) {
    const testing::WithThreads with(threads);
    results.push_back(one_vs_all_degenes(posterior(), groups_, change_));
  }
  change_.memory_bytes = 5 * 4 * 600;
  results.push_back(one_vs_all_degenes(posterior(), groups_, change_));
  change_.memory_bytes = 1;
  results.push_back(one_vs_all_degenes(posterior(), groups_, change_));
  for (const auto& other : results) {
    ASSERT_EQ(other.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(other[i].table.index, results[0][i].table.index);
      for (const io::Column& column : results[0][i].table.columns) {
        const auto* values = std::get_if<Numbers>(&column.values);
        if (values) {
          EXPECT_EQ(numbers(other[i].table, column.name), *values) << column.name;
        }
      }
    }
  }
}

TEST_F(DifferentialExpression, ReadsCountsOnDiskOnceForAllGroupsAndBatches) {
  const auto watch = std::make_shared<testing::WatchedMatrix::Watch>();
  const auto stored = testing::on_disk(*dataset_, {.cache_bytes = 20000, .block_cells = 20}, watch);
  const auto posterior_of_stored =
      Posterior::of_all_cells(model_, stored, {.batch_size = 64, .seed = 0, .name = "test"});
  change_.all_stats = false;
  change_.memory_bytes = 1;  // of samples: genes are decoded tile by tile
  const auto tables = one_vs_all_degenes(posterior_of_stored, groups_, change_);
  const std::int64_t n_blocks = stored->X().store()->n_blocks();
  EXPECT_GT(n_blocks, 5);
  EXPECT_LE(watch->n_reads, n_blocks + 2);
  const auto in_memory = one_vs_all_degenes(posterior(), groups_, change_);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(numbers(tables[i].table, "lfc_mean"), numbers(in_memory[i].table, "lfc_mean"));
  }
}

TEST_F(DifferentialExpression, ComparingInTheOtherDirectionMirrorsTheChange) {
  const io::Frame there = differential_expression_score(posterior(), groups_[0], groups_[1], change_);
  const io::Frame back = differential_expression_score(posterior(), groups_[1], groups_[0], change_);
  auto mirrored = by_gene(back, "lfc_mean");
  for (const auto& [gene, change] : by_gene(there, "lfc_mean")) EXPECT_NEAR(change, -mirrored[gene], 1e-6);
  EXPECT_EQ(by_gene(there, "proba_de"), by_gene(back, "proba_de"));
  EXPECT_EQ(by_gene(there, "scale1"), by_gene(back, "scale2"));
}

TEST_F(DifferentialExpression, HalvesOfOneGroupDoNotDiffer) {
  CellGroup first{.name = "first", .cells = {}};
  CellGroup second{.name = "second", .cells = {}};
  for (std::size_t i = 0; i < groups_[0].cells.size(); ++i) {
    (i % 2 == 0 ? first : second).cells.push_back(groups_[0].cells[i]);
  }
  change_.n_samples = 4000;
  const io::Frame table = differential_expression_score(posterior(), first, second, change_);
  for (const double change : numbers(table, "lfc_mean")) EXPECT_NEAR(change, 0, 0.05);
}

TEST_F(DifferentialExpression, OneVsAllSharesSamplesWithoutChangingWhatIsEstimated) {
  change_.n_samples = 4000;
  const auto tables = one_vs_all_degenes(posterior(), groups_, change_);
  const io::Frame pair = differential_expression_score(posterior(), groups_[0], others(), change_);
  EXPECT_EQ(by_gene(tables[0].table, "scale1"), by_gene(pair, "scale1"));
  const auto shared = by_gene(tables[0].table, "scale2");
  for (const auto& [gene, scale] : by_gene(pair, "scale2")) EXPECT_NEAR(shared.at(gene) / scale, 1, 0.04);
  EXPECT_EQ(std::get<std::vector<std::string>>(tables[0].table.find("clusters")->values)[0], groups_[0].name);
}

TEST_F(DifferentialExpression, TheOthersAreDrawnByTheSizesOfTheirGroups) {
  // A group of 12 cells among others of 100: its weight must be 12 in 112.
  std::vector<CellGroup> uneven = {groups_[0], groups_[1], groups_[2]};
  uneven[2].cells.resize(12);
  change_.n_samples = 6000;
  const auto tables = one_vs_all_degenes(posterior(), uneven, change_);
  const auto scale = [&](std::size_t table) { return by_gene(tables[table].table, "scale1"); };
  const auto large = scale(1);
  const auto small = scale(2);
  for (const auto& [gene, mixed] : by_gene(tables[0].table, "scale2")) {
    EXPECT_NEAR(mixed, (100 * large.at(gene) + 12 * small.at(gene)) / 112, 0.02 * mixed);
  }
}

TEST_F(DifferentialExpression, PermutationsMakeAsManyPairsAsAskedFor) {
  change_.pairs = {.use_permutation = true, .M_permutation = 14};
  const io::Frame table = differential_expression_score(posterior(), groups_[0], groups_[1], change_);
  for (const double p : numbers(table, "proba_de")) EXPECT_NEAR(p * 14, std::round(p * 14), 1e-9);
}

TEST_F(DifferentialExpression, RepetitionsTellTheSpreadAndChangeNothingElse) {
  const io::Frame once = differential_expression_score(posterior(), groups_[0], groups_[1], change_);
  change_.n_repetitions = 4;
  const io::Frame four = differential_expression_score(posterior(), groups_[0], groups_[1], change_);
  EXPECT_EQ(numbers(once, "lfc_mean"), numbers(four, "lfc_mean"));
  double largest = 0;
  for (const double spread : numbers(four, "lfc_mean_spread")) largest = std::max(largest, spread);
  EXPECT_GT(largest, 0);
  EXPECT_LT(largest, 0.2);
}

TEST_F(DifferentialExpression, SeveralModelsCountAlike) {
  const auto other = std::make_shared<VAE>(
      VaeOptions{.n_input = dataset_->nb_genes(), .n_batch = 2, .n_hidden = 8, .n_latent = 3}, 9);
  const std::vector<Posterior> both = {
      posterior(), Posterior::of_all_cells(other, dataset_, {.batch_size = 64, .seed = 0, .name = "other"})};
  change_.hypothesis.test = ChangeTest::two_sided;
  change_.hypothesis.pseudocount = 1e-4;
  const std::span<const Posterior> posteriors(both);
  const BayesFactors first = get_bayes_factors(both[0], groups_[0], groups_[1], change_);
  const BayesFactors second = get_bayes_factors(both[1], groups_[0], groups_[1], change_);
  const BayesFactors all = get_bayes_factors(posteriors, groups_[0], groups_[1], change_);
  const auto spread =
      by_gene(differential_expression_score(posteriors, groups_[0], groups_[1], change_), "proba_de_spread");
  for (std::size_t gene = 0; gene < all.proba.size(); ++gene) {
    EXPECT_NEAR(all.proba[gene], (first.proba[gene] + second.proba[gene]) / 2, 1e-12);
    EXPECT_NEAR(all.scale1[gene], (first.scale1[gene] + second.scale1[gene]) / 2, 1e-9);
    EXPECT_NEAR(all.change.mean[gene], (first.change.mean[gene] + second.change.mean[gene]) / 2, 1e-6);
    EXPECT_LE(all.change.min[gene], std::min(first.change.min[gene], second.change.min[gene]) + 1e-6);
    const std::string name = dataset_->gene_names().empty() ? std::to_string(gene) : dataset_->gene_names()[gene];
    EXPECT_NEAR(spread.at(name), std::abs(first.proba[gene] - second.proba[gene]) / std::sqrt(2), 1e-9);
  }
  EXPECT_EQ(one_vs_all_degenes(posteriors, groups_, change_).size(), 3U);
}

TEST_F(DifferentialExpression, SeveralModelsMustSeeTheSameData) {
  const auto copy = std::make_shared<GeneExpressionDataset>(*dataset_);
  const std::vector<Posterior> both = {posterior(), Posterior::of_all_cells(model_, copy)};
  const std::span<const Posterior> posteriors(both);
  EXPECT_THROW(get_bayes_factors(posteriors, groups_[0], groups_[1], change_), InputError);
  EXPECT_THROW(one_vs_all_degenes(posteriors, groups_, change_), InputError);
  EXPECT_THROW(get_bayes_factors(std::span<const Posterior>(), groups_[0], groups_[1], change_), InputError);
}

TEST_F(DifferentialExpression, GenesAreCalledByTheRuleAskedFor) {
  change_.fdr_targets = {0.2};
  const auto called = [&] {
    const io::Frame table = differential_expression_score(posterior(), groups_[0], groups_[1], change_);
    const io::Column* column = table.find(change_.call_rule == CallRule::each ? "is_de_each_0.2" : "is_de_fdr_0.2");
    const auto& values = std::get<io::Boolean>(column->values).values;
    const Numbers& proba = numbers(table, "proba_de");
    if (change_.call_rule == CallRule::each) {
      for (std::size_t row = 0; row < values.size(); ++row) EXPECT_EQ(values[row] == 1, proba[row] >= 0.8);
    }
    return std::count(values.begin(), values.end(), 1);
  };
  const auto expected = called();
  change_.call_rule = CallRule::each;
  EXPECT_LE(called(), expected);
}

TEST_F(DifferentialExpression, SeedsMatter) {
  const auto of = [&](std::uint64_t seed) {
    return by_gene(differential_expression_score(posterior(seed), groups_[0], groups_[1], change_), "scale1");
  };
  EXPECT_EQ(of(1), of(1));
  EXPECT_NE(of(1), of(2));
}

TEST_F(DifferentialExpression, BatchesCanBeChosenForEachGroup) {
  change_.batchid1 = std::vector<std::int64_t>{0};
  change_.batchid2 = std::vector<std::int64_t>{1};
  const BayesFactors crossed = get_bayes_factors(posterior(), groups_[0], groups_[1], change_);
  change_.batchid2 = change_.batchid1;
  const BayesFactors same = get_bayes_factors(posterior(), groups_[0], groups_[1], change_);
  EXPECT_EQ(crossed.scale1, same.scale1);
  EXPECT_NE(crossed.scale2, same.scale2);
  change_.batchid1 = change_.batchid2 = std::nullopt;
  change_.use_observed_batches = true;
  EXPECT_NE(get_bayes_factors(posterior(), groups_[0], groups_[1], change_).scale1, same.scale1);
}

TEST_F(DifferentialExpression, WithinClustersComparesCellsOfTheClusterAlone) {
  CellGroup even{.name = "even", .cells = {}};
  CellGroup odd{.name = "odd", .cells = {}};
  for (std::int64_t cell = 0; cell < dataset_->nb_cells(); ++cell) (cell % 2 == 0 ? even : odd).cells.push_back(cell);
  std::vector<CellGroup> clusters = {groups_[0], groups_[1]};
  clusters[1].cells.resize(20);
  const auto tables = within_cluster_degenes(posterior(), clusters, even, odd, change_);
  ASSERT_EQ(tables.size(), 1U);
  EXPECT_EQ(tables[0].name, groups_[0].name);
  std::vector<std::int64_t> cells;
  for (const std::int64_t cell : groups_[0].cells) {
    if (cell % 2 == 0) cells.push_back(cell);
  }
  const auto raw = dataset_->raw_counts_properties(cells, cells);
  double sum = 0;
  for (const double mean : numbers(tables[0].table, "raw_mean1")) sum += mean;
  EXPECT_NEAR(sum, std::accumulate(raw.mean1.begin(), raw.mean1.end(), 0.0), 1e-9);
}

TEST_F(DifferentialExpression, GroupsOfAColumnLeaveOutCellsWithoutAValue) {
  const io::Column column{
      .name = "kind", .values = io::Categorical{{0, 2, -1, 0, 2}, {"a", "unused", "c"}, false}, .missing = {}};
  const std::vector<std::int64_t> cells = {4, 2, 3, 0};
  const auto groups = groups_of_column(column, cells);
  ASSERT_EQ(groups.size(), 2U);
  EXPECT_EQ(groups[0].name, "a");
  EXPECT_EQ(groups[0].cells, (std::vector<std::int64_t>{2, 3}));
  EXPECT_EQ(groups[1].cells, (std::vector<std::int64_t>{0}));
}

TEST_F(DifferentialExpression, RefusesGroupsThatCannotBeCompared) {
  const Posterior model = posterior();
  const auto refuses = [&](const CellGroup& a, const CellGroup& b, const std::string& part) {
    try {
      get_bayes_factors(model, a, b, change_);
      ADD_FAILURE() << part;
    } catch (const InputError& error) {
      EXPECT_NE(std::string(error.what()).find(part), std::string::npos) << error.what();
    }
  };
  refuses(groups_[0], {.name = "one", .cells = {299}}, "group 'one' has 1 cell, but at least 2");
  refuses({.name = "none", .cells = {}}, groups_[0], "group 'none' has no cell");
  refuses(groups_[0], {.name = "far", .cells = {299, 300}}, "cell 300");
  refuses(groups_[0], {.name = "same", .cells = groups_[0].cells}, "another group");
  refuses(groups_[0], {.name = groups_[0].name, .cells = groups_[1].cells}, "two groups");
  change_.batchid1 = std::vector<std::int64_t>{2};
  refuses(groups_[0], groups_[1], "batches 0 to 1");
  change_.batchid1 = std::vector<std::int64_t>{1, 1};
  refuses(groups_[0], groups_[1], "twice");
  change_.batchid1 = std::vector<std::int64_t>{1};
  EXPECT_THROW(one_vs_all_degenes(model, groups_, change_), InputError);
  change_.use_observed_batches = true;
  refuses(groups_[0], groups_[1], "use_observed_batches");
}

TEST_F(DifferentialExpression, RefusesOptionsOutOfRange) {
  const Posterior model = posterior();
  const auto refuses = [&](const std::function<void(DifferentialOptions&)>& change) {
    DifferentialOptions options;
    change(options);
    EXPECT_THROW(get_bayes_factors(model, groups_[0], groups_[1], options), InputError);
  };
  refuses([](auto& options) { options.n_samples = 0; });
  refuses([](auto& options) { options.n_repetitions = 0; });
  refuses([](auto& options) { options.fdr_targets = {1.5}; });
  refuses([](auto& options) { options.hypothesis.delta = -1; });
  refuses([](auto& options) { options.pairs = {.use_permutation = true, .M_permutation = 0}; });
  change_.min_cells = 1000;
  EXPECT_THROW(one_vs_all_degenes(model, groups_, change_), InputError);
}

TEST_F(DifferentialExpression, SmallGroupsCountAmongTheOthersOnly) {
  std::vector<CellGroup> groups = {groups_[0], groups_[1], {.name = "tiny", .cells = {groups_[2].cells[0]}}};
  const auto tables = one_vs_all_degenes(posterior(), groups, change_);
  ASSERT_EQ(tables.size(), 2U);
  EXPECT_EQ(tables[1].name, groups_[1].name);
}

}  // namespace
}  // namespace scvi
