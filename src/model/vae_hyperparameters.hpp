#pragma once

#include <string>
#include <utility>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/model/spec.hpp"
#include "scvi/model/vae.hpp"

namespace scvi {

/// The words that stand for the values of an enumeration.
template <class Enum>
using Names = std::vector<std::pair<Enum, std::string>>;

template <class Enum>
std::vector<std::string> words(const Names<Enum>& names) {
  std::vector<std::string> result;
  for (const auto& [value, word] : names) result.push_back(word);
  return result;
}

template <class Enum>
std::string word_of(const Names<Enum>& names, Enum wanted) {
  for (const auto& [value, word] : names) {
    if (value == wanted) return word;
  }
  return {};
}

/// @pre the word is among the names: complete_hyperparameters() has seen to it
template <class Enum>
Enum value_of(const Names<Enum>& names, const std::string& wanted) {
  for (const auto& [value, word] : names) {
    if (word == wanted) return value;
  }
  throw InputError({.problem = "'" + wanted + "' is not known", .field = "hyperparameter"});
}

/// Options of VAE by the names of its hyperparameters. Those that a model of the family lacks keep their defaults.
VaeOptions vae_options(const DataShape& shape, const Hyperparameters& values);
Hyperparameters vae_hyperparameters(const VaeOptions& options);

}  // namespace scvi
