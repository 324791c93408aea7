#include "scvi/module/classifier.hpp"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <torch/types.h>

namespace scvi {
namespace {

Classifier classifier(bool logits, double dropout_rate = 0) {
  Initializer initializer(3);
  return Classifier(
      {.n_input = 6, .n_hidden = 8, .n_labels = 4, .n_layers = 2, .dropout_rate = dropout_rate, .logits = logits},
      initializer);
}

TEST(Classifier, GivesProbabilitiesOrLogitsAsItWasBuilt) {
  torch::manual_seed(1);
  const at::Tensor x = torch::rand({5, 6});
  RandomNoise noise(1, "test");
  const at::Tensor probabilities = classifier(false).forward(x, noise);
  const at::Tensor logits = classifier(true).forward(x, noise);
  EXPECT_EQ(probabilities.sizes(), (std::vector<std::int64_t>{5, 4}));
  EXPECT_TRUE(at::allclose(probabilities.sum(1), at::ones({5})));
  EXPECT_TRUE(at::allclose(probabilities, at::softmax(logits, 1)));
  EXPECT_TRUE(at::equal(classifier(false).logits(x, noise), logits));
}

TEST(Classifier, CarriesTheNamesOfTheReference) {
  const Classifier model = classifier(false);
  std::vector<std::string> names;
  for (const auto& item : model.named_parameters()) names.push_back(item.key());
  EXPECT_EQ(names.front(), "classifier.0.fc_layers.Layer 0.0.weight");
  EXPECT_EQ(names.back(), "classifier.1.bias");
}

TEST(Classifier, DropsUnitsInTrainingOnly) {
  torch::manual_seed(1);
  const at::Tensor x = torch::rand({5, 6});
  Classifier model = classifier(false, 0.5);
  const auto run = [&](std::uint64_t seed) {
    RandomNoise noise(seed, "test");
    return model.forward(x, noise);
  };
  EXPECT_FALSE(at::equal(run(1), run(2)));
  model.eval();
  EXPECT_TRUE(at::equal(run(1), run(2)));
}

}  // namespace
}  // namespace scvi
