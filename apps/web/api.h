// What is to be had under which path.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>

#include "apps/web/access.h"
#include "apps/web/board.h"
#include "apps/web/http_server.h"
#include "apps/web/live_picture.h"
#include "apps/web/web_server.h"

namespace pila {

class Api {
 public:
  Api(Access access, WebServices services, Board& board, LivePicture& picture);

  std::optional<HttpReply> refuse(const HttpRequest& request) const;
  HttpReply answer(const HttpRequest& request);

 private:
  struct Place;
  std::optional<Place> find(const std::string& path) const;

  HttpReply page(const HttpRequest& request);
  HttpReply state(const HttpRequest& request);
  HttpReply thumbnail(std::int64_t serial);
  HttpReply frame();
  HttpReply stream();
  HttpReply items(const HttpRequest& request);
  HttpReply item_picture(std::int64_t id);
  HttpReply label_item(std::int64_t id, const HttpRequest& request);
  HttpReply classify(const HttpRequest& request);

  Access access_;
  WebServices services_;
  Board& board_;
  LivePicture& picture_;
  std::atomic<int> streams_{0};
  std::mutex classifying_;
};

}  // namespace pila
