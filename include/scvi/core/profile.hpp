#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace scvi {

/// Where the time of a run goes. Off unless asked for; then every ProfileSection adds up, by name, how often it was
/// entered and how long it took, on the clock and as processor time of its thread.
/// Sections may lie within each other, or run on two threads at the same time; each then counts for itself.
void set_profiling(bool on);
bool is_profiling();

struct ProfileEntry {
  std::string name;
  std::int64_t calls = 0;
  double wall_seconds = 0;
  double cpu_seconds = 0;  ///< of the thread that was in the section; the pool's threads not included
};

/// What has been added up so far, in the order in which the sections were first entered.
std::vector<ProfileEntry> profile_entries();
/// Clock seconds of one section, 0 when it was never entered.
double profile_seconds(const std::string& name);
/// The same as a table for people, with shares of `total_seconds`.
std::string profile_table(double total_seconds);
/// Forgets everything.
void reset_profile();

/// Measures its own lifetime. @pre `name` is a literal: "training step/forward"
class ProfileSection {
 public:
  explicit ProfileSection(const char* name) : name_(is_profiling() ? name : nullptr) {
    if (name_ != nullptr) start();
  }
  ~ProfileSection() {
    if (name_ != nullptr) stop();
  }
  ProfileSection(const ProfileSection&) = delete;
  ProfileSection& operator=(const ProfileSection&) = delete;

 private:
  void start();
  void stop();

  const char* name_;
  double wall_ = 0;
  double cpu_ = 0;
};

}  // namespace scvi
