// URIs of devices, read strictly.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pila {

// scheme://[user[:password]@]host[:port]/path[?key=value&...], all but the scheme decoded from
// percent-encoding.
struct DeviceUri {
  std::string scheme, user, password, host;  // host: without the brackets of an IPv6 address
  int port = 0;                              // 0: none was named
  std::vector<std::string> path;             // between slashes, still encoded
  std::map<std::string, std::string> query;
  std::string shown;  // the URI without user and password
};

// Throws UsageError, the URI without user and password first, when it is none.
DeviceUri parse_device_uri(const std::string& uri);

// Throws UsageError for a bad code and for control characters.
std::string percent_decode(std::string_view text, const std::string& shown);

// A whole decimal number in that range. Throws UsageError.
int parse_number(std::string_view text, int least, int most, const std::string& what,
                 const std::string& shown);

// "bin=3,other=4": names, decoded, and numbers up to `most`, each once. Throws UsageError.
std::map<std::string, int> parse_outputs(std::string_view text, int most, const std::string& shown);

// Throws UsageError when the query has other keys than these, or there are user and password where they are
// not allowed.
void allow_only(const DeviceUri& uri, const std::vector<std::string>& keys, bool user = false,
                bool port = false);

}  // namespace pila
