#include "scvi/model/spec.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "scvi/model/autozivae.hpp"
#include "scvi/model/cell_classifier.hpp"
#include "scvi/model/ldvae.hpp"
#include "scvi/model/scanvi.hpp"
#include "scvi/model/vae.hpp"
#include "scvi/model/vaec.hpp"

namespace scvi {
namespace {

[[noreturn]] void refuse(const Hyperparameter& hyperparameter, const std::string& value,
                         const std::string& expected) {
  throw InputError({.problem = "is '" + value + "', but must be " + expected, .field = hyperparameter.name});
}

/// Whether this is one of the words that may stand in place of a number.
bool is_word_for_number(const Hyperparameter& hyperparameter, const std::string& word) {
  const auto& words = hyperparameter.choices;
  return std::holds_alternative<double>(hyperparameter.default_value) &&
         std::find(words.begin(), words.end(), word) != words.end();
}

std::string range_text(const Hyperparameter& hyperparameter, const char* kind) {
  std::string text = kind;
  for (const auto& word : hyperparameter.choices) text = word + " or " + text;
  const auto bound = [](double value) { return to_text(HyperparameterValue(value)); };
  if (hyperparameter.min && hyperparameter.max) {
    return text + " from " + bound(*hyperparameter.min) + " to " + bound(*hyperparameter.max);
  }
  if (hyperparameter.min) return text + " of at least " + bound(*hyperparameter.min);
  return text;
}

void check_range(const Hyperparameter& hyperparameter, double value, const char* kind) {
  const bool in_range = std::isfinite(value) && !(hyperparameter.min && value < *hyperparameter.min) &&
                        !(hyperparameter.max && value > *hyperparameter.max);
  if (!in_range) refuse(hyperparameter, to_text(HyperparameterValue(value)), range_text(hyperparameter, kind));
}

/// The value in the type that the hyperparameter has.
HyperparameterValue checked(const Hyperparameter& hyperparameter, HyperparameterValue value) {
  if (std::holds_alternative<double>(hyperparameter.default_value) && std::holds_alternative<std::int64_t>(value)) {
    value = static_cast<double>(std::get<std::int64_t>(value));
  }
  if (const auto* word = std::get_if<std::string>(&value); word && is_word_for_number(hyperparameter, *word)) {
    return value;
  }
  if (value.index() != hyperparameter.default_value.index()) {
    static constexpr const char* kKinds[] = {"true or false", "a whole number", "a number", "a word"};
    refuse(hyperparameter, to_text(value), kKinds[hyperparameter.default_value.index()]);
  }
  if (const auto* whole = std::get_if<std::int64_t>(&value)) {
    check_range(hyperparameter, static_cast<double>(*whole), "a whole number");
  }
  if (const auto* real = std::get_if<double>(&value)) check_range(hyperparameter, *real, "a number");
  if (const auto* word = std::get_if<std::string>(&value); word && !hyperparameter.choices.empty()) {
    for (const auto& choice : hyperparameter.choices) {
      if (choice == *word) return value;
    }
    throw InputError({.problem = "is '" + *word + "'",
                      .field = hyperparameter.name,
                      .remedy = suggest(*word, hyperparameter.choices)});
  }
  return value;
}

template <class Number>
std::optional<Number> parse_number(const std::string& text) {
  Number value{};
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || rest != end) return std::nullopt;
  return value;
}

}  // namespace

const std::vector<ModelSpec>& model_specs() {
  static const std::vector<ModelSpec> specs = {VAE::spec(),    LDVAE::spec(),     VAEC::spec(),
                                               SCANVI::spec(), AutoZIVAE::spec(), CellClassifier::spec()};
  return specs;
}

const ModelSpec& model_spec(const std::string& name) {
  std::vector<std::string> names;
  for (const auto& spec : model_specs()) {
    if (spec.name == name || spec.reference_name == name) return spec;
    names.push_back(spec.name);
  }
  throw InputError({.problem = "'" + name + "' is not known", .field = "model", .remedy = suggest(name, names)});
}

Hyperparameters complete_hyperparameters(const ModelSpec& spec, const Hyperparameters& given) {
  Hyperparameters result;
  std::vector<std::string> names;
  for (const auto& hyperparameter : spec.hyperparameters) {
    const auto found = given.find(hyperparameter.name);
    result[hyperparameter.name] =
        checked(hyperparameter, found == given.end() ? hyperparameter.default_value : found->second);
    names.push_back(hyperparameter.name);
  }
  for (const auto& [name, value] : given) {
    if (!result.contains(name)) {
      throw InputError({.problem = "has no hyperparameter '" + name + "'",
                        .field = "model " + spec.name,
                        .remedy = suggest(name, names)});
    }
  }
  return result;
}

HyperparameterValue parse_hyperparameter(const Hyperparameter& hyperparameter, const std::string& text) {
  if (std::holds_alternative<bool>(hyperparameter.default_value)) {
    if (text == "true" || text == "yes" || text == "on" || text == "1") return true;
    if (text == "false" || text == "no" || text == "off" || text == "0") return false;
    refuse(hyperparameter, text, "true or false");
  }
  if (std::holds_alternative<std::int64_t>(hyperparameter.default_value)) {
    if (const auto value = parse_number<std::int64_t>(text)) return checked(hyperparameter, *value);
    refuse(hyperparameter, text, range_text(hyperparameter, "a whole number"));
  }
  if (std::holds_alternative<double>(hyperparameter.default_value)) {
    if (is_word_for_number(hyperparameter, text)) return text;
    if (const auto value = parse_number<double>(text)) return checked(hyperparameter, *value);
    refuse(hyperparameter, text, range_text(hyperparameter, "a number"));
  }
  return checked(hyperparameter, text);
}

std::string to_text(const HyperparameterValue& value) {
  if (const auto* truth = std::get_if<bool>(&value)) return *truth ? "true" : "false";
  if (const auto* whole = std::get_if<std::int64_t>(&value)) return std::to_string(*whole);
  if (const auto* word = std::get_if<std::string>(&value)) return *word;
  char buffer[64];
  const auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, std::get<double>(value));
  return std::string(buffer, end);
}

std::shared_ptr<Model> make_model(const std::string& name, const DataShape& shape, const Hyperparameters& given,
                                  std::uint64_t seed) {
  const ModelSpec& spec = model_spec(name);
  return spec.build(shape, complete_hyperparameters(spec, given), seed);
}

}  // namespace scvi
