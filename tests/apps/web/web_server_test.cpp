// What the page's server says, and to whom.
#include "apps/web/web_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "apps/media/image_writer.h"
#include "engine/core/error.h"
#include "tests/apps/web/support.h"

namespace pila {
namespace {

using nlohmann::json;
using test::answer_of;
using test::Client;
using test::fetch;
using test::post;
using testing::ContainsRegex;
using testing::HasSubstr;
using testing::Not;

const test::Headers kJson = {{"Content-Type", "application/json"}};

std::string jpeg_of(const media::Image& picture) {
  const auto bytes = media::encode_jpeg(picture);
  return {bytes.begin(), bytes.end()};
}

media::Image decoded(const std::string& jpeg) {
  return media::decode_image({reinterpret_cast<const std::uint8_t*>(jpeg.data()), jpeg.size()});
}

class Web : public testing::Test {
 protected:
  Web() { start(test::at_any_port()); }

  void start(const WebOptions& options) {
    server_.reset();
    WebServices services;
    services.classify = [](const media::Image& picture) {
      return WebServices::Explained{
          .probabilities = {0.9f, 0.1f}, .recognised = picture.width < 2000, .heat_map = picture};
    };
    services.statistics = [] { return std::string(R"({"reconnects": 3})"); };
    services.model = [] { return std::string("MobileNetV2 <0.35>"); };
    services.store = &store_;
    server_ = std::make_unique<WebServer>(options, std::vector<std::string>{"alkaline", "lithium"}, services);
    port_ = server_->port();
  }
  json get_json(const std::string& path) const { return json::parse(fetch(port_, path).body); }

