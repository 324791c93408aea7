#pragma once

#include <utility>

#include "scvi/core/settings.hpp"

namespace scvi::testing {

/// So many threads for as long as it lives.
class WithThreads {
 public:
  explicit WithThreads(int n) : before_(std::exchange(settings().n_threads, n)) {}
  ~WithThreads() { settings().n_threads = before_; }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;

 private:
  int before_;
};

}  // namespace scvi::testing
