#include "scvi/core/profile.hpp"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <ctime>
#include <mutex>

namespace scvi {
namespace {

std::atomic<bool> profiling{false};

struct Book {
  std::mutex mutex;
  std::vector<ProfileEntry> entries;
};

Book& book() {
  static Book* const the_book = new Book;
  return *the_book;
}

double seconds_on(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

}  // namespace

void set_profiling(bool on) {
  profiling.store(on, std::memory_order_relaxed);
}

bool is_profiling() {
  return profiling.load(std::memory_order_relaxed);
}

void ProfileSection::start() {
  wall_ = seconds_on(CLOCK_MONOTONIC);
  cpu_ = seconds_on(CLOCK_THREAD_CPUTIME_ID);
}

void ProfileSection::stop() {
  const double cpu = seconds_on(CLOCK_THREAD_CPUTIME_ID) - cpu_;
  const double wall = seconds_on(CLOCK_MONOTONIC) - wall_;
  Book& all = book();
  const std::lock_guard lock(all.mutex);
  auto entry = std::find_if(all.entries.begin(), all.entries.end(),
                            [&](const ProfileEntry& each) { return each.name == name_; });
  if (entry == all.entries.end()) entry = all.entries.insert(entry, ProfileEntry{.name = name_});
  ++entry->calls;
  entry->wall_seconds += wall;
  entry->cpu_seconds += cpu;
}

std::vector<ProfileEntry> profile_entries() {
  const std::lock_guard lock(book().mutex);
  return book().entries;
}

double profile_seconds(const std::string& name) {
  for (const ProfileEntry& entry : profile_entries()) {
    if (entry.name == name) return entry.wall_seconds;
  }
  return 0;
}

std::string profile_table(double total_seconds) {
  std::string table;
  char line[160];
  std::snprintf(line, sizeof line, "%-34s %9s %10s %7s %12s\n", "where", "calls", "seconds", "share", "ms a call");
  table += line;
  for (const ProfileEntry& entry : profile_entries()) {
    std::snprintf(line, sizeof line, "%-34s %9lld %10.3f %6.1f%% %12.4f\n", entry.name.c_str(),
                  static_cast<long long>(entry.calls), entry.wall_seconds,
                  total_seconds > 0 ? 100 * entry.wall_seconds / total_seconds : 0.0,
                  1e3 * entry.wall_seconds / static_cast<double>(entry.calls));
    table += line;
  }
  return table;
}

void reset_profile() {
  const std::lock_guard lock(book().mutex);
  book().entries.clear();
}

}  // namespace scvi
