// Outputs of a made-up device: on for a shot, off after it, and off for sure after a loss.
#include "apps/eject/pulse_ejector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <utility>
#include <vector>

#include "tests/apps/eject/waiting.h"

namespace pila {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::error_of;
using test::eventually;
using test::fires;
using test::make_shot;
using testing::ElementsAre;
using testing::HasSubstr;
using Entries = std::vector<std::string>;

// Shared by the device and the test.
struct Bench {
  std::mutex mutex;
  std::condition_variable changed;
  Entries log;
  std::vector<steady_clock::time_point> times;  // of the log's entries
  bool reachable = true, alive = true, works = true;
  std::string stuck;  // what does not return, like an entry of the log
  bool is_stuck = false;

  void note(const std::string& entry) {
    std::unique_lock lock(mutex);
    log.push_back(entry);
    times.push_back(steady_clock::now());
    is_stuck = stuck == entry;
    changed.notify_all();
    changed.wait(lock, [&] { return stuck != entry; });
    is_stuck = false;
  }
  template <typename Change>
  void change(const Change& work) {
    const std::lock_guard lock(mutex);
    work();
    changed.notify_all();
  }
  Entries entries() {
    const std::lock_guard lock(mutex);
    return log;
  }
  bool has(const Entries& expected) {
    return eventually([&] { return entries() == expected; });
  }
  bool wait_stuck() {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, std::chrono::seconds(30), [&] { return is_stuck; });
  }
};

class MadeUpDevice : public OutputDevice {
 public:
  explicit MadeUpDevice(Bench& bench) : bench_(bench) {}
  void open() override {
    bench_.note("open");
    if (!value(bench_.reachable)) throw Error("no cable");
  }
  void close() override { bench_.note("close"); }
  bool alive() override { return value(bench_.alive); }
  void set(int output, bool on) override {
    bench_.note(std::to_string(output) + (on ? " on" : " off"));
    if (!value(bench_.works)) throw Error("no current");
  }
  std::string describe() const override { return "the board"; }

 private:
  bool value(const bool& of) {
    const std::lock_guard lock(bench_.mutex);
    return of;
  }
  Bench& bench_;
};

class PulseEjectorTest : public testing::Test {
 protected:
  std::unique_ptr<Ejector> make(milliseconds pulse) {
    return make_pulse_ejector(std::make_unique<MadeUpDevice>(bench), {{"left", 3}, {"right", 4}}, pulse);
  }
  Bench bench;
};

TEST_F(PulseEjectorTest, SwitchesOnAndOffAgain) {
  const auto ejector = make(milliseconds(20));
  EXPECT_TRUE(ejector->serves("left"));
  EXPECT_FALSE(ejector->serves("middle"));
  EXPECT_THAT(error_of(*ejector, make_shot("middle")), HasSubstr("has nothing for bin middle"));
  ASSERT_TRUE(fires(*ejector, make_shot("left")));
  ASSERT_TRUE(bench.has({"open", "3 on", "3 off"}));
  EXPECT_GE(bench.times[2] - bench.times[1], milliseconds(20));
}

TEST_F(PulseEjectorTest, LetsPulsesRunOutAtTheEnd) {
  auto ejector = make(milliseconds(20));
  ASSERT_TRUE(fires(*ejector, make_shot("right")));
  ejector.reset();
  EXPECT_THAT(bench.entries(), ElementsAre("open", "4 on", "4 off", "close"));
}

TEST_F(PulseEjectorTest, PulseHoldsUpNoOtherShotAndALossEndsIt) {
  const auto ejector = make(std::chrono::hours(1));
  ASSERT_TRUE(fires(*ejector, make_shot("left")));
  ASSERT_EQ(error_of(*ejector, make_shot("right")), "");
  ASSERT_EQ(error_of(*ejector, make_shot("left")), "");
  EXPECT_THAT(bench.entries(), ElementsAre("open", "3 on", "4 on", "3 on"));
  bench.change([&] { bench.works = false; });
  EXPECT_EQ(error_of(*ejector, make_shot("left")), "the board: no current");
  // Made anew, which switches all of them off.
  EXPECT_TRUE(bench.has({"open", "3 on", "4 on", "3 on", "3 on", "close", "open"}));
}

TEST_F(PulseEjectorTest, NothingThatFailedIsFiredWhenTheDeviceComes) {
  bench.reachable = false;
  const auto ejector = make(milliseconds(1));
  ASSERT_TRUE(eventually([&] { return error_of(*ejector, make_shot("left")) == "the board: no cable"; }));
  bench.change([&] { bench.reachable = true; });
  ASSERT_TRUE(fires(*ejector, make_shot("right")));
  ASSERT_TRUE(eventually([&] { return bench.entries().back() == "4 off"; }));
  EXPECT_THAT(bench.entries(), testing::Not(testing::Contains("3 on")));
}

TEST_F(PulseEjectorTest, FindsALossThatNoShotHasFound) {
  const auto ejector = make(milliseconds(1));
  ASSERT_TRUE(bench.has({"open"}));
  bench.change([&] { bench.alive = bench.reachable = false; });
  ASSERT_TRUE(eventually([&] { return bench.entries().size() > 4; }));
  EXPECT_NE(error_of(*ejector, make_shot("left")), "");
  bench.change([&] { bench.alive = bench.reachable = true; });
  EXPECT_TRUE(fires(*ejector, make_shot("left")));
}

TEST_F(PulseEjectorTest, ShotThatCannotBeginInTimeIsNotFired) {
  bench.stuck = "3 off";
  auto ejector = make(milliseconds(1));
  ASSERT_TRUE(fires(*ejector, make_shot("left")));
  ASSERT_TRUE(bench.wait_stuck());
  Shot shot = make_shot("right");
  shot.latest = steady_clock::now() + milliseconds(5);
  EXPECT_EQ(error_of(*ejector, shot), "the board: was busy for too long");
  bench.change([&] { bench.stuck.clear(); });
  ejector.reset();
  EXPECT_THAT(bench.entries(), testing::Not(testing::Contains("4 on")));
}

TEST_F(PulseEjectorTest, ShotDoesNotWaitForAConnection) {
  bench.stuck = "open";
  const auto ejector = make(milliseconds(1));
  ASSERT_TRUE(bench.wait_stuck());
  EXPECT_EQ(error_of(*ejector, make_shot("left")), "the board: not connected yet");
  bench.change([&] { bench.stuck.clear(); });
  EXPECT_TRUE(fires(*ejector, make_shot("left")));
}

}  // namespace
}  // namespace pila
