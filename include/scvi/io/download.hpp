#pragma once

#include <cstdint>
#include <string>

#include "scvi/core/progress.hpp"

namespace scvi::io {

struct DownloadOptions {
  /// Bytes that the file must have; negative: not known. Another size is an error.
  std::int64_t expected_size = -1;
  /// SHA-256 that the file must have, 64 hexadecimal digits; empty: not known.
  std::string expected_sha256{};
  /// Where to fetch from instead of the given URL: an http, https or file URL, or a folder, to which the name of the
  /// file is added. Empty: the URL itself. datasets_mirror() gives the user's choice.
  std::string mirror{};
  /// Whether a file:// URL may be read (one that comes from `mirror` always may).
  bool allow_file_urls = false;
  /// Attempts after the first one that fails for a passing reason; 0 for none. The count starts anew whenever an
  /// attempt has brought a megabyte.
  int max_retries = 4;
  /// Seconds before the first of them; the time doubles with each.
  double retry_delay = 1;
  /// Seconds until a connection must stand.
  double connect_timeout = 30;
  /// Seconds without a byte after which an attempt is given up.
  double stall_timeout = 60;
  /// Told of the megabytes that have come; nullptr for none.
  Progress* progress = nullptr;
};

/// Value of the environment variable SCVI_DATASETS_MIRROR; "" when it is not set.
std::string datasets_mirror();

/// Fetches a file by http or https unless it is there already, and makes its folder. It grows as `path`.part and
/// takes its name only when it is whole, of the expected size and checksum, and on disk. When an attempt breaks off,
/// or the user interrupts, `path`.part stays (with `path`.part.from, which says of what it is a part) and the next
/// one goes on from there, if the server still has the same file; otherwise it starts anew. Proxies are taken from
/// the usual environment variables. Several processes may ask for one file: one fetches it, the others wait.
/// @returns whether anything was fetched; false when the file was there (its checksum is not computed again)
/// @throws IoError for what network, server or disk refuse, FormatError for another size or checksum than expected,
///         InputError for a URL that cannot be used or a file of another size under that name, Interrupted
bool download(const std::string& url, const std::string& path, const DownloadOptions& options = {});

}  // namespace scvi::io
