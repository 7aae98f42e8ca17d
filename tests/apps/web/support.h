// A web server with made-up contents, and clients that may say anything.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "apps/store/store.h"
#include "apps/web/web_server.h"

namespace pila::test {

class FakeStore : public Store {
 public:
  void set_classes(std::span<const std::string>) override {}
  std::int64_t add(const StoredItem& item, const media::Image& picture) override;
  std::vector<StoredItem> list(std::size_t limit, bool doubtful_only,
                               std::optional<std::int64_t> before_id) const override;
  std::vector<std::uint8_t> picture(std::int64_t id) const override;
  void correct(std::int64_t id, const std::string& label) override;
  std::vector<std::string> labels() const override { return {"alkaline", "lithium"}; }

 private:
  mutable std::mutex mutex_;
  std::vector<StoredItem> items_;
  std::vector<std::vector<std::uint8_t>> pictures_;
};

WebOptions at_any_port(const std::string& host = "127.0.0.1", const std::string& token = "");
StoredItem stored_item(const std::string& label, bool doubtful);  // one class with 0.3, another with 0.7
media::Image grey_picture(std::int64_t width, std::int64_t height, std::uint8_t grey = 128);
ItemReport item_report(std::int64_t number, const std::string& label, double probability,
                       const std::string& bin = "");

// Shows the server a frame every few milliseconds until it is gone.
class Frames {
 public:
  explicit Frames(WebServer& server);
  ~Frames();

 private:
  std::atomic<bool> over_{false};
  std::thread thread_;  // last: it uses the above
};

// A connection on which anything can be sent. Waits for a minute at most, then throws.
class Client {
 public:
  explicit Client(int port);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  bool send(const std::string& bytes);  // false: the other end is closed
  std::string read_until(
      const std::string& end);  // what came up to and with it; all, where the end came first
  std::string read_all() { return read_until(""); }

 private:
  int socket_;
  std::string received_;
};

struct Answer {
  int status = 0;
  std::string head, body;
};
using Headers = std::vector<std::pair<std::string, std::string>>;

// One request on a connection of its own. A Host header is added where there is none.
Answer fetch(int port, const std::string& path, const Headers& headers = {});
Answer post(int port, const std::string& path, const std::string& body, const Headers& headers);
Answer answer_of(Client& client);  // that then closes

}  // namespace pila::test
