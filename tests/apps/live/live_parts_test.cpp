// What pila-live on a stream is made of, part by part.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/core/alarms.h"
#include "apps/live/line_sink.h"
#include "apps/live/line_writer.h"
#include "apps/live/model_watcher.h"
#include "apps/live/picture_sinks.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Someone who listens on a free port of this computer.
class Listener {
 public:
  explicit Listener(std::uint16_t port = 0) : socket_(socket(AF_INET, SOCK_STREAM, 0)) {
    const int yes = 1;
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
        listen(socket_, 4) != 0) {
      throw std::runtime_error("no port to listen on");
    }
    socklen_t size = sizeof address;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~Listener() { close(socket_); }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  std::uint16_t port() const { return port_; }
  // What the next visitor says up to a line's end.
  std::string next_line() const {
    const int visitor = accept(socket_, nullptr, nullptr);
    std::string line;
    for (char c = 0; read(visitor, &c, 1) == 1 && c != '\n';) line += c;
    close(visitor);
    return line;
  }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

TEST(LineWriter, WritesWhereSomebodyReadsAlong) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "lines";
  const auto writer = open_lines(file.string());
  writer->write_line("one");
  EXPECT_EQ(test::read_text(file), "one\n");
  writer->write_line("two");
  EXPECT_EQ(test::read_text(file), "one\ntwo\n");
  EXPECT_THROW(open_lines((folder.path() / "no/such/file").string()), FileError);
  EXPECT_THROW(open_lines("/dev/full")->write_line("lost"), FileError);
}

TEST(LineWriter, FindsItsReaderAgain) {
  auto listener = std::make_unique<Listener>();
  const auto port = listener->port();
  const auto writer = open_lines("tcp://127.0.0.1:" + std::to_string(port));
  writer->write_line("one");
  EXPECT_EQ(listener->next_line(), "one");
  listener.reset();
  // The first lines after the reader has gone may still vanish in the connection.
  EXPECT_THROW(
      {
        for (int i = 0; i < 1000; ++i) writer->write_line("lost");
      },
      FileError);
  listener = std::make_unique<Listener>(port);
  writer->write_line("two");
  EXPECT_EQ(listener->next_line(), "two");
}

TEST(LineWriter, RefusesAddressesThatAreNone) {
  for (const char* address :
       {"tcp://", "tcp://host", "tcp://:80", "tcp://host:", "tcp://host:http", "tcp://host:-1"}) {
    EXPECT_THROW(open_lines(address), UsageError) << address;
  }
}

class ModelFile : public testing::Test {
 protected:
  void write(const std::string& text) {
    std::ofstream(file_, std::ios::binary) << text;
    // Times of files may be coarse.
    fs::last_write_time(file_, fs::file_time_type::clock::now() + std::chrono::seconds(++writes_));
  }
  ModelWatcher watcher() {
    return {file_, "",
            [this]() -> KnownModel {
              ++loads_;
              if (test::read_text(file_) == "garbage") throw FileError("model.h5: no model");
              return {nullptr, "hash " + std::to_string(loads_)};
            },
            alarms_};
  }

  const test::TemporaryFolder folder_;
  const fs::path file_ = folder_.path() / "model.h5";
  int loads_ = 0, writes_ = 0;
  std::vector<std::string> lines_;
  Alarms alarms_{[this](const std::string& line) { lines_.push_back(line); }};
};

TEST_F(ModelFile, IsTakenUpOnceItHasSettled) {
  write("one");
  ModelWatcher watcher = this->watcher();
  watcher.check();
  watcher.check();
  EXPECT_EQ(loads_, 0) << "nothing has changed";
  write("two");
  watcher.check();
  EXPECT_EQ(loads_, 0) << "it may still be written";
  watcher.check();
  EXPECT_EQ(loads_, 1);
  EXPECT_EQ(watcher.take().hash, "hash 1");
  EXPECT_EQ(watcher.take().hash, "") << "taken";
  watcher.check();
  EXPECT_EQ(loads_, 1);
}

