#include "apps/web/http_server.h"

#include <httplib.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/web/listener.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using Clock = std::chrono::steady_clock;

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// A client's socket, with one deadline for whatever is waited for. httplib reads lines of any length for as
// long as they come, and takes ranges apart with regular expressions: so it is given heads that are complete,
// of bounded size, and without ranges.
class Connection : public httplib::Stream {
 public:
  enum class Head { none, complete, long_line, too_large };

  explicit Connection(int client) : socket_(client) {}

  void allow(std::chrono::milliseconds time) { deadline_ = Clock::now() + time; }
  Head read_head(const HttpLimits& limits);
  bool may_have_body() const { return may_have_body_; }
  // Lets the client read the answer before the bytes that it still sends break the connection.
  void linger();

  bool is_readable() const override { return wait(POLLIN); }
  bool is_writable() const override { return wait(POLLOUT); }
  ssize_t read(char* to, size_t size) override;
  ssize_t write(const char* from, size_t size) override;
  void get_remote_ip_and_port(std::string&, int&) const override {}
  virtual void get_local_ip_and_port(std::string&, int&) const {}  // older versions lack it
  socket_t socket() const override { return socket_; }

 private:
  bool wait(short event) const;
  ssize_t receive(char* to, std::size_t size) const;
  void tidy_head(std::size_t end);

  int socket_;
  Clock::time_point deadline_;
  std::string received_;  // and not yet read, from `read_` on
  std::size_t read_ = 0;
  bool may_have_body_ = false;
};

bool Connection::wait(short event) const {
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
  if (left <= 0) return false;
  pollfd poll_for{.fd = socket_, .events = event, .revents = 0};
  return poll(&poll_for, 1, static_cast<int>(left)) > 0;
}

ssize_t Connection::receive(char* to, std::size_t size) const {
  while (wait(POLLIN)) {
    const ssize_t got = recv(socket_, to, size, MSG_DONTWAIT);
    if (got >= 0 || (errno != EAGAIN && errno != EINTR)) return got;
  }
  return -1;
}

ssize_t Connection::read(char* to, size_t size) {
  const std::size_t ready = std::min(size, received_.size() - read_);
  if (ready == 0) return receive(to, size);
  std::memcpy(to, received_.data() + read_, ready);
  read_ += ready;
  return static_cast<ssize_t>(ready);
}

ssize_t Connection::write(const char* from, size_t size) {
  while (wait(POLLOUT)) {
    const ssize_t sent = send(socket_, from, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent >= 0 || (errno != EAGAIN && errno != EINTR)) return sent;
  }
  return -1;
}

Connection::Head Connection::read_head(const HttpLimits& limits) {
  received_.erase(0, read_);
  read_ = 0;
  allow(limits.head);
  for (;;) {
    if (received_.find("\r\n") > limits.line_bytes && received_.size() > limits.line_bytes) {
      return Head::long_line;
    }
    const std::size_t end = received_.find("\r\n\r\n");
    if (std::min(end, received_.size()) > limits.head_bytes) return Head::too_large;
    if (end != std::string::npos) {
      tidy_head(end + 2);
      return Head::complete;
    }
    char buffer[4096];
    const ssize_t got = receive(buffer, sizeof buffer);
    if (got <= 0) return Head::none;
    received_.append(buffer, static_cast<std::size_t>(got));
  }
}

void Connection::tidy_head(std::size_t end) {
  std::string head;
  may_have_body_ = !received_.starts_with("GET ") && !received_.starts_with("HEAD ");
  for (std::size_t begin = 0, next = 0; begin < end; begin = next) {
    next = received_.find("\r\n", begin) + 2;
    const std::string line = lower_case(received_.substr(begin, next - begin));
    if (line.starts_with("content-length:") || line.starts_with("transfer-encoding:")) may_have_body_ = true;
    if (!line.starts_with("range:")) head.append(received_, begin, next - begin);
  }
  received_.replace(0, end, head);
}

