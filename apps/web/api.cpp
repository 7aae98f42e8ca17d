#include "apps/web/api.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <nlohmann/json.hpp>

#include "apps/media/image_writer.h"
#include "apps/media/resize.h"
#include "apps/web/documents.h"
#include "apps/web/page.h"
#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::size_t kLabelBytes = 4096;        // of a request that labels an item
constexpr std::int64_t kMaxPixels = 40'000'000;  // of a picture to classify
constexpr std::int64_t kHeatMap = 960;
constexpr int kStreams = 4;

HttpReply reply_with(std::string type, std::string body) {
  return {.status = 200, .type = std::move(type), .body = std::move(body), .headers = {}, .stream = {}};
}
HttpReply json(std::string body) { return reply_with("application/json", std::move(body)); }
HttpReply text(std::string body) { return reply_with("text/plain; charset=utf-8", std::move(body)); }

std::string as_string(const std::vector<std::uint8_t>& bytes) { return {bytes.begin(), bytes.end()}; }

std::optional<std::int64_t> whole_number(std::string_view digits) {
  std::int64_t number = 0;
  const char* end = digits.data() + digits.size();
  const auto [stopped, error] = std::from_chars(digits.data(), end, number);
  if (digits.empty() || stopped != end || error != std::errc() || number < 0) return std::nullopt;
  return number;
}

// What the query says, between 1 and `most`, else `otherwise`.
std::size_t limit_of(const HttpRequest& request, std::size_t otherwise, std::size_t most) {
  const auto asked = request.query.find("limit");
  const auto number = asked == request.query.end() ? std::nullopt : whole_number(asked->second);
  return number ? std::clamp<std::size_t>(static_cast<std::size_t>(*number), 1, most) : otherwise;
}

// "/api/items/12/picture" between its beginning and end.
std::optional<std::int64_t> number_between(std::string_view path, std::string_view begin,
                                           std::string_view end) {
  if (path.size() <= begin.size() + end.size() || !path.starts_with(begin) || !path.ends_with(end)) {
    return std::nullopt;
  }
  return whole_number(path.substr(begin.size(), path.size() - begin.size() - end.size()));
}

class Counted {
 public:
  explicit Counted(std::atomic<int>& count) : count_(count), number_(++count) {}
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  int number() const { return number_; }

 private:
  std::atomic<int>& count_;
  int number_;
};

// Shows pictures until the client is gone. One that shows nothing new is sent again, which tells.
void write_pictures(LivePicture& picture, const HttpReply::Write& write) {
  constexpr std::chrono::milliseconds kFirst{30'000}, kAgain{2000};
  constexpr std::string_view kBoundary = "\r\n--frame\r\n";
  if (!write(kBoundary)) return;
  LivePicture::Jpeg last;
  while (!picture.stopped()) {
    auto next = picture.next(last.number, last.bytes ? kAgain : kFirst);
    if (next.bytes) last = std::move(next);
    if (!last.bytes) return;
    const std::string head =
        "Content-Type: image/jpeg\r\nContent-Length: " + std::to_string(last.bytes->size()) + "\r\n\r\n";
    // With the boundary behind it: browsers show a part when they see its end.
    if (!write(head + *last.bytes + std::string(kBoundary))) return;
  }
}

}  // namespace

struct Api::Place {
  const char* method;
  std::function<HttpReply(Api&, const HttpRequest&)> answer;
};

Api::Api(Access access, WebServices services, Board& board, LivePicture& picture)
    : access_(std::move(access)), services_(std::move(services)), board_(board), picture_(picture) {}

std::optional<Api::Place> Api::find(const std::string& path) const {
  using Request = const HttpRequest&;
  static const std::map<std::string, Place> fixed = {
      {"/", {"GET", [](Api& api, Request request) { return api.page(request); }}},
      {"/page.css", {"GET", [](Api&, Request) { return reply_with("text/css", std::string(page::css())); }}},
      {"/page.js",
       {"GET", [](Api&, Request) { return reply_with("text/javascript", std::string(page::js())); }}},
      {"/healthz", {"GET", [](Api&, Request) { return text("ok\n"); }}},
      {"/metrics",
       {"GET",
        [](Api& api, Request) {
          return reply_with("text/plain; version=0.0.4",
                            metrics_text(api.board_.summary(0), api.board_.times()));
        }}},
      {"/stream.mjpg", {"GET", [](Api& api, Request) { return api.stream(); }}},
      {"/frame.jpg", {"GET", [](Api& api, Request) { return api.frame(); }}},
      {"/api/state", {"GET", [](Api& api, Request request) { return api.state(request); }}},
      {"/api/statistics",
       {"GET",
        [](Api& api, Request) {
          const auto& own = api.services_.statistics;
          return json(statistics_json(api.board_.times(), own ? own() : ""));
        }}},
      {"/api/items", {"GET", [](Api& api, Request request) { return api.items(request); }}},
      {"/api/classify", {"POST", [](Api& api, Request request) { return api.classify(request); }}},
  };
  if (const auto found = fixed.find(path); found != fixed.end()) return found->second;
  if (const auto serial = number_between(path, "/api/thumbnails/", "")) {
    return Place{"GET", [serial](Api& api, Request) { return api.thumbnail(*serial); }};
  }
  if (const auto id = number_between(path, "/api/items/", "/picture")) {
    return Place{"GET", [id](Api& api, Request) { return api.item_picture(*id); }};
  }
  if (const auto id = number_between(path, "/api/items/", "/label")) {
    return Place{"POST", [id](Api& api, Request request) { return api.label_item(*id, request); }};
  }
  return std::nullopt;
}

