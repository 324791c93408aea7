#include "http_transfer.hpp"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <exception>
#include <memory>
#include <mutex>
#include <string_view>
#include <utility>

#include "scvi/core/error.hpp"
#include "scvi/core/interrupt.hpp"
#include "scvi/core/version.hpp"

namespace scvi::io::http {
namespace {

constexpr const char* kOffline =
    "check the network and the proxy variables, or set SCVI_DATASETS_MIRROR to a mirror or a folder that has the "
    "file";

struct CloseCurl {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};
struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c | 0x20 : c); });
  return out;
}

std::string_view trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::int64_t number_or(std::string_view text, std::int64_t otherwise) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() && value >= 0 ? value : otherwise;
}

/// What the header fields of one response say.
struct Head {
  std::string tag;
  std::string date;
  std::int64_t length = -1;
  std::int64_t range_first = -1;
  std::int64_t range_total = -1;

  void read_line(std::string_view line) {
    // Redirections bring several heads.
    if (line.starts_with("HTTP/")) *this = {};
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return;
    const std::string name = lower(line.substr(0, colon));
    const std::string_view value = trimmed(line.substr(colon + 1));
    // A weak tag does not promise equal bytes.
    if (name == "etag" && !value.starts_with("W/")) tag = value;
    if (name == "last-modified") date = value;
    if (name == "content-length") length = number_or(value, -1);
    if (name == "content-range") read_range(value);
  }

  /// "bytes 100-199/200".
  void read_range(std::string_view value) {
    if (!value.starts_with("bytes ")) return;
    value.remove_prefix(6);
    const std::size_t dash = value.find('-');
    const std::size_t slash = value.find('/');
    if (dash == std::string_view::npos || slash == std::string_view::npos) return;
    range_first = number_or(trimmed(value.substr(0, dash)), -1);
    range_total = number_or(trimmed(value.substr(slash + 1)), -1);
  }
};

class Transfer {
 public:
  Transfer(const Request& request, Receiver& receiver)
      : request_(request), receiver_(receiver), curl_(curl_easy_init()) {
    if (!curl_) throw std::bad_alloc();
    set_up();
    if (request.first_byte > 0) ask_for_the_rest();
    curl_easy_setopt(curl_.get(), CURLOPT_HTTPHEADER, headers_.get());
  }

  Outcome run() {
    const CURLcode code = curl_easy_perform(curl_.get());
    if (failure_) std::rethrow_exception(failure_);
    throw_if_interrupted();
    // Nothing to receive is an answer, too.
    if (code == CURLE_OK && is_content()) {
      start();
      if (failure_) std::rethrow_exception(failure_);
    }
    return outcome(code);
  }

 private:
  const Request& request_;
  Receiver& receiver_;
  std::unique_ptr<CURL, CloseCurl> curl_;
  std::unique_ptr<curl_slist, FreeList> headers_;
  Head head_;
  std::exception_ptr failure_;
  bool started_ = false;
  bool unusable_ = false;
  std::size_t ignored_ = 0;

  template <class T>
  void set(CURLoption option, T value) {
    curl_easy_setopt(curl_.get(), option, value);
  }

  void set_up() {
    set(CURLOPT_URL, request_.url.c_str());
    set(CURLOPT_PROTOCOLS_STR, request_.may_be_file ? "http,https,file" : "http,https");
    set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    set(CURLOPT_FOLLOWLOCATION, 1L);
    set(CURLOPT_MAXREDIRS, 10L);
    set(CURLOPT_NOSIGNAL, 1L);
    set(CURLOPT_BUFFERSIZE, 1L << 18);
    set(CURLOPT_USERAGENT, user_agent().c_str());
    set(CURLOPT_CONNECTTIMEOUT_MS, std::max(1L, static_cast<long>(request_.connect_timeout * 1000)));
    set(CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(CURLOPT_LOW_SPEED_TIME, std::max(1L, static_cast<long>(request_.stall_timeout)));
    set(CURLOPT_HEADERFUNCTION, &on_header);
    set(CURLOPT_HEADERDATA, this);
    set(CURLOPT_WRITEFUNCTION, &on_data);
    set(CURLOPT_WRITEDATA, this);
    set(CURLOPT_XFERINFOFUNCTION, &on_tick);
    set(CURLOPT_NOPROGRESS, 0L);
  }

  static const std::string& user_agent() {
    static const std::string name = "scvi-cpp/" + std::string(version());
    return name;
  }

  void ask_for_the_rest() {
    set(CURLOPT_RANGE, (std::to_string(request_.first_byte) + "-").c_str());
    const Validator& validator = request_.validator;
    const std::string& same = validator.tag.empty() ? validator.date : validator.tag;
    if (!same.empty()) headers_.reset(curl_slist_append(nullptr, ("If-Range: " + same).c_str()));
  }

  long status() const {
    long code = 0;
    curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &code);
    return code;
  }

  /// Files have no status.
  bool is_content() const {
    const long code = status();
    return code == 200 || code == 206 || code == 0;
  }

  Response response() const {
    Response head;
    head.validator = {request_.url, head_.tag, head_.date, head_.length};
    if (status() == 206) {
      head.first_byte = head_.range_first;
      head.validator.total = head_.range_total;
    }
    return head;
  }

  void start() {
    if (std::exchange(started_, true)) return;
    guarded([&] { unusable_ = !receiver_.accept(response()); });
  }

  template <class Action>
  void guarded(Action action) {
    try {
      action();
    } catch (...) {
      failure_ = std::current_exception();
    }
  }

