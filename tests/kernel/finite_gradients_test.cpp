#include "scvi/kernel/finite_gradients.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

namespace scvi {
namespace {

using kernel::FiniteGradients;

constexpr float kInfinity = std::numeric_limits<float>::infinity();

at::Tensor with(float wrong, std::int64_t place, at::ScalarType type = at::kFloat) {
  at::Tensor gradient = at::ones({7, 100}, type);
  gradient.view({-1})[place] = wrong;
  return gradient;
}

TEST(FiniteGradients, ReadsWhatNobodyToldItAbout) {
  const FiniteGradients seen;
  EXPECT_TRUE(seen.all_finite(at::ones({7, 100})));
  EXPECT_TRUE(seen.all_finite(at::empty({0})));
  EXPECT_TRUE(seen.all_finite(at::full({3}, 3e38F)));
  for (const std::int64_t place : {0, 63, 64, 698, 699}) {
    for (const float wrong : {kInfinity, -kInfinity, std::numeric_limits<float>::quiet_NaN()}) {
      EXPECT_FALSE(seen.all_finite(with(wrong, place)));
      EXPECT_FALSE(seen.all_finite(with(wrong, place, at::kDouble)));
      EXPECT_FALSE(seen.all_finite(with(wrong, place).t()));
      // Without the last column, whose memory it still shares.
      EXPECT_EQ(seen.all_finite(with(wrong, place).narrow(1, 0, 99)), place % 100 == 99);
    }
  }
}

TEST(FiniteGradients, BelievesANoteForTheSameMemoryOnly) {
  const FiniteGradients seen;
  const at::Tensor noted = with(kInfinity, 5);  // the note lies, so that believing it shows
  FiniteGradients::note(noted);
  EXPECT_TRUE(seen.all_finite(noted));
  EXPECT_TRUE(seen.all_finite(noted.detach()));
  EXPECT_TRUE(seen.all_finite(noted.narrow(0, 0, 1)));
  EXPECT_FALSE(seen.all_finite(noted.clone()));
}

TEST(FiniteGradients, TakesNoNoteOfAPartOfSomeMemory) {
  const FiniteGradients seen;
  const at::Tensor whole = with(kInfinity, 5);
  FiniteGradients::note(whole.narrow(0, 1, 6));
  EXPECT_FALSE(seen.all_finite(whole));
  EXPECT_FALSE(seen.all_finite(whole.narrow(0, 0, 1)));
}

TEST(FiniteGradients, ReadsAgainWhatWasChangedAfterTheNote) {
  const FiniteGradients seen;
  at::Tensor gradient = at::ones({4});
  FiniteGradients::note(gradient);
  gradient.add_(kInfinity);
  EXPECT_FALSE(seen.all_finite(gradient));
}

TEST(FiniteGradients, DoesNotMistakeNewMemoryForOldThatIsGone) {
  const FiniteGradients seen;
  for (int i = 0; i < 100; ++i) FiniteGradients::note(at::ones({7, 100}));
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(seen.all_finite(with(kInfinity, 5)));
}

TEST(FiniteGradients, TakesNoNotesWhereNobodyListens) {
  { const FiniteGradients gone; }
  FiniteGradients::note(at::ones({4}));
  const FiniteGradients seen;
  EXPECT_FALSE(seen.all_finite(with(kInfinity, 3)));
}

}  // namespace
}  // namespace scvi
