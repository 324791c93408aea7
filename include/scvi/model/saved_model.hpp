#pragma once

#include <memory>
#include <string>
#include <vector>

#include "scvi/model/model.hpp"

namespace scvi {

/// What a saved model remembers of the data that it was trained on.
struct DataDescription {
  std::vector<std::string> gene_names;   ///< in the model's order
  std::vector<std::string> batch_names;  ///< per batch index; empty: trained without batches
  std::vector<std::string> label_names;  ///< per label index; empty: trained without labels
  std::string layer;                     ///< matrix that the counts came from; "": X
  std::string batch_key;                 ///< obs column of the batches; "": none
  std::string labels_key;                ///< obs column of the labels; "": none
  std::string source;                    ///< name of the file, for people
  std::string fingerprint;               ///< of the cells (fingerprint_of_cells)
  std::int64_t n_cells_in_file = 0;
  /// Rows of the file in each set, so that they can be evaluated apart later.
  std::vector<std::int64_t> train_rows;
  std::vector<std::int64_t> test_rows;
  std::vector<std::int64_t> validation_rows;
};

/// How the model was trained, for people and reports: names and values in order.
using TrainingDescription = std::vector<std::pair<std::string, std::string>>;

/// A trained model with what is needed to use it on data.
struct SavedModel {
  std::shared_ptr<Model> model;
  DataDescription data;
  TrainingDescription training;
  /// Of a classifier that reads the latent space of another model: that model. It is saved whole in folder "latent".
  std::shared_ptr<const SavedModel> latent = {};
};

/// A number that changes with the names or the order of the cells, as 16 hexadecimal digits.
std::string fingerprint_of_cells(const std::vector<std::string>& cell_names);

/// Writes weights.pt and model.json into an existing folder, model.json last: a folder without it holds no finished
/// model. weights.pt opens with Python's torch.load under scVI's names.
void save_model(const SavedModel& saved, const std::string& folder);

/// Reads a folder that save_model wrote, with the model on the CPU in evaluation mode.
/// @throws InputError when the folder holds no (finished) model, FormatError when it is damaged or of a newer format
SavedModel load_model(const std::string& folder);

/// Whether the folder holds a finished model.
bool holds_model(const std::string& folder);

}  // namespace scvi
