#pragma once

// One attempt to fetch something. The only place, with http_transfer.cpp, that knows libcurl.

#include <cstddef>
#include <cstdint>
#include <string>

namespace scvi::io::http {

/// What tells one state of a remote file from another.
struct Validator {
  std::string url{};
  std::string tag{};        ///< a strong ETag, with its quotes
  std::string date{};       ///< Last-Modified
  std::int64_t total = -1;  ///< bytes of the whole file; -1 when not known
};

struct Request {
  std::string url;
  bool may_be_file = false;
  std::int64_t first_byte = 0;  ///< where to go on
  Validator validator;          ///< of what there is already
  double connect_timeout = 30;  ///< seconds
  double stall_timeout = 60;    ///< seconds without a byte
};

/// The head of an answer that brings content.
struct Response {
  std::int64_t first_byte = 0;  ///< where the content belongs; -1 when a part does not say
  Validator validator;
};

/// Takes what comes. What it throws ends the transfer and reaches the caller.
class Receiver {
 public:
  virtual ~Receiver() = default;
  /// @returns false when the content is of no use
  virtual bool accept(const Response& response) = 0;
  virtual void receive(const char* data, std::size_t size) = 0;
};

struct Outcome {
  bool finished = false;
  bool is_passing = false;  ///< worth another attempt
  long status = 0;          ///< of HTTP; 0 where there was no answer
  std::string problem{};    ///< reads on from the URL: "is not there (404)"
  std::string remedy{};
};

/// The URL as a message may show it: without user name and password.
std::string shown(const std::string& url);

/// @throws InputError for a URL that is neither http nor https (nor file where that is allowed)
void check_url(const std::string& url, bool may_be_file);

/// @throws Interrupted when the user asks to stop, and whatever the receiver throws
Outcome transfer(const Request& request, Receiver& receiver);

}  // namespace scvi::io::http
