// HTTP for a few clients, friendly or not: everything that a client can take is bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pila {

struct HttpRequest {
  std::string method;  // GET, HEAD or POST
  std::string path;    // decoded, without the query
  std::map<std::string, std::string> query;
  std::multimap<std::string, std::string> headers;  // names in lower case
  std::string body;

  std::string header(const std::string& lower_case_name) const;  // the first; empty for none
};

struct HttpReply {
  int status = 200;
  std::string type, body;
  std::vector<std::pair<std::string, std::string>> headers;

  // Instead of a body: called once, writes until that fails, and returns.
  using Write = std::function<bool(std::string_view bytes)>;
  std::function<void(const Write& write)> stream;
};

HttpReply json_error(int status, const std::string& why);

// Called from the server's threads. An Error thrown is status 500.
struct HttpHandlers {
  std::function<std::optional<HttpReply>(const HttpRequest&)> refuse;  // before a body is read
  std::function<HttpReply(const HttpRequest&)> answer;
};

struct HttpLimits {
  std::size_t head_bytes = 16 << 10, line_bytes = 2 << 10;  // request line and headers; the former alone
  std::size_t body_bytes = 20 << 20;
  std::chrono::milliseconds head{5000}, body{20000};  // to be received within
  std::chrono::milliseconds reply{20000},
      write{5000};       // to be taken within: a whole one, a piece of a stream
  int connections = 32;  // further ones wait
  int uploads = 2;       // bodies at a time; then status 503
};

class HttpServer {
 public:
  // Listens at once. port 0: any that is free. Throws Error when the address cannot be bound.
  HttpServer(const std::string& host, int port, HttpHandlers handlers, const HttpLimits& limits = {});
  // Ends what is under way.
  ~HttpServer();
  int port() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace pila
