#include "apps/eject/device_uri.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <set>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::size_t kMostCharacters = 2048;
constexpr std::string_view kDigits = "0123456789", kHexDigits = "0123456789abcdefABCDEF",
                           kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

[[noreturn]] void refuse(const std::string& shown, const std::string& problem) {
  throw UsageError(shown + ": " + problem);
}

bool is_control(char character) { return static_cast<unsigned char>(character) < 0x20 || character == 0x7F; }

bool consists_of(std::string_view text, std::string_view characters) {
  return text.find_first_not_of(characters) == std::string_view::npos;
}

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

void parse_host(std::string_view text, DeviceUri& uri) {
  std::string_view port;
  bool has_port = false;
  if (text.starts_with('[')) {
    const auto close = text.find(']');
    uri.host = text.substr(1, close == std::string_view::npos ? close : close - 1);
    const std::string_view rest = close == std::string_view::npos ? "]" : text.substr(close + 1);
    has_port = rest.starts_with(':');
    if (!(rest.empty() || has_port) || uri.host.find(':') == std::string::npos ||
        !consists_of(uri.host, std::string(kHexDigits) + ":.")) {
      refuse(uri.shown, "expected [an IPv6 address] with or without :port");
    }
    if (has_port) port = rest.substr(1);
  } else {
    const auto colon = text.find(':');
    has_port = colon != std::string_view::npos;
    uri.host = text.substr(0, colon);
    if (has_port) port = text.substr(colon + 1);
    if (uri.host.empty() || uri.host.front() == '-' || uri.host.size() > 253 ||
        !consists_of(uri.host, std::string(kLetters) + std::string(kDigits) + "-._")) {
      refuse(uri.shown, "expected the name or the address of a host after ://");
    }
  }
  if (has_port) uri.port = parse_number(port, 1, 65535, "port", uri.shown);
}

void parse_query(std::string_view text, DeviceUri& uri) {
  for (const auto& part : split(text, '&')) {
    const auto equals = part.find('=');
    if (equals == 0 || equals == std::string::npos)
      refuse(uri.shown, "expected key=value after ? and between &");
    const std::string key = part.substr(0, equals);
    if (!uri.query.emplace(key, percent_decode(part.substr(equals + 1), uri.shown)).second) {
      refuse(uri.shown, key + " is given twice");
    }
  }
}

}  // namespace

DeviceUri parse_device_uri(const std::string& text) {
  DeviceUri uri;
  const auto scheme_end = text.find("://");
  // What is said of a bad URI must not give a password away, whatever is wrong with it.
  const auto at = text.rfind('@');
  const std::size_t shown_from =
      scheme_end == std::string::npos ? 0 : (at == std::string::npos ? scheme_end + 3 : at + 1);
  uri.shown =
      scheme_end == std::string::npos ? text : text.substr(0, scheme_end + 3) + text.substr(shown_from);
  std::replace_if(uri.shown.begin(), uri.shown.end(), is_control, '?');
  if (uri.shown.size() > 200) uri.shown = uri.shown.substr(0, 200) + "...";

  if (text.size() > kMostCharacters) {
    refuse(uri.shown, fmt::format("expected {} characters at most, got {}", kMostCharacters, text.size()));
  }
  if (std::any_of(text.begin(), text.end(), is_control)) refuse(uri.shown, "has control characters");
  if (text.find_first_of(" #") != std::string::npos)
    refuse(uri.shown, "has a blank or a #; write %20 or %23");
  if (scheme_end == std::string::npos || scheme_end == 0) refuse(uri.shown, "expected scheme://host/...");
  uri.scheme = text.substr(0, scheme_end);

  std::string_view rest = std::string_view(text).substr(scheme_end + 3);
  if (const auto question = rest.find('?'); question != std::string_view::npos) {
    parse_query(rest.substr(question + 1), uri);
    rest = rest.substr(0, question);
  }
  std::string_view authority = rest.substr(0, rest.find('/'));
  if (authority.size() < rest.size()) uri.path = split(rest.substr(authority.size() + 1), '/');
  if (const auto user_end = authority.rfind('@'); user_end != std::string_view::npos) {
    const std::string_view user = authority.substr(0, user_end);
    const auto colon = user.find(':');
    if (user.find('@') != std::string_view::npos)
      refuse(uri.shown, "has a second @; write %40 in a password");
    uri.user = percent_decode(user.substr(0, colon), uri.shown);
    if (colon != std::string_view::npos) uri.password = percent_decode(user.substr(colon + 1), uri.shown);
    if (uri.user.empty()) refuse(uri.shown, "expected a user before @");
    authority.remove_prefix(user_end + 1);
  }
  parse_host(authority, uri);
  return uri;
}

std::string percent_decode(std::string_view text, const std::string& shown) {
  std::string decoded;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char character = text[i];
    if (character == '%') {
      const std::string_view code = text.substr(i + 1, 2);
      if (code.size() < 2 || !consists_of(code, kHexDigits))
        refuse(shown, "expected two hexadecimal digits after %");
      unsigned value = 0;
      std::from_chars(code.data(), code.data() + code.size(), value, 16);
      character = static_cast<char>(value);
      i += 2;
    }
    if (is_control(character)) refuse(shown, "has control characters");
    decoded += character;
  }
  return decoded;
}

int parse_number(std::string_view text, int least, int most, const std::string& what,
                 const std::string& shown) {
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || !consists_of(text, kDigits) || error != std::errc() || value < least || value > most) {
    refuse(shown, fmt::format("expected {}..{} for {}, got '{}'", least, most, what, text));
  }
  return value;
}

std::map<std::string, int> parse_outputs(std::string_view text, int most, const std::string& shown) {
  std::map<std::string, int> outputs;
  std::set<int> taken;
  for (const auto& part : split(text, ',')) {
    const auto equals = part.find('=');
    if (equals == 0 || equals == std::string::npos) refuse(shown, "expected bin=number,bin=number...");
    const std::string bin = percent_decode(part.substr(0, equals), shown);
    const int number = parse_number(part.substr(equals + 1), 0, most, "bin " + bin, shown);
    if (!outputs.emplace(bin, number).second) refuse(shown, "bin " + bin + " is given twice");
    if (!taken.insert(number).second) refuse(shown, fmt::format("{} is given to two bins", number));
  }
  return outputs;
}

void allow_only(const DeviceUri& uri, const std::vector<std::string>& keys, bool user, bool port) {
  if (!user && !uri.user.empty()) refuse(uri.shown, "expected neither user nor password");
  if (!port && uri.port != 0) refuse(uri.shown, "expected no port");
  for (const auto& [key, value] : uri.query) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) refuse(uri.shown, "does not know ?" + key);
  }
}

}  // namespace pila
