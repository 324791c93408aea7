#pragma once

#include <c10/core/Device.h>

#include <memory>
#include <string>

#include "cli.hpp"
#include "counts_input.hpp"
#include "scvi/dataset/gene_expression_dataset.hpp"
#include "scvi/dataset/load_counts.hpp"
#include "scvi/io/count_file.hpp"
#include "scvi/loader/split.hpp"
#include "scvi/model/saved_model.hpp"

namespace scvi::app {

// What the description of a training says of its data, so that later data are read in the same way.
inline constexpr const char* kMadeUnique = "make_unique";      ///< "true": names of genes were made unique
inline constexpr const char* kMissingLabel = "missing_label";  ///< the cell type given to cells that had none

inline constexpr const char* kUnlabelled = "unlabelled";  ///< the cell type that meant an unknown one

/// Inference on fewer cells is over before a report of it has been read.
inline constexpr std::int64_t kCellsWorthReporting = 20000;

/// Adds --batch-size, of inference.
void add_batch_size_option(CLI::App& app, std::int64_t& batch_size);
/// Adds --device.
void add_device_option(CLI::App& app, std::string& device);
/// "auto" is the first GPU where there is one. @throws InputError when a GPU is asked for that is not there
c10::Device device_of(const std::string& name);

/// The obs column that says train, test or validation for each cell.
/// @throws InputError when there is none of that name
const io::Column& split_column(const io::CountFile& file, const std::string& key);
/// The split it dictates, as positions in the data set. @throws InputError naming a cell with any other value
Split split_of(const io::Column& column, const GeneExpressionDataset& dataset, const std::string& file);

/// A trained model that has a latent space. @throws InputError for a classifier
SavedModel load_latent_model(const std::string& run);

/// The genes of a trained model in its order, named as it names them.
LoadOptions genes_of(const SavedModel& saved);

/// How a file is opened for a trained model: with the matrix that it was trained on, unless another is asked for.
/// Tables are not read unless `tables` is set.
io::CountFile open_for_model(const std::string& path, const SavedModel& saved, const CountsInput& input,
                             bool layer_given, bool tables = false);

/// Which rows of a new file to bring before a trained model.
struct ModelDataOptions {
  bool drop_empty_cells = false;
  /// Batches and labels are taken from the columns the model was trained with and numbered as it numbers them.
  bool with_batches = true;
  bool keep_attributes = false;
  /// Labels of this column instead, numbered by themselves; this value, and none, hide the label of a cell.
  std::string labels_key{};
  std::string unlabelled{};
  /// All that may be used (--memory), 0: no limit; and what inference takes beside counts, annotation and weights.
  std::int64_t memory = 0;
  std::int64_t batch_size = 0;
  std::int64_t result_bytes_per_cell = 0;
  std::int64_t result_bytes = 0;  ///< whatever the number of cells
};

/// The cells of a file as a trained model sees them: its genes in its order, its batches and labels by name.
/// @throws InputError for genes that are missing and for a batch or label that the model does not know; to a model
/// that
///         tells labels, unknown ones and missing ones are hidden
std::shared_ptr<GeneExpressionDataset> load_for_model(io::CountFile file, const SavedModel& saved,
                                                      const ModelDataOptions& options);

/// Calls work() and turns LibTorch's exceptions into plain ones: their first line, without a backtrace.
int with_plain_errors(int (*work)(const Arguments&), const Arguments& arguments);

}  // namespace scvi::app