  static std::size_t on_header(char* data, std::size_t size, std::size_t count, void* self) {
    static_cast<Transfer*>(self)->head_.read_line(trimmed({data, size * count}));
    return size * count;
  }

  static std::size_t on_data(char* data, std::size_t size, std::size_t count, void* self) {
    return static_cast<Transfer*>(self)->take(data, size * count) ? size * count : 0;
  }

  bool take(const char* data, std::size_t size) {
    // The text of an error page lets the connection end in order, but not for ever.
    constexpr std::size_t kMostIgnored = 1 << 16;
    if (!is_content()) return (ignored_ += size) <= kMostIgnored;
    start();
    if (failure_ || unusable_) return false;
    guarded([&] { receiver_.receive(data, size); });
    return !failure_;
  }

  static int on_tick(void*, curl_off_t, curl_off_t, curl_off_t, curl_off_t) { return interrupt_requested() ? 1 : 0; }

  Outcome outcome(CURLcode code) const {
    Outcome result;
    result.status = status();
    if (unusable_) {
      result.is_passing = true;
      result.problem = "was answered with another part of the file than was asked for";
    } else if (code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_TOO_MANY_REDIRECTS) {
      judge(code, result);
    } else if (!is_content()) {
      judge_status(result);
    } else if (code == CURLE_OK) {
      result.finished = true;
    } else {
      judge(code, result);
    }
    return result;
  }

  static void judge_status(Outcome& result) {
    const long status = result.status;
    const std::string number = " (HTTP status " + std::to_string(status) + ")";
    result.is_passing = status == 408 || status == 429 || status >= 500;
    if (status == 404 || status == 410) {
      result.problem = "is not there" + number;
      result.remedy = "the file may have moved: set SCVI_DATASETS_MIRROR to a mirror or a folder that has it";
    } else if (status == 401 || status == 403 || status == 407) {
      result.problem = "is refused by the server" + number;
    } else if (result.is_passing) {
      result.problem = "cannot be served at the moment" + number;
      result.remedy = "try again later";
    } else {
      result.problem = "is answered with something else than the file" + number;
    }
  }

  std::string host() const {
    const std::size_t scheme = request_.url.find("://");
    const std::string rest = shown(request_.url).substr(scheme == std::string::npos ? 0 : scheme + 3);
    return rest.substr(0, rest.find_first_of("/?#"));
  }

  void judge(CURLcode code, Outcome& result) const {
    switch (code) {
      case CURLE_COULDNT_RESOLVE_HOST:
        result.problem = "cannot be reached: the name '" + host() + "' cannot be resolved";
        result.remedy = kOffline;
        return;
      case CURLE_COULDNT_RESOLVE_PROXY:
        result.problem = "cannot be reached: the name of the proxy cannot be resolved";
        result.remedy = "check the variables http_proxy and https_proxy";
        return;
      case CURLE_COULDNT_CONNECT:
        result.problem = "cannot be reached: " + host() + " accepts no connection";
        result.remedy = kOffline;
        break;
      case CURLE_OPERATION_TIMEDOUT:
        result.problem = "cannot be fetched: the server does not answer in time";
        result.remedy = kOffline;
        break;
      case CURLE_PARTIAL_FILE:
      case CURLE_GOT_NOTHING:
      case CURLE_RECV_ERROR:
      case CURLE_SEND_ERROR:
      case CURLE_HTTP2:
      case CURLE_HTTP2_STREAM:
        result.problem = "was not sent to its end";
        result.remedy = "try again: what has come is kept";
        break;
      case CURLE_FILE_COULDNT_READ_FILE:
        result.problem = "is not there or cannot be read";
        return;
      case CURLE_UNSUPPORTED_PROTOCOL:
        result.problem = "leads to something else than http or https";
        return;
      case CURLE_TOO_MANY_REDIRECTS:
        result.problem = "leads in circles: more than 10 redirections";
        return;
      case CURLE_PEER_FAILED_VERIFICATION:
        result.problem = "cannot be fetched: the certificate of the server is not trusted";
        result.remedy = "check the clock and the package ca-certificates";
        return;
      default:
        result.problem = std::string("cannot be fetched (") + curl_easy_strerror(code) + ")";
        result.is_passing = code == CURLE_SSL_CONNECT_ERROR;
        return;
    }
    result.is_passing = true;
  }
};

}  // namespace

std::string shown(const std::string& url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string::npos) return url;
  const std::size_t begin = scheme + 3;
  const std::size_t end = std::min(url.find_first_of("/?#", begin), url.size());
  const std::size_t at = url.rfind('@', end);
  return at == std::string::npos || at < begin || at > end ? url : url.substr(0, begin) + url.substr(at + 1);
}

void check_url(const std::string& url, bool may_be_file) {
  const std::string scheme = lower(url.substr(0, std::min(url.find("://"), url.size())));
  const bool has_rest = url.size() > scheme.size() + 3;
  const bool has_control =
      std::any_of(url.begin(), url.end(), [](unsigned char c) { return c <= 0x20 || c == 0x7F; });
  if (has_rest && !has_control && (scheme == "http" || scheme == "https" || (may_be_file && scheme == "file")))
    return;
  throw InputError({.problem = "'" + shown(url) + "' cannot be downloaded: it is no URL of http or https",
                    .remedy = "give one like https://..."});
}

Outcome transfer(const Request& request, Receiver& receiver) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  return Transfer(request, receiver).run();
}

}  // namespace scvi::io::http
