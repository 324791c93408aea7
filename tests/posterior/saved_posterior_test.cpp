#include "scvi/posterior/saved_posterior.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "posterior/example.hpp"
#include "scvi/core/error.hpp"
#include "stored_counts.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

using testing::example;

class SavedPosterior : public ::testing::Test {
 protected:
  std::string path() const { return folder_.path("saved"); }

  nlohmann::json facts() const { return nlohmann::json::parse(read_file(path() + "/posterior.json")); }
  void put(const nlohmann::json& facts) const { write_file_atomically(path() + "/posterior.json", facts.dump()); }

  const testing::Example cells_ = example();
  const testing::TemporaryDirectory folder_;
};

TEST_F(SavedPosterior, AnswersAsTheOneThatWasSaved) {
  for (const bool corrupted : {false, true}) {
    const Posterior before(cells_.model, cells_.dataset, {299, 4, 4, 150},
                           {.batch_size = 3, .seed = 9, .corrupted = corrupted, .name = "some \"cells\""});
    save_posterior(before, path(), Overwrite::replace);
    const Posterior after = load_posterior(path());
    EXPECT_EQ(after.indices(), before.indices());
    EXPECT_EQ(after.options().name, before.options().name);
    EXPECT_EQ(after.options().corrupted, corrupted);
    EXPECT_EQ(after.elbo(), before.elbo());
    EXPECT_EQ(after.get_sample_scale({.n_samples = 2}).values, before.get_sample_scale({.n_samples = 2}).values);
    EXPECT_EQ(after.imputation_list(2).imputed, before.imputation_list(2).imputed);
    EXPECT_EQ(after.gene_dataset().cell_types(), before.gene_dataset().cell_types());
    EXPECT_EQ(after.get_latent().labels, before.get_latent().labels);
  }
}

TEST_F(SavedPosterior, CopiesCountsOnDisk) {
  const auto stored = testing::on_disk(*cells_.dataset, {.cache_bytes = 6000, .block_cells = 30});
  const Posterior before = Posterior::of_all_cells(cells_.model, stored);
  save_posterior(before, path());
  const Posterior after = load_posterior(path());
  EXPECT_EQ(after.gene_dataset().X().store(), nullptr);
  EXPECT_EQ(after.elbo(), before.elbo());
}

TEST_F(SavedPosterior, KeepsTheNumbersOfBatchesWhateverTheirNames) {
  auto dataset = std::make_shared<GeneExpressionDataset>(*cells_.dataset);
  dataset->initialize_mapped_attribute("batch_indices", "batch_names", {"zebra", "10"});
  const Posterior before = Posterior::of_all_cells(cells_.model, dataset);
  save_posterior(before, path());
  const Posterior after = load_posterior(path());
  EXPECT_EQ(after.gene_dataset().batch_names(), (std::vector<std::string>{"zebra", "10"}));
  EXPECT_EQ(after.gene_dataset().batch_indices(), dataset->batch_indices());
  EXPECT_EQ(after.gene_dataset().local_means(), dataset->local_means());
  EXPECT_EQ(after.gene_dataset().local_vars(), dataset->local_vars());
  EXPECT_EQ(after.elbo(), before.elbo());
}

TEST_F(SavedPosterior, IsNotReplacedUnlessThatIsAskedFor) {
  save_posterior(cells_.posterior(), path());
  EXPECT_THROW(save_posterior(cells_.posterior(), path()), InputError);
  EXPECT_NO_THROW(save_posterior(cells_.posterior(), path(), Overwrite::replace));
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder_.path()), {}), 1);
}

TEST_F(SavedPosterior, SaysWhatIsMissing) {
  EXPECT_THROW(load_posterior(folder_.path("nothing")), InputError);
  EXPECT_THROW(load_posterior(folder_.path()), InputError);
  save_posterior(cells_.posterior(), path());
  for (const char* part : {"/model/model.json", "/model/weights.pt", "/data.h5ad"}) {
    save_posterior(cells_.posterior(), path(), Overwrite::replace);
    std::filesystem::remove(path() + part);
    EXPECT_THROW(load_posterior(path()), Error) << part;
  }
}

TEST_F(SavedPosterior, RefusesADamagedDescription) {
  save_posterior(cells_.posterior(), path());
  const nlohmann::json good = facts();
  const auto refused = [&](const char* field, const nlohmann::json& value) {
    nlohmann::json bad = good;
    bad[field] = value;
    put(bad);
    EXPECT_THROW(load_posterior(path()), FormatError) << field << " " << value;
  };
  refused("format", "scvi-cpp model");
  refused("format_version", 2);
  refused("batch_size", 0);
  refused("seed", "nine");
  refused("indices", {0, 300});
  refused("indices", {-1});
  refused("indices", "all");
  refused("batch_indices", {0, 1});
  refused("batch_names", nlohmann::json::array());
  refused("labels", std::vector<std::int64_t>(300, 77));
  for (const auto& item : good.items()) {
    nlohmann::json bad = good;
    bad.erase(item.key());
    put(bad);
    EXPECT_THROW(load_posterior(path()), FormatError) << item.key();
  }
  const std::string text = good.dump();
  for (std::size_t length = 0; length < text.size(); length += 1 + text.size() / 20) {
    write_file_atomically(path() + "/posterior.json", text.substr(0, length));
    EXPECT_THROW(load_posterior(path()), FormatError) << length;
  }
}

TEST_F(SavedPosterior, RefusesCorruptedCountsThatAreGone) {
  save_posterior(cells_.posterior().corrupted(), path());
  std::filesystem::remove(path() + "/corrupted.h5ad");
  EXPECT_THROW(load_posterior(path()), Error);
}

}  // namespace
}  // namespace scvi
