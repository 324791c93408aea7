#pragma once

// A small HTTP server on 127.0.0.1 for tests of downloads: it serves a folder or bytes in memory, and misbehaves as
// told.

#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace scvi::testing {

/// How one file is served.
struct Serving {
  bool ranges = true;                  ///< whether a part may be asked for; otherwise the whole comes
  std::string tag = "\"v1\"";          ///< ETag; "" for none
  std::int64_t drop_after = -1;        ///< bytes of content after which the connection breaks; -1: never
  int drops = 1 << 30;                 ///< how many answers break so
  std::int64_t announced_length = -1;  ///< Content-Length that is said instead of the true one; -1: the true one
  bool announce_length = true;         ///< whether a Content-Length is said at all
  int status = 200;                    ///< another one comes with a short page instead of the file
  int failures = 1 << 30;              ///< how many answers have that status before the file is served after all
  std::string redirect_to{};           ///< URL; the answer is 302 then
  int pause_ms = 0;                    ///< before every 1000 bytes of content
};

class HttpServer {
 public:
  struct Request {
    std::string path;                            ///< "/name", decoded
    std::map<std::string, std::string> headers;  ///< names in lower case
    std::string header(const std::string& name) const {
      const auto found = headers.find(name);
      return found == headers.end() ? "" : found->second;
    }
  };

