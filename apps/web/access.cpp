#include "apps/web/access.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string_view>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::string_view kCookie = "pila_token=";

// "name", "name:port", "[address]" or "[address]:port" without the port.
std::string_view without_port(std::string_view authority) {
  if (authority.starts_with('[')) return authority.substr(0, authority.find(']') + 1);
  return authority.substr(0, authority.find(':'));
}

bool is_loopback_name(std::string_view name) {
  if (name == "localhost" || name == "[::1]") return true;
  return name.starts_with("127.") && name.find_first_not_of("0123456789.") == std::string_view::npos;
}

// In a time that does not tell how many characters are right.
bool same_secret(std::string_view given, std::string_view secret) {
  unsigned difference = given.size() == secret.size() ? 0 : 1;
  for (std::size_t i = 0; i < secret.size(); ++i) {
    const char other = i < given.size() ? given[i] : '\0';
    difference |= static_cast<unsigned char>(other ^ secret[i]);
  }
  return difference == 0;
}

// The token among a Cookie header's pairs.
std::string_view token_in(std::string_view cookies) {
  while (!cookies.empty()) {
    const std::size_t end = std::min(cookies.find(';'), cookies.size());
    std::string_view pair = cookies.substr(0, end);
    pair.remove_prefix(std::min(pair.find_first_not_of(' '), pair.size()));
    if (pair.starts_with(kCookie)) return pair.substr(kCookie.size());
    cookies.remove_prefix(std::min(end + 1, cookies.size()));
  }
  return {};
}

// Types that a page of another site cannot send without asking first, which is never granted.
bool is_own_type(std::string_view type) {
  constexpr std::array<std::string_view, 3> kOwn = {"application/json", "application/octet-stream", "image/"};
  return std::any_of(kOwn.begin(), kOwn.end(), [&](std::string_view own) { return type.starts_with(own); });
}

}  // namespace

Access::Access(std::string host, std::string token) : host_(std::move(host)), token_(std::move(token)) {
  if (host_.find(':') != std::string::npos) host_ = "[" + host_ + "]";
  const bool plain = std::all_of(token_.begin(), token_.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '-' || c == '.' || c == '_';
  });
  if (!plain) throw UsageError("a token of letters, digits, \"-\", \".\" and \"_\" is expected");
}

bool Access::is_ours(const std::string& authority) const {
  const std::string_view name = without_port(authority);
  return !token_.empty() || name == host_ || is_loopback_name(name);
}

bool Access::has_token(const HttpRequest& request) const {
  constexpr std::string_view kBearer = "Bearer ";
  const std::string authorization = request.header("authorization");
  if (authorization.starts_with(kBearer) &&
      same_secret(std::string_view(authorization).substr(kBearer.size()), token_)) {
    return true;
  }
  const auto asked = request.query.find("token");
  return (asked != request.query.end() && same_secret(asked->second, token_)) ||
         same_secret(token_in(request.header("cookie")), token_);
}

std::optional<HttpReply> Access::refuse(const HttpRequest& request) const {
  const std::string host = request.header("host");
  if (host.empty() || request.headers.count("host") != 1) return json_error(400, "one Host is expected");
  if (!is_ours(host)) return json_error(403, "this is not " + host);
  if (!token_.empty() && request.path != "/healthz" && !has_token(request)) {
    HttpReply reply = json_error(401, "a token is expected: ?token=... or Authorization: Bearer ...");
    reply.headers.emplace_back("WWW-Authenticate", "Bearer");
    return reply;
  }
  if (request.method != "POST") return std::nullopt;

  const std::string origin = request.header("origin"), site = request.header("sec-fetch-site");
  const bool own_origin = origin.empty() || origin == "http://" + host || origin == "https://" + host;
  const bool own_site = site.empty() || site == "same-origin" || site == "none";
  if (!own_origin || !own_site) return json_error(403, "another site's page has no say here");
  if (!is_own_type(request.header("content-type"))) {
    return json_error(415, "JSON or a picture is expected, and the Content-Type to say so");
  }
  return std::nullopt;
}

std::string Access::cookie(const HttpRequest& request) const {
  if (token_.empty() || request.query.count("token") == 0) return {};
  return std::string(kCookie) + token_ + "; HttpOnly; SameSite=Strict; Path=/; Max-Age=31536000";
}

}  // namespace pila
