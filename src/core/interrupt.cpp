#include "scvi/core/interrupt.hpp"

#include <csignal>

#include <atomic>

#include "scvi/core/error.hpp"

namespace scvi {
namespace {

// A signal handler can reach nothing but a global; lock-free, so it is safe there.
std::atomic<bool> requested{false};
static_assert(std::atomic<bool>::is_always_lock_free);

extern "C" void on_interrupt(int signal_number) {
  if (!requested.exchange(true)) return;
  std::signal(signal_number, SIG_DFL);
  std::raise(signal_number);
}

void catch_signal(int signal_number) {
  struct sigaction previous {};
  // Whoever started us ignoring the signal (nohup, a job in the background) wants it to stay ignored.
  if (sigaction(signal_number, nullptr, &previous) == 0 && previous.sa_handler == SIG_IGN) return;
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(signal_number, &action, nullptr);
}

}  // namespace

void catch_interrupts() {
  catch_signal(SIGINT);
  catch_signal(SIGTERM);
}

bool interrupt_requested() {
  return requested.load(std::memory_order_relaxed);
}

void set_interrupt(bool value) {
  requested.store(value);
}

void throw_if_interrupted() {
  if (interrupt_requested()) throw Interrupted({.problem = "interrupted by the user"});
}

}  // namespace scvi
