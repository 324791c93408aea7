#include "scvi/model/saved_model.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "testing.hpp"

namespace scvi {
namespace {

SavedModel small_model() {
  SavedModel saved;
  saved.model = make_model("vae", {.n_input = 3, .n_batch = 2}, {{"n_hidden", std::int64_t{4}}}, 7);
  saved.data.gene_names = {"CD3E", "MS4A1", "gène"};
  saved.data.batch_names = {"first", "second"};
  saved.data.batch_key = "batch";
  saved.data.n_cells_in_file = 10;
  saved.data.train_rows = {0, 9, 4};
  saved.training = {{"epochs", "3"}};
  return saved;
}

class SavedModelTest : public ::testing::Test {
 protected:
  void SetUp() override { save_model(small_model(), folder_.path()); }
  void replace(const std::string& from, const std::string& to) const {
    std::string text = read_file(folder_.path("model.json"));
    const auto at = text.find(from);
    ASSERT_NE(at, std::string::npos);
    write_file_atomically(folder_.path("model.json"), text.replace(at, from.size(), to));
  }
  testing::TemporaryDirectory folder_;
};

TEST_F(SavedModelTest, ComesBackWithItsWeightsAndEverythingItRemembers) {
  const SavedModel expected = small_model();
  const SavedModel loaded = load_model(folder_.path());
  EXPECT_EQ(loaded.data.gene_names, expected.data.gene_names);
  EXPECT_EQ(loaded.data.train_rows, expected.data.train_rows);
  EXPECT_EQ(loaded.training, expected.training);
  EXPECT_EQ(loaded.model->hyperparameters(), expected.model->hyperparameters());
  const auto state = named_state(*loaded.model);
  const auto wanted = named_state(*expected.model);
  ASSERT_EQ(state.size(), wanted.size());
  for (std::size_t i = 0; i < state.size(); ++i) EXPECT_TRUE(at::equal(state[i].second, wanted[i].second));
  EXPECT_FALSE(loaded.model->is_training());
}

TEST_F(SavedModelTest, IsTheSameBytesForTheSameModel) {
  testing::TemporaryDirectory other;
  save_model(small_model(), other.path());
  EXPECT_EQ(read_file(folder_.path("weights.pt")), read_file(other.path("weights.pt")));
  EXPECT_EQ(read_file(folder_.path("model.json")), read_file(other.path("model.json")));
}

TEST_F(SavedModelTest, RefusesAFolderWithoutAModel) {
  testing::TemporaryDirectory empty;
  EXPECT_THROW(load_model(empty.path()), InputError);
  EXPECT_THROW(load_model(empty.path("missing")), InputError);
}

TEST_F(SavedModelTest, RefusesANewerFormatByName) {
  replace("\"format_version\": 1", "\"format_version\": 99");
  try {
    load_model(folder_.path());
    FAIL();
  } catch (const FormatError& error) {
    EXPECT_NE(std::string(error.what()).find("newer"), std::string::npos);
  }
}

TEST_F(SavedModelTest, RefusesWeightsThatWereChanged) {
  std::fstream weights(folder_.path("weights.pt"), std::ios::in | std::ios::out | std::ios::binary);
  weights.seekp(300);
  weights.put('\x55');
  weights.close();
  EXPECT_THROW(load_model(folder_.path()), FormatError);
}

TEST_F(SavedModelTest, RefusesADescriptionThatContradictsItself) {
  replace("\"n_input\": 3", "\"n_input\": 3000000000000");
  EXPECT_THROW(load_model(folder_.path()), FormatError);
}

TEST_F(SavedModelTest, RefusesATruncatedDescriptionAtAnyLength) {
  const std::string text = read_file(folder_.path("model.json"));
  for (std::size_t length = 0; length + 2 < text.size(); length += 37) {
    write_file_atomically(folder_.path("model.json"), text.substr(0, length));
    EXPECT_THROW(load_model(folder_.path()), Error) << length;
  }
}

TEST(FingerprintOfCells, ChangesWithNamesAndOrder) {
  const auto print = [](const std::vector<std::string>& names) { return fingerprint_of_cells(names); };
  EXPECT_EQ(print({"a", "b"}), print({"a", "b"}));
  EXPECT_NE(print({"a", "b"}), print({"b", "a"}));
  EXPECT_NE(print({"a", "b"}), print({"ab"}));
  EXPECT_EQ(print({}).size(), 16U);
}

}  // namespace
}  // namespace scvi
