#include "scvi/kernel/branches.hpp"

#include <ATen/ATen.h>
#include <ATen/ThreadLocalState.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "operation.hpp"
#include "scvi/core/parallel.hpp"
#include "scvi/core/settings.hpp"
#include "scvi/kernel/finite_gradients.hpp"

namespace scvi::kernel {
namespace {

/// The only input that gradients are passed on to; none at the end; nullopt where there are several.
std::optional<std::size_t> only_edge(const torch::autograd::Node& step) {
  std::optional<std::size_t> only = step.num_outputs();
  for (std::size_t i = 0; i < step.num_outputs(); ++i) {
    if (!step.next_edge(i).is_valid()) continue;
    if (*only != step.num_outputs()) return std::nullopt;
    only = i;
  }
  return only;
}

/// Steps of a chain that left gradients for later. Its thread takes the last one, whose numbers it has just seen;
/// one that has nothing else to do takes the first.
class Rests {
 public:
  void add(OperationStep* step) {
    const std::lock_guard lock(mutex_);
    steps_.push_back(step);
  }

  /// nullptr where none is left.
  OperationStep* take(bool last) {
    const std::lock_guard lock(mutex_);
    if (steps_.empty()) return nullptr;
    const auto at = last ? std::prev(steps_.end()) : steps_.begin();
    OperationStep* const step = *at;
    steps_.erase(at);
    return step;
  }

 private:
  std::mutex mutex_;
  std::vector<OperationStep*> steps_;
};

/// Backward steps of operations of ours, each of which passes gradients on to the next one alone.
class Chain {
 public:
  Chain() = default;

  /// All steps behind the tensors. Empty if there are others among them, or none, or if a tensor is read by the
  /// chain, too: the order in which its gradients are added up would not be the engine's.
  static Chain behind(const std::vector<at::Tensor*>& tensors) {
    for (const at::Tensor* tensor : tensors) {
      Chain chain(tensor->grad_fn());
      const auto gives = [&](const at::Tensor* other) { return chain.gives(*other); };
      if (std::all_of(tensors.begin(), tensors.end(), gives)) return chain;
    }
    return {};
  }

  bool empty() const { return links_.empty(); }

  /// The link whose gradient this tensor's is; the number of links if there is none.
  std::size_t position(const at::Tensor& tensor) const {
    const auto holds = [&](const Link& link) { return link.step == tensor.grad_fn(); };
    return static_cast<std::size_t>(std::find_if(links_.begin(), links_.end(), holds) - links_.begin());
  }

  void take(std::size_t at, std::size_t output, const at::Tensor& gradient) {
    links_[at].gradients[output] = gradient;
  }

  void make_ready() const {
    for (const Link& link : links_) link.step->make_ready();
  }

  void run(Rests& rests) {
    for (std::size_t i = 0; i < links_.size(); ++i) {
      variable_list taken(links_[i].gradients.size()), passed;
      taken.swap(links_[i].gradients);
      if (links_[i].step->apply_first(std::move(taken), passed)) rests.add(links_[i].step.get());
      if (i + 1 == links_.size()) return;
      const at::Tensor& gradient = passed[links_[i].edge];
      if (gradient.defined()) take(i + 1, links_[i].read(), gradient);
    }
  }

  void release() {
    for (const Link& link : links_) link.step->release_variables();
  }

 private:
  struct Link {
    /// The output of the next step that this one reads.
    std::size_t read() const { return step->next_edge(edge).input_nr; }

    std::shared_ptr<OperationStep> step;
    std::size_t edge = 0;     ///< by which it passes gradients on
    variable_list gradients;  ///< of its outputs, so far
  };

  /// Whether the tensor comes out of it and is not read by it.
  bool gives(const at::Tensor& tensor) const {
    const std::size_t at = position(tensor);
    return at < links_.size() && (at == 0 || links_[at - 1].read() != static_cast<std::size_t>(tensor.output_nr()));
  }

  explicit Chain(std::shared_ptr<torch::autograd::Node> node) {
    while (node != nullptr) {
      auto step = std::dynamic_pointer_cast<OperationStep>(node);
      const auto edge = step != nullptr ? only_edge(*step) : std::nullopt;
      if (!edge) {
        links_.clear();
        return;
      }
      node = *edge < step->num_outputs() ? step->next_edge(*edge).function : nullptr;
      const std::size_t n_gradients = step->num_inputs();
      links_.push_back({std::move(step), *edge, variable_list(n_gradients)});
    }
  }

