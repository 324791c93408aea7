#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace scvi {

/// Levels as in Python's logging, which scVI's `set_verbosity` takes.
enum class LogLevel { debug = 10, info = 20, warning = 30, error = 40, off = 100 };

/// The level that a name or a number stands for ("info", "INFO", "20").
/// @throws InputError for anything else
LogLevel parse_log_level(std::string_view text);

/// Shows messages of at least this level on standard error. Default: info.
void set_verbosity(LogLevel level);
LogLevel verbosity();

void log_debug(std::string_view message);
void log_info(std::string_view message);
void log_warning(std::string_view message);
void log_error(std::string_view message);
/// For log files and other sinks alone, at info level: what standard error shows in another way, such as progress.
void log_to_files(std::string_view message);

/// Called for every message of at least info level, or of the verbosity if that is lower.
using LogSink = std::function<void(LogLevel, std::string_view)>;

/// While alive, hands every message to `sink` as well. Sinks are called one at a time.
class ScopedLogSink {
 public:
  explicit ScopedLogSink(LogSink sink);
  ~ScopedLogSink();
  ScopedLogSink(const ScopedLogSink&) = delete;
  ScopedLogSink& operator=(const ScopedLogSink&) = delete;

 private:
  int id_;
};

/// While alive, appends every message to a file, one plain line each, with date and level.
/// @throws IoError when the file cannot be opened
class LogFile {
 public:
  explicit LogFile(const std::string& path);
  ~LogFile();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace scvi
