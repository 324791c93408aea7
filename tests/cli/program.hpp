#pragma once

// Runs the real program `scvi` as a child process, the way a user does; never through a shell.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "testing.hpp"

namespace scvi::testing {

/// What came out of a program.
struct Outcome {
  int status = -1;              ///< exit status; 128 + signal when a signal ended it
  std::string out;              ///< standard output
  std::string err;              ///< standard error
  std::int64_t peak_bytes = 0;  ///< largest resident memory

  /// Lines of standard error.
  std::vector<std::string> error_lines() const {
    std::vector<std::string> lines;
    for (std::size_t begin = 0; begin < err.size();) {
      const std::size_t end = std::min(err.find('\n', begin), err.size());
      lines.push_back(err.substr(begin, end - begin));
      begin = end + 1;
    }
    return lines;
  }
};

struct RunOptions {
  std::string folder{};                                            ///< working directory; "": the caller's
  std::string input{};                                             ///< standard input
  std::vector<std::pair<std::string, std::string>> environment{};  ///< set on top of the caller's
  std::string output_to{};                                         ///< a file for standard output; "": a pipe
  /// Send `signal` once, as soon as this says so; it is asked every few milliseconds with the errors written so far.
  std::function<bool(const std::string& err)> signal_when{};
  int signal = SIGINT;
  bool as_nobody = false;  ///< give root's rights up first
  double seconds = 600;    ///< ends a program that hangs
};

namespace program_detail {

/// A pipe whose ends close themselves.
class Pipe {
 public:
  Pipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC) != 0) throw std::runtime_error("no pipe");
  }
  ~Pipe() {
    close_end(0);
    close_end(1);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  int end(int which) const { return ends_[which]; }
  void close_end(int which) {
    if (ends_[which] >= 0) ::close(ends_[which]);
    ends_[which] = -1;
  }

 private:
  std::array<int, 2> ends_{};
};

/// Takes what is there; false at the end.
inline bool drain(int descriptor, std::string& text) {
  std::array<char, 65536> buffer;
  const ssize_t n = ::read(descriptor, buffer.data(), buffer.size());
  if (n > 0) text.append(buffer.data(), static_cast<std::size_t>(n));
  return n > 0 || (n < 0 && errno == EINTR);
}

/// What the kernel says a process is doing: "state R", "state D (folio_wait_bit)".
inline std::string state_of(pid_t process) {
  const std::string place = "/proc/" + std::to_string(process);
  std::string words, where;
  std::getline(std::ifstream(place + "/stat"), words);
  std::getline(std::ifstream(place + "/wchan"), where);
  const std::size_t state = words.rfind(") ");
  return "state " + (state == std::string::npos ? "?" : words.substr(state + 2, 1)) + " (" + where + ")";
}

/// Between fork and exec: system calls only.
[[noreturn]] inline void become(const char* path, char* const* arguments, char* const* environment,
                                const RunOptions& options, const std::array<int, 3>& streams) {
  // A test that is killed takes the program with it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (const int caught : {SIGINT, SIGTERM, SIGPIPE}) ::signal(caught, SIG_DFL);
  for (int i = 0; i < 3; ++i) ::dup2(streams[i], i);
  constexpr int kNobody = 65534;
  const bool ready = (options.folder.empty() || ::chdir(options.folder.c_str()) == 0) &&
                     (!options.as_nobody || (::setgid(kNobody) == 0 && ::setuid(kNobody) == 0));
  if (ready) ::execve(path, arguments, environment);
  ::_exit(127);
}

}  // namespace program_detail

/// Runs `path` with these arguments and waits for its end.
inline Outcome run_program(const std::string& path, const std::vector<std::string>& arguments,
                           const RunOptions& options = {}) {
  using namespace program_detail;
  std::vector<std::string> words = {path};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<std::string> settings;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string name = std::string(*entry).substr(0, std::string(*entry).find('='));
    bool replaced = false;
    for (const auto& [key, value] : options.environment) replaced |= key == name;
    if (!replaced) settings.emplace_back(*entry);
  }
  for (const auto& [key, value] : options.environment) settings.push_back(key + "=" + value);
  const auto pointers = [](std::vector<std::string>& texts) {
    std::vector<char*> all;
    for (auto& text : texts) all.push_back(text.data());
    all.push_back(nullptr);
    return all;
  };
  const std::vector<char*> argv = pointers(words);
  const std::vector<char*> envp = pointers(settings);

  Pipe in, out, err;
  const int file = options.output_to.empty() ? -1 : ::open(options.output_to.c_str(), O_WRONLY | O_CLOEXEC);
  const pid_t child = ::fork();
  if (child < 0) throw std::runtime_error("no child process");
  if (child == 0) {
    become(path.c_str(), argv.data(), envp.data(), options, {in.end(0), file >= 0 ? file : out.end(1), err.end(1)});
  }
  if (file >= 0) ::close(file);
  in.close_end(0);
  out.close_end(1);
  err.close_end(1);
  // What the tests send fits into the pipe.
  if (!options.input.empty() && ::write(in.end(1), options.input.data(), options.input.size()) < 0) in.close_end(1);
  in.close_end(1);

  Outcome outcome;
  bool sent = false;
  const auto begin = std::chrono::steady_clock::now();
  std::array<pollfd, 2> streams = {pollfd{out.end(0), POLLIN, 0}, pollfd{err.end(0), POLLIN, 0}};
  while (streams[0].fd >= 0 || streams[1].fd >= 0) {
    constexpr int kMilliseconds = 3;
    ::poll(streams.data(), streams.size(), kMilliseconds);
    if (streams[0].revents != 0 && !drain(streams[0].fd, outcome.out)) streams[0].fd = -1;
    if (streams[1].revents != 0 && !drain(streams[1].fd, outcome.err)) streams[1].fd = -1;
    if (!sent && options.signal_when && options.signal_when(outcome.err)) {
      sent = true;
      ::kill(child, options.signal);
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
    if (spent.count() < options.seconds) continue;
    const std::string state = state_of(child);
    ::kill(child, SIGKILL);
    ADD_FAILURE() << "hung for " << options.seconds << " s, in " << state << ": " << outcome.err;
    break;
  }
  int status = 0;
  rusage usage{};
  while (::wait4(child, &status, 0, &usage) < 0 && errno == EINTR) {
  }
  outcome.peak_bytes = usage.ru_maxrss * 1024;
  outcome.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return outcome;
}

/// Runs `scvi` with these arguments.
inline Outcome run(const std::vector<std::string>& arguments, const RunOptions& options = {}) {
  return run_program(std::string(SCVI_BIN_DIR) + "/scvi", arguments, options);
}

/// Runs `scvi`, which must succeed.
inline Outcome run_ok(const std::vector<std::string>& arguments, const RunOptions& options = {}) {
  Outcome outcome = run(arguments, options);
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  return outcome;
}

}  // namespace scvi::testing
