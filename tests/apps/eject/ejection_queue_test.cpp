// Shots by a clock that the tests turn: what is fired when, and what never is.
#include "apps/eject/ejection_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <condition_variable>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "engine/core/error.h"

namespace pila {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Shot::Time at(std::int64_t ms) { return Shot::Time(milliseconds(1'000'000 + ms)); }

class MadeUpClock : public EjectionClock {
 public:
  Time now() const override {
    const std::lock_guard lock(mutex_);
    return now_;
  }
  void sleep_until(Time until) override {
    std::unique_lock lock(mutex_);
    until_ = until;
    asleep_ = true;
    changed_.notify_all();
    changed_.wait(lock, [&] { return woken_ || now_ >= until; });
    asleep_ = woken_ = false;
  }
  void wake() override {
    const std::lock_guard lock(mutex_);
    woken_ = true;
    changed_.notify_all();
  }

  void turn_to(Time now) {
    const std::lock_guard lock(mutex_);
    now_ = now;
    changed_.notify_all();
  }
  // Waits until the queue has done all that there is to do now.
  void settle() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return asleep_ && !woken_ && now_ < until_; });
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  Time now_ = at(0), until_ = at(0);
  bool asleep_ = false, woken_ = false;
};

// What fires; used by the queue's thread, and by the test while that is settled.
struct Record {
  std::vector<std::int64_t> fired, fired_at_ms;
  std::vector<std::string> alarms;
  milliseconds takes{0};
  enum class Fault { none, error, other } fault = Fault::none;
};

class RecordingEjector : public Ejector {
 public:
  RecordingEjector(Record& record, MadeUpClock& clock) : record_(record), clock_(clock) {}
  void fire(const Shot& shot) override {
    const auto now = clock_.now();
    EXPECT_GE(now, shot.due);
    EXPECT_LE(now, shot.latest);
    if (record_.takes.count() > 0) clock_.turn_to(now + record_.takes);
    if (record_.fault == Record::Fault::error) throw Error("the valve sticks");
    if (record_.fault == Record::Fault::other) throw std::runtime_error("out of air");
    record_.fired.push_back(shot.item);
    record_.fired_at_ms.push_back((now - at(0)) / milliseconds(1));
  }
  std::string describe() const override { return "the valve"; }

 private:
  Record& record_;
  MadeUpClock& clock_;
};

class EjectionQueueTest : public testing::Test {
 protected:
  EjectionQueueTest() {
    auto owned = std::make_unique<MadeUpClock>();
    clock = owned.get();
    queue = std::make_unique<EjectionQueue>(
        std::make_unique<RecordingEjector>(record, *clock), EjectionQueue::Options{4, milliseconds(20)},
        [this](const std::string& line) { record.alarms.push_back(line); }, std::move(owned));
  }
  bool schedule(std::int64_t item, std::int64_t due_ms) {
    Shot shot;
    shot.bin = "left";
    shot.item = item;
    shot.due = at(due_ms);
    return queue->schedule(shot);
  }
  void turn_to(std::int64_t ms) const {
    clock->turn_to(at(ms));
    clock->settle();
  }

  Record record;
  MadeUpClock* clock = nullptr;
  std::unique_ptr<EjectionQueue> queue;
};

TEST_F(EjectionQueueTest, FiresByDueTimeAndThenInTheOrderOfScheduling) {
  EXPECT_TRUE(schedule(1, 30) && schedule(2, 10) && schedule(3, 20) && schedule(4, 10));
  clock->settle();
  EXPECT_THAT(record.fired, IsEmpty());
  turn_to(9);
  EXPECT_THAT(record.fired, IsEmpty());
  turn_to(10);
  EXPECT_THAT(record.fired, ElementsAre(2, 4));
  turn_to(20);
  turn_to(31);
  EXPECT_THAT(record.fired, ElementsAre(2, 4, 3, 1));
  EXPECT_THAT(record.fired_at_ms, ElementsAre(10, 10, 20, 31));
  const auto counts = queue->counts();
  EXPECT_EQ(counts.fired, 4);
  EXPECT_EQ(counts.late + counts.failed + counts.refused + counts.slow, 0);
  EXPECT_EQ(counts.worst_delay_ms, 1);
  EXPECT_THAT(record.alarms, IsEmpty());
}

TEST_F(EjectionQueueTest, TakesAShotThatIsDueBeforeThoseThatWait) {
  schedule(1, 1000);
  clock->settle();
  schedule(2, 5);
  turn_to(5);
  EXPECT_THAT(record.fired, ElementsAre(2));
}

TEST_F(EjectionQueueTest, FiresUpToTheToleranceAndNotAMillisecondLater) {
  schedule(1, 10);
  turn_to(30);
  EXPECT_THAT(record.fired, ElementsAre(1));
  schedule(2, 40);
  turn_to(61);
  EXPECT_THAT(record.fired, ElementsAre(1));
  EXPECT_THAT(record.alarms, ElementsAre("item 2 for bin left: not fired, 21 ms too late"));
  EXPECT_EQ(queue->counts().late, 1);
  EXPECT_EQ(queue->counts().worst_delay_ms, 20);
}

