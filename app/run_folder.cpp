#include "run_folder.hpp"

#include <filesystem>
#include <nlohmann/json.hpp>

#include "scvi/core/error.hpp"

namespace scvi::app {
namespace {

constexpr const char* kLogFile = "/log.txt";
constexpr const char* kArgumentsFile = "/arguments.json";

}  // namespace

RunFolder RunFolder::create(const std::string& path, Overwrite overwrite, const Arguments& arguments) {
  RunFolder folder(path);
  folder.pending_ = std::make_unique<AtomicDirectory>(path, overwrite);
  folder.log_ = std::make_unique<LogFile>(folder.current() + kLogFile);
  write_file_atomically(folder.current() + kArgumentsFile, nlohmann::json(arguments).dump() + "\n");
  return folder;
}

Arguments RunFolder::arguments_of(const std::string& path) {
  if (!std::filesystem::exists(path + "/checkpoint")) {
    const bool finished = holds_model(path);
    throw InputError({.problem = finished ? "holds a run that is finished" : "holds no interrupted run",
                      .file = path,
                      .remedy = "leave --resume out to train anew" + std::string(finished ? ", with --force" : "")});
  }
  const std::string file = path + kArgumentsFile;
  try {
    return nlohmann::json::parse(read_file(file)).get<Arguments>();
  } catch (const nlohmann::json::exception& error) {
    throw FormatError({.problem = std::string("is damaged: ") + error.what(), .file = file});
  }
}

RunFolder RunFolder::resume(const std::string& path) {
  RunFolder folder(path);
  folder.log_ = std::make_unique<LogFile>(path + kLogFile);
  return folder;
}

void RunFolder::make_visible() {
  if (!pending_) return;
  pending_->commit();
  pending_.reset();
}

void RunFolder::save_checkpoint(const Trainer& trainer) {
  trainer.save_checkpoint(checkpoint_path());
  make_visible();
}

bool RunFolder::has_checkpoint() const {
  return !pending_ && std::filesystem::exists(checkpoint_path());
}

void RunFolder::finish(const SavedModel& saved, const History& history) {
  write_file_atomically(current() + "/history.tsv", history.to_tsv());
  save_model(saved, current());
  std::filesystem::remove_all(checkpoint_path());
  make_visible();
}

}  // namespace scvi::app