void Connection::linger() {
  shutdown(socket_, SHUT_WR);
  allow(std::chrono::seconds(1));
  std::vector<char> rest(64 << 10);
  while (receive(rest.data(), rest.size()) > 0) {
  }
}

HttpRequest translated(const httplib::Request& from) {
  HttpRequest request{.method = from.method, .path = from.path, .query = {}, .headers = {}, .body = {}};
  request.query.insert(from.params.begin(), from.params.end());
  for (const auto& [name, value] : from.headers) request.headers.emplace(lower_case(name), value);
  return request;
}

const httplib::Headers& headers_of_every_reply() {
  static const httplib::Headers headers = {
      {"Cache-Control", "no-store"},
      {"X-Content-Type-Options", "nosniff"},
      {"X-Frame-Options", "DENY"},
      {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"},
      {"Content-Security-Policy",
       "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
       "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"}};
  return headers;
}

// Requests of one connection, by httplib's parser.
class Exchange : public httplib::Server {
 public:
  Exchange(Connection& connection, const HttpHandlers& handlers, const HttpLimits& limits,
           std::atomic<int>& uploads)
      : connection_(connection), handlers_(handlers), limits_(limits), uploads_(uploads) {
    svr_sock_ = connection.socket();  // else it takes itself for stopped
    set_default_headers(headers_of_every_reply());
    set_pre_routing_handler([this](const httplib::Request& from, httplib::Response& to) {
      return before_body(from, to) ? HandlerResponse::Handled : HandlerResponse::Unhandled;
    });
    Post(".*", [this](const httplib::Request& from, httplib::Response& to,
                      const httplib::ContentReader& read) { give(with_body(from, read), to); });
  }
  using Server::process_request;

 private:
  // False: the request is fine so far, and its body is to be read.
  bool before_body(const httplib::Request& from, httplib::Response& to);
  std::optional<HttpReply> refuse(const HttpRequest& request) const;
  HttpReply with_body(const httplib::Request& from, const httplib::ContentReader& read);
  HttpReply answer(const HttpRequest& request) const;
  void give(HttpReply reply, httplib::Response& to);

  Connection& connection_;
  const HttpHandlers& handlers_;
  const HttpLimits& limits_;
  std::atomic<int>& uploads_;
};

bool Exchange::before_body(const httplib::Request& from, httplib::Response& to) {
  const HttpRequest request = translated(from);
  if (auto refusal = refuse(request)) {
    give(std::move(*refusal), to);
    return true;
  }
  if (request.method == "POST") return false;
  give(answer(request), to);
  return true;
}

std::optional<HttpReply> Exchange::refuse(const HttpRequest& request) const {
  const bool reads = request.method == "GET" || request.method == "HEAD";
  if (!reads && request.method != "POST") {
    HttpReply reply = json_error(405, "GET, HEAD and POST are taken");
    reply.headers.emplace_back("Allow", "GET, HEAD, POST");
    return reply;
  }
  const auto is_control = [](unsigned char c) { return c < ' ' || c == 127; };
  if (std::any_of(request.path.begin(), request.path.end(), is_control))
    return json_error(404, "no such page");
  if (auto refusal = handlers_.refuse(request)) return refusal;
  if (reads) return std::nullopt;

  const std::string length = request.header("content-length");
  const bool is_number = !length.empty() && std::all_of(length.begin(), length.end(),
                                                        [](unsigned char c) { return std::isdigit(c); });
  if (request.headers.count("transfer-encoding") > 0 || request.headers.count("content-length") != 1 ||
      !is_number) {
    return json_error(411, "a Content-Length is expected");
  }
  if (length.size() > 12 || std::stoull(length) > limits_.body_bytes) {
    return json_error(413, "at most " + std::to_string(limits_.body_bytes) + " bytes are taken");
  }
  if (request.headers.count("content-encoding") > 0) return json_error(415, "no Content-Encoding is taken");
  if (request.header("content-type").starts_with("multipart/")) return json_error(415, "no form is taken");
  return std::nullopt;
}

HttpReply Exchange::with_body(const httplib::Request& from, const httplib::ContentReader& read) {
  struct Upload {
    std::atomic<int>& count;
    const int number = ++count;
    ~Upload() { --count; }
  } const upload{uploads_};
  if (upload.number > limits_.uploads) return json_error(503, "others are sending already, try again");
  connection_.allow(limits_.body);
  HttpRequest request = translated(from);
  const bool whole = read([&](const char* bytes, std::size_t size) {
    request.body.append(bytes, size);
    return true;
  });
  return whole ? answer(request) : json_error(400, "the body ends before its Content-Length");
}

HttpReply Exchange::answer(const HttpRequest& request) const {
  try {
    return handlers_.answer(request);
  } catch (const Error& error) {
    return json_error(500, error.what());
  } catch (const std::exception&) {
    return json_error(500, "not enough memory, or a fault of the program");
  }
}

void Exchange::give(HttpReply reply, httplib::Response& to) {
  to.status = reply.status;
  for (const auto& [name, value] : reply.headers) to.set_header(name, value);
  connection_.allow(limits_.reply);
  if (!reply.stream) return to.set_content(reply.body, reply.type);
  to.set_header("Connection", "close");
  to.set_content_provider(reply.type,
                          [this, stream = std::move(reply.stream)](std::size_t, httplib::DataSink& sink) {
                            stream([&](std::string_view bytes) {
                              connection_.allow(limits_.write);
                              return sink.write(bytes.data(), bytes.size());
                            });
                            return false;
                          });
}

}  // namespace

