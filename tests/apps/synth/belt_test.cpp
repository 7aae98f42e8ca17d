// The belt video that the program draws itself, and its truth.
#include "apps/synth/belt.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>

#include "apps/media/video.h"
#include "apps/synth/series.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila::synth {
namespace {

using nlohmann::json;
using test::TemporaryFolder;

BeltOptions small(std::uint64_t seed = 0) {
  BeltOptions options;
  options.items = 3;
  options.series = 2;
  options.width = 112;
  options.height = 64;
  options.fps = 10;
  options.stills = 3;
  options.stills_per_specimen = 2;
  options.with_nothing = true;
  options.seed = seed;
  return options;
}

// Paths below the folder.
std::set<std::string> files_in(const fs::path& folder) {
  std::set<std::string> names;
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_regular_file()) names.insert(fs::relative(entry.path(), folder).string());
  }
  return names;
}

bool go_on() { return true; }

std::map<std::string, std::string> write(const BeltOptions& options) {
  const TemporaryFolder folder;
  write_belt(folder.path(), options, go_on);
  std::map<std::string, std::string> files;
  for (const std::string& name : files_in(folder.path())) {
    files[name] = test::read_text(folder.path() / name);
  }
  return files;
}

std::vector<media::Image> frames_of(const fs::path& video) {
  media::VideoReader reader(video);
  std::vector<media::Image> frames;
  for (media::Image frame; reader.next(frame);) frames.push_back(frame);
  return frames;
}

TEST(BeltTest, GivesTheSameBytesForASeedAtAnyNumberOfThreads) {
  BeltOptions options = small(7);
  options.threads = 1;
  const auto one = write(options);
  options.threads = 3;
  EXPECT_EQ(write(options), one);
  const auto other = write(small(8));
  for (const char* name : {"belt.avi", "truth.json", "stills/nothing/belt-01/0001.jpg"}) {
    ASSERT_TRUE(one.count(name)) << name;
    EXPECT_NE(other.at(name), one.at(name)) << name;
  }
}

TEST(BeltTest, TellsTheTruthOfEachFrameAndItem) {
  const TemporaryFolder folder;
  BeltOptions options = small();
  options.items = 6;
  options.level = Level::hard;
  write_belt(folder.path(), options, go_on);
  const json truth = json::parse(test::read_text(folder.path() / "truth.json"));
  const json &items = truth.at("items"), &frames = truth.at("frames");
  EXPECT_EQ(truth.at("width"), 112);
  EXPECT_EQ(truth.at("level"), "hard");
  EXPECT_EQ(truth.at("direction"), "right");
  ASSERT_EQ(items.size(), 6u);
  EXPECT_EQ(frames.size(), frames_of(folder.path() / "belt.avi").size());

  std::map<int, std::set<int>> seen;  // frames by item
  for (std::size_t i = 0; i < frames.size(); ++i) {
    EXPECT_EQ(frames[i].at("index"), i);
    EXPECT_NEAR(frames[i].at("seconds").get<double>(), static_cast<double>(i) / 10, 1e-6);
    for (const json& one : frames[i].at("items")) {
      const int number = one.at("item");
      seen[number].insert(static_cast<int>(i));
      EXPECT_GT(one.at("in_view"), 0);
      EXPECT_LE(one.at("in_view"), 1);
      EXPECT_GT(one.at("y"), 0);
      EXPECT_LT(one.at("y"), 64);
      const double since = frames[i].at("seconds").get<double>() -
                           items.at(static_cast<std::size_t>(number - 1)).at("passed_s").get<double>();
      const double way =
          since * truth.at("belt_mm_per_s").get<double>() / truth.at("mm_per_px").get<double>();
      EXPECT_NEAR(one.at("x").get<double>(), 56 + way, 0.01);
    }
  }
  std::set<std::string> classes;
  for (const json& item : items) {
    const int number = item.at("item");
    const int entered = item.at("entered_frame"), left = item.at("left_frame");
    EXPECT_EQ(*seen[number].begin(), entered);
    EXPECT_EQ(*seen[number].rbegin(), left);
    EXPECT_EQ(seen[number].size(), static_cast<std::size_t>(left - entered + 1)) << "in view all the while";
    EXPECT_LT(item.at("entered_s"), item.at("passed_s"));
    EXPECT_LT(item.at("passed_s"), item.at("left_s"));
    classes.insert(item.at("class").get<std::string>());
  }
  EXPECT_EQ(json(classes).size(), truth.at("classes").size()) << "each class comes by";
}

