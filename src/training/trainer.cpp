#include "scvi/training/trainer.hpp"

#include <ATen/ATen.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <set>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/logging.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/profile.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/core/text.hpp"
#include "scvi/dataset/count_store.hpp"
#include "scvi/kernel/finite_gradients.hpp"
#include "scvi/kernel/mean_loss.hpp"
#include "scvi/kernel/threads.hpp"

namespace scvi {
namespace {

double now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string rounded(double value) {
  char buffer[32];
  std::snprintf(buffer, sizeof buffer, "%.4g", value);
  return buffer;
}

void check(const TrainerOptions& options, const Split& split) {
  const auto refuse = [](const char* field, const std::string& problem) {
    throw InputError({.problem = problem, .field = field});
  };
  if (options.batch_size < kSmallestMinibatch) {
    refuse("batch size", "is " + std::to_string(options.batch_size) + ", but batch norm needs at least " +
                             std::to_string(kSmallestMinibatch) + " cells in a minibatch");
  }
  if (options.frequency < 0) refuse("frequency", "cannot be negative");
  if (options.prefetch < 0) refuse("prefetch", "cannot be negative");
  if (options.max_nans < 1) refuse("max_nans", "must be at least 1");
  if (!(options.weight_decay >= 0)) refuse("weight decay", "cannot be negative");
  if (std::ssize(split.train) < kSmallestMinibatch) {
    throw InputError({.problem = "holds " + std::to_string(split.train.size()) +
                                 " cells, but training needs at least " + std::to_string(kSmallestMinibatch),
                      .field = "the training set",
                      .remedy = "give more cells or a larger train size"});
  }
}

}  // namespace

Trainer::Trainer(std::shared_ptr<Model> model, std::shared_ptr<const GeneExpressionDataset> dataset,
                 TrainerOptions options)
    : model_(std::move(model)), dataset_(std::move(dataset)), options_(std::move(options)) {
  kernel::use_own_threads();
  split_ = options_.explicit_split ? *options_.explicit_split
                                   : train_test_validation_split(dataset_->nb_cells(), options_.split);
  check(options_, split_);
  if (dataset_->X().store()) {
    // Blocks of counts then come in their order, each once, whenever a set is computed on.
    for (auto* cells : {&split_.train, &split_.test, &split_.validation}) std::sort(cells->begin(), cells->end());
  }
  train_set_ = make_posterior(split_.train, "train_set");
  test_set_ = make_posterior(split_.test, "test_set");
  validation_set_ = make_posterior(split_.validation, "validation_set");
  make_early_stopping();
}

std::unique_ptr<Posterior> Trainer::make_posterior(const std::vector<std::int64_t>& cells,
                                                   const std::string& name) const {
  return std::make_unique<Posterior>(
      model_, dataset_, cells,
      PosteriorOptions{
          .batch_size = options_.batch_size, .seed = options_.seed, .corrupted = options_.corrupted, .name = name});
}

void Trainer::make_early_stopping() {
  const auto& wanted = options_.early_stopping;
  bool metric_larger = false;
  bool state_larger = false;
  std::set<std::string> monitored(options_.metrics_to_monitor.begin(), options_.metrics_to_monitor.end());
  for (const auto& name : monitored) posterior_metric(name);
  const auto also_monitor = [&](const std::string& name, bool& larger) {
    if (name.empty()) return;
    larger = posterior_metric(name).larger_is_better;
    if (monitored.insert(name).second) options_.metrics_to_monitor.push_back(name);
    if (options_.frequency == 0) options_.frequency = 1;
  };
  also_monitor(wanted.early_stopping_metric, metric_larger);
  also_monitor(wanted.save_best_state_metric, state_larger);
  if (options_.benchmark) options_.frequency = 0;
  early_stopping_ = EarlyStopping(wanted, metric_larger, state_larger);
  if (wanted.early_stopping_metric.empty() && wanted.save_best_state_metric.empty()) return;

  const std::vector<std::pair<std::string, const Posterior*>> sets = {
      {"train_set", train_set_.get()}, {"test_set", test_set_.get()}, {"validation_set", validation_set_.get()}};
  std::vector<std::string> names;
  for (const auto& [name, set] : sets) {
    names.push_back(name);
    if (name != wanted.on) continue;
    if (set->nb_cells() > 0) return;
    throw InputError({.problem = "watches " + name + ", which has no cells",
                      .field = "early stopping",
                      .remedy = "choose another set or a smaller train size"});
  }
  throw InputError({.problem = "watches '" + wanted.on + "', which is no set of cells",
                    .field = "early stopping",
                    .remedy = suggest(wanted.on, names)});
}

std::vector<std::pair<std::string, at::Tensor>> Trainer::trained_parameters() const {
  std::vector<std::pair<std::string, at::Tensor>> parameters;
  for (const auto& [name, tensor] : named_state(*model_)) {
    if (tensor.requires_grad()) parameters.emplace_back(name, tensor);
  }
  return parameters;
}

void Trainer::begin(const TrainOptions& options) {
  train_options_ = options;
  if (options.n_epochs < 0) throw InputError({.problem = "cannot be negative", .field = "the number of epochs"});
  if (!(options.lr > 0) || !(options.eps > 0)) {
    throw InputError({.problem = "must be larger than 0", .field = "lr and eps"});
  }
  model_->train();
  buffers_ = BufferBackup(*model_);
  if (resumed_) return;
  optimizer_ = std::make_unique<Adam>(
      trained_parameters(),
      kernel::AdamSettings{.lr = options.lr, .eps = options.eps, .weight_decay = options_.weight_decay});
  progress_.epoch = 0;
  progress_.minibatch = 0;
  progress_.loss_sum = 0;
  progress_.cells_seen = 0;
}

void Trainer::train(const TrainOptions& options) {
  begin(options);
  last_checkpoint_ = now();
  if (options.progress) options.progress->start("training", options.n_epochs, "epoch");
  resumed_ = false;
  if (progress_.epoch == 0 && progress_.minibatch == 0) {
    on_training_begin(options);
    compute_metrics(0);
  }
  bool go_on = true;
  while (go_on && progress_.epoch < options.n_epochs) {
    run_epoch();
    go_on = finish_epoch();
  }
  if (!best_state_.empty()) {
    load_state_dict(*model_, best_state_, "the best state");
    log_info("restored the weights of epoch " + std::to_string(best_epoch_) + ", the best by " +
             options_.early_stopping.save_best_state_metric + " on " + options_.early_stopping.on);
  }
  model_->eval();
  if (options.progress) options.progress->finish();
  on_training_end();
  ++progress_.call;
}

std::shared_ptr<const Sampler> Trainer::training_sampler() const {
  const SamplerStream stream{.seed = options_.seed};
  const auto& store = dataset_->X().store();
  if (!store) return std::make_shared<ShuffledSampler>(split_.train, stream);
  const CountWindows windows = store->windows();
  return std::make_shared<WindowedSampler>(
      split_.train, WindowOptions{.block_cells = windows.block_cells, .window_blocks = windows.window_blocks},
      stream);
}

DataLoader Trainer::training_loader() const {
  const MiniBatchOptions how{.device = model_->device(),
                             .version = options_.corrupted ? kCorruptedVersion : std::string()};
  return DataLoader(dataset_, how, training_sampler(),
                    {.batch_size = options_.batch_size,
                     .tail = options_.reference_0_6_3 ? TailPolicy::skip : TailPolicy::join,
                     .prefetch = effective_threads() > 1 ? options_.prefetch : 0});
}

/// Counts that come from disk may be on their way when the user asks to stop.
const MiniBatch* Trainer::next_minibatch(MiniBatchStream& stream) {
  try {
    const ProfileSection section("waiting for minibatches");
    return stream.next();
  } catch (const Interrupted&) {
    maybe_checkpoint();
    throw;
  }
}

void Trainer::run_epoch() {
  kernel::use_own_threads();
  const Epoch minibatches = training_loader().epoch(position());
  // A run that is resumed after the last minibatch has nothing left to stream.
  if (progress_.minibatch > minibatches.size()) return;
  MiniBatchStream stream = minibatches.stream(progress_.minibatch);
  double start = now();
  while (const MiniBatch* batch = next_minibatch(stream)) {
    RandomNoise noise(options_.seed, "training", {position(), static_cast<std::uint64_t>(progress_.minibatch)});
    const double loss = train_on(*batch, noise);
    if (std::isfinite(loss)) {
      progress_.loss_sum += loss * static_cast<double>(batch->size());
      progress_.cells_seen += batch->size();
    }
    ++progress_.minibatch;
    training_seconds_ += now() - start;
    report(now() - start, minibatches.size());
    maybe_checkpoint();
    start = now();
  }
  on_epoch_trained();
  ++progress_.minibatch;
}

double Trainer::train_on(const MiniBatch& batch, Noise& noise) {
  const ProfileSection section("step");
  buffers_.save();
  at::Tensor value;
  double number = 0;
  {
    const ProfileSection section("step: forward");
    value = loss(batch, noise);
    number = value.item<double>();
  }
  bool usable = std::isfinite(number);
  if (usable) {
    const ProfileSection section("step: backward");
    const kernel::FiniteGradients seen;
    optimizer_->zero_grad();
    value.backward();
    const ProfileSection check("step: are gradients finite");
    usable = optimizer_->gradients_are_finite(seen);
  }
  if (usable) {
    const ProfileSection section("step: optimizer");
    optimizer_->step();
    progress_.nan_counter = 0;
  } else {
    handle_non_finite(batch, number);
    buffers_.restore();
  }
  ++progress_.n_iter;
  return number;
}

void Trainer::handle_non_finite(const MiniBatch& batch, double loss) {
  ++progress_.nan_counter;
  const std::string where =
      "epoch " + std::to_string(progress_.epoch + 1) + ", minibatch " + std::to_string(progress_.minibatch + 1);
  const std::string what = std::isfinite(loss) ? "the gradient was not finite" : "the loss was " + rounded(loss);
  log_warning(what + " in " + where + first_non_finite_cell(batch) + "; this update is left out");
  if (progress_.nan_counter < options_.max_nans) return;
  throw NumericError({.problem = "was not finite in " + std::to_string(options_.max_nans) +
                                 " minibatches in a row, the last one in " + where,
                      .field = "the loss",
                      .remedy = "use a smaller learning rate, and make sure that the data are raw counts"});
}

std::string Trainer::first_non_finite_cell(const MiniBatch& batch) const {
  at::NoGradGuard no_grad;
  RandomNoise noise(options_.seed, "non-finite loss");
  const Elbo terms = model_->forward(batch, noise);
  const at::Tensor bad = at::logical_not(at::isfinite(terms.reconstruction + terms.kl_local)).nonzero();
  if (bad.numel() == 0 || batch.cells.empty()) return {};
  const std::int64_t cell = batch.cells[bad[0].item<std::int64_t>()];
  const auto& names = dataset_->cell_names();
  return " (cell " + (names.empty() ? "number " + std::to_string(cell + 1) : "'" + names[cell] + "'") + ")";
}

bool Trainer::finish_epoch() {
  const double lr = optimizer_->lr();
  const double weight = kl_weight();
  const double mean_loss =
      progress_.cells_seen > 0 ? progress_.loss_sum / static_cast<double>(progress_.cells_seen) : std::nan("");
  // Before anything moves on: a checkpoint made in here must come back to this place.
  compute_metrics(progress_.epoch + 1);
  ++progress_.epoch;
  progress_.minibatch = 0;
  progress_.loss_sum = 0;
  progress_.cells_seen = 0;
  history_.record("train_loss", progress_.epoch, mean_loss);
  history_.record("kl_weight", progress_.epoch, weight);
  history_.record("lr", progress_.epoch, lr);
  if (options_.benchmark) return true;

  const auto& stopping = options_.early_stopping;
  if (!stopping.save_best_state_metric.empty()) {
    const auto value = history_.last(stopping.save_best_state_metric + "_" + stopping.on);
    if (value && early_stopping_.update_state(*value)) {
      best_state_ = state_dict(*model_);
      best_epoch_ = progress_.epoch;
    }
  }
  if (stopping.early_stopping_metric.empty()) return true;
  const auto value = history_.last(stopping.early_stopping_metric + "_" + stopping.on);
  const auto decision = early_stopping_.update(value.value_or(std::nan("")));
  if (decision.reduce_lr) {
    optimizer_->set_lr(lr * stopping.lr_factor);
    log_info("epoch " + std::to_string(progress_.epoch) + ": no improvement for " +
             std::to_string(stopping.lr_patience) + " epochs, learning rate reduced to " + rounded(optimizer_->lr()));
  }
  if (!decision.continue_training) {
    log_info("stopping early at epoch " + std::to_string(progress_.epoch) + ": " + stopping.early_stopping_metric +
             " on " + stopping.on + " has not improved by " + rounded(stopping.threshold) + " in " +
             std::to_string(stopping.patience) + " epochs");
  }
  return decision.continue_training;
}

void Trainer::compute_metrics(std::int64_t epoch) {
  const std::int64_t frequency = options_.frequency;
  const ProfileSection section("metrics");
  if (frequency == 0 || (epoch % frequency != 0 && epoch != train_options_.n_epochs)) return;
  std::vector<std::pair<std::string, double>> found;
  try {
    for (Posterior* set : {train_set_.get(), test_set_.get(), validation_set_.get()}) {
      compute_metrics_of(*set, epoch, found);
    }
  } catch (const Interrupted&) {
    if (train_options_.checkpoint) train_options_.checkpoint();
    if (train_options_.progress) train_options_.progress->finish();
    throw;
  }
  for (const auto& [series, value] : found) history_.record(series, epoch, value);
}

void Trainer::compute_metrics_of(Posterior& posterior, std::int64_t epoch,
                                 std::vector<std::pair<std::string, double>>& found) {
  if (posterior.nb_cells() == 0) return;
  posterior.set_position(position() + static_cast<std::uint64_t>(epoch - progress_.epoch));
  for (const auto& name : options_.metrics_to_monitor) {
    const auto& metric = posterior_metric(name);
    const std::string reason = metric.why_undefined(posterior);
    const std::string series = name + "_" + posterior.options().name;
    if (!reason.empty()) {
      if (epoch == 0) log_warning(series + " is not computed: " + reason);
      continue;
    }
    found.emplace_back(series, metric.compute(posterior));
    log_debug("epoch " + std::to_string(epoch) + ": " + series + " " + rounded(found.back().second));
  }
}

void Trainer::report(double seconds, std::int64_t n_minibatches) {
  if (!train_options_.progress || progress_.cells_seen == 0) return;
  const double mean_loss = progress_.loss_sum / static_cast<double>(progress_.cells_seen);
  std::string detail = "loss " + rounded(mean_loss);
  if (const auto elbo = history_.last("elbo_test_set")) detail += ", test elbo " + rounded(*elbo);
  const double cells = static_cast<double>(progress_.cells_seen) / static_cast<double>(progress_.minibatch);
  detail += ", " + with_thousands(static_cast<long long>(cells / std::max(seconds, 1e-9))) + " cells/s";
  if (progress_.minibatch < n_minibatches) {
    detail += ", minibatch " + std::to_string(progress_.minibatch) + "/" + std::to_string(n_minibatches);
  }
  train_options_.progress->update(progress_.epoch + (progress_.minibatch == n_minibatches ? 1 : 0), detail);
}

void Trainer::maybe_checkpoint() {
  const bool stop = interrupt_requested();
  const bool due = train_options_.checkpoint && now() - last_checkpoint_ > train_options_.checkpoint_seconds;
  if ((stop || due) && train_options_.checkpoint) {
    train_options_.checkpoint();
    last_checkpoint_ = now();
  }
  if (stop) {
    if (train_options_.progress) train_options_.progress->finish();
    throw Interrupted({.problem = "stopped at your request in epoch " + std::to_string(progress_.epoch + 1) +
                                  ", minibatch " + std::to_string(progress_.minibatch),
                       .field = "training"});
  }
}

std::string Trainer::full_fingerprint() const {
  std::string text = kind() + "; model " + model_->name();
  for (const auto& [name, value] : model_->hyperparameters()) text += " " + name + "=" + to_text(value);
  text += "; " + std::to_string(dataset_->nb_cells()) + " cells x " + std::to_string(dataset_->nb_genes()) +
          " genes, " + std::to_string(dataset_->X().n_nonzero()) + " non-zero counts; " +
          std::to_string(split_.train.size()) + " training cells; batch size " + std::to_string(options_.batch_size) +
          "; seed " + std::to_string(options_.seed) + "; weight decay " + rounded(options_.weight_decay);
  if (const auto& store = dataset_->X().store()) {
    const CountWindows windows = store->windows();
    text += "; counts on disk, shuffled in windows of " + std::to_string(windows.window_blocks) + " blocks of " +
            std::to_string(windows.block_cells) + " cells, as --memory allows";
  }
  return text + (fingerprint().empty() ? "" : "; " + fingerprint());
}

UnsupervisedTrainer::UnsupervisedTrainer(std::shared_ptr<Model> model,
                                         std::shared_ptr<const GeneExpressionDataset> dataset, TrainerOptions options,
                                         UnsupervisedTrainerOptions unsupervised)
    : Trainer(std::move(model), std::move(dataset), std::move(options)), unsupervised_(unsupervised) {
  const auto positive = [](const std::optional<std::int64_t>& warmup) { return !warmup || *warmup > 0; };
  if (!positive(unsupervised_.n_epochs_kl_warmup) || !positive(unsupervised_.n_iter_kl_warmup)) {
    throw InputError({.problem = "must be at least 1 (leave it unset for none)", .field = "the KL warm-up"});
  }
}

double UnsupervisedTrainer::kl_weight() const {
  const auto ramp = [](std::int64_t done, std::int64_t length) {
    return std::min(1.0, static_cast<double>(done) / static_cast<double>(length));
  };
  if (unsupervised_.n_epochs_kl_warmup) return ramp(epoch(), *unsupervised_.n_epochs_kl_warmup);
  if (unsupervised_.n_iter_kl_warmup) return ramp(n_iter(), *unsupervised_.n_iter_kl_warmup);
  return 1;
}

at::Tensor unsupervised_loss(const Elbo& terms, double kl_weight, double n_train, bool normalize) {
  const at::Tensor mean = kernel::mean_loss(terms.reconstruction, terms.kl_local, kl_weight);
  // Dividing the sum by n_train is the same as this, without the detour over large numbers.
  if (normalize) return terms.kl_global.defined() ? mean + terms.kl_global / n_train : mean;
  return terms.kl_global.defined() ? n_train * mean + terms.kl_global : n_train * mean;
}

at::Tensor UnsupervisedTrainer::loss(const MiniBatch& batch, Noise& noise) {
  return unsupervised_loss(model().forward(batch, noise), kl_weight(), static_cast<double>(split().train.size()),
                           unsupervised_.normalize_loss.value_or(model().normalizes_loss()));
}

std::string UnsupervisedTrainer::fingerprint() const {
  const auto text = [](const auto& value) { return value ? std::to_string(*value) : std::string("none"); };
  return "KL warm-up " + text(unsupervised_.n_epochs_kl_warmup) + " epochs, " + text(unsupervised_.n_iter_kl_warmup) +
         " minibatches; normalised loss " + text(unsupervised_.normalize_loss);
}

void UnsupervisedTrainer::on_training_begin(const TrainOptions& options) {
  const std::int64_t per_epoch = chunk_count(std::ssize(split().train), this->options().batch_size);
  if (unsupervised_.n_epochs_kl_warmup) {
    log_debug("KL warm-up over " + std::to_string(*unsupervised_.n_epochs_kl_warmup) + " epochs");
    if (*unsupervised_.n_epochs_kl_warmup > options.n_epochs) {
      log_info("the KL warm-up (" + std::to_string(*unsupervised_.n_epochs_kl_warmup) +
               " epochs) is longer than training (" + std::to_string(options.n_epochs) +
               "): for differential expression and batch correction train longer or warm up faster");
    }
  } else if (unsupervised_.n_iter_kl_warmup) {
    log_debug("KL warm-up over " + std::to_string(*unsupervised_.n_iter_kl_warmup) + " minibatches");
    if (*unsupervised_.n_iter_kl_warmup > options.n_epochs * per_epoch) {
      log_info("the KL warm-up (" + std::to_string(*unsupervised_.n_iter_kl_warmup) +
               " minibatches) is longer than training (" + std::to_string(options.n_epochs * per_epoch) +
               "): for differential expression and batch correction train longer or warm up faster");
    }
  } else {
    log_debug("training without KL warm-up");
  }
}

void UnsupervisedTrainer::on_training_end() {
  if (kl_weight() < 0.99) {
    log_info("training ended while the KL weight was still " + rounded(kl_weight()) +
             ": for differential expression and batch correction train longer or warm up faster");
  }
}

}  // namespace scvi
