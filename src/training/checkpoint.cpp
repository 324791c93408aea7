// Saving a trainer in the middle of its work, and going on from there.

#include <ATen/ATen.h>

#include <charconv>
#include <nlohmann/json.hpp>

#include "exact_number.hpp"
#include "scvi/core/atomic_file.hpp"
#include "scvi/core/error.hpp"
#include "scvi/core/version.hpp"
#include "scvi/training/trainer.hpp"

namespace scvi {
namespace {

using nlohmann::json;

constexpr std::int64_t kCheckpointFormat = 1;
constexpr const char* kStateFile = "/state.pt";
constexpr const char* kFactsFile = "/checkpoint.json";

/// JSON has no infinities, so numbers that may be one travel as the text of exact().
double parse_exact(const json& value) {
  const auto& text = value.get_ref<const std::string&>();
  double number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || rest != text.data() + text.size()) throw std::invalid_argument("'" + text + "'");
  return number;
}

void append(std::vector<io::NamedTensor>& all, std::vector<io::NamedTensor> part, const std::string& prefix) {
  for (auto& tensor : part) {
    tensor.name = prefix + tensor.name;
    all.push_back(std::move(tensor));
  }
}

std::vector<io::NamedTensor> part_of(const std::vector<io::NamedTensor>& all, const std::string& prefix) {
  std::vector<io::NamedTensor> part;
  for (const auto& tensor : all) {
    if (!tensor.name.starts_with(prefix)) continue;
    part.push_back(tensor);
    part.back().name.erase(0, prefix.size());
  }
  return part;
}

}  // namespace

void Trainer::save_checkpoint(const std::string& path) const {
  if (!optimizer_) throw InputError({.problem = "has not begun, so there is nothing to save", .field = "training"});
  AtomicDirectory folder(path, Overwrite::replace);
  std::vector<io::NamedTensor> state;
  append(state, state_dict(*model_), "model/");
  append(state, optimizer_->state(), "optimizer/");
  append(state, best_state_, "best/");
  io::write_torch_archive(folder.temporary_path() + kStateFile, state);
  const auto& stopping = early_stopping_.state();
  const json facts = {
      {"format", "scvi-cpp checkpoint"},
      {"format_version", kCheckpointFormat},
      {"scvi_cpp_version", version()},
      {"fingerprint", full_fingerprint()},
      {"state_sha256", sha256_of_file(folder.temporary_path() + kStateFile)},
      {"epoch", progress_.epoch},
      {"minibatch", progress_.minibatch},
      {"n_iter", progress_.n_iter},
      {"call", progress_.call},
      {"nan_counter", progress_.nan_counter},
      {"loss_sum", exact(progress_.loss_sum)},
      {"cells_seen", progress_.cells_seen},
      {"lr", exact(optimizer_->lr())},
      {"eps", exact(train_options_.eps)},
      {"best_epoch", best_epoch_},
      {"training_seconds", training_seconds_},
      {"early_stopping",
       {{"wait", stopping.wait},
        {"wait_lr", stopping.wait_lr},
        {"best_performance", exact(stopping.best_performance)},
        {"best_performance_state", exact(stopping.best_performance_state)}}},
      {"history", history_.to_tsv()},
  };
  write_file_atomically(folder.temporary_path() + kFactsFile, facts.dump(1) + "\n");
  folder.commit();
}

void Trainer::load_checkpoint(const std::string& path) {
  const std::string facts_path = path + kFactsFile;
  const std::string state_path = path + kStateFile;
  try {
    const json facts = json::parse(read_file(facts_path));
    if (facts.at("format").get<std::string>() != "scvi-cpp checkpoint") {
      throw FormatError({.problem = "is no checkpoint", .file = facts_path});
    }
    if (facts.at("format_version").get<std::int64_t>() > kCheckpointFormat) {
      throw FormatError({.problem = "was written by a newer scvi-cpp (" +
                                    facts.at("scvi_cpp_version").get<std::string>() + "; this is " + version() + ")",
                         .file = facts_path,
                         .remedy = "use that version to resume"});
    }
    if (facts.at("fingerprint").get<std::string>() != full_fingerprint()) {
      throw InputError({.problem = "belongs to another run (" + facts.at("fingerprint").get<std::string>() +
                                   ") than the one to resume (" + full_fingerprint() + ")",
                        .file = facts_path,
                        .remedy = "give the options and data of the interrupted run"});
    }
    if (facts.at("state_sha256").get<std::string>() != sha256_of_file(state_path)) {
      throw FormatError({.problem = "is damaged: its checksum differs from the recorded one", .file = state_path});
    }
    const auto state = io::read_torch_archive(state_path);
    load_state_dict(*model_, part_of(state, "model/"), state_path);
    train_options_.lr = parse_exact(facts.at("lr"));
    train_options_.eps = parse_exact(facts.at("eps"));
    resumed_ = false;
    begin(train_options_);
    optimizer_->restore(part_of(state, "optimizer/"), state_path);
    best_state_ = part_of(state, "best/");
    best_epoch_ = facts.at("best_epoch").get<std::int64_t>();
    training_seconds_ = facts.at("training_seconds").get<double>();
    progress_ = {.epoch = facts.at("epoch").get<std::int64_t>(),
                 .minibatch = facts.at("minibatch").get<std::int64_t>(),
                 .n_iter = facts.at("n_iter").get<std::int64_t>(),
                 .call = facts.at("call").get<std::int64_t>(),
                 .nan_counter = facts.at("nan_counter").get<std::int64_t>(),
                 .loss_sum = parse_exact(facts.at("loss_sum")),
                 .cells_seen = facts.at("cells_seen").get<std::int64_t>()};
    const json& stopping = facts.at("early_stopping");
    early_stopping_.restore({.wait = stopping.at("wait").get<std::int64_t>(),
                             .wait_lr = stopping.at("wait_lr").get<std::int64_t>(),
                             .best_performance = parse_exact(stopping.at("best_performance")),
                             .best_performance_state = parse_exact(stopping.at("best_performance_state"))});
    history_ = History::from_tsv(facts.at("history").get<std::string>(), facts_path);
    resumed_ = true;
  } catch (const json::exception& error) {
    throw FormatError({.problem = std::string("is damaged: ") + error.what(), .file = facts_path});
  } catch (const std::invalid_argument& error) {
    throw FormatError(
        {.problem = std::string("holds no number where one must be: ") + error.what(), .file = facts_path});
  }
}

}  // namespace scvi