  /// @param folder whose files are served; "": only what serve() is given
  explicit HttpServer(std::string folder = "") : folder_(std::move(folder)) {
    // A proxy cannot reach this server.
    ::setenv("no_proxy", "127.0.0.1,localhost", 1);
    ::setenv("NO_PROXY", "127.0.0.1,localhost", 1);
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    wake_ = ::eventfd(0, EFD_CLOEXEC);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const any = reinterpret_cast<sockaddr*>(&address);
    if (listener_ < 0 || wake_ < 0 || ::bind(listener_, any, size) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, any, &size) != 0)
      throw std::runtime_error("no test server on 127.0.0.1");
    port_ = ntohs(address.sin_port);
    accepting_ = std::thread([this] { accept_connections(); });
  }
  ~HttpServer() {
    const std::uint64_t one = 1;
    (void)!::write(wake_, &one, sizeof one);
    accepting_.join();
    for (std::thread& connection : connections_) connection.join();
    ::close(listener_);
    ::close(wake_);
  }
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  /// "http://127.0.0.1:PORT/name"; without a name the base that a mirror is given by.
  std::string url(const std::string& name = "") const {
    return "http://127.0.0.1:" + std::to_string(port_) + "/" + name;
  }
  int port() const { return port_; }

  /// Serves bytes under a name, from now on.
  void serve(const std::string& name, std::string content, Serving how = {}) {
    const std::lock_guard lock(mutex_);
    contents_["/" + name] = std::move(content);
    servings_["/" + name] = std::move(how);
  }
  /// Says how a file (of the folder, too) is served from now on.
  void set(const std::string& name, Serving how) {
    const std::lock_guard lock(mutex_);
    servings_["/" + name] = std::move(how);
  }

  /// All requests so far.
  std::vector<Request> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  std::string folder_;
  int listener_ = -1;
  int wake_ = -1;
  int port_ = 0;
  std::thread accepting_;
  std::vector<std::thread> connections_;
  mutable std::mutex mutex_;
  std::map<std::string, std::string> contents_;
  std::map<std::string, Serving> servings_;
  std::vector<Request> requests_;

  /// Whether something comes before the server is told to stop.
  bool wait_for(int descriptor, int timeout_ms = -1) const {
    pollfd waited[] = {{descriptor, POLLIN, 0}, {wake_, POLLIN, 0}};
    return ::poll(waited, 2, timeout_ms) > 0 && waited[1].revents == 0;
  }

  void accept_connections() {
    while (wait_for(listener_)) {
      const int connection = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (connection < 0) continue;
      connections_.emplace_back([this, connection] {
        if (const std::optional<Request> request = read_request(connection)) answer(connection, *request);
        ::shutdown(connection, SHUT_RDWR);
        ::close(connection);
      });
    }
  }

  std::optional<Request> read_request(int connection) const {
    std::string text;
    while (text.find("\r\n\r\n") == std::string::npos) {
      char buffer[4096];
      const ssize_t got = wait_for(connection) ? ::recv(connection, buffer, sizeof buffer, 0) : 0;
      if (got <= 0) return std::nullopt;
      text.append(buffer, static_cast<std::size_t>(got));
    }
    Request request;
    const std::size_t begin = text.find(' ') + 1;
    request.path = decoded(text.substr(begin, text.find(' ', begin) - begin));
    for (std::size_t line = text.find("\r\n") + 2; text.compare(line, 2, "\r\n") != 0;) {
      const std::size_t end = text.find("\r\n", line);
      const std::size_t colon = text.find(':', line);
      std::string name = text.substr(line, colon - line);
      std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
      request.headers[name] = text.substr(colon + 2, end - colon - 2);
      line = end + 2;
    }
    return request;
  }

  static std::string decoded(const std::string& path) {
    std::string out;
    for (std::size_t at = 0; at < path.size(); ++at) {
      if (path[at] != '%') {
        out += path[at];
        continue;
      }
      out += static_cast<char>(std::stoi(path.substr(at + 1, 2), nullptr, 16));
      at += 2;
    }
    return out;
  }

  /// What lies under a path, and how it is to be served this time.
  std::pair<std::optional<std::string>, Serving> look_up(const Request& request) {
    const std::lock_guard lock(mutex_);
    requests_.push_back(request);
    Serving& kept = servings_[request.path];
    Serving how = kept;
    if (kept.status != 200 && kept.failures-- <= 0) how.status = 200;
    if (kept.drop_after >= 0 && kept.drops-- <= 0) how.drop_after = -1;
    const auto found = contents_.find(request.path);
    if (found != contents_.end()) return {found->second, how};
    if (folder_.empty() || request.path.find("..") != std::string::npos) return {std::nullopt, how};
    std::ifstream file(folder_ + request.path, std::ios::binary);
    if (!file) return {std::nullopt, how};
    std::string content{std::istreambuf_iterator<char>(file), {}};
    // A folder can be opened, but not read.
    if (file.bad() || content.empty()) return {std::nullopt, how};
    return {std::move(content), how};
  }

  void answer(int connection, const Request& request) {
    const auto [content, how] = look_up(request);
    if (!how.redirect_to.empty()) return send_page(connection, "302 Found", "Location: " + how.redirect_to + "\r\n");
    if (how.status != 200) return send_page(connection, std::to_string(how.status) + " As told", "");
    if (!content) return send_page(connection, "404 Not Found", "");
    send_file(connection, request, *content, how);
  }

  void send_page(int connection, const std::string& status, const std::string& headers) const {
    const std::string page = "<html>" + status + "</html>";
    send_all(connection, "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers +
                             "Content-Length: " + std::to_string(page.size()) + "\r\n\r\n" + page);
  }

  void send_file(int connection, const Request& request, const std::string& content, const Serving& how) const {
    const std::string range = request.header("range");
    const std::string condition = request.header("if-range");
    const bool part = how.ranges && range.starts_with("bytes=") && (condition.empty() || condition == how.tag);
    const std::size_t first = part ? std::stoull(range.substr(6)) : 0;
    const std::string total = std::to_string(content.size());
    if (part && first >= content.size())
      return send_page(connection, "416 Range Not Satisfiable", "Content-Range: bytes */" + total + "\r\n");
    const std::string body = content.substr(first);
    std::string head = part ? "HTTP/1.1 206 Partial Content\r\n" : "HTTP/1.1 200 OK\r\n";
    head += "Connection: close\r\n";
    if (part)
      head += "Content-Range: bytes " + std::to_string(first) + "-" + std::to_string(content.size() - 1) + "/" +
              total + "\r\n";
    if (!how.tag.empty()) head += "ETag: " + how.tag + "\r\n";
    if (how.announce_length)
      head +=
          "Content-Length: " +
          std::to_string(how.announced_length >= 0 ? how.announced_length : static_cast<std::int64_t>(body.size())) +
          "\r\n";
    if (!send_all(connection, head + "\r\n")) return;
    send_body(connection, how.drop_after < 0 ? body : body.substr(0, static_cast<std::size_t>(how.drop_after)), how);
  }

  void send_body(int connection, const std::string& body, const Serving& how) const {
    if (how.pause_ms == 0) return void(send_all(connection, body));
    for (std::size_t at = 0; at < body.size(); at += 1000) {
      pollfd told_to_stop{wake_, POLLIN, 0};
      if (::poll(&told_to_stop, 1, how.pause_ms) > 0 || !send_all(connection, body.substr(at, 1000))) return;
    }
  }

  static bool send_all(int connection, const std::string& bytes) {
    for (std::size_t done = 0; done < bytes.size();) {
      const ssize_t sent = ::send(connection, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      done += static_cast<std::size_t>(sent);
    }
    return true;
  }
};

}  // namespace scvi::testing
