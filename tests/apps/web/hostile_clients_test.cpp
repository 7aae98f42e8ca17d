// Clients that hang, flood, and say what no client should.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "apps/web/http_server.h"
#include "engine/core/error.h"
#include "tests/apps/web/support.h"

namespace pila {
namespace {

using test::answer_of;
using test::Client;
using test::fetch;
using testing::HasSubstr;
using testing::StartsWith;

// Answers with the body, or the path where there is none; /endless is a stream, /fault a fault.
class Http : public testing::Test {
 protected:
  explicit Http(const HttpLimits& limits = {})
      : server_("127.0.0.1", 0,
                {.refuse = [](const HttpRequest&) { return std::nullopt; },
                 .answer = [this](const HttpRequest& request) { return answer(request); }},
                limits) {}

  HttpReply answer(const HttpRequest& request) {
    if (request.path == "/fault") throw Error("a fault");
    HttpReply reply;
    reply.type = "text/plain";
    reply.body = request.body.empty() ? request.path : request.body;
    if (request.path == "/endless") {
      reply.stream = [this](const HttpReply::Write& write) {
        while (write(std::string(1 << 20, 'x'))) {
        }
        const std::lock_guard lock(mutex_);
        stream_ended_ = true;
        changed_.notify_all();
      };
    }
    return reply;
  }
  int port() const { return server_.port(); }
  // What comes for these bytes, until the server closes.
  test::Answer say(const std::string& bytes) const {
    Client client(port());
    client.send(bytes);
    return answer_of(client);
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stream_ended_ = false;
  HttpServer server_;
};

std::string request(const std::string& line, const std::string& headers = "", const std::string& body = "") {
  return line + " HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + headers + "\r\n" + body;
}

TEST_F(Http, AnswersOneAfterTheOtherOnOneConnection) {
  Client client(port());
  client.send("GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b%20c HTTP/1.1\r\nHost: a\r\n\r\n" +
              request("HEAD /d"));
  EXPECT_THAT(client.read_until("/a"), StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(client.read_until("/b c"), StartsWith("HTTP/1.1 200 OK\r\n"));
  const std::string head = client.read_all();
  EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(head.ends_with("\r\n\r\n"));
}

TEST_F(Http, TakesBodies) {
  EXPECT_EQ(say(request("POST /a", "Content-Length: 5\r\n", "hello")).body, "hello");
  const std::string large(20 << 20, 'y');
  EXPECT_EQ(say(request("POST /a", "Content-Length: 20971520\r\n", large)).body.size(), large.size());
  EXPECT_EQ(say(request("GET /fault")).status, 500);
}

TEST_F(Http, RefusesBodiesBeforeTheyCome) {
  EXPECT_EQ(say(request("POST /a", "Content-Length: 1073741824\r\n", "abc")).status, 413);
  EXPECT_EQ(say(request("POST /a", "Content-Length: 99999999999999999999999\r\n")).status, 413);
  EXPECT_EQ(say(request("POST /a")).status, 411);
  EXPECT_EQ(say(request("POST /a", "Content-Length: -1\r\n")).status, 411);
  EXPECT_EQ(say(request("POST /a", "Content-Length: 1\r\nContent-Length: 2\r\n", "ab")).status, 411);
  EXPECT_EQ(say(request("POST /a", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n")).status, 411);
  EXPECT_EQ(say(request("POST /a", "Content-Length: 3\r\nContent-Encoding: gzip\r\n", "abc")).status, 415);
  EXPECT_EQ(
      say(request("POST /a", "Content-Length: 3\r\nContent-Type: multipart/form-data; boundary=a\r\n", "abc"))
          .status,
      415);
}

TEST_F(Http, TellsASenderOfAGigabyteAtOnce) {
  Client client(port());
  client.send(request("POST /a", "Content-Length: 1073741824\r\n"));
  EXPECT_EQ(client.read_until("\r\n"), "HTTP/1.1 413 Payload Too Large\r\n");
  std::size_t sent = 0;
  for (const std::string piece(1 << 20, 'z'); sent < (1u << 30) && client.send(piece); sent += piece.size()) {
  }
  EXPECT_EQ(fetch(port(), "/after").body, "/after");
}

TEST_F(Http, RefusesOddMethodsAndPaths) {
  for (const char* method : {"PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "CONNECT"}) {
    const auto answer = say(request(std::string(method) + " /a", "Content-Length: 3\r\n", "abc"));
    EXPECT_EQ(answer.status, 405) << method;
    EXPECT_THAT(answer.head, HasSubstr("Allow: GET, HEAD, POST\r\n"));
  }
  EXPECT_EQ(say(request("BREW /pot")).status, 400);
  EXPECT_EQ(say(request("GET /a%0ab")).status, 404);
  EXPECT_EQ(say("GET /a HTTP/3.0\r\nConnection: close\r\n\r\n").status, 400);
  EXPECT_EQ(say("nonsense\r\n\r\n").status, 400);
  EXPECT_EQ(say(std::string("\0\xff\x01\r\n\r\n", 7)).status, 400);
  EXPECT_EQ(say(request("GET /a", "Range: bytes=" + std::string(6000, '9') + "-\r\n")).body, "/a");
  EXPECT_EQ(say(request("GET /abcdef", "Range: bytes=1-2\r\n")).body, "/abcdef");
  EXPECT_EQ(say(request("GET /x HTTP/1.1\r\nX: " + std::string(4000, 'x'))).body, "/x");
}

TEST_F(Http, TakesHeadsOfBoundedSize) {
  EXPECT_EQ(say(request("GET /" + std::string(3000, 'a'))).status, 414);
  EXPECT_EQ(say(std::string(100'000, 'a')).status, 414);
  EXPECT_EQ(say("GET / HTTP/1.1\r\nX: " + std::string(30'000, 'b')).status, 431);
  std::string many;
  for (int i = 0; i < 3000; ++i) many += "X: y\r\n";
  EXPECT_EQ(say(request("GET /", many)).status, 431);
}

TEST_F(Http, IsNotHeldUpByThoseWhoSaySomethingElseOrNothing) {
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 20; ++i) {
    silent.push_back(std::make_unique<Client>(port()));
    silent.back()->send(i % 2 == 0 ? "" : "GET / HTTP/1.1\r\nHost:");
  }
  EXPECT_EQ(fetch(port(), "/others").body, "/others");
}

TEST_F(Http, OutlivesAFlood) {
  std::atomic<int> answered{0};
  std::vector<std::thread> clients;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      for (int j = 0; j < 50; ++j) {
        { const Client gone_at_once(port()); }
        if (fetch(port(), "/flood").body == "/flood") ++answered;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(answered, 400);
}

// With limits of a fraction of a second: that they hold is what is waited for.
class ImpatientHttp : public Http {
 protected:
  ImpatientHttp() : Http(impatient()) {}
  static HttpLimits impatient() {
    HttpLimits limits;
    limits.head = limits.body = limits.write = std::chrono::milliseconds(200);
    return limits;
  }
};

TEST_F(ImpatientHttp, ClosesOnAHeadThatDoesNotCome) {
  Client silent(port()), slow(port());
  slow.send("GET / HTTP/1.1\r\nHost: a\r\n");
  EXPECT_EQ(silent.read_all(), "");
  EXPECT_EQ(slow.read_all(), "");
}

TEST_F(ImpatientHttp, ClosesOnABodyThatDoesNotCome) {
  EXPECT_EQ(say(request("POST /a", "Content-Length: 9\r\n", "abc")).status, 400);
}

TEST_F(ImpatientHttp, DropsAReaderWhoDoesNotRead) {
  Client idle(port());
  idle.send(request("GET /endless"));
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, std::chrono::seconds(60), [&] { return stream_ended_; }));
}

}  // namespace
}  // namespace pila
