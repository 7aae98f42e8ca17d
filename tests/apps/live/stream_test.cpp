// pila-live on a stream as its users run it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <numeric>
#include <sstream>

#include "apps/live/explainer.h"
#include "apps/media/video.h"
#include "apps/media/video_writer.h"
#include "apps/store/store.h"
#include "engine/core/context.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "layers/model.h"
#include "tests/apps/process.h"
#include "weights/model_card.h"
#include "weights/save_weights.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::SizeIs;
using Arguments = std::vector<std::string>;
using Lines = std::vector<nlohmann::json>;

Lines parse_lines(const std::string& text, const std::string& type) {
  Lines lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    auto parsed = nlohmann::json::parse(line);
    if (parsed["type"] == type) lines.push_back(std::move(parsed));
  }
  return lines;
}

constexpr int kWidth = 320, kHeight = 180, kFrames = 150,
              kStep = 16;  // pixels that the belt moves in a frame
constexpr double kRate = 25;
// Where the left edges of things are when the video begins; they move to the right, and are 60 wide.
constexpr int kThings[] = {-80, -400, -800, -1100, -1500};
constexpr int kLength = 60;

// A grainy belt with things on it.
media::Image draw_frame(int index) {
  Random random(7, static_cast<std::uint64_t>(index));
  media::Image image{.width = kWidth, .height = kHeight, .pixels = {}, .warning = {}};
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      int level = 70 + static_cast<int>(random.below(8));
      for (const int start : kThings) {
        const int from = start + index * kStep;
        if (x >= from && x < from + kLength && y >= 60 && y < 120) level = 150 + (x - from) % 20 * 4;
      }
      image.pixels.insert(image.pixels.end(), 3, static_cast<std::uint8_t>(level));
    }
  }
  return image;
}

class Stream : public testing::Test {
 protected:
  Stream() {
    write_model("model.h5", {"copper", "tin", "zinc"}, 5);
    const auto video = media::create_video(at("belt.avi"), kWidth, kHeight, kRate);
    for (int i = 0; i < kFrames; ++i) video->write(draw_frame(i));
    video->finish();
  }

  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }

  // MobileNetV2 of the least width and size, with weights from a seed.
  void write_model(const std::string& name, const std::vector<std::string>& classes,
                   std::uint64_t seed) const {
    const Context ctx(Device::cpu(1));
    ModelDescription description;
    description.spec.width = 0.35;
    description.spec.input_height = description.spec.input_width = 32;
    description.spec.head = imagenet_head(static_cast<std::int64_t>(classes.size()));
    description.preprocessing = default_preprocessing(description.spec);
    description.classes = classes;
    save_weights(ctx, Model(ctx, description.spec, seed), at(name), format_card(description));
  }

  test::Finished live(Arguments more) const {
    Arguments arguments = {"--model", "model.h5", "--source", "belt.avi", "--threads", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::run_program(PILA_LIVE, arguments, folder_.path());
  }
  // A shell line in which `live` is the program with a belt that never ends, and `until` waits for a line in
  // a file.
  test::Finished endless(const std::string& line) const {
    return test::run_shell(PILA_LIVE,
                           "cd '" + folder_.path().string() +
                               "'; live() { exec \"$0\" --model model.h5 --source belt.avi --threads 1 "
                               "--pace --loop 0 \"$@\"; }\n"
                               "until_line() { for i in $(seq 600); do grep -q \"$1\" \"$2\" 2>/dev/null "
                               "&& return; sleep 0.1; done; echo \"no $1 in $2\"; }\n" +
                               line);
  }

  const test::TemporaryFolder folder_;
};

