#include "scvi/model/spec.hpp"

#include <gtest/gtest.h>

#include "scvi/core/error.hpp"
#include "scvi/model/model.hpp"

namespace scvi {
namespace {

std::string message_of(const std::function<void()>& action) {
  try {
    action();
  } catch (const InputError& error) {
    return error.what();
  }
  return "nothing was thrown";
}

TEST(ModelSpec, KnowsAModelByEitherName) {
  EXPECT_EQ(model_spec("vae").reference_name, "VAE");
  EXPECT_EQ(model_spec("VAE").name, "vae");
  EXPECT_NE(message_of([] { model_spec("vea"); }).find("did you mean 'vae'"), std::string::npos);
}

TEST(Hyperparameters, TakeTheDefaultsOfTheReference) {
  const auto values = complete_hyperparameters(model_spec("vae"), {});
  EXPECT_EQ(std::get<std::int64_t>(values.at("n_hidden")), 128);
  EXPECT_EQ(std::get<std::int64_t>(values.at("n_latent")), 10);
  EXPECT_EQ(std::get<std::int64_t>(values.at("n_layers")), 1);
  EXPECT_EQ(std::get<double>(values.at("dropout_rate")), 0.1);
  EXPECT_EQ(std::get<std::string>(values.at("dispersion")), "gene");
  EXPECT_TRUE(std::get<bool>(values.at("log_variational")));
  EXPECT_EQ(std::get<std::string>(values.at("reconstruction_loss")), "zinb");
  EXPECT_EQ(std::get<std::string>(values.at("latent_distribution")), "normal");
}

TEST(Hyperparameters, RefuseUnknownNamesWrongTypesAndValuesOutOfRange) {
  const ModelSpec& spec = model_spec("vae");
  const auto complain = [&](const char* name, HyperparameterValue value) {
    return message_of([&] { complete_hyperparameters(spec, {{name, value}}); });
  };
  EXPECT_NE(complain("n_lattent", std::int64_t{10}).find("n_latent"), std::string::npos);
  EXPECT_NE(complain("n_latent", std::int64_t{0}).find("n_latent"), std::string::npos);
  EXPECT_NE(complain("n_latent", std::string("ten")).find("whole number"), std::string::npos);
  EXPECT_NE(complain("dropout_rate", 1.5).find("dropout_rate"), std::string::npos);
  EXPECT_NE(complain("dispersion", std::string("gene_batch")).find("gene-batch"), std::string::npos);
}

TEST(Hyperparameters, AreParsedFromText) {
  const ModelSpec& spec = model_spec("vae");
  const auto find = [&](const std::string& name) {
    for (const auto& hyperparameter : spec.hyperparameters) {
      if (hyperparameter.name == name) return hyperparameter;
    }
    return Hyperparameter{};
  };
  EXPECT_EQ(std::get<std::int64_t>(parse_hyperparameter(find("n_latent"), "20")), 20);
  EXPECT_EQ(std::get<double>(parse_hyperparameter(find("dropout_rate"), "0")), 0);
  EXPECT_FALSE(std::get<bool>(parse_hyperparameter(find("log_variational"), "false")));
  EXPECT_THROW(parse_hyperparameter(find("n_latent"), "20x"), InputError);
  EXPECT_THROW(parse_hyperparameter(find("n_latent"), "-1"), InputError);
  EXPECT_THROW(parse_hyperparameter(find("log_variational"), "maybe"), InputError);
  EXPECT_THROW(parse_hyperparameter(find("dropout_rate"), "nan"), InputError);
}

TEST(Models, RefuseOptionsThatCannotWorkTogether) {
  EXPECT_NE(message_of([] {
              make_model("vae", {.n_input = 5}, {{"dispersion", std::string("gene-batch")}});
            }).find("--batch-key"),
            std::string::npos);
  EXPECT_THROW(make_model("vae", {.n_input = 5}, {{"dispersion", std::string("gene-label")}}), InputError);
  EXPECT_THROW(make_model("vae", {.n_input = 0}), InputError);
}

}  // namespace
}  // namespace scvi
