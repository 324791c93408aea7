#include "scvi/core/parallel.hpp"

#include <algorithm>
#include <array>
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

/// One call of parallel_for on two threads or more. Each thread begins with a range of chunks of its own, so that
/// what one call leaves in a core's cache is there for the next one, and then takes what is left of the others'
/// ranges.
class Job {
 public:
  Job(std::int64_t n, std::int64_t chunk, int threads, const Body& body)
      : n_(n),
        chunk_(chunk),
        body_(body),
        n_ranges_(std::min(threads, kMostRanges)),
        first_failed_(chunk_count(n, chunk)) {
    const std::int64_t chunks = chunk_count(n, chunk);
    for (int r = 0; r < n_ranges_; ++r) {
      ranges_[r].next = chunks * r / n_ranges_;
      ranges_[r].end = chunks * (r + 1) / n_ranges_;
    }
  }

  bool exhausted() const {
    return std::all_of(ranges_.begin(), ranges_.begin() + n_ranges_,
                       [](const Chunks& range) { return range.next.load(std::memory_order_relaxed) >= range.end; });
  }

  /// Runs chunks until none is left. After a failure only earlier chunks are begun: the earliest failure of all is
  /// always among those seen. @param thread 0 for the caller
  void run_chunks(int thread) noexcept {
    const InsideBody mark;
    const int own = thread == 0 ? 0 : 1 + (thread - 1) % (n_ranges_ - 1);
    for (int r = 0; r < n_ranges_; ++r) {
      Chunks& range = ranges_[(own + r) % n_ranges_];
      for (std::int64_t i = range.next.fetch_add(1); i < range.end; i = range.next.fetch_add(1)) {
        if (i > first_failed_.load(std::memory_order_relaxed)) break;
        try {
          body_(i * chunk_, std::min(n_, (i + 1) * chunk_));
        } catch (...) {
          fail(i, std::current_exception());
        }
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
  static constexpr int kMostRanges = 16;

  /// On a cache line of its own.
  struct alignas(64) Chunks {
    std::atomic<std::int64_t> next{0};
    std::int64_t end = 0;
  };

  void fail(std::int64_t chunk_index, std::exception_ptr error) noexcept {
    const std::lock_guard lock(error_mutex_);
    if (chunk_index >= first_failed_) return;
    first_failed_ = chunk_index;
    error_ = std::move(error);
  }

  const std::int64_t n_;
  const std::int64_t chunk_;
  const Body& body_;
  const int n_ranges_;
  std::array<Chunks, kMostRanges> ranges_;
  std::mutex error_mutex_;
  std::exception_ptr error_;
  std::atomic<std::int64_t> first_failed_;  ///< chunk; their number while none has
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
    job.run_chunks(0);
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
      for (; n_threads_ < count; ++n_threads_)
        std::thread([this, number = n_threads_ + 1] { serve(number); }).detach();
    } catch (const std::system_error&) {
      // Fewer helpers only cost time: the caller works through all chunks itself if need be.
    }
  }

  Job* open_job() {
    for (Job* job : jobs_)
      if (job->helpers_running < job->helpers_wanted && !job->exhausted()) return job;
    return nullptr;
  }

  /// @param number of this thread, from 1
  void serve(int number) {
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
      job->run_chunks(number);
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
  Job job(n, chunk, static_cast<int>(threads), body);
  Pool::instance().run(job, static_cast<int>(threads) - 1);
  job.rethrow();
}

std::int64_t chunk_of_independent(std::int64_t n, std::int64_t least, std::int64_t most) {
  const std::int64_t of_a_thread = chunk_count(n, std::max<std::int64_t>(1, effective_threads()));
  const std::int64_t each =
      of_a_thread <= most ? of_a_thread : chunk_count(of_a_thread, chunk_count(of_a_thread, most));
  return least * std::max<std::int64_t>(1, chunk_count(each, least));
}

std::int64_t even_chunk(std::int64_t n, std::int64_t about) {
  const std::int64_t pairs = (n + about) / (2 * about);
  return pairs == 0 ? std::max<std::int64_t>(n, 1) : chunk_count(n, 2 * pairs);
}

}  // namespace scvi
