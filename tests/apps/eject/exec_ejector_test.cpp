// Programs that are started for a shot, well-behaved and not; shots in a file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cerrno>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/apps/eject/waiting.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using test::error_of;
using test::eventually;
using test::fires;
using test::make_shot;
using testing::EndsWith;
using testing::HasSubstr;

class ExecEjector : public testing::Test {
 protected:
  ~ExecEjector() override {
    EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1) << "a child is left";
    EXPECT_EQ(errno, ECHILD);
  }
  std::string at(const std::string& name) const { return (folder_.path() / name).string(); }
  std::unique_ptr<Ejector> script(const std::string& text) const {
    std::ofstream(at("eject")) << text;
    fs::permissions(at("eject"), fs::perms::owner_all);
    return open_ejector("exec:" + at("eject"));
  }
  // Scripts have a second, which may be too short for them on a busy machine: another try is right, then.
  bool ends_with(Ejector& ejector, const std::string& error) const {
    return eventually([&] { return error_of(ejector, make_shot("left")) == at("eject") + error; });
  }
  test::TemporaryFolder folder_;
};

TEST_F(ExecEjector, GivesArgumentsWithoutAShell) {
  const auto ejector = script("#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.part\" && mv \"$0.part\" \"$0.out\"\n");
  Shot shot = make_shot("$(touch x); `touch y`", 42);
  shot.label = "two words\t*";
  shot.probability = 0.8125;
  ASSERT_TRUE(fires(*ejector, shot));
  EXPECT_EQ(test::read_text(at("eject.out")), "$(touch x); `touch y`\n42\ntwo words\t*\n0.8125\n");
}

TEST_F(ExecEjector, TellsAFailureByItsExitCode) {
  EXPECT_TRUE(ends_with(*script("#!/bin/sh\nexit 3\n"), ": exit code 3"));
  EXPECT_TRUE(ends_with(*script("#!/bin/sh\nkill -9 $$\n"), ": died of signal 9"));
}

// Whether the process is there and not only its remains.
bool lives(pid_t process) {
  std::ifstream stat("/proc/" + std::to_string(process) + "/stat");
  std::string number, name, state;
  return stat >> number >> name >> state && state != "Z" && state != "X";
}

TEST_F(ExecEjector, EndsAProgramThatHangsWithItsChildren) {
  const auto ejector =
      script("#!/bin/sh\nsleep 1000 & echo $! >\"$0.part\" && mv \"$0.part\" \"$0.pid\"\nwait\n");
  ASSERT_TRUE(eventually([&] {
    EXPECT_EQ(error_of(*ejector, make_shot("left")),
              at("eject") + ": killed, as it took longer than 1000 ms");
    return fs::exists(at("eject.pid"));
  }));
  const pid_t sleeper = std::stoi(test::read_text(at("eject.pid")));
  EXPECT_TRUE(eventually([&] { return !lives(sleeper); }));
}

TEST_F(ExecEjector, RefusesWhatCannotBeStarted) {
  std::ofstream(at("text")) << "#!/bin/sh\n";
  for (const auto& path : {at("missing"), at("text"), folder_.path().string()}) {
    EXPECT_THROW(open_ejector("exec:" + path), UsageError) << path;
  }
}

TEST_F(ExecEjector, TellsAProgramThatCannotBeStartedLater) {
  EXPECT_THAT(error_of(*script("echo no interpreter\n"), make_shot("left")),
              EndsWith("eject: cannot be started: Exec format error"));
  const auto ejector = script("#!/bin/sh\n");
  fs::remove(at("eject"));
  EXPECT_THAT(error_of(*ejector, make_shot("left")),
              EndsWith("cannot be started: No such file or directory"));
}

TEST(FileEjector, WritesALineOfJsonForEachShot) {
  const test::TemporaryFolder folder;
  const std::string path = (folder.path() / "shots.jsonl").string();
  const auto ejector = open_ejector("file:" + path);
  Shot shot = make_shot("left", 7);
  shot.probability = 0.75;
  ejector->fire(shot);
  shot.label = "broken \xFF\n\"label\"";
  ejector->fire(shot);
  std::istringstream lines(test::read_text(path));
  std::string first, second, third;
  EXPECT_TRUE(std::getline(lines, first) && std::getline(lines, second) && !std::getline(lines, third));
  const auto json = nlohmann::json::parse(first);
  EXPECT_EQ(json["bin"], "left");
  EXPECT_EQ(json["item"], 7);
  EXPECT_EQ(json["label"], "zinc");
  EXPECT_EQ(json["probability"], 0.75);
  EXPECT_LE(json["due_in_ms"], 0);
  EXPECT_EQ(nlohmann::json::parse(second)["label"], "broken \xEF\xBF\xBD\n\"label\"");
}

TEST(FileEjector, TellsAFullDiskAndWhatIsNoFile) {
  EXPECT_THAT(error_of(*open_ejector("file:/dev/full"), make_shot("left")),
              HasSubstr("No space left on device"));
  EXPECT_THROW(open_ejector("file:/"), FileError);
  EXPECT_THROW(open_ejector("file:/does/not/exist"), FileError);
}

}  // namespace
}  // namespace pila
