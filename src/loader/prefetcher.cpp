#include "prefetcher.hpp"

#include <utility>

#include "scvi/core/signals_blocked.hpp"

namespace scvi {

Prefetcher::Prefetcher(Make make, std::int64_t first, std::int64_t last, std::int64_t ahead)
    : make_(std::move(make)), ahead_(static_cast<std::size_t>(ahead)) {
  const SignalsBlocked blocked;
  thread_ = std::thread([this, first, last] { work(first, last); });
}

Prefetcher::~Prefetcher() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

MiniBatch Prefetcher::next(MiniBatch recycled) {
  std::unique_lock lock(mutex_);
  recycled_.push_back(std::move(recycled));
  changed_.wait(lock, [this] { return !ready_.empty() || error_; });
  if (ready_.empty()) std::rethrow_exception(error_);
  MiniBatch batch = std::move(ready_.front());
  ready_.pop_front();
  lock.unlock();
  changed_.notify_all();
  return batch;
}

bool Prefetcher::wait_for_room(MiniBatch& recycled) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return stop_ || ready_.size() < ahead_; });
  if (!recycled_.empty()) {
    recycled = std::move(recycled_.back());
    recycled_.pop_back();
  }
  return !stop_;
}

void Prefetcher::work(std::int64_t first, std::int64_t last) {
  try {
    for (std::int64_t i = first; i < last; ++i) {
      MiniBatch recycled;
      if (!wait_for_room(recycled)) return;
      MiniBatch batch = make_(i, std::move(recycled));
      const std::lock_guard lock(mutex_);
      ready_.push_back(std::move(batch));
      changed_.notify_all();
    }
  } catch (...) {
    const std::lock_guard lock(mutex_);
    error_ = std::current_exception();
    changed_.notify_all();
  }
}

}  // namespace scvi
