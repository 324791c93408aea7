#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "scvi/report/page.hpp"

namespace scvi::report {

/// The files that a report of a trained model is made of.
struct RunReportSource {
  std::string run;                  ///< the folder that `scvi train` wrote
  std::string cells;                ///< .h5ad with the counts, a map of the cells and their clusters (`scvi cluster`)
  std::string markers = {};         ///< table of `scvi de` (.tsv) for the clusters; "": none
  std::string scores = {};          ///< JSON of `scvi evaluate`; "": none
  std::string loadings = {};        ///< table of `scvi loadings` (.tsv), of an LDVAE; "": none
  std::string zero_inflation = {};  ///< table of `scvi zero-inflation` (.tsv), of an AutoZI; "": none
  std::string title = {};           ///< "": the name of `cells`
  std::string groupby = "leiden";   ///< column of obs with the clusters
  std::string basis = "X_umap";     ///< matrix of obsm with the map
  std::vector<std::string> colors = {};  ///< further columns of obs, or genes, to colour the map by
  std::int64_t n_markers = 4;            ///< genes of each cluster in the figures
  std::int64_t n_table_markers = 50;     ///< in the table
  /// How all was made: a line each.
  std::vector<std::string> commands = {};
};

/// What a model is and knows of its cells beside their counts.
struct TrainedWith {
  std::string model;     ///< "vae"
  bool batches = false;  ///< two or more
  bool labels = false;
};
/// @throws InputError when the folder holds no finished model, FormatError when it is damaged
TrainedWith trained_with(const std::string& run);

/// One page that says what the data are, how training went, where the cells lie, what clusters there are, which genes
/// mark them, what the model says of genes and how good it is; and what a careful reader should know before believing
/// it. The batches and labels that the model was trained with are shown on the map, too.
/// @throws InputError for what the files do not hold, FormatError for files that are damaged, IoError
Page run_report(const RunReportSource& source);

}  // namespace scvi::report