std::string HttpRequest::header(const std::string& lower_case_name) const {
  const auto found = headers.find(lower_case_name);
  return found == headers.end() ? "" : found->second;
}

HttpReply json_error(int status, const std::string& why) {
  const auto replace = nlohmann::json::error_handler_t::replace;
  const std::string body = nlohmann::json{{"error", why}}.dump(-1, ' ', false, replace);
  return {.status = status, .type = "application/json", .body = body + "\n", .headers = {}, .stream = {}};
}

struct HttpServer::Impl {
  Impl(const std::string& host, int port, HttpHandlers with, const HttpLimits& within)
      : listener(host, port), handlers(std::move(with)), limits(within) {
    for (int i = 0; i < limits.connections; ++i) threads.emplace_back([this] { work(); });
  }
  ~Impl() {
    listener.stop();
    for (auto& thread : threads) thread.join();
  }

  void work() {
    for (int client = listener.accept(); client >= 0; client = listener.accept()) {
      try {
        serve(client);
      } catch (const std::exception&) {
        // This client's loss: there was no memory for it.
      }
      listener.close(client);
    }
  }

  void serve(int client) {
    constexpr int kRequests = 100;
    Connection connection(client);
    Exchange exchange(connection, handlers, limits, uploads);
    for (int request = 1; request <= kRequests && !listener.stopped(); ++request) {
      const Connection::Head head = connection.read_head(limits);
      if (head != Connection::Head::complete) {
        if (head != Connection::Head::none) refuse_head(connection, head);
        return;
      }
      const bool last = request == kRequests || connection.may_have_body();
      bool closed = false;
      const bool going_on = exchange.process_request(connection, last, closed, nullptr);
      if (connection.may_have_body()) connection.linger();
      if (!going_on || last || closed) return;
    }
  }

  static void refuse_head(Connection& connection, Connection::Head head) {
    const char* status =
        head == Connection::Head::long_line ? "414 URI Too Long" : "431 Request Header Fields Too Large";
    const std::string reply =
        std::string("HTTP/1.1 ") + status + "\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    if (connection.write(reply.data(), reply.size()) > 0) connection.linger();
  }

  Listener listener;
  HttpHandlers handlers;
  HttpLimits limits;
  std::atomic<int> uploads{0};
  std::vector<std::thread> threads;
};

HttpServer::HttpServer(const std::string& host, int port, HttpHandlers handlers, const HttpLimits& limits)
    : impl_(std::make_unique<Impl>(host, port, std::move(handlers), limits)) {}

HttpServer::~HttpServer() = default;

int HttpServer::port() const { return impl_->listener.port(); }

}  // namespace pila
