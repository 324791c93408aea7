#include "scvi/report/training_curves.hpp"

#include <cmath>
#include <filesystem>

#include "figures.hpp"

namespace scvi::report {
namespace {

using testing::error_of;
using testing::holds;
using testing::shows;

constexpr const char* kHistory =
    "epoch\telbo_train_set\telbo_test_set\tkl_train_set\ttrain_loss\tlr\n"
    "0\t9000\t9100\t1\t\t\n"
    "1\t200\t210\t2\t205\t0.001\n"
    "2\t150\t\t3\t155\t0.001\n"
    "3\t120\t130\t4\t125\t0.001\n"
    "4\t110\t125\t5\t115\t0.0006\n"
    "5\t105\t124\t6\t110\t0.0006\n";

class TrainingCurvesOfARun : public ::testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directory(run_);
    write_history(kHistory);
  }
  void write_history(const std::string& text) const { testing::write_bytes(run_ + "/history.tsv", text); }
  void write_model(const std::string& text) const { testing::write_bytes(run_ + "/model.json", text); }

  const testing::TemporaryDirectory folder_;
  const std::string run_ = folder_.path("run");
};

TEST_F(TrainingCurvesOfARun, AreAPanelForEachMetricWithItsSetsOfCells) {
  const TrainingCurves curves = read_training_curves(run_);
  ASSERT_EQ(curves.panels.size(), 2U);
  EXPECT_EQ(curves.panels[0].title, "Negative ELBO per cell");
  EXPECT_EQ(curves.panels[1].title, "kl");
  ASSERT_EQ(curves.panels[0].curves.size(), 2U);
  EXPECT_EQ(curves.panels[0].curves[1].name, "test cells");
  EXPECT_EQ(curves.panels[0].curves[1].epochs, (std::vector<double>{0, 1, 3, 4, 5}));
  EXPECT_EQ(curves.panels[0].curves[1].values, (std::vector<double>{9100, 210, 130, 125, 124}));
  EXPECT_FALSE(curves.best_epoch);
}

TEST_F(TrainingCurvesOfARun, KnowTheBestEpoch) {
  write_model(R"({"training": {"best_epoch": "4"}})");
  EXPECT_EQ(read_training_curves(run_).best_epoch, 4);
  const Canvas canvas = draw_training_curves(read_training_curves(run_));
  EXPECT_TRUE(shows(canvas, "best: epoch 4"));
  write_model(R"({"training": {"epochs": "5"}})");
  EXPECT_FALSE(read_training_curves(run_).best_epoch);
  write_model("{\"training\": ");
  EXPECT_TRUE(holds(error_of([&] { read_training_curves(run_); }), "model.json"));
}

TEST_F(TrainingCurvesOfARun, AreTheTrainingLossWhereNoMetricWasRecorded) {
  write_history("epoch\ttrain_loss\tlr\n1\t5\t0.1\n2\t4\t0.1\n");
  const TrainingCurves curves = read_training_curves(run_);
  ASSERT_EQ(curves.panels.size(), 1U);
  EXPECT_EQ(curves.panels[0].title, "Training loss");
  testing::expect_readable(draw_training_curves(curves));
}

TEST_F(TrainingCurvesOfARun, CanBeChosenByMetricOrColumn) {
  const TrainingCurves curves = read_training_curves(run_ + "/history.tsv", {"lr", "elbo_test_set", "elbo"});
  ASSERT_EQ(curves.panels.size(), 3U);
  EXPECT_EQ(curves.panels[0].title, "Learning rate");
  EXPECT_EQ(curves.panels[1].curves.size(), 1U);
  EXPECT_EQ(curves.panels[2].curves.size(), 2U);
}

TEST_F(TrainingCurvesOfARun, SayWhatIsWrongWithTheFile) {
  EXPECT_TRUE(holds(error_of([&] { read_training_curves(folder_.path()); }), "history.tsv"));
  EXPECT_TRUE(holds(error_of([&] { read_training_curves(run_, {"elbow"}); }), "'elbo'"));
  write_history("time\tloss\n1\t2\n");
  EXPECT_TRUE(holds(error_of([&] { read_training_curves(run_); }), "'epoch'"));
  write_history("epoch\ttrain_loss\n1\tmany\n");
  EXPECT_TRUE(holds(error_of([&] { read_training_curves(run_); }), "'many'"));
  write_history("epoch\ttrain_loss\n1\n");
  EXPECT_THROW(read_training_curves(run_), FormatError);
  write_history("");
  EXPECT_THROW(read_training_curves(run_), Error);
}

