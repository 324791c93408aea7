#include "scvi/core/logging.hpp"

#include <spdlog/details/null_mutex.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/sinks/basic_file_sink.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <vector>

#include "scvi/core/error.hpp"
#include "scvi/core/text.hpp"
#include "terminal.hpp"

namespace scvi {
namespace {

spdlog::level::level_enum spdlog_level(LogLevel level) {
  if (level >= LogLevel::error) return spdlog::level::err;
  if (level >= LogLevel::warning) return spdlog::level::warn;
  return level >= LogLevel::info ? spdlog::level::info : spdlog::level::debug;
}

/// "warning: " and the like before messages that a user must not take for results; nothing before the others.
class PrefixFlag : public spdlog::custom_flag_formatter {
 public:
  void format(const spdlog::details::log_msg& message, const std::tm&, spdlog::memory_buf_t& out) override {
    static constexpr std::string_view kWarning = "warning: ", kError = "error: ", kDebug = "debug: ";
    if (message.level == spdlog::level::warn) out.append(kWarning.begin(), kWarning.end());
    if (message.level == spdlog::level::err) out.append(kError.begin(), kError.end());
    if (message.level == spdlog::level::debug) out.append(kDebug.begin(), kDebug.end());
  }
  std::unique_ptr<custom_flag_formatter> clone() const override { return std::make_unique<PrefixFlag>(); }
};

/// Standard error, shared with the progress bar.
class TerminalSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  TerminalSink() {
    auto formatter = std::make_unique<spdlog::pattern_formatter>();
    formatter->add_flag<PrefixFlag>('*').set_pattern("%*%v");
    base_sink::set_formatter(std::move(formatter));
  }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    terminal::write_lines({line.data(), line.size()});
  }
  void flush_() override {}
};

/// Calls f(line) for every line of the message; an empty message is one empty line.
template <class F>
void for_each_line(std::string_view message, F f) {
  if (message.ends_with('\n')) message.remove_suffix(1);
  while (true) {
    const std::size_t end = message.find('\n');
    std::string_view line = message.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    f(line);
    if (end == std::string_view::npos) return;
    message.remove_prefix(end + 1);
  }
}

void write_to(spdlog::sinks::sink& sink, LogLevel level, std::string_view message) {
  for_each_line(message, [&](std::string_view line) {
    sink.log(spdlog::details::log_msg("scvi", spdlog_level(level), {line.data(), line.size()}));
  });
}

/// Where messages go. Never destroyed: destructors of other statics may still log.
struct Hub {
  std::atomic<LogLevel> verbosity{LogLevel::info};
  std::recursive_mutex mutex;  // a sink may log itself; guards all below
  TerminalSink console;
  std::map<int, LogSink> listeners;
  int next_id = 0;
  bool calling_listeners = false;
};

Hub& hub() {
  static Hub* const the_hub = new Hub;
  return *the_hub;
}

void call_listeners(Hub& h, LogLevel level, std::string_view message) {
  // A message logged by a listener reaches the terminal only, or it would come back to that listener without end.
  if (h.calling_listeners) return;
  h.calling_listeners = true;
  const std::unique_ptr<bool, void (*)(bool*)> done(&h.calling_listeners, [](bool* flag) { *flag = false; });
  // A copy: a listener may remove itself or another one.
  const std::map<int, LogSink> listeners = h.listeners;
  for (const auto& [id, listener] : listeners) listener(level, message);
}

void log(LogLevel level, std::string_view message) {
  Hub& h = hub();
  const LogLevel shown = h.verbosity.load(std::memory_order_relaxed);
  if (level < std::min(shown, LogLevel::info)) return;
  const std::lock_guard lock(h.mutex);
  if (level >= shown) write_to(h.console, level, message);
  call_listeners(h, level, message);
}

struct NamedLevel {
  const char* name;
  LogLevel level;
};
constexpr std::array<NamedLevel, 5> kLevels = {{{"debug", LogLevel::debug},
                                                {"info", LogLevel::info},
                                                {"warning", LogLevel::warning},
                                                {"error", LogLevel::error},
                                                {"off", LogLevel::off}}};

}  // namespace

LogLevel parse_log_level(std::string_view text) {
  std::string name(text);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  std::vector<std::string> names;
  for (const NamedLevel& known : kLevels) {
    if (name == known.name || name == std::to_string(static_cast<int>(known.level))) return known.level;
    names.emplace_back(known.name);
  }
  throw InputError({.problem = "'" + std::string(text) + "' is not a level of verbosity",
                    .remedy = "give " + join_some(names) + ", or its number (10, 20, 30, 40, 100)"});
}

void set_verbosity(LogLevel level) {
  hub().verbosity.store(level);
}
LogLevel verbosity() {
  return hub().verbosity.load();
}

void log_debug(std::string_view message) {
  log(LogLevel::debug, message);
}
void log_info(std::string_view message) {
  log(LogLevel::info, message);
}
void log_warning(std::string_view message) {
  log(LogLevel::warning, message);
}
void log_error(std::string_view message) {
  log(LogLevel::error, message);
}
void log_to_files(std::string_view message) {
  const std::lock_guard lock(hub().mutex);
  call_listeners(hub(), LogLevel::info, message);
}

ScopedLogSink::ScopedLogSink(LogSink sink) {
  const std::lock_guard lock(hub().mutex);
  id_ = hub().next_id++;
  hub().listeners.emplace(id_, std::move(sink));
}

ScopedLogSink::~ScopedLogSink() {
  const std::lock_guard lock(hub().mutex);
  hub().listeners.erase(id_);
}

struct LogFile::Impl {
  explicit Impl(const std::string& path) : file(path) {
    file.set_formatter(std::make_unique<spdlog::pattern_formatter>("%Y-%m-%dT%H:%M:%S.%e%z %l %v"));
  }

  void write(LogLevel level, std::string_view message) {
    if (failed) return;
    try {
      write_to(file, level, message);
      file.flush();
    } catch (const spdlog::spdlog_ex& error) {
      // A full disk must not end hours of training: say so once and go on without the file.
      failed = true;
      log_warning(std::string("writing of the log file stops: ") + error.what());
    }
  }

  spdlog::sinks::basic_file_sink_st file;
  bool failed = false;
  std::unique_ptr<ScopedLogSink> registration;
};

LogFile::LogFile(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  // spdlog would make the folder; a misspelt one is better reported.
  if (!folder.empty() && !std::filesystem::is_directory(folder))
    throw IoError({.problem = "cannot be opened as a log file: the folder does not exist", .file = path});
  try {
    impl_ = std::make_unique<Impl>(path);
  } catch (const spdlog::spdlog_ex& error) {
    throw IoError({.problem = std::string("cannot be opened as a log file: ") + error.what(), .file = path});
  }
  Impl* impl = impl_.get();
  impl->registration = std::make_unique<ScopedLogSink>(
      [impl](LogLevel level, std::string_view message) { impl->write(level, message); });
}

LogFile::~LogFile() {
  impl_->registration.reset();
}

}  // namespace scvi
