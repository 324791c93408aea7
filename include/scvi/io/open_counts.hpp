#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "scvi/io/count_file.hpp"

namespace scvi::io {

/// What counts come in.
enum class CountFormat {
  h5ad,           ///< .h5ad, of any age of anndata
  loom,           ///< .loom
  tenx_h5,        ///< the .h5 file of Cell Ranger
  tenx,           ///< Cell Ranger's matrix, genes and barcodes, in a folder or an archive
  matrix_market,  ///< a matrix alone
  delimited,      ///< .csv, .tsv, .txt
};

/// "h5ad", "loom", "10x_h5", "10x", "mtx", "text".
std::string count_format_name(CountFormat format);
std::vector<std::string> count_format_names();
/// @throws InputError for an unknown name, with the nearest one
CountFormat parse_count_format(const std::string& name);

/// Whether files of the format may hold several matrices, of which `layer` chooses.
bool has_layers(CountFormat format);

/// What opening a file may need to be told. Empty: as the format has it by default.
struct OpenCountsOptions {
  std::optional<CountFormat> format{};  ///< nothing: recognised by content
  std::string layer{};                  ///< .h5ad and .loom: the matrix to read; see H5adOptions and LoomOptions
  std::string genome{};                 ///< 10x: as in TenXOptions
  std::optional<bool> gene_ids{};       ///< 10x: genes are named by identifier (ENSG...) instead of symbol
  std::optional<bool> gene_by_cell{};   ///< text and Matrix Market: lines are genes, as by default, or cells
  std::optional<char> separator{};      ///< text: see DelimitedOptions
  std::optional<std::int64_t> annotation_columns{};  ///< text: see DelimitedOptions
  std::string member{};                              ///< text in a .zip of several files: the one to read
  bool tables = true;                                ///< read the tables beside the counts, too
};

/// What a file or folder holds, by its content; names matter only within archives.
/// @throws IoError when it cannot be opened; FormatError when it holds no counts, with what it holds instead
CountFormat recognise_counts(const std::string& path);

/// @throws InputError for an option that the format has no use for, so that none is passed over in silence
void check_open_options(const std::string& path, CountFormat format, const OpenCountsOptions& options);

/// A file or folder of any format as counts with annotation. Names of genes and cells in text may occur more than
/// once.
/// @throws as check_open_options(), recognise_counts() and the readers
CountFile open_counts(const std::string& path, const OpenCountsOptions& options = {});

}  // namespace scvi::io