TEST_F(ModelFile, IsLeftAloneWhereItIsNoGood) {
  write("one");
  ModelWatcher watcher = this->watcher();
  write("garbage");
  for (int i = 0; i < 5; ++i) watcher.check();
  EXPECT_EQ(loads_, 1);
  EXPECT_EQ(watcher.take().hash, "");
  EXPECT_THAT(lines_, ElementsAre("model.h5: no model; the model in use stays"));
  fs::remove(file_);
  for (int i = 0; i < 3; ++i) watcher.check();
  EXPECT_EQ(loads_, 1) << "a file that is missing for a while is no new model";
  write("two");
  for (int i = 0; i < 3; ++i) watcher.check();
  EXPECT_EQ(loads_, 2);
  EXPECT_EQ(watcher.take().hash, "hash 2");
  EXPECT_THAT(lines_, ElementsAre(testing::_, HasSubstr("works again")));
}

const std::vector<std::string> kClasses = {"copper", "tin"};

ItemReport some_item() {
  ItemReport report;
  report.item.number = 3;
  report.item.label = 1;
  report.item.probabilities = {0.25f, 0.75f};
  report.item.first_frame = 10;
  report.item.last_frame = 18;
  report.item.frames = 9;
  report.item.entered = 1;
  report.item.passed = 1.5;
  report.item.left = 2;
  report.classes = kClasses;
  report.label = "tin";
  return report;
}

TEST(Lines, SayAllOfAnItem) {
  ItemReport report = some_item();
  EXPECT_EQ(to_text(report, 2), "1.50 s, item 3: tin 75.0% | copper 25.0%, 9 frames");
  auto line = nlohmann::json::parse(to_json(report, 1e9, 5));
  EXPECT_EQ(line["type"], "item");
  EXPECT_EQ(line["probabilities"]["copper"], 0.25);
  EXPECT_EQ(line["passed_s"], 1.5);
  EXPECT_FALSE(line.contains("bin"));

  report.bin = "left";
  report.fire_at = 2.75;
  report.missed = true;
  EXPECT_THAT(to_text(report, 1), testing::EndsWith("tin 75.0%, 9 frames, to left at 2.75 s, too late"));
  line = nlohmann::json::parse(to_json(report, 1e9, 5));
  EXPECT_EQ(line["bin"], "left");
  EXPECT_EQ(line["fire_at_s"], 2.75);
  EXPECT_EQ(line["missed"], true);

  report.item.recognised = false;
  report.label = "others";
  EXPECT_THAT(to_text(report, 1), HasSubstr("item 3: others; tin 75.0%"));
}

TEST(Lines, SayAllOfAFrame) {
  const std::vector<float> probabilities = {0.25f, 0.75f};
  Frame frame;
  frame.index = 7;
  frame.seconds = 0.25;
  FrameReport report{
      .frame = frame, .classes = kClasses, .probabilities = probabilities, .presence = {}, .times = {}};
  auto line = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(line["index"], 7);
  EXPECT_EQ(line["label"], "tin");
  EXPECT_TRUE(line["item"].is_null());
  report.presence = {.something = true, .item = 2};
  report.recognised = false;
  line = nlohmann::json::parse(to_json(report));
  EXPECT_EQ(line["item"], 2);
  EXPECT_EQ(line["label"], "others");
}

TEST(Annotated, MarksTheItemAndLeavesTheFrameAlone) {
  const std::vector<float> probabilities = {0.25f, 0.75f};
  Frame frame;
  frame.image = {
      .width = 160, .height = 120, .pixels = std::vector<std::uint8_t>(160 * 120 * 3, 200), .warning = {}};
  const FrameReport report{
      .frame = frame,
      .classes = kClasses,
      .probabilities = probabilities,
      .presence = {.something = true, .item = 1, .left = 0.25, .top = 0.25, .right = 0.75, .bottom = 0.75},
      .times = {}};
  const media::Image marked = annotated(report, "1.50 s, item 3: tin");
  ASSERT_EQ(marked.width, 160);
  ASSERT_EQ(marked.height, 120);
  const auto green = [&](std::int64_t x, std::int64_t y) {
    return int{marked.pixels[static_cast<std::size_t>((y * 160 + x) * 3 + 1)]};
  };
  EXPECT_EQ(green(80, 60), 200) << "the item itself";
  EXPECT_NE(green(40, 60), 200) << "the frame around it";
  EXPECT_LT(green(158, 2), 100) << "the band above";
  EXPECT_LT(green(158, 117), 100) << "the band below";
  EXPECT_EQ(frame.image.pixels, std::vector<std::uint8_t>(160 * 120 * 3, 200));
}

}  // namespace
}  // namespace pila