  test::FakeStore store_;
  std::unique_ptr<WebServer> server_;
  int port_ = 0;
};

TEST_F(Web, ServesOnePageThatLoadsNothingFromElsewhere) {
  const auto page = fetch(port_, "/");
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.head, HasSubstr("Content-Type: text/html"));
  EXPECT_THAT(page.head, HasSubstr("X-Content-Type-Options: nosniff"));
  EXPECT_THAT(page.head, HasSubstr("Cache-Control: no-store"));
  EXPECT_THAT(page.head, HasSubstr("default-src 'none'; script-src 'self'"));
  for (const char* path : {"/", "/page.css", "/page.js"}) {
    const auto answer = fetch(port_, path);
    EXPECT_EQ(answer.status, 200) << path;
    EXPECT_GT(answer.body.size(), 1000u) << path;
    EXPECT_THAT(answer.body, Not(HasSubstr("https://"))) << path;
    EXPECT_THAT(answer.body, Not(HasSubstr("innerHTML"))) << path;
  }
}

TEST_F(Web, TellsItemsCountsAndAlarms) {
  EXPECT_TRUE(get_json("/api/state")["frame"].is_null());
  server_->item(test::item_report(1, "alkaline", 0.75, "left"));
  server_->item(test::item_report(2, "alkaline", 0.5));
  auto missed = test::item_report(3, "others", 0.25);
  missed.missed = true;
  server_->item(missed);
  server_->alarm("the disk is full");
  const json state = get_json("/api/state");
  EXPECT_EQ(state["model"], "MobileNetV2 <0.35>");
  EXPECT_EQ(state["classes"], json({"alkaline", "lithium"}));
  EXPECT_EQ(state["counts"]["items"], 3);
  EXPECT_EQ(state["counts"]["missed"], 1);
  EXPECT_EQ(state["counts"]["by_class"], json({{"alkaline", 2}, {"others", 1}}));
  EXPECT_EQ(state["counts"]["by_bin"], json({{"left", 1}, {"", 2}}));
  ASSERT_EQ(state["items"].size(), 3u);
  EXPECT_EQ(state["items"][0]["label"], "others");
  EXPECT_FALSE(state["items"][0]["recognised"]);
  EXPECT_EQ(state["items"][2]["probability"], 0.75);
  EXPECT_EQ(state["alarms"][0]["text"], "the disk is full");
  EXPECT_EQ(get_json("/api/state?limit=1")["items"].size(), 1u);
  EXPECT_FALSE(state["ended"]);
  server_->finish();
  server_->set_classes({"a", "b"});
  EXPECT_TRUE(get_json("/api/state")["ended"]);
  EXPECT_EQ(get_json("/api/state")["classes"], json({"a", "b"}));
}

TEST_F(Web, KeepsTheLatestItemsAlone) {
  for (int i = 1; i <= 230; ++i) server_->item(test::item_report(i, "lithium\xff", 0.5));
  const json state = get_json("/api/state?limit=9999");
  EXPECT_EQ(state["items"].size(), 200u);
  EXPECT_EQ(state["counts"]["items"], 230);
  EXPECT_EQ(state["items"][0]["label"], "lithium\xef\xbf\xbd");
  EXPECT_EQ(fetch(port_, "/api/thumbnails/30").status, 404);
  const auto thumbnail = fetch(port_, "/api/thumbnails/31");
  EXPECT_EQ(thumbnail.status, 200);
  EXPECT_EQ(decoded(thumbnail.body).width, 160);
  EXPECT_EQ(decoded(thumbnail.body).height, 90);
}

TEST_F(Web, MeasuresAndCounts) {
  {
    const test::Frames frames(*server_);
    while (get_json("/api/statistics")["seconds"].empty()) {
    }
  }
  const json statistics = get_json("/api/statistics");
  EXPECT_EQ(statistics["stages"]["network"]["median"], 3);
  EXPECT_EQ(statistics["stages"]["latency"]["p99"], 10);
  EXPECT_EQ(statistics["seconds"][0]["median"], 10);
  EXPECT_GT(statistics["seconds"][0]["frames"], 0);
  EXPECT_EQ(statistics["program"]["reconnects"], 3);
  EXPECT_EQ(get_json("/api/state")["frame"]["label"], "lithium");

  server_->item(test::item_report(1, "a \"b\"\\\n", 0.75, "left"));
  const auto metrics = fetch(port_, "/metrics");
  EXPECT_THAT(metrics.head, HasSubstr("text/plain; version=0.0.4"));
  EXPECT_THAT(metrics.body, HasSubstr("\npila_items_total{class=\"a \\\"b\\\"\\\\\\n\"} 1\n"));
  EXPECT_THAT(metrics.body, HasSubstr("\npila_latency_seconds{quantile=\"0.99\"} 0.01\n"));
  EXPECT_THAT(metrics.body, HasSubstr("\npila_frames_dropped_total 0\n"));
  EXPECT_THAT(metrics.body, ContainsRegex("\nprocess_resident_memory_bytes [1-9][0-9]{6,}\n"));
}

TEST_F(Web, CountsFramesThatWereDropped) {
  const std::vector<float> probabilities = {1, 0};
  for (const int index : {5, 6, 9, 0}) {
    const Frame frame{.image = {}, .name = {}, .index = index, .seconds = 0, .arrived = {}, .decode_ms = 0};
    server_->frame(
        {.frame = frame, .classes = {}, .probabilities = probabilities, .presence = {}, .times = {}});
  }
  EXPECT_EQ(get_json("/api/state")["counts"]["dropped"], 2);
  EXPECT_EQ(get_json("/api/state")["counts"]["frames"], 4);
}

TEST_F(Web, ShowsTheLivePicture) {
  const test::Frames frames(*server_);
  auto frame = fetch(port_, "/frame.jpg");
  while (frame.status == 503) frame = fetch(port_, "/frame.jpg");  // none came in two seconds
  ASSERT_EQ(frame.status, 200);
  EXPECT_EQ(decoded(frame.body).width, 960);
  EXPECT_EQ(decoded(frame.body).height, 540);

  Client watcher(port_);
  watcher.send("GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_THAT(watcher.read_until("\r\n\r\n"), HasSubstr("multipart/x-mixed-replace; boundary=frame"));
  watcher.read_until("\r\n--frame\r\n");
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(watcher.read_until("\r\n\r\n"), HasSubstr("Content-Type: image/jpeg\r\nContent-Length: "));
    std::string jpeg = watcher.read_until("\r\n--frame\r\n");
    jpeg.resize(jpeg.size() - std::string("\r\n--frame\r\n").size());
    EXPECT_EQ(decoded(jpeg).width, 960);
  }
}

TEST_F(Web, ShowsStreamsToFourAtATime) {
  const test::Frames frames(*server_);
  std::vector<std::unique_ptr<Client>> watchers;
  const auto watch = [&] {
    watchers.push_back(std::make_unique<Client>(port_));
    watchers.back()->send("GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return watchers.back()->read_until("\r\n");
  };
  for (int i = 0; i < 4; ++i) EXPECT_EQ(watch(), "HTTP/1.1 200 OK\r\n");
  EXPECT_EQ(watch(), "HTTP/1.1 503 Service Unavailable\r\n");
  EXPECT_EQ(fetch(port_, "/healthz").status, 200);
  watchers.clear();
  while (watch() != "HTTP/1.1 200 OK\r\n") watchers.pop_back();
}

TEST_F(Web, StopsWhileOthersWatchWaitAndSendNothing) {
  auto frames = std::make_unique<test::Frames>(*server_);
  Client watcher(port_), silent(port_), halfway(port_), sender(port_);
  watcher.send("GET /stream.mjpg HTTP/1.1\r\nHost: localhost\r\n\r\n");
  watcher.read_until("image/jpeg");
  halfway.send("GET / HT");
  sender.send(
      "POST /api/classify HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: "
      "9\r\n\r\n1");
  frames.reset();
  server_.reset();
  watcher.read_all();
  EXPECT_THROW(Client{port_}, std::runtime_error);
}

TEST_F(Web, TakesLabelsForDoubtfulItems) {
  for (int i = 1; i <= 3; ++i) {
    store_.add(test::stored_item("alkaline", i != 2), i == 1 ? test::grey_picture(64, 48) : media::Image{});
  }
  json items = get_json("/api/items?doubtful=1");
  EXPECT_EQ(items["labels"], json({"alkaline", "lithium"}));
  ASSERT_EQ(items["items"].size(), 2u);
  EXPECT_EQ(items["items"][0]["id"], 3);
  EXPECT_EQ(get_json("/api/items?before=3")["items"].size(), 2u);
  EXPECT_EQ(get_json("/api/items?limit=1")["items"].size(), 1u);
  EXPECT_EQ(fetch(port_, "/api/items?before=x").status, 400);
  EXPECT_EQ(decoded(fetch(port_, "/api/items/1/picture").body).width, 64);
  EXPECT_EQ(fetch(port_, "/api/items/2/picture").status, 404);

  EXPECT_EQ(post(port_, "/api/items/3/label", R"({"label": "lithium"})", kJson).status, 200);
  EXPECT_EQ(store_.list(1, false, {})[0].corrected, "lithium");
  EXPECT_EQ(get_json("/api/items?doubtful=1")["items"].size(), 1u);
}

TEST_F(Web, RefusesLabelsThatAreNone) {
  store_.add(test::stored_item("alkaline", true), {});
  for (const std::string body :
       {"", "{", "[]", "{}", R"({"label": 1})", R"({"label": ""})", "\xff", "null"}) {
    const auto answer = post(port_, "/api/items/1/label", body, kJson);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_TRUE(json::parse(answer.body)["error"].is_string()) << body;
  }
  EXPECT_EQ(post(port_, "/api/items/1/label", std::string(5000, '['), kJson).status, 413);
  EXPECT_EQ(post(port_, "/api/items/1/label", std::string(4000, '['), kJson).status, 400);
  EXPECT_EQ(post(port_, "/api/items/2/label", R"({"label": "a"})", kJson).status, 400);
  EXPECT_EQ(fetch(port_, "/api/items/1/label").status, 405);
  EXPECT_TRUE(store_.list(1, false, {})[0].corrected.empty());
}

TEST_F(Web, ClassifiesAPicture) {
  const std::string jpeg = jpeg_of(test::grey_picture(1200, 400));
  const auto answer = post(port_, "/api/classify", jpeg, {{"Content-Type", "image/jpeg"}});
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json said = json::parse(answer.body);
  EXPECT_EQ(said["label"], "alkaline");
  EXPECT_EQ(said["probabilities"][1]["class"], "lithium");
  EXPECT_NEAR(said["probabilities"][1]["probability"], 0.1, 1e-6);
  const std::string map = said["heat_map"];
  EXPECT_TRUE(map.starts_with("data:image/jpeg;base64,/9j/")) << map.substr(0, 40);
  const json unknown = json::parse(
      post(port_, "/api/classify", jpeg_of(test::grey_picture(2000, 4)), {{"Content-Type", "image/jpeg"}})
          .body);
  EXPECT_EQ(unknown["label"], "others");
  EXPECT_EQ(unknown["most_probable"], "alkaline");
}

TEST_F(Web, RefusesWhatIsNoPicture) {
  const std::string jpeg = jpeg_of(test::grey_picture(640, 480));
  for (const std::string& body : {std::string(), std::string("GIF89a"), jpeg.substr(0, jpeg.size() / 2)}) {
    const auto answer = post(port_, "/api/classify", body, {{"Content-Type", "application/octet-stream"}});
    EXPECT_EQ(answer.status, 400) << answer.body;
  }
  EXPECT_EQ(fetch(port_, "/api/classify").status, 405);
}

TEST_F(Web, OffersWhatTheProgramHas) {
  const WebServer bare(test::at_any_port(), {}, {});
  const json state = json::parse(fetch(bare.port(), "/api/state").body);
  EXPECT_FALSE(state["stores"]);
  EXPECT_FALSE(state["classifies"]);
  EXPECT_EQ(fetch(bare.port(), "/api/items").status, 404);
  EXPECT_EQ(post(bare.port(), "/api/classify", "x", {{"Content-Type", "image/png"}}).status, 404);
  EXPECT_EQ(fetch(bare.port(), "/frame.jpg").status, 503);
}

TEST_F(Web, SpeaksToItsOwnPageAlone) {
  EXPECT_EQ(fetch(port_, "/api/state", {{"Host", "evil.example"}}).status, 403);
  EXPECT_EQ(fetch(port_, "/api/state", {{"Host", "127.0.0.1.evil.example:8080"}}).status, 403);
  EXPECT_EQ(fetch(port_, "/api/state", {{"Host", "localhost"}, {"Host", "evil.example"}}).status, 400);
  EXPECT_EQ(fetch(port_, "/api/state", {{"Host", ""}}).status, 400);
  for (const char* host : {"localhost:1", "127.0.0.1:8080", "[::1]:8080", "127.0.0.1"}) {
    EXPECT_EQ(fetch(port_, "/api/state", {{"Host", host}}).status, 200) << host;
  }

  store_.add(test::stored_item("alkaline", true), {});
  const auto label = [&](test::Headers headers) {
    headers.emplace_back("Host", "localhost:8080");
    return post(port_, "/api/items/1/label", R"({"label": "a"})", headers).status;
  };
  EXPECT_EQ(label({{"Content-Type", "text/plain"}}), 415);
  EXPECT_EQ(label({{"Content-Type", "multipart/form-data; boundary=a"}}), 415);
  EXPECT_EQ(label({kJson[0], {"Origin", "http://evil.example"}}), 403);
  EXPECT_EQ(label({kJson[0], {"Origin", "null"}}), 403);
  EXPECT_EQ(label({kJson[0], {"Origin", "http://localhost:9090"}}), 403);
  EXPECT_EQ(label({kJson[0], {"Sec-Fetch-Site", "cross-site"}}), 403);
  EXPECT_TRUE(store_.list(1, false, {})[0].corrected.empty());
  EXPECT_EQ(label({kJson[0], {"Origin", "http://localhost:8080"}, {"Sec-Fetch-Site", "same-origin"}}), 200);
}

TEST_F(Web, AsksForItsToken) {
  start(test::at_any_port("0.0.0.0", "s3cret"));
  EXPECT_EQ(fetch(port_, "/api/state").status, 401);
  EXPECT_EQ(fetch(port_, "/").status, 401);
  EXPECT_EQ(fetch(port_, "/healthz").body, "ok\n");
  for (const char* wrong : {"s3cre", "s3crets", "", "S3cret"}) {
    EXPECT_EQ(fetch(port_, "/metrics", {{"Authorization", std::string("Bearer ") + wrong}}).status, 401);
    EXPECT_EQ(fetch(port_, std::string("/metrics?token=") + wrong).status, 401);
  }
  EXPECT_EQ(fetch(port_, "/metrics", {{"Authorization", "Bearer s3cret"}}).status, 200);
  EXPECT_EQ(fetch(port_, "/metrics?token=s3cret", {{"Host", "belt.example"}}).status, 200);
  EXPECT_EQ(fetch(port_, "/", {{"Cookie", "a=b; pila_token=s3cret"}}).status, 200);
  EXPECT_EQ(fetch(port_, "/", {{"Cookie", "pila_token=other"}}).status, 401);
  const auto entered = fetch(port_, "/?token=s3cret");
  EXPECT_EQ(entered.status, 303);
  EXPECT_THAT(entered.head, HasSubstr("Location: /\r\n"));
  EXPECT_THAT(entered.head, HasSubstr("Set-Cookie: pila_token=s3cret; HttpOnly; SameSite=Strict"));
}

TEST(WebOptions, AreAnAddressThatIsSafe) {
  EXPECT_EQ(web_options("127.0.0.1:8080", "").port, 8080);
  EXPECT_EQ(web_options("[::1]:0", "").host, "::1");
  EXPECT_EQ(web_options(":80", "t").host, "127.0.0.1");
  EXPECT_EQ(web_options("belt:80", "t").token, "t");
  for (const char* wrong :
       {"", "8080", "host", "host:", "host:x", "host:65536", "host:-1", "::1:80", "a:80x"}) {
    EXPECT_THROW(web_options(wrong, ""), UsageError) << wrong;
  }
  EXPECT_THROW(WebServer(test::at_any_port("0.0.0.0"), {}, {}), UsageError);
  EXPECT_THROW(WebServer(test::at_any_port("0.0.0.0", "a b"), {}, {}), UsageError);
  EXPECT_THROW(WebServer(test::at_any_port("no such host"), {}, {}), Error);
}

TEST_F(Web, SaysThatItsPortIsTaken) {
  try {
    const WebServer second({"127.0.0.1", port_, ""}, {}, {});
    FAIL() << "two servers at one port";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("127.0.0.1:" + std::to_string(port_) + ": cannot listen there"));
  }
}

}  // namespace
}  // namespace pila