TEST_F(Stream, GivesEachItemOneVerdict) {
  const auto run = live({"--json", "-", "--json-frames", "--stats", "stats.json"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const Lines items = parse_lines(run.out, "item"), frames = parse_lines(run.out, "frame");
  EXPECT_THAT(frames, SizeIs(kFrames));
  ASSERT_THAT(items, SizeIs(std::size(kThings))) << run.out;
  for (std::size_t i = 0; i < items.size(); ++i) {
    SCOPED_TRACE(items[i].dump());
    EXPECT_EQ(items[i]["item"], i + 1);
    EXPECT_GE(items[i]["frames"], 1);
    // Its middle crosses that of the picture.
    const double passed = (kWidth / 2.0 - kLength / 2.0 - kThings[i]) / kStep / kRate;
    EXPECT_NEAR(items[i]["passed_s"].get<double>(), passed, 0.5 / kRate);
    EXPECT_LE(items[i]["entered_s"], items[i]["passed_s"]);
    EXPECT_LE(items[i]["passed_s"], items[i]["left_s"]);
    EXPECT_THAT(items[i]["probabilities"], SizeIs(3));
    EXPECT_FALSE(items[i].contains("bin"));
  }
  EXPECT_THAT(run.err, HasSubstr("150 frames"));
  const auto stats = nlohmann::json::parse(test::read_text(at("stats.json")));
  EXPECT_EQ(stats["frames"], kFrames);
  EXPECT_EQ(stats["items"], std::size(kThings));
  EXPECT_GT(stats["stages"]["network"]["median_ms"], 0);
}

TEST_F(Stream, SpeaksToPeople) {
  const auto run = live({"--top", "1"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::istringstream lines(run.out);
  int count = 0;
  for (std::string line; std::getline(lines, line); ++count) {
    EXPECT_THAT(line,
                testing::MatchesRegex("[0-9.]+ s, item [0-9]: (copper|tin|zinc) [0-9.]+%, [0-9]+ frames?"));
  }
  EXPECT_EQ(count, int{std::size(kThings)});
}

TEST_F(Stream, JudgesEveryFrameWhereItIsTold) {
  const auto run = live({"--mode", "frames", "--json", "-"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(parse_lines(run.out, "item"), SizeIs(kFrames));
}

TEST_F(Stream, SaysWhereItemsGoAndWhen) {
  const auto run =
      live({"--json", "-", "--belt-speed", "100", "--bin", "tin=left@50", "--bin", "*=right@500"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  for (const auto& item : parse_lines(run.out, "item")) {
    SCOPED_TRACE(item.dump());
    const bool tin = item["label"] == "tin";
    EXPECT_EQ(item["bin"], tin ? "left" : "right");
    EXPECT_NEAR(item["fire_at_s"].get<double>(), item["passed_s"].get<double>() + (tin ? 0.5 : 5), 1e-3);
  }
}

TEST_F(Stream, NeverFiresLate) {
  const auto run =
      live({"--pace", "--belt-speed", "400", "--bin", "*=left@2000", "--eject", "file:" + at("shots")});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  std::istringstream shots(test::read_text(at("shots")));
  int fired = 0;
  for (std::string line; std::getline(shots, line); ++fired) {
    EXPECT_EQ(nlohmann::json::parse(line)["bin"], "left");
  }
  EXPECT_THAT(run.err, HasSubstr(std::to_string(fired) + " shots fired"));
}

TEST_F(Stream, WritesAnAnnotatedVideo) {
  const auto run = live({"--video", "seen.avi"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  media::VideoReader video(at("seen.avi"));
  media::Image frame;
  int frames = 0;
  while (video.next(frame)) ++frames;
  EXPECT_EQ(frames, kFrames);
  EXPECT_EQ(frame.width, kWidth);
}

TEST_F(Stream, KeepsItems) {
  const auto run = live({"--store", "items.sqlite", "--store-pictures", "all"});
  ASSERT_EQ(run.exit_code, 0) << run.err;
  const auto store = Store::open({.file = at("items.sqlite")});
  const auto items = store->list(100, false, std::nullopt);
  ASSERT_THAT(items, SizeIs(std::size(kThings)));
  for (const auto& item : items) {
    EXPECT_TRUE(item.has_picture);
    EXPECT_THAT(item.probabilities, SizeIs(3));
    EXPECT_THAT(item.model, SizeIs(32));
    EXPECT_EQ(item.source, "belt.avi");
  }
  EXPECT_THAT(store->labels(), testing::IsSupersetOf({"copper", "tin", "zinc"}));
}

TEST_F(Stream, EndsTidilyByASignal) {
  const auto run = endless(
      "live --json out --stats stats.json --video seen.avi 2>err & until_line item out; kill $!; wait $!; "
      "echo $?");
  EXPECT_EQ(run.out, "0\n") << test::read_text(at("err"));
  EXPECT_GT(nlohmann::json::parse(test::read_text(at("stats.json")))["items"], 0);
  EXPECT_TRUE(fs::exists(at("seen.avi")));
}

TEST_F(Stream, TakesUpAModelAndKeepsItWhenTheNextIsNoGood) {
  write_model("next.h5", {"gold", "silver"}, 6);
  const auto run = endless(
      "live --json out --watch-model --heartbeat 0 2>err & until_line copper out\n"
      "mv next.h5 model.h5; until_line 'a new model is taken up' err; until_line silver out\n"
      "echo garbage >bad; mv bad model.h5; until_line 'the model in use stays' err\n"
      ">out; until_line silver out; kill $!; wait $!; echo $?");
  EXPECT_EQ(run.out, "0\n") << test::read_text(at("err"));
}

TEST_F(Stream, ShowsAPage) {
  const auto run = endless(
      "live --json out --http 127.0.0.1:0 2>err & until_line page: err\n"
      "port=$(sed -n 's|^page: http://127.0.0.1:\\([0-9]*\\)/.*|\\1|p' err)\n"
      "bash -c \"exec 3<>/dev/tcp/127.0.0.1/$port; printf 'GET /healthz HTTP/1.0\\r\\nHost: "
      "127.0.0.1\\r\\n\\r\\n' >&3; "
      "head -1 <&3\"; kill $!; wait $!; echo $?");
  EXPECT_THAT(run.out, AllOf(HasSubstr("200"), EndsWith("0\n"))) << test::read_text(at("err"));
}

TEST_F(Stream, ExplainsAPicture) {
  Explainer explainer(at("model.h5"));
  const media::Image picture = draw_frame(20);
  for (const char* model : {"model.h5", "next.h5"}) {
    const auto [probabilities, recognised, heat_map] = explainer.explain(picture);
    ASSERT_THAT(probabilities, SizeIs(model == std::string("model.h5") ? 3 : 2));
    EXPECT_NEAR(std::accumulate(probabilities.begin(), probabilities.end(), 0.0), 1, 1e-5);
    EXPECT_TRUE(recognised) << "the model has no threshold";
    EXPECT_EQ(heat_map.width, kWidth);
    EXPECT_EQ(heat_map.pixels.size(), picture.pixels.size());
    write_model("next.h5", {"gold", "silver"}, 6);
    explainer.use(at("next.h5"));
  }
  explainer.use(at("absent.h5"));
  EXPECT_THROW(explainer.explain(picture), FileError);
}

TEST_F(Stream, UsesWhatIsLeftOfADamagedVideo) {
  fs::resize_file(at("belt.avi"), fs::file_size(at("belt.avi")) / 2);
  const auto run = live({"--json", "-"});
  EXPECT_EQ(run.exit_code, 0) << run.err;
  EXPECT_THAT(parse_lines(run.out, "item"), SizeIs(testing::AllOf(testing::Ge(1u), testing::Lt(5u))));
}

TEST_F(Stream, GoesOnWhereAResultCannotBeWritten) {
  const auto run = live({"--json", "/dev/full", "--mode", "frames"});
  EXPECT_EQ(run.exit_code, 0);
  const auto alarm = run.err.find("alarm: /dev/full: cannot be written");
  EXPECT_NE(alarm, std::string::npos) << run.err;
  EXPECT_EQ(run.err.find("alarm:", alarm + 1), std::string::npos) << "once is enough: " << run.err;
}

struct BadCall {
  const char* what;
  Arguments arguments;
  int exit_code;
  const char* message;
};

TEST_F(Stream, BadInputIsOneLineOfError) {
  std::ofstream(at("garbage.avi")) << std::string(5000, 'x');
  std::ofstream(at("empty.mp4"));
  std::ofstream(at("text.sqlite")) << "Not a database, but as long as one might be.";
  fs::create_directories(at("pictures"));
  const std::vector<BadCall> calls = {
      {"absent", {"--source", "absent.mp4"}, 1, "absent.mp4: no such file"},
      {"garbage", {"--source", "garbage.avi"}, 1, "garbage.avi: "},
      {"empty", {"--source", "empty.mp4"}, 1, "empty.mp4: "},
      {"no kind of source", {"--source", "ftp://host/x"}, 2, "ftp://host/x"},
      {"unknown mode", {"--mode", "guess"}, 2, "--mode"},
      {"no such class", {"--empty-class", "nothing"}, 2, "(copper, tin, zinc), got 'nothing'"},
      {"rule for an unknown class", {"--belt-speed", "1", "--bin", "gold=left@5"}, 2, "gold"},
      {"rule without a place", {"--belt-speed", "1", "--bin", "tin=left"}, 2, "tin=left"},
      {"shots without rules", {"--eject", "file:shots", "--belt-speed", "1"}, 2, "--bin is expected"},
      {"shots without speed",
       {"--eject", "file:shots", "--bin", "tin=left@5"},
       2,
       "--belt-speed is expected"},
      {"shots without a clock",
       {"--eject", "file:shots", "--bin", "tin=left@5", "--belt-speed", "1"},
       2,
       "--pace"},
      {"signals that none gives", {"--mode", "trigger"}, 2, "--trigger-mm or --trigger is expected"},
      {"a bin that no ejector serves",
       {"--pace", "--eject", "modbus://127.0.0.1:9/1/left=0", "--bin", "tin=right@5", "--belt-speed", "1"},
       2,
       "no ejector serves right"},
      {"unknown ejector",
       {"--pace", "--eject", "catapult:", "--bin", "tin=left@5", "--belt-speed", "1"},
       2,
       "catapult:"},
      {"no store", {"--store", "text.sqlite"}, 1, "text.sqlite: "},
      {"no place for a video", {"--video", "no/such/seen.avi"}, 1, "no/such/seen.avi"},
      {"no kind of video", {"--video", "seen.txt"}, 2, "seen.txt"},
      {"no place for statistics", {"--stats", "no/such/stats.json"}, 1, "no/such/stats.json"},
      {"no port", {"--http", "127.0.0.1:eighty"}, 2, "eighty: HOST:PORT is expected"},
      {"a page for all without a token", {"--http", "0.0.0.0:0"}, 2, "token"},
      {"a region outside", {"--roi", "300,0,100,100"}, 2, "region"},
      {"no region", {"--roi", "1,2,3"}, 2, "--roi"},
      {"an option of still images", {"--batch", "2"}, 2, "--batch: this is for still images"},
      {"an option of streams", {"--source", "pictures", "--pace"}, 2, "--pace: this is for streams"},
  };
  for (const auto& call : calls) {
    SCOPED_TRACE(call.what);
    Arguments arguments = {"--model", "model.h5", "--threads", "1"};
    if (std::ranges::find(call.arguments, "--source") == call.arguments.end()) {
      arguments.insert(arguments.end(), {"--source", "belt.avi"});
    }
    arguments.insert(arguments.end(), call.arguments.begin(), call.arguments.end());
    const auto run = test::run_program(PILA_LIVE, arguments, folder_.path());
    EXPECT_EQ(run.exit_code, call.exit_code) << run.err;
    EXPECT_THAT(run.err, HasSubstr(call.message));
    const auto last_line = run.err.rfind('\n', run.err.size() - 2) + 1;
    EXPECT_THAT(run.err.substr(last_line), AllOf(testing::StartsWith("pila-live: "), EndsWith("\n")));
  }
  EXPECT_FALSE(fs::exists(at("shots"))) << "nothing may be left of what did not begin";
}

}  // namespace
}  // namespace pila