std::optional<HttpReply> Api::refuse(const HttpRequest& request) const {
  if (auto refusal = access_.refuse(request)) return refusal;
  const auto place = find(request.path);
  if (!place) return json_error(404, "there is nothing at this path");
  const std::string method = request.method == "HEAD" ? "GET" : request.method;
  if (method != place->method) return json_error(405, std::string(place->method) + " is expected");
  const auto length = whole_number(request.header("content-length"));
  if (request.path.ends_with("/label") && length.value_or(0) > static_cast<std::int64_t>(kLabelBytes)) {
    return json_error(413, "a label of at most " + std::to_string(kLabelBytes) + " bytes is expected");
  }
  return std::nullopt;
}

HttpReply Api::answer(const HttpRequest& request) { return find(request.path)->answer(*this, request); }

HttpReply Api::page(const HttpRequest& request) {
  const std::string cookie = access_.cookie(request);
  if (cookie.empty()) return reply_with("text/html; charset=utf-8", std::string(page::html()));
  HttpReply reply = text("");  // without the token in the address, where others might read it
  reply.status = 303;
  reply.headers = {{"Set-Cookie", cookie}, {"Location", "/"}};
  return reply;
}

HttpReply Api::state(const HttpRequest& request) {
  const auto summary = board_.summary(limit_of(request, 24, 200));
  const std::string model = services_.model ? services_.model() : "";
  return json(state_json(summary, model, services_.store != nullptr, services_.classify != nullptr));
}

HttpReply Api::thumbnail(std::int64_t serial) {
  std::string jpeg = board_.thumbnail(serial);
  return jpeg.empty() ? json_error(404, "no such item among the latest")
                      : reply_with("image/jpeg", std::move(jpeg));
}

HttpReply Api::frame() {
  // A watcher who asks again and again takes whatever is newest, but for the first time waits for it.
  const auto jpeg = picture_.next(0, std::chrono::seconds(2));
  return jpeg.bytes ? reply_with("image/jpeg", *jpeg.bytes) : json_error(503, "no frame has come yet");
}

HttpReply Api::stream() {
  const auto counted = std::make_shared<Counted>(streams_);
  if (counted->number() > kStreams)
    return json_error(503, "too many watch already; /frame.jpg gives single ones");
  HttpReply reply = reply_with("multipart/x-mixed-replace; boundary=frame", "");
  reply.stream = [this, counted](const HttpReply::Write& write) { write_pictures(picture_, write); };
  return reply;
}

HttpReply Api::items(const HttpRequest& request) {
  if (services_.store == nullptr) return json_error(404, "nothing is stored");
  const auto doubtful = request.query.find("doubtful"), before = request.query.find("before");
  std::optional<std::int64_t> before_id;
  if (before != request.query.end()) {
    before_id = whole_number(before->second);
    if (!before_id) return json_error(400, "before: the number of an item is expected");
  }
  const bool doubtful_only = doubtful != request.query.end() && doubtful->second == "1";
  const auto found = services_.store->list(limit_of(request, 24, 100), doubtful_only, before_id);
  return json(items_json(found, services_.store->labels()));
}

HttpReply Api::item_picture(std::int64_t id) {
  const auto jpeg = services_.store != nullptr ? services_.store->picture(id) : std::vector<std::uint8_t>();
  return jpeg.empty() ? json_error(404, "no picture is stored") : reply_with("image/jpeg", as_string(jpeg));
}

HttpReply Api::label_item(std::int64_t id, const HttpRequest& request) {
  if (services_.store == nullptr) return json_error(404, "nothing is stored");
  const auto said = nlohmann::json::parse(request.body, nullptr, false);
  if (!said.is_object() || !said.contains("label") || !said["label"].is_string()) {
    return json_error(400, R"({"label": "..."} is expected)");
  }
  try {
    services_.store->correct(id, said["label"].get<std::string>());
  } catch (const UsageError& error) {
    return json_error(400, error.what());
  }
  return json("{}\n");
}

HttpReply Api::classify(const HttpRequest& request) {
  if (!services_.classify) return json_error(404, "pictures are not classified here");
  const std::span bytes(reinterpret_cast<const std::uint8_t*>(request.body.data()), request.body.size());
  media::Image picture;
  try {
    picture = media::decode_image(bytes, kMaxPixels);
  } catch (const FileError& error) {
    return json_error(400, error.what());
  }
  const std::lock_guard lock(classifying_);
  const auto explained = services_.classify(picture);
  const auto& map = explained.heat_map;
  const auto heat_map = map.pixels.empty()
                            ? std::vector<std::uint8_t>()
                            : media::encode_jpeg(media::scaled_down(map, kHeatMap, kHeatMap), 88);
  return json(explained_json(explained, board_.classes(), heat_map, picture.warning));
}

}  // namespace pila
