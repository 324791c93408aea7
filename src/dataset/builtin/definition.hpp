#pragma once

// What stands behind an entry of the catalogue: which files its options call for, and how they are loaded.

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "scvi/dataset/catalogue.hpp"

namespace scvi::builtin {

/// The values of an entry's options as text, read as what the loader needs.
/// Every function throws InputError, naming the option and its value, when the text is no such thing.
class OptionValues {
 public:
  /// @pre every option of `entry` has a value
  OptionValues(const CatalogueEntry& entry, const std::map<std::string, std::string>& values)
      : entry_(&entry), values_(&values) {}

  const std::string& text(const std::string& option) const { return values_->at(option); }
  bool flag(const std::string& option) const;
  std::int64_t number(const std::string& option) const;
  /// Nothing for an empty text.
  std::optional<std::int64_t> optional_number(const std::string& option) const;
  /// Divided by commas.
  std::vector<std::string> list(const std::string& option) const;
  std::vector<std::int64_t> numbers(const std::string& option) const;
  /// One of `choices`. @throws also with the nearest choice
  const std::string& choice(const std::string& option, const std::vector<std::string>& choices) const;

 private:
  [[noreturn]] void refuse(const std::string& option, const std::string& needed) const;
  std::int64_t parse_number(const std::string& option, const std::string& text) const;

  const CatalogueEntry* entry_;
  const std::map<std::string, std::string>* values_;
};

/// Loads the files that lie in a folder.
using Load = std::function<GeneExpressionDataset(const std::string& folder)>;

struct Definition {
  CatalogueEntry entry;
  /// Reads the options, which may be refused, before anything is downloaded.
  std::function<Load(const OptionValues&)> prepare{};
  /// Where the options decide which files are needed; else they are entry.files.
  std::function<std::vector<CatalogueFile>(const OptionValues&)> files{};
};

/// The archive of one of 10x Genomics' data sets, called cells only, for those who build on it: in a folder of its
/// own or, where none is given, below theirs.
CatalogueFile tenx_file(const std::string& name, const std::string& folder_10x = "");

// One function a family of data sets.
std::vector<Definition> cortex_definitions();
std::vector<Definition> pbmc_definitions();
std::vector<Definition> loom_definitions();
std::vector<Definition> hemato_definitions();
std::vector<Definition> cite_seq_definitions();
std::vector<Definition> brain_definitions();
std::vector<Definition> spatial_definitions();
std::vector<Definition> tenx_definitions();

/// All of them. Their order is that of catalogue().
const std::vector<Definition>& definitions();

}  // namespace scvi::builtin
