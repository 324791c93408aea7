#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "scvi/core/progress.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"

namespace scvi {

/// A file that a built-in data set is made of.
struct CatalogueFile {
  std::string name{};      ///< below the folder of the data set: "pbmc8k/filtered_gene_bc_matrices.tar.gz"
  std::string url{};       ///< where it is published; empty: it cannot be had from there any more
  std::int64_t bytes = 0;  ///< its size; 0: not known
  std::string sha256{};    ///< in lower-case hexadecimal; empty: not known
  /// Where a mirror holds it: "10X/pbmc8k/filtered_gene_bc_matrices.tar.gz"; empty: under `name`. The last part is
  /// that of `name`.
  std::string mirror_name{};
};

/// Something that a built-in data set can be told.
struct CatalogueOption {
  std::string name{};           ///< "total_genes"
  std::string default_value{};  ///< "558"; lists are divided by commas; empty: nothing
  std::string help{};           ///< one sentence
};

/// One built-in data set. What is here is true of the published files; nothing is downloaded to know it.
struct CatalogueEntry {
  std::string name{};                      ///< "cortex"
  std::vector<std::string> aliases{};      ///< the name of scVI's class, and others
  std::string organism{};                  ///< "mouse"
  std::string what{};                      ///< tissue and technology
  std::int64_t n_cells = 0;                ///< as loaded by default; 0: not known before it is loaded
  std::int64_t n_genes = 0;                ///< likewise
  std::vector<std::string> annotations{};  ///< what comes with the counts
  std::string reference{};                 ///< where it was published
  std::string save_path{};                 ///< the folder that scVI 0.6.3 keeps its files in
  std::vector<CatalogueFile> files{};      ///< with the default options
  std::vector<CatalogueOption> options{};
};

/// Every built-in data set, in the order in which a list should show them.
const std::vector<CatalogueEntry>& catalogue();

/// The entry of that name or alias; letter case, '_', '-' and spaces do not matter.
/// @throws InputError for an unknown name, with the nearest one
const CatalogueEntry& find_in_catalogue(std::string_view name);

/// A built-in data set that has not been loaded: what scVI calls delayed populating. Cheap to hold and to copy.
class BuiltinDataset {
 public:
  /// @param save_path the folder for its files; empty: the entry's own
  /// @throws InputError for an unknown name, with the nearest one
  explicit BuiltinDataset(std::string_view name, std::string save_path = "");

  /// Gives one of entry().options another value. @throws InputError for an unknown option, with the nearest one, or a
  /// value that it cannot have
  BuiltinDataset& set(std::string_view option, std::string value);

  const CatalogueEntry& entry() const { return *entry_; }
  const std::string& save_path() const { return save_path_; }
  const std::map<std::string, std::string>& options() const { return options_; }
  /// The files that load() needs with these options.
  std::vector<CatalogueFile> files() const;
  /// Those of them that are not in the folder.
  std::vector<CatalogueFile> missing_files() const;

  /// Fetches the missing files from where they are published, checking size and checksum where they are known. When
  /// SCVI_DATASETS_MIRROR names a folder or the base of an address, they are taken from there instead, and one of
  /// another size only warns: a mirror may hold other versions.
  /// @param progress told of the megabytes of each file; nullptr for none
  /// @throws IoError when one cannot be had, FormatError when it is not the file that was published
  void download(Progress* progress = nullptr) const;
  /// Fetches what is missing and loads.
  /// @throws as download(); FormatError or InputError for a file that is damaged or is another one
  GeneExpressionDataset load(Progress* progress = nullptr) const;

 private:
  const CatalogueEntry* entry_;
  std::string save_path_;
  std::map<std::string, std::string> options_;
};

}  // namespace scvi
