#pragma once

#include <memory>
#include <string>
#include <vector>

#include "cli.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/model/saved_model.hpp"
#include "scvi/training/trainer.hpp"

namespace scvi::app {

/// The folder of a training run: the saved model, history.tsv, a log, how it was called, and, until it is finished, a
/// checkpoint. It appears under its name with the first checkpoint or when it is finished; if training fails before,
/// nothing is left, and a folder that is to be replaced stays as it was.
class RunFolder {
 public:
  /// A new run. @throws InputError when the folder exists and must not be replaced
  static RunFolder create(const std::string& path, Overwrite overwrite, const Arguments& arguments);
  /// An interrupted run. @throws InputError when there is none in the folder
  static RunFolder resume(const std::string& path);
  /// How an interrupted run was called: its options, without those that only concerned that call.
  static Arguments arguments_of(const std::string& path);

  std::string checkpoint_path() const { return current() + "/checkpoint"; }
  void save_checkpoint(const Trainer& trainer);
  /// Whether a checkpoint of this run is there, under the folder's own name.
  bool has_checkpoint() const;
  /// Saves the model and its history, and removes the checkpoint.
  void finish(const SavedModel& saved, const History& history);

 private:
  explicit RunFolder(std::string path) : path_(std::move(path)) {}
  std::string current() const { return pending_ ? pending_->temporary_path() : path_; }
  void make_visible();

  std::string path_;
  std::unique_ptr<AtomicDirectory> pending_;  // until the folder is visible
  std::unique_ptr<LogFile> log_;
};

}  // namespace scvi::app