TEST_F(EjectionQueueTest, RefusesWhatIsTooLateAlready) {
  turn_to(100);
  EXPECT_FALSE(schedule(1, 79));
  EXPECT_THAT(record.alarms, ElementsAre(HasSubstr("21 ms too late")));
  EXPECT_TRUE(schedule(2, 80));
  clock->settle();
  EXPECT_THAT(record.fired, ElementsAre(2));
  EXPECT_EQ(queue->counts().late, 1);
}

TEST_F(EjectionQueueTest, RefusesMoreThanItsCapacity) {
  for (std::int64_t item = 1; item <= 4; ++item) EXPECT_TRUE(schedule(item, 10));
  EXPECT_FALSE(schedule(5, 10));
  EXPECT_THAT(record.alarms, ElementsAre("item 5 for bin left: not fired, as 4 shots wait already"));
  turn_to(10);
  EXPECT_THAT(record.fired, ElementsAre(1, 2, 3, 4));
  EXPECT_EQ(queue->counts().refused, 1);
  EXPECT_TRUE(schedule(6, 20));
}

TEST_F(EjectionQueueTest, SlowEjectorMakesNoLaterShotLate) {
  record.takes = milliseconds(100);
  schedule(1, 10);  // from 10 to 110
  schedule(2, 20);  // too late by then
  schedule(3, 95);  // just in time
  schedule(4, 300);
  clock->turn_to(at(10));
  clock->settle();
  EXPECT_THAT(record.fired, ElementsAre(1, 3));
  EXPECT_THAT(record.fired_at_ms, ElementsAre(10, 110));
  turn_to(300);
  EXPECT_THAT(record.fired, ElementsAre(1, 3, 4));
  const auto counts = queue->counts();
  EXPECT_EQ(counts.late, 1);
  EXPECT_EQ(counts.fired, 3);
  EXPECT_EQ(counts.slow, 3);
  EXPECT_EQ(counts.worst_delay_ms, 115);
  EXPECT_THAT(record.alarms, ElementsAre("item 1 for bin left: the valve took it 100 ms late",
                                         "item 2 for bin left: not fired, 90 ms too late",
                                         "item 3 for bin left: the valve took it 115 ms late",
                                         "item 4 for bin left: the valve took it 100 ms late"));
}

TEST_F(EjectionQueueTest, DeviceThatIsAwayIsNotFiredWhenItComesBack) {
  record.fault = Record::Fault::error;
  schedule(1, 10);
  turn_to(10);
  record.fault = Record::Fault::other;
  schedule(2, 20);
  turn_to(20);
  record.fault = Record::Fault::none;
  turn_to(25);
  EXPECT_THAT(record.fired, IsEmpty());
  schedule(3, 30);
  turn_to(30);
  EXPECT_THAT(record.fired, ElementsAre(3));
  EXPECT_EQ(queue->counts().failed, 2);
  EXPECT_THAT(record.alarms, ElementsAre("item 1 for bin left: not fired: the valve sticks",
                                         "item 2 for bin left: not fired: out of air"));
}

TEST_F(EjectionQueueTest, DrainsUntilNothingWaitsOrTimeIsUp) {
  queue->drain(milliseconds(0));
  schedule(1, 10);
  schedule(2, 20);
  queue->drain(milliseconds(1));
  EXPECT_EQ(queue->counts().fired, 0);
  std::thread hands([&] {
    turn_to(10);
    turn_to(20);
  });
  queue->drain(std::chrono::seconds(30));
  EXPECT_EQ(queue->counts().fired, 2);
  hands.join();
}

TEST_F(EjectionQueueTest, EndsWithoutFiringWhatWaits) {
  schedule(1, 10);
  queue.reset();
  EXPECT_THAT(record.fired, IsEmpty());
}

class NeverEarly : public Ejector {
 public:
  void fire(const Shot& shot) override { EXPECT_GE(std::chrono::steady_clock::now(), shot.due); }
  std::string describe() const override { return "nothing"; }
};

// By the real clock, from several threads; the tolerance is that of a machine that is busy.
TEST(EjectionQueueOfTheRealClock, FiresEachShotOnceAndNoneEarly) {
  constexpr int kThreads = 3, kShots = 200;
  EjectionQueue queue(std::make_unique<NeverEarly>(), {kThreads * kShots, std::chrono::hours(1)},
                      [](const std::string& line) { ADD_FAILURE() << line; });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kShots; ++i) {
        Shot shot;
        shot.due = std::chrono::steady_clock::now() + std::chrono::microseconds(37 * i % 5000);
        EXPECT_TRUE(queue.schedule(shot));
      }
    });
  }
  for (auto& thread : threads) thread.join();
  queue.drain(std::chrono::seconds(30));
  EXPECT_EQ(queue.counts().fired, kThreads * kShots);
}

}  // namespace
}  // namespace pila
