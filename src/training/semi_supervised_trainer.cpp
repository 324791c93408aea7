#include "scvi/training/semi_supervised_trainer.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <string>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/kernel/label_probabilities.hpp"

namespace scvi {
namespace {

constexpr double kClassifierEps = 0.01;
/// Minibatches of labelled cells that are kept to be used again, where an epoch of them has no more.
constexpr std::int64_t kMostKept = 4;

LabelModel& label_model_of(Model& model) {
  auto* found = dynamic_cast<LabelModel*>(&model);
  if (found) return *found;
  throw InputError({.problem = "tells no labels, so it cannot be trained with some",
                    .field = "model " + model.name(),
                    .remedy = "use vaec or scanvi"});
}

/// The cells whose labels may be seen, and all others; labelled ones are training cells only.
LabelledCells labelled_cells(const GeneExpressionDataset& dataset, const Split& split,
                             const SemiSupervisedOptions& options) {
  std::vector<std::int64_t> labels(dataset.labels().size(), kHiddenLabel);
  for (const std::int64_t cell : split.train) labels[cell] = dataset.labels()[cell];
  if (options.labelled_cells) {
    std::vector<std::int64_t> named(labels.size(), kHiddenLabel);
    for (const std::int64_t cell : *options.labelled_cells) named[cell] = labels[cell];
    labels = std::move(named);
  } else if (options.n_labelled_samples_per_class) {
    return choose_labelled_cells(labels, *options.n_labelled_samples_per_class, options.seed);
  }
  LabelledCells cells;
  for (std::int64_t cell = 0; cell < std::ssize(labels); ++cell) {
    (labels[cell] < 0 ? cells.unlabelled : cells.labelled).push_back(cell);
  }
  return cells;
}

void check(const SemiSupervisedOptions& options, std::int64_t n_cells) {
  const auto refuse = [](const char* field, const char* problem) {
    throw InputError({.problem = problem, .field = field});
  };
  for (const std::int64_t cell : options.labelled_cells.value_or(std::vector<std::int64_t>())) {
    if (cell < 0 || cell >= n_cells) refuse("labelled_cells", "names a cell that the data set does not have");
  }
  if (options.n_epochs_classifier < 0) refuse("n_epochs_classifier", "cannot be negative");
  if (!(options.lr_classification > 0)) refuse("lr_classification", "must be larger than 0");
  if (!(options.classification_ratio >= 0)) refuse("classification_ratio", "cannot be negative");
}

}  // namespace

at::Tensor classification_loss(LabelModel& model, const MiniBatch& batch, Noise& noise, bool double_softmax) {
  const at::Tensor logits = double_softmax ? model.classify(batch, noise) : model.label_logits(batch, noise);
  return kernel::label_cross_entropy(logits, batch.labels);
}

SemiSupervisedTrainer::SemiSupervisedTrainer(std::shared_ptr<Model> model,
                                             std::shared_ptr<const GeneExpressionDataset> dataset,
                                             TrainerOptions options, UnsupervisedTrainerOptions unsupervised,
                                             SemiSupervisedOptions semi_supervised)
    : UnsupervisedTrainer(model, dataset, std::move(options), unsupervised),
      dataset_(std::move(dataset)),
      label_model_(&label_model_of(*model)),
      semi_supervised_(std::move(semi_supervised)) {
  check(semi_supervised_, dataset_->nb_cells());
  const LabelledCells cells = labelled_cells(*dataset_, split(), semi_supervised_);
  check_labelled_cells(cells.labelled, *dataset_, model->shape().n_labels);
  const auto posterior = [&](const std::vector<std::int64_t>& members, const char* name) {
    return std::make_unique<Posterior>(model, dataset_, members,
                                       PosteriorOptions{.batch_size = this->options().batch_size,
                                                        .seed = this->options().seed,
                                                        .corrupted = this->options().corrupted,
                                                        .name = name});
  };
  labelled_set_ = posterior(cells.labelled, "labelled_set");
  unlabelled_set_ = posterior(cells.unlabelled, "unlabelled_set");
  visible_labels_.assign(static_cast<std::size_t>(dataset_->nb_cells()), kHiddenLabel);
  for (const std::int64_t cell : cells.labelled) visible_labels_[cell] = dataset_->labels()[cell];
}

MiniBatch SemiSupervisedTrainer::as_seen(const MiniBatch& batch) const {
  MiniBatch seen = batch;
  if (semi_supervised_.reference_0_6_3 || batch.cells.empty()) return seen;
  const at::Tensor labels = at::empty({batch.size(), 1}, at::kLong);
  std::transform(batch.cells.begin(), batch.cells.end(), labels.data_ptr<std::int64_t>(),
                 [&](std::int64_t cell) { return visible_labels_[cell]; });
  seen.labels = labels.to(batch.labels.device());
  return seen;
}

Epoch SemiSupervisedTrainer::labelled_epoch(std::uint64_t number) const {
  const MiniBatchOptions how{.device = model().device(),
                             .version = options().corrupted ? kCorruptedVersion : std::string()};
  const auto sampler = std::make_shared<ShuffledSampler>(
      labelled_set_->indices(), SamplerStream{.seed = options().seed, .purpose = "labelled minibatches"});
  return DataLoader(dataset_, how, sampler,
                    {.batch_size = options().batch_size,
                     .tail = options().reference_0_6_3 ? TailPolicy::skip : TailPolicy::join})
      .epoch(number);
}

const MiniBatch& SemiSupervisedTrainer::labelled_minibatch() {
  if (!labelled_ || labelled_position_ != position()) {
    labelled_ = labelled_epoch(position());
    labelled_position_ = position();
    made_.clear();
  }
  const std::int64_t wanted = minibatch() % labelled_->size();
  if (const auto found = made_.find(wanted); found != made_.end()) return found->second;
  if (labelled_->size() > kMostKept) made_.clear();
  return made_.emplace(wanted, labelled_->minibatch(wanted)).first->second;
}

double SemiSupervisedTrainer::train_on(const MiniBatch& batch, const MiniBatch& labelled, Noise& noise) {
  given_ = &labelled;
  const double value = Trainer::train_on(batch, noise);
  given_ = nullptr;
  return value;
}

at::Tensor SemiSupervisedTrainer::loss(const MiniBatch& batch, Noise& noise) {
  const at::Tensor bound = UnsupervisedTrainer::loss(as_seen(batch), noise);
  if (!is_joint() || semi_supervised_.classification_ratio == 0) return bound;
  RandomNoise of_labelled(options().seed, "classification", {position(), static_cast<std::uint64_t>(minibatch())});
  const at::Tensor classification = classification_loss(label_model(), given_ ? *given_ : labelled_minibatch(),
                                                        of_labelled, semi_supervised_.reference_0_6_3);
  return bound + semi_supervised_.classification_ratio * classification;
}

void SemiSupervisedTrainer::on_epoch_trained() {
  if (semi_supervised_.n_epochs_classifier == 0) return;
  Classifier& classifier = label_model().classifier();
  model().eval();
  classifier.train();
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  for (const auto& item : classifier.named_parameters()) parameters.emplace_back(item.key(), item.value());
  Adam optimizer(parameters, kernel::AdamSettings{.lr = semi_supervised_.lr_classification,
                                                  .eps = kClassifierEps,
                                                  .weight_decay = options().weight_decay});
  for (std::int64_t epoch = 0; epoch < semi_supervised_.n_epochs_classifier; ++epoch) {
    const std::string purpose = "classifier epoch " + std::to_string(epoch);
    const Epoch minibatches = labelled_epoch((position() << 8) + static_cast<std::uint64_t>(epoch) + 1);
    for (std::int64_t i = 0; i < minibatches.size(); ++i) {
      RandomNoise noise(options().seed, purpose, {position(), static_cast<std::uint64_t>(i)});
      const at::Tensor value =
          classification_loss(label_model(), minibatches.minibatch(i), noise, semi_supervised_.reference_0_6_3);
      model().zero_grad();
      value.backward();
      optimizer.step();
    }
  }
  model().train();
}

std::string SemiSupervisedTrainer::fingerprint() const {
  return UnsupervisedTrainer::fingerprint() + "; " + std::to_string(labelled_set_->nb_cells()) +
         " labelled cells; classifier " + std::to_string(semi_supervised_.n_epochs_classifier) + " epochs at lr " +
         to_text(HyperparameterValue(semi_supervised_.lr_classification)) + "; classification ratio " +
         to_text(HyperparameterValue(semi_supervised_.classification_ratio));
}

JointSemiSupervisedTrainer::JointSemiSupervisedTrainer(std::shared_ptr<Model> model,
                                                       std::shared_ptr<const GeneExpressionDataset> dataset,
                                                       TrainerOptions options,
                                                       UnsupervisedTrainerOptions unsupervised,
                                                       SemiSupervisedOptions semi_supervised)
    : SemiSupervisedTrainer(std::move(model), std::move(dataset), std::move(options), unsupervised, [&] {
        semi_supervised.n_epochs_classifier = 0;
        return semi_supervised;
      }()) {}

}  // namespace scvi
