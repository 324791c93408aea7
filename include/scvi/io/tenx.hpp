#pragma once

#include <cstdint>
#include <string>

#include "scvi/io/archive.hpp"
#include "scvi/io/count_file.hpp"

namespace scvi::io {

struct TenXOptions {
  /// Where there are several matrices: the genome of the one to read (the folder of Cell Ranger 2, or its group in an
  /// .h5), or the name of its folder. In an .h5 of Cell Ranger 3, genes of other genomes are left out. "": the only
  /// matrix, or the only filtered one, with all its genes.
  std::string genome{};
  /// Which column of genes.tsv or features.tsv names the genes: 0, the identifier (ENSG...), or 1, the symbol.
  std::int64_t measurement_names_column = 1;
  /// Features other than "Gene Expression" become tables of numbers a cell: "Antibody Capture" the table
  /// "protein_expression" with the columns "protein_names", others a table of their own ("CRISPR Guide Capture":
  /// "crispr_guide_capture"). Else they stay among the counts.
  bool feature_types_to_tables = true;
  ArchiveOptions archive{};
};

/// Counts as Cell Ranger (2 to 8) writes them. obs holds the barcodes and, where their suffixes ("-1", "-2") tell
/// several batches apart, the column "batch_indices" (from 0). var holds the names of the genes, which need not be
/// unique, and the columns "gene_ids" or "gene_symbols" (whichever does not name them), "feature_types" and "genome"
/// as far as they are known. Where there are no barcodes, cells are numbered from 0.
/// @param path a folder with matrix.mtx, barcodes.tsv and genes.tsv or features.tsv, each perhaps compressed and with
/// a
///        common prefix; a folder that has such a one somewhere in it; an archive (.tar, .tar.gz, .zip) of either,
///        which is read without unpacking it to disk; or an .h5
/// @throws InputError when there are several matrices to choose from, none of the genome asked for, or no genes among
///         the features; FormatError; IoError
CountFile read_tenx(const std::string& path, const TenXOptions& options = {});

/// The .h5 alone. Counts stay in the file until they are read; it is compressed by cell, so rows are cheap.
CountFile read_tenx_h5(const std::string& path, const TenXOptions& options = {});

/// Whether an .h5 file has the groups of one of Cell Ranger. False for what is no HDF5 file at all.
bool is_tenx_h5(const std::string& path);

}  // namespace scvi::io
