#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace scvi {

class Model;

/// The value of a hyperparameter: truth value, whole number, real number, or one of several words.
using HyperparameterValue = std::variant<bool, std::int64_t, double, std::string>;

/// One constructor argument of a model, as documentation, command line, saved files and search spaces know it.
struct Hyperparameter {
  std::string name = {};  ///< scVI's name: "n_latent"
  HyperparameterValue default_value = {};
  std::string help = {};
  std::optional<double> min = {};  ///< smallest value of a number
  std::optional<double> max = {};  ///< largest value of a number
  /// Allowed words, none: any text; of a number, words that may stand in its place.
  std::vector<std::string> choices = {};
};

/// Values by name.
using Hyperparameters = std::map<std::string, HyperparameterValue>;

/// The part of a model's shape that comes from the data.
struct DataShape {
  std::int64_t n_input = 0;   ///< genes
  std::int64_t n_batch = 0;   ///< batches; 0: no batch correction
  std::int64_t n_labels = 0;  ///< labels
};

/// All that is known of a kind of model without building one.
struct ModelSpec {
  std::string name = {};            ///< on the command line: "vae"
  std::string reference_name = {};  ///< in scVI: "VAE"
  std::string summary = {};
  std::vector<Hyperparameter> hyperparameters = {};
  bool tells_labels = false;  ///< it is a LabelModel, trained with the labels of some cells
  bool is_generative = true;  ///< it has a latent space and decodes counts; a plain classifier has neither
  /// Builds one. @param hyperparameters complete and checked
  std::function<std::shared_ptr<Model>(const DataShape&, const Hyperparameters&, std::uint64_t seed)> build = {};
  /// Builds one that reads the latent space of another model instead of counts; empty where it always reads counts.
  std::function<std::shared_ptr<Model>(const std::shared_ptr<Model>& read, const DataShape&, const Hyperparameters&,
                                       std::uint64_t seed)>
      build_on_latent = {};
};

/// The specifications of all models, in the order in which they are documented.
const std::vector<ModelSpec>& model_specs();

/// @throws InputError for an unknown name (either kind is understood), suggesting the nearest
const ModelSpec& model_spec(const std::string& name);

/// Fills in defaults and checks every value. @throws InputError for an unknown name, a wrong type, or a value out of
/// range, each named
Hyperparameters complete_hyperparameters(const ModelSpec& spec, const Hyperparameters& given);

/// The value that `text` stands for. @throws InputError naming the hyperparameter
HyperparameterValue parse_hyperparameter(const Hyperparameter& hyperparameter, const std::string& text);

/// "10", "0.1", "true", "gene-batch".
std::string to_text(const HyperparameterValue& value);

/// Builds a model by name, with every unset hyperparameter at its default.
/// @param seed of the initial weights
std::shared_ptr<Model> make_model(const std::string& name, const DataShape& shape, const Hyperparameters& given = {},
                                  std::uint64_t seed = 0);

}  // namespace scvi
