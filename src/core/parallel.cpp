#include "scvi/core/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <list>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "scvi/core/settings.hpp"
#include "scvi/core/signals_blocked.hpp"

namespace scvi {
namespace {

using Body = std::function<void(std::int64_t, std::int64_t)>;

/// Whether this thread is inside a body: a nested call then stays on it.
thread_local bool inside_body = false;

class InsideBody {
 public:
  InsideBody() : before_(std::exchange(inside_body, true)) {}
  ~InsideBody() { inside_body = before_; }
  InsideBody(const InsideBody&) = delete;
  InsideBody& operator=(const InsideBody&) = delete;

 private:
  bool before_;
};

/// Tells the processor that this thread waits in a loop.
void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

/// How long a thread looks out for work, or for the others to end, before it sleeps: the next parallel loop of a
/// training step mostly comes sooner, and waking a sleeper costs about as much.
constexpr std::chrono::microseconds kLookOut{100};

/// Waits until done() holds or the time of looking out is over.
template <class Done>
void look_out(const Done& done) {
  const auto end = std::chrono::steady_clock::now() + kLookOut;
  while (!done() && std::chrono::steady_clock::now() < end) {
    for (int i = 0; i < 8; ++i) relax();
  }
}

/// One call of parallel_for.
class Job {
 public:
  Job(std::int64_t n, std::int64_t chunk, const Body& body)
      : n_(n), chunk_(chunk), chunks_(chunk_count(n, chunk)), body_(body) {}

  bool exhausted() const { return next_.load(std::memory_order_relaxed) >= chunks_; }

  /// Runs chunks until none is left. They go out in ascending order, so when one fails and stops the handing out,
  /// every earlier chunk has been started: the earliest failure of all is always among those seen.
  void run_chunks() noexcept {
    const InsideBody mark;
    for (std::int64_t i = next_.fetch_add(1); i < chunks_; i = next_.fetch_add(1)) {
      try {
        body_(i * chunk_, std::min(n_, (i + 1) * chunk_));
      } catch (...) {
        fail(i, std::current_exception());
      }
    }
  }

  void rethrow() const {
    if (error_) std::rethrow_exception(error_);
  }

  // Changed with the mutex of the pool held.
  int helpers_wanted = 0;
  std::atomic<int> helpers_running = 0;
  std::condition_variable helpers_gone;

 private:
  void fail(std::int64_t chunk_index, std::exception_ptr error) noexcept {
    next_.store(chunks_);
    const std::lock_guard lock(error_mutex_);
    if (error_ && failed_chunk_ < chunk_index) return;
    failed_chunk_ = chunk_index;
    error_ = std::move(error);
  }

  const std::int64_t n_;
  const std::int64_t chunk_;
  const std::int64_t chunks_;
  const Body& body_;
  std::atomic<std::int64_t> next_{0};
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::int64_t failed_chunk_ = 0;
};

/// Threads that wait for jobs and never end. Never destroyed: a program may exit while they sleep.
class Pool {
 public:
  static Pool& instance() {
    static Pool* const pool = new Pool;
    return *pool;
  }

  void run(Job& job, int helpers) {
    const int processors = available_processors();
    int to_wake = 0;
    {
      const std::lock_guard lock(mutex_);
      grow(helpers);
      // Looking out would take the time of those who work if there were more threads than processors.
      lookouts_wanted_ = helpers < processors ? helpers : 0;
      job.helpers_wanted = helpers;
      jobs_.push_back(&job);
      ++posted_;
      // Who looks out sees the job without being woken, and looks once more before it sleeps.
      to_wake = helpers - lookouts_;
    }
    for (int i = 0; i < to_wake; ++i) work_.notify_one();
    job.run_chunks();
    std::unique_lock lock(mutex_);
    jobs_.remove(&job);
    if (job.helpers_running > 0 && lookouts_wanted_ > 0) {
      lock.unlock();
      look_out([&] { return job.helpers_running == 0; });
      lock.lock();
    }
    job.helpers_gone.wait(lock, [&] { return job.helpers_running == 0; });
  }

 private:
  /// Brings the pool to at least `count` threads, or to as many as the system grants.
  void grow(int count) {
    if (n_threads_ >= count) return;
    const SignalsBlocked blocked;
    try {
      for (; n_threads_ < count; ++n_threads_) std::thread([this] { serve(); }).detach();
    } catch (const std::system_error&) {
      // Fewer helpers only cost time: the caller works through all chunks itself if need be.
    }
  }

  Job* open_job() {
    for (Job* job : jobs_)
      if (job->helpers_running < job->helpers_wanted && !job->exhausted()) return job;
    return nullptr;
  }

  void serve() {
    std::unique_lock lock(mutex_);
    while (true) {
      Job* job = open_job();
      if (job == nullptr && lookouts_ < lookouts_wanted_) {
        const std::uint64_t seen = posted_;
        ++lookouts_;
        lock.unlock();
        look_out([&] { return posted_ != seen; });
        lock.lock();
        --lookouts_;
      }
      work_.wait(lock, [&] { return (job = open_job()) != nullptr; });
      ++job->helpers_running;
      lock.unlock();
      job->run_chunks();
      lock.lock();
      if (--job->helpers_running == 0) job->helpers_gone.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable work_;
  std::list<Job*> jobs_;
  std::atomic<std::uint64_t> posted_ = 0;  // jobs so far
  int lookouts_ = 0;
  int lookouts_wanted_ = 0;
  int n_threads_ = 0;
};

}  // namespace

void parallel_for(std::int64_t n, std::int64_t chunk, const Body& body) {
  if (n <= 0) return;
  const std::int64_t chunks = chunk_count(n, chunk);
  const std::int64_t threads = inside_body ? 1 : std::min<std::int64_t>(effective_threads(), chunks);
  if (threads <= 1) {
    const InsideBody mark;
    for (std::int64_t begin = 0; begin < n; begin += chunk) body(begin, std::min(n, begin + chunk));
    return;
  }
  Job job(n, chunk, body);
  Pool::instance().run(job, static_cast<int>(threads) - 1);
  job.rethrow();
}

std::int64_t chunk_of_independent(std::int64_t n, std::int64_t least) {
  const std::int64_t each = chunk_count(n, std::max<std::int64_t>(1, effective_threads()));
  return least * std::max<std::int64_t>(1, chunk_count(each, least));
}

}  // namespace scvi
