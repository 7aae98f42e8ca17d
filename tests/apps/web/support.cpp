#include "tests/apps/web/support.h"

#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "apps/media/image_writer.h"
#include "engine/core/error.h"

namespace pila::test {
namespace {

std::string written(const Headers& headers) {
  const bool has_host =
      std::any_of(headers.begin(), headers.end(), [](const auto& header) { return header.first == "Host"; });
  std::string text = has_host ? "" : "Host: localhost\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  return text + "Connection: close\r\n\r\n";
}

}  // namespace

std::int64_t FakeStore::add(const StoredItem& item, const media::Image& picture) {
  const std::lock_guard lock(mutex_);
  items_.push_back(item);
  items_.back().id = static_cast<std::int64_t>(items_.size());
  items_.back().has_picture = picture.width > 0;
  pictures_.push_back(picture.width > 0 ? media::encode_jpeg(picture) : std::vector<std::uint8_t>());
  return items_.back().id;
}

std::vector<StoredItem> FakeStore::list(std::size_t limit, bool doubtful_only,
                                        std::optional<std::int64_t> before_id) const {
  const std::lock_guard lock(mutex_);
  std::vector<StoredItem> found;
  for (auto item = items_.rbegin(); item != items_.rend() && found.size() < limit; ++item) {
    const bool wanted = !doubtful_only || (item->doubtful && item->corrected.empty());
    if (wanted && (!before_id || item->id < *before_id)) found.push_back(*item);
  }
  return found;
}

std::vector<std::uint8_t> FakeStore::picture(std::int64_t id) const {
  const std::lock_guard lock(mutex_);
  if (id < 1 || id > static_cast<std::int64_t>(pictures_.size())) return {};
  return pictures_[static_cast<std::size_t>(id - 1)];
}

void FakeStore::correct(std::int64_t id, const std::string& label) {
  const std::lock_guard lock(mutex_);
  if (id < 1 || id > static_cast<std::int64_t>(items_.size())) throw UsageError("no such item");
  if (label.empty()) throw UsageError("a label is expected");
  items_[static_cast<std::size_t>(id - 1)].corrected = label;
}

WebOptions at_any_port(const std::string& host, const std::string& token) { return {host, 0, token}; }

StoredItem stored_item(const std::string& label, bool doubtful) {
  StoredItem item;
  item.label = label;
  item.probability = 0.5;
  item.probabilities = {0.3f, 0.7f};
  item.doubtful = doubtful;
  return item;
}

media::Image grey_picture(std::int64_t width, std::int64_t height, std::uint8_t grey) {
  return {.width = width,
          .height = height,
          .pixels = std::vector<std::uint8_t>(static_cast<std::size_t>(width * height * 3), grey),
          .warning = {}};
}

ItemReport item_report(std::int64_t number, const std::string& label, double probability,
                       const std::string& bin) {
  ItemReport report;
  report.item.number = number;
  report.item.recognised = label != "others";
  report.item.probabilities = {static_cast<float>(probability), static_cast<float>(1 - probability)};
  report.item.frames = 5;
  report.item.picture = grey_picture(1280, 720);
  report.label = label;
  report.bin = bin;
  return report;
}

Frames::Frames(WebServer& server)
    : thread_([this, &server] {
        const std::vector<float> probabilities = {0.25f, 0.75f};
        for (std::int64_t index = 0; !over_; ++index) {
          const Frame frame{.image = grey_picture(1280, 720, static_cast<std::uint8_t>(index)),
                            .name = {},
                            .index = index,
                            .seconds = 0,
                            .arrived = {},
                            .decode_ms = 1};
          server.frame({.frame = frame,
                        .classes = {},
                        .probabilities = probabilities,
                        .recognised = true,
                        .presence = {.something = true},
                        .times = {.decode = 1, .preprocess = 2, .network = 3, .decide = 4, .latency = 10}});
          std::this_thread::sleep_for(std::chrono::milliseconds(5));
        }
      }) {}

Frames::~Frames() {
  over_ = true;
  thread_.join();
}

Client::Client(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(socket_);
    throw std::runtime_error("cannot connect");
  }
}

Client::~Client() { close(socket_); }

bool Client::send(const std::string& bytes) {
  for (std::size_t sent = 0; sent < bytes.size();) {
    const ssize_t now = ::send(socket_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
    if (now <= 0) return false;
    sent += static_cast<std::size_t>(now);
  }
  return true;
}

std::string Client::read_until(const std::string& end) {
  for (;;) {
    const std::size_t found = end.empty() ? std::string::npos : received_.find(end);
    if (found != std::string::npos) {
      const std::string text = received_.substr(0, found + end.size());
      received_.erase(0, text.size());
      return text;
    }
    pollfd poll_for{.fd = socket_, .events = POLLIN, .revents = 0};
    if (poll(&poll_for, 1, 60'000) <= 0) throw std::runtime_error("no answer came");
    char buffer[65536];
    const ssize_t got = recv(socket_, buffer, sizeof buffer, 0);
    if (got <= 0) return std::exchange(received_, "");
    received_.append(buffer, static_cast<std::size_t>(got));
  }
}

Answer answer_of(Client& client) {
  const std::string text = client.read_all();
  const std::size_t end = text.find("\r\n\r\n");
  if (!text.starts_with("HTTP/1.1 ") || end == std::string::npos) return {0, text, ""};
  return {std::stoi(text.substr(9, 3)), text.substr(0, end + 2), text.substr(end + 4)};
}

Answer fetch(int port, const std::string& path, const Headers& headers) {
  Client client(port);
  client.send("GET " + path + " HTTP/1.1\r\n" + written(headers));
  return answer_of(client);
}

Answer post(int port, const std::string& path, const std::string& body, const Headers& headers) {
  Client client(port);
  client.send("POST " + path + " HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
              written(headers) + body);
  return answer_of(client);
}

}  // namespace pila::test