// How much a part of the picture, a square around a place, differs from another picture.
double difference(const media::Image& a, const media::Image& b, double x, double y) {
  constexpr int kReach = 12;
  double sum = 0;
  int count = 0;
  for (int row = static_cast<int>(y) - kReach; row <= static_cast<int>(y) + kReach; ++row) {
    for (int column = static_cast<int>(x) - kReach; column <= static_cast<int>(x) + kReach; ++column) {
      for (int c = 0; c < 3; ++c, ++count) {
        const auto i = static_cast<std::size_t>(3 * (row * a.width + column) + c);
        sum += std::abs(int{a.pixels.at(i)} - int{b.pixels.at(i)});
      }
    }
  }
  return sum / count;
}

TEST(BeltTest, ShowsAnItemWhereTheTruthSaysAndNowhereElse) {
  const TemporaryFolder folder;
  BeltOptions options = small();
  options.level = Level::easy;
  write_belt(folder.path(), options, go_on);
  const json truth = json::parse(test::read_text(folder.path() / "truth.json"));
  const auto frames = frames_of(folder.path() / "belt.avi");
  ASSERT_TRUE(truth.at("frames").at(0).at("items").empty());
  int looked_at = 0;
  for (std::size_t i = 0; i < frames.size(); ++i) {
    const json& seen = truth.at("frames").at(i).at("items");
    if (seen.empty() || seen[0].at("in_view") < 0.9) continue;
    ++looked_at;
    const double x = seen[0].at("x"), y = seen[0].at("y");
    const double here = difference(frames[i], frames[0], x, y);
    // Half the view away, where no battery reaches.
    const double there = difference(frames[i], frames[0], x < 56 ? x + 42 : x - 42, y);
    EXPECT_GT(here, 4 * there) << "frame " << i;
  }
  EXPECT_GT(looked_at, 12);
}

TEST(SeriesTest, InventedOnesAreReadableAndNoneOfTheDesigned) {
  constexpr int kCount = 150;
  std::set<std::string> names, prints;
  for (int i = 0; i < designed_series_count(); ++i) prints.insert(designed_series(i).brand);
  int repeated = 0;
  for (int i = 0; i < kCount; ++i) {
    const Series series = invented_series(i);
    EXPECT_TRUE(names.insert(series.name).second) << series.name;
    repeated += !prints.insert(series.brand).second;
    int contrast = 0;
    for (std::size_t c = 0; c < 3; ++c) contrast += std::abs(series.colours.body[c] - series.colours.text[c]);
    EXPECT_GE(contrast, 150) << series.name;
    EXPECT_EQ(series.colours.body == invented_series(i + 1).colours.body, i % 3 != 2) << i;
  }
  EXPECT_LT(repeated, kCount / 20);
}

TEST(BeltTest, DrawsInventedSeries) {
  const TemporaryFolder folder;
  BeltOptions options = small();
  options.invented = true;
  write_belt(folder.path(), options, go_on);
  const json truth = json::parse(test::read_text(folder.path() / "truth.json"));
  EXPECT_EQ(truth.at("classes"), json({"invented-001", "invented-002"}));
  EXPECT_TRUE(fs::exists(folder.path() / "stills/invented-002/specimen-04/0001.jpg"));
}

TEST(BeltTest, KeepsTheStillsSpecimensOutOfTheVideo) {
  const TemporaryFolder folder;
  write_belt(folder.path(), small(), go_on);
  const std::string first = designed_series(0).name, second = designed_series(1).name;
  EXPECT_THAT(files_in(folder.path()),
              testing::UnorderedElementsAre(
                  "belt.avi", "truth.json", "stills/" + first + "/specimen-04/0001.jpg",
                  "stills/" + first + "/specimen-04/0002.jpg", "stills/" + first + "/specimen-05/0003.jpg",
                  "stills/" + second + "/specimen-04/0001.jpg", "stills/" + second + "/specimen-04/0002.jpg",
                  "stills/" + second + "/specimen-05/0003.jpg", "stills/nothing/belt-01/0001.jpg",
                  "stills/nothing/belt-01/0002.jpg", "stills/nothing/belt-02/0003.jpg"));
  const json truth = json::parse(test::read_text(folder.path() / "truth.json"));
  for (const json& item : truth.at("items")) {
    EXPECT_THAT(item.at("specimen").get<std::string>(),
                testing::AnyOf("specimen-01", "specimen-02", "specimen-03"));
  }
  const media::Image still = media::load_image(folder.path() / "stills" / first / "specimen-04/0001.jpg");
  EXPECT_EQ(still.width, 112);
  EXPECT_EQ(still.height, 64);
}

int most_in_view(Level level, std::uint64_t seed) {
  const BeltPlan plan(BeltCamera{}, level, 40, 9, 3, 30, seed);
  int most = 0;
  for (int frame = 0; frame < plan.frames(); ++frame) {
    int count = 0;
    for (const BeltItem& item : plan.items()) {
      count += plan.sight(item, plan.seconds(frame)).in_view > 0;
    }
    most = std::max(most, count);
  }
  return most;
}

