// Who may ask for what.
#pragma once

#include <optional>
#include <string>

#include "apps/web/http_server.h"

namespace pila {

// A page of another site can make a visitor's browser send requests here, and, by a name that it lets point
// here, even read the answers: so the name has to be one of ours, and what changes something has to come from
// our own page. With a token the name may be any.
class Access {
 public:
  // host: as given by the user. Throws UsageError for a token of other characters than letters, digits, "-",
  // "." and "_".
  Access(std::string host, std::string token);

  // Why the request is refused: status 400, 401, 403 or 415; none for a good one.
  std::optional<HttpReply> refuse(const HttpRequest& request) const;
  // What makes a browser remember the token that it gave in the query; empty where it gave none.
  std::string cookie(const HttpRequest& request) const;

 private:
  bool is_ours(const std::string& authority) const;
  bool has_token(const HttpRequest& request) const;

  std::string host_, token_;
};

}  // namespace pila