  std::vector<Link> links_;
};

/// Runs the chains of both branches, one on each thread.
class BranchesStep : public torch::autograd::Node {
 public:
  std::string name() const override { return "Branches"; }

  /// Puts itself in the place of what leads to the tensors of a branch. @pre the chain holds their steps
  void adopt(std::size_t branch, Chain chain, const std::vector<at::Tensor*>& tensors,
             const std::shared_ptr<BranchesStep>& self) {
    for (at::Tensor* tensor : tensors) {
      places_.push_back({branch, chain.position(*tensor), static_cast<std::size_t>(tensor->output_nr())});
      *tensor = tensor->variable_data();
      torch::autograd::set_history(*tensor, self);
    }
    chains_[branch] = std::move(chain);
  }

  variable_list apply(variable_list&& grads) override {
    at::NoGradGuard no_grad;
    for (std::size_t i = 0; i < places_.size(); ++i) {
      if (grads[i].defined()) chains_[places_[i].chain].take(places_[i].link, places_[i].output, grads[i]);
    }
    for (const Chain& chain : chains_) chain.make_ready();
    FiniteGradients* const listener = FiniteGradients::on_this_thread();
    const at::ThreadLocalState state;
    std::array<Rests, 2> rests;
    parallel_for(2, 1, [&](std::int64_t i, std::int64_t) {
      const at::ThreadLocalStateGuard as_caller(state);
      const FiniteGradients::Listening listening(listener);
      Rests &own = rests[static_cast<std::size_t>(i)], &other = rests[static_cast<std::size_t>(1 - i)];
      chains_[static_cast<std::size_t>(i)].run(own);
      while (OperationStep* const step = own.take(/*last=*/true)) step->apply_rest();
      while (OperationStep* const step = other.take(/*last=*/false)) step->apply_rest();
    });
    return {};
  }

  void release_variables() override {
    for (Chain& chain : chains_) chain.release();
  }

 private:
  struct Place {
    std::size_t chain, link, output;
  };

  std::array<Chain, 2> chains_;
  std::vector<Place> places_;  ///< of each gradient that comes in
};

/// Those with a history.
std::vector<at::Tensor*> differentiable(const std::vector<at::Tensor*>& tensors) {
  std::vector<at::Tensor*> chosen;
  std::copy_if(tensors.begin(), tensors.end(), std::back_inserter(chosen),
               [](const at::Tensor* tensor) { return tensor->defined() && tensor->grad_fn() != nullptr; });
  return chosen;
}

}  // namespace

void run_branches(const Branch& first, const Branch& second, std::span<const std::function<void()>> chores) {
  if (settings().kernel != KernelRoad::fused || effective_threads() != 2) {
    first();
    second();
    parallel_for(std::ssize(chores), 1, [&](std::int64_t i, std::int64_t) { chores[static_cast<std::size_t>(i)](); });
    return;
  }
  std::array<std::vector<at::Tensor*>, 2> outputs;
  const at::ThreadLocalState state;
  // Each thread begins with a half of the list: a branch and half of the chores.
  const auto piece = [&state](const Branch& branch, std::vector<at::Tensor*>& into) {
    return [&state, &branch, &into] {
      const at::ThreadLocalStateGuard as_caller(state);
      into = differentiable(branch());
    };
  };
  const auto middle = chores.begin() + std::ssize(chores) / 2;
  std::vector<std::function<void()>> pieces = {piece(first, outputs[0])};
  pieces.insert(pieces.end(), chores.begin(), middle);
  pieces.emplace_back(piece(second, outputs[1]));
  pieces.insert(pieces.end(), middle, chores.end());
  parallel_for(std::ssize(pieces), 1, [&](std::int64_t i, std::int64_t) { pieces[static_cast<std::size_t>(i)](); });
  std::array chains{Chain::behind(outputs[0]), Chain::behind(outputs[1])};
  if (chains[0].empty() || chains[1].empty()) return;
  const std::shared_ptr<BranchesStep> step(new BranchesStep, torch::autograd::deleteNode);
  for (std::size_t i = 0; i < chains.size(); ++i) step->adopt(i, std::move(chains[i]), outputs[i], step);
}

}  // namespace scvi::kernel