TEST(BeltTest, ShowsTwoAtOnceAtTheHardLevelAlone) {
  for (std::uint64_t seed = 0; seed < 3; ++seed) {
    EXPECT_EQ(most_in_view(Level::easy, seed), 1);
    EXPECT_EQ(most_in_view(Level::normal, seed), 1);
    EXPECT_EQ(most_in_view(Level::hard, seed), 2);
  }
}

TEST(BeltTest, BringsEachSpecimenOnceBeforeOneComesAgain) {
  const BeltPlan plan(BeltCamera{}, Level::normal, 27, 9, 3, 30, 1);
  std::set<std::pair<int, int>> seen;
  for (const BeltItem& item : plan.items()) seen.insert({item.series, item.specimen});
  EXPECT_EQ(seen.size(), 27u);
}

TEST(BeltTest, RefusesOptionsOutOfRange) {
  const TemporaryFolder folder;
  const auto refused = [&](auto change) {
    BeltOptions options = small();
    change(options);
    EXPECT_THROW(write_belt(folder.path(), options, go_on), UsageError);
    EXPECT_THROW(belt_pictures(options), UsageError);
  };
  refused([](BeltOptions& options) { options.items = 0; });
  refused([](BeltOptions& options) { options.series = 1; });
  refused([](BeltOptions& options) { options.series = most_series(false) + 1; });
  refused([](BeltOptions& options) { options.width = 63; });
  refused([](BeltOptions& options) { options.height = 5000; });
  refused([](BeltOptions& options) { options.fps = std::nan(""); });
  refused([](BeltOptions& options) { options.belt_mm_per_s = 0; });
  refused([](BeltOptions& options) { options.stills = -1; });
  refused([](BeltOptions& options) { options.stills_per_specimen = 0; });
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(BeltTest, LeavesAFolderAloneThatHoldsSomething) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "mine.txt") << "mine";
  EXPECT_THROW(write_belt(folder.path(), small(), go_on), FileError);
  EXPECT_THROW(write_belt(folder.path() / "mine.txt", small(), go_on), FileError);
  EXPECT_EQ(files_in(folder.path()), std::set<std::string>{"mine.txt"});
}

TEST(BeltTest, LeavesNothingHalfWrittenWhenItIsStopped) {
  const std::int64_t stills = 9, frames = belt_pictures(small()) - stills;
  for (const std::int64_t most : {std::int64_t{3}, frames + 2}) {
    const TemporaryFolder folder;
    std::int64_t told = 0;
    EXPECT_THROW(write_belt(folder.path(), small(), [&] { return ++told < most; }), Error);
    EXPECT_GE(told, most);
    const auto files = files_in(folder.path());
    const bool complete = most > frames;
    EXPECT_EQ(files.count("belt.avi"), complete ? 1u : 0u);
    EXPECT_EQ(files.count("truth.json"), complete ? 1u : 0u);
    for (const std::string& name : files) {
      EXPECT_TRUE(name == "belt.avi" || name == "truth.json" || name.ends_with(".jpg")) << name;
    }
  }
}

TEST(BeltTest, TellsOfEachPicture) {
  const TemporaryFolder folder;
  std::int64_t told = 0;
  write_belt(folder.path(), small(), [&] { return ++told > 0; });
  EXPECT_EQ(told, belt_pictures(small()));
}

TEST(BeltProgramTest, TakesItsOptionsWithBeltAlone) {
  const TemporaryFolder folder;
  const std::string out = (folder.path() / "new").string();
  const auto run = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"synth", "--out", out});
    return test::run_program(PILA_DATASET, arguments);
  };
  EXPECT_EQ(run({"--level", "hard"}).exit_code, 2);
  EXPECT_EQ(run({"--belt", "--images", "3"}).exit_code, 2);
  EXPECT_EQ(run({"--belt", "--level", "harder"}).exit_code, 2);
  for (const char* size : {"192", "x", "112x", "x64", "112x64x3", "-112x64", "112 x 64"}) {
    const auto refused = run({"--belt", "--size", size});
    EXPECT_EQ(refused.exit_code, 2) << size << refused.err;
  }
  EXPECT_EQ(run({"--size", "112x64"}).exit_code, 2);
  EXPECT_FALSE(fs::exists(out));

  const auto done = run({"--belt", "--items", "1", "--series", "2", "--stills", "0", "--size", "112x64",
                         "--fps", "5", "--speed", "200", "--level", "easy", "--seed", "4"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_THAT(files_in(out), testing::UnorderedElementsAre("belt.avi", "truth.json"));
  EXPECT_EQ(run({"--belt"}).exit_code, 1) << "the folder holds something now";
}

}  // namespace
}  // namespace pila::synth