TEST_F(TrainingCurvesOfARun, CutAtAnyPlaceAreDrawnOrRefused) {
  const std::string whole = kHistory;
  for (std::size_t length = 0; length < whole.size(); length += 3) {
    write_history(whole.substr(0, length));
    try {
      draw_training_curves(read_training_curves(run_));
    } catch (const Error&) {
    }
  }
}

TEST_F(TrainingCurvesOfARun, ShowRoundTicksAndAllNames) {
  const Canvas canvas = draw_training_curves(read_training_curves(run_));
  testing::expect_readable(canvas);
  for (const char* text : {"Negative ELBO per cell", "training cells", "test cells", "epoch", "kl"}) {
    EXPECT_TRUE(shows(canvas, text)) << text;
  }
}

/// The highest number beside the axis.
double highest_tick(const Canvas& canvas) {
  double highest = 0;
  for (const Text& text : testing::shapes_of<Text>(canvas)) {
    if (text.style.anchor != Anchor::end) continue;
    std::string digits = text.text;
    std::erase(digits, ',');
    highest = std::max(highest, std::strtod(digits.c_str(), nullptr));
  }
  return highest;
}

TrainingCurves steep() {
  Curve curve;
  for (int epoch = 0; epoch <= 40; ++epoch) {
    curve.epochs.push_back(epoch);
    curve.values.push_back(epoch == 0 ? 1e5 : 100 + 100.0 / epoch);
  }
  return {.panels = {{.title = "loss", .curves = {curve}}}, .best_epoch = {}};
}

TEST(TrainingCurves, AreNotPressedFlatByASteepBeginning) {
  EXPECT_LT(highest_tick(draw_training_curves(steep())), 300);
  EXPECT_GT(highest_tick(draw_training_curves(steep(), {.first_epoch = 0})), 50'000);
  EXPECT_LE(highest_tick(draw_training_curves(steep(), {.first_epoch = 20})), 105);
  EXPECT_GE(highest_tick(draw_training_curves(steep(), {.log_scale = true})), 10'000);
}

TEST(TrainingCurves, HaveGapsWhereNothingFiniteIs) {
  TrainingCurves curves = steep();
  curves.panels[0].curves[0].values[10] = NAN;
  curves.panels[0].curves[0].values[20] = INFINITY;
  curves.panels[0].curves[0].values[30] = -1e300;
  const Canvas canvas = draw_training_curves(curves);
  int n_pieces = 0;
  for (const Line& line : testing::shapes_of<Line>(canvas)) n_pieces += line.stroke.color == category_color(0);
  EXPECT_EQ(n_pieces, 4);
  EXPECT_FALSE(holds(svg_of(canvas), "nan"));
  EXPECT_FALSE(holds(svg_of(canvas), "inf"));
}

TEST(TrainingCurves, OfOneEpochOrOneValueAreDrawn) {
  for (const double value : {0.0, -3.0, 7e99}) {
    const TrainingCurves one{.panels = {{.title = "t", .curves = {{.name = "", .epochs = {1}, .values = {value}}}}},
                             .best_epoch = 1};
    const Canvas canvas = draw_training_curves(one);
    testing::expect_readable(canvas);
    EXPECT_EQ(testing::shapes_of<Circle>(canvas).size(), 1U);
  }
}

TEST(TrainingCurves, WithoutNumbersAreRefused) {
  EXPECT_THROW(draw_training_curves({}), InputError);
  const TrainingCurves empty{.panels = {{.title = "t", .curves = {{.name = "", .epochs = {1}, .values = {NAN}}}}},
                             .best_epoch = {}};
  EXPECT_TRUE(holds(error_of([&] { draw_training_curves(empty); }), "'t'"));
  TrainingCurves negative = steep();
  negative.panels[0].curves[0].values[3] = -1;
  EXPECT_TRUE(holds(error_of([&] { draw_training_curves(negative, {.log_scale = true}); }), "logarithmic"));
}

}  // namespace
}  // namespace scvi::report
