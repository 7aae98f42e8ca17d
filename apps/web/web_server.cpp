#include "apps/web/web_server.h"

#include <charconv>
#include <utility>

#include "apps/web/access.h"
#include "apps/web/api.h"
#include "apps/web/board.h"
#include "apps/web/http_server.h"
#include "apps/web/listener.h"
#include "apps/web/live_picture.h"
#include "engine/core/error.h"

namespace pila {
namespace {

Access access_for(const WebOptions& options) {
  if (options.token.empty() && !is_loopback(options.host)) {
    throw UsageError(options.host + ": a token is expected for an address that other machines reach");
  }
  return {options.host, options.token};
}

}  // namespace

WebOptions web_options(const std::string& address, const std::string& token) {
  WebOptions options{.token = token};
  const std::size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  const bool brackets = host.size() > 2 && host.starts_with('[') && host.ends_with(']');
  if (brackets) host = host.substr(1, host.size() - 2);
  const char* begin = address.data() + (colon == std::string::npos ? address.size() : colon + 1);
  const char* end = address.data() + address.size();
  const auto [stopped, error] = std::from_chars(begin, end, options.port);
  const bool is_port =
      begin != end && stopped == end && error == std::errc() && options.port >= 0 && options.port <= 65535;
  if (!is_port || (!brackets && host.find(':') != std::string::npos)) {
    throw UsageError(address + ": HOST:PORT is expected");
  }
  if (!host.empty()) options.host = host;
  return options;
}

struct WebServer::Server {
  Server(const WebOptions& options, WebServices services)
      : api(access_for(options), std::move(services), board, picture),
        http(options.host, options.port,
             {.refuse = [this](const HttpRequest& request) { return api.refuse(request); },
              .answer = [this](const HttpRequest& request) { return api.answer(request); }}) {}
  ~Server() { picture.stop(); }

  Board board;
  LivePicture picture;
  Api api;
  HttpServer http;
};

WebServer::WebServer(const WebOptions& options, std::vector<std::string> classes, WebServices services)
    : server_(std::make_unique<Server>(options, std::move(services))) {
  set_classes(std::move(classes));
}

WebServer::~WebServer() = default;

int WebServer::port() const { return server_->http.port(); }

void WebServer::frame(const FrameReport& report) {
  server_->board.frame(report);
  server_->picture.offer(report.frame.image);
}

void WebServer::item(const ItemReport& report) { server_->board.item(report); }

void WebServer::finish() { server_->board.end(); }

void WebServer::alarm(const std::string& line) { server_->board.alarm(line); }

void WebServer::set_classes(std::vector<std::string> classes) {
  server_->board.set_classes(std::move(classes));
}

}  // namespace pila
