#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "scvi/loader/minibatch.hpp"

namespace scvi {

/// A thread that makes minibatches in order, at most some number of them ahead.
class Prefetcher {
 public:
  /// Makes a minibatch by its number; the second argument is one whose memory may be used again.
  using Make = std::function<MiniBatch(std::int64_t, MiniBatch)>;

  /// @throws std::system_error when the system grants no thread
  Prefetcher(Make make, std::int64_t first, std::int64_t last, std::int64_t ahead);
  ~Prefetcher();
  Prefetcher(const Prefetcher&) = delete;
  Prefetcher& operator=(const Prefetcher&) = delete;

  /// The next minibatch; called at most last - first times. @throws what `make` threw for it
  MiniBatch next(MiniBatch recycled);

 private:
  void work(std::int64_t first, std::int64_t last);
  /// Waits until another minibatch may be made. @return false when the work is over
  bool wait_for_room(MiniBatch& recycled);

  const Make make_;
  const std::size_t ahead_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<MiniBatch> ready_;  // guarded by mutex_, as are the following
  std::vector<MiniBatch> recycled_;
  std::exception_ptr error_;  // of the minibatch after those that are ready
  bool stop_ = false;
  std::thread thread_;
};

}  // namespace scvi
