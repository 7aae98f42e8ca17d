// The reading thread with sources that hang, end, fail, change and come back.
#include "apps/capture/stream_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <future>
#include <limits>
#include <mutex>
#include <thread>

#include "engine/core/error.h"

namespace pila {
namespace {

using namespace std::chrono_literals;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What happens from one opening on.
struct Act {
  enum Then { ends, hangs, fails };
  std::int64_t frames = 0;
  Then then = ends;
  std::int64_t width = 8;
  Then opening = ends;  // ends: it opens
  std::chrono::microseconds between{0};
};

// A source that plays its acts one after the other, the last one again and again.
class MadeUpSource {
 public:
  MadeUpSource(std::initializer_list<Act> acts) : acts_(acts), use_(this, [this](void*) { unused(); }) {}
  // Whoever hangs goes on, and has gone when this returns.
  ~MadeUpSource() {
    release();
    use_.reset();
    wait_until([&] { return unused_; });
  }

  OpenReader opener() {
    return [this, use = use_] { return open(); };
  }

  void release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }
  template <class Condition>
  void wait_until(const Condition& condition) {
    std::unique_lock lock(mutex_);
    EXPECT_TRUE(changed_.wait_for(lock, 30s, condition));
  }
  void wait_for_those_that_hang(int count) {
    wait_until([&] { return hanging_ == count; });
  }

  std::atomic<std::int64_t> openings{0}, grabs{0};
  std::vector<double> clock;  // seconds of each frame of an act, where not empty
  std::int64_t total = 0;
  std::int64_t unreadable = -1;  // this frame of each act

 private:
  class Reader final : public FrameReader {
   public:
    Reader(MadeUpSource& source, const Act& act) : source_(source), act_(act) {}
    ~Reader() override { source_.tell(); }
    bool grab() override {
      if (act_.between > 0us) std::this_thread::sleep_for(act_.between);
      ++source_.grabs;
      if (++frame_ < act_.frames) return true;
      if (act_.then == Act::hangs) source_.hang();
      if (act_.then == Act::fails) throw std::runtime_error("made-up: pulled out");
      return false;
    }
    media::Image retrieve() override {
      if (frame_ == source_.unreadable) throw FileError("made-up: frame is broken");
      media::Image image{.width = act_.width, .height = 2, .pixels = {}, .warning = {}};
      image.pixels.assign(static_cast<std::size_t>(act_.width * 2 * 3), static_cast<std::uint8_t>(frame_));
      return image;
    }
    std::optional<double> seconds() const override {
      if (source_.clock.empty()) return {};
      return source_.clock[static_cast<std::size_t>(frame_)];
    }
    std::string name() const override { return "picture " + std::to_string(frame_); }
    double fps() const override { return 100; }
    std::int64_t total() const override { return source_.total; }

   private:
    MadeUpSource& source_;
    const Act act_;
    std::int64_t frame_ = -1;
  };

  std::unique_ptr<FrameReader> open() {
    const auto opening = static_cast<std::size_t>(openings++);
    const Act& act = acts_[std::min(opening, acts_.size() - 1)];
    if (act.opening == Act::hangs) hang();
    if (act.opening == Act::fails) throw FileError("made-up: is not there");
    return std::make_unique<Reader>(*this, act);
  }

  void hang() {
    std::unique_lock lock(mutex_);
    ++hanging_;
    changed_.notify_all();
    changed_.wait(lock, [&] { return released_; });
    --hanging_;
    changed_.notify_all();
  }
  void tell() {
    const std::lock_guard lock(mutex_);
    changed_.notify_all();
  }
  void unused() {
    const std::lock_guard lock(mutex_);
    unused_ = true;
    changed_.notify_all();
  }

  const std::vector<Act> acts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool released_ = false, unused_ = false;
  int hanging_ = 0;
  std::shared_ptr<void> use_;  // shared by all who may open it
};

class StreamSourceTest : public testing::Test {
 protected:
  // A plan whose patience never ends by itself.
  StreamPlan plan(MadeUpSource& source, StreamKind kind) {
    StreamPlan plan;
    plan.name = "belt";
    plan.kind = kind;
    plan.open = source.opener();
    plan.adjust = [](media::Image&) {};
    plan.note = [this](const std::string& line) { notes_.push_back(line); };
    plan.opening = plan.reading = 600s;
    plan.first_pause = plan.longest_pause = 1ms;
    return plan;
  }
  static std::vector<Frame> all_of(FrameSource& source) {
    std::vector<Frame> frames;
    while (auto frame = source.next()) frames.push_back(std::move(*frame));
    return frames;
  }
  // The first frame of that width.
  static std::optional<Frame> wait_for_width(FrameSource& source, std::int64_t width) {
    while (auto frame = source.next()) {
      if (frame->image.width == width) return frame;
    }
    return {};
  }

  std::vector<std::string> notes_;
};

TEST_F(StreamSourceTest, AFileGivesEveryFrameAndIsReadAhead) {
  MadeUpSource made_up{{.frames = 50}};
  made_up.total = 50;
  const auto source = start_stream(plan(made_up, StreamKind::recording));
  EXPECT_FALSE(source->live());
  EXPECT_EQ(source->fps(), 100);
  EXPECT_EQ(source->total(), 50);
  EXPECT_EQ(source->describe(), "belt: 8 x 2 pixels, 100 frames a second, 50 frames");
  for (int i = 0; i < 50; ++i) {
    const auto frame = source->next();
    ASSERT_TRUE(frame);
    EXPECT_EQ(frame->index, i);
    EXPECT_EQ(frame->image.pixels[0], i);
    EXPECT_NEAR(frame->seconds, i * 0.01, 1e-9);
    EXPECT_LE(made_up.grabs, i + 1 + 5);
  }
  EXPECT_FALSE(source->next());
  EXPECT_FALSE(source->next());
  EXPECT_EQ(source->counts().frames, 50);
  EXPECT_EQ(source->counts().dropped, 0);
  EXPECT_THAT(notes_, IsEmpty());
}

TEST_F(StreamSourceTest, ALiveSourceGivesTheNewestFrame) {
  MadeUpSource made_up{{.frames = 100, .then = Act::hangs}};
  const auto source = start_stream(plan(made_up, StreamKind::live));
  EXPECT_TRUE(source->live());
  made_up.wait_for_those_that_hang(1);
  const auto frame = source->next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->index, 99);
  EXPECT_GE(frame->seconds, 0);
  EXPECT_EQ(source->counts().dropped, 99);
  EXPECT_EQ(source->counts().frames, 1);
}

TEST_F(StreamSourceTest, ALiveSourceThatHangsIsOpenedAnew) {
  MadeUpSource made_up{{.frames = 3, .then = Act::hangs},
                       {.opening = Act::fails},
                       {.opening = Act::fails},
                       {.frames = 1 << 30, .width = 16, .between = 1ms}};
  StreamPlan impatient = plan(made_up, StreamKind::live);
  impatient.reading = 50ms;
  const auto source = start_stream(std::move(impatient));
  const auto frame = wait_for_width(*source, 16);
  ASSERT_TRUE(frame);
  EXPECT_GT(frame->index, 2);
  EXPECT_GE(frame->seconds, 0.05);
  EXPECT_GE(source->counts().reconnects, 1);
  source->next();
  ASSERT_GE(notes_.size(), 2u);
  EXPECT_EQ(notes_[0], "belt: is lost, and opened anew until it is back: no frame for 0.05 s");
  EXPECT_THAT(notes_[1], HasSubstr("belt: is back after "));
}

TEST_F(StreamSourceTest, ALiveSourceThatEndsOrFailsIsOpenedAnew) {
  MadeUpSource made_up{{.frames = 2},
                       {.frames = 2, .then = Act::fails, .width = 10},
                       {.opening = Act::fails},
                       {.frames = 1, .then = Act::hangs, .width = 16}};
  const auto source = start_stream(plan(made_up, StreamKind::live));
  ASSERT_TRUE(wait_for_width(*source, 16));
  EXPECT_EQ(source->counts().reconnects, 2);
  EXPECT_EQ(made_up.openings, 4);
  EXPECT_THAT(notes_, Contains(HasSubstr("it gives no more frames")));
  EXPECT_THAT(notes_, Contains(HasSubstr("made-up: pulled out")));
}

TEST_F(StreamSourceTest, AnAddressThatKnowsItsLengthIsARecording) {
  MadeUpSource endless{{.frames = 2}, {.frames = 1, .then = Act::hangs, .width = 16}};
  const auto live = start_stream(plan(endless, StreamKind::address));
  EXPECT_TRUE(live->live());
  EXPECT_TRUE(wait_for_width(*live, 16));
  MadeUpSource bounded{{.frames = 20}};
  bounded.total = 20;
  const auto recording = start_stream(plan(bounded, StreamKind::address));
  EXPECT_FALSE(recording->live());
  EXPECT_EQ(all_of(*recording).size(), 20u);
}

TEST_F(StreamSourceTest, ThreadsThatHangAreFew) {
  MadeUpSource made_up{{.frames = 1, .then = Act::hangs}};
  StreamPlan impatient = plan(made_up, StreamKind::live);
  impatient.reading = 5ms;
  const auto source = start_stream(std::move(impatient));
  const auto waiting = std::async(std::launch::async, [&] { return all_of(*source).size(); });
  made_up.wait_for_those_that_hang(4);
  std::this_thread::sleep_for(50ms);
  EXPECT_EQ(made_up.openings, 4);
  made_up.release();
  made_up.wait_until([&] { return made_up.openings > 8; });
  source->stop();
}

TEST_F(StreamSourceTest, StopEndsANextUnderWay) {
  for (const StreamKind kind : {StreamKind::live, StreamKind::recording}) {
    MadeUpSource made_up{{.frames = 1, .then = Act::hangs}};
    const auto source = start_stream(plan(made_up, kind));
    ASSERT_TRUE(source->next());
    auto waiting = std::async(std::launch::async, [&] { return source->next().has_value(); });
    made_up.wait_for_those_that_hang(1);
    source->stop();
    EXPECT_EQ(waiting.wait_for(30s), std::future_status::ready);
    EXPECT_FALSE(waiting.get());
    EXPECT_FALSE(source->next());
  }
}

TEST_F(StreamSourceTest, TheFirstOpeningHasToSucceed) {
  const auto message = [&](Act act, StreamKind kind) -> std::string {
    MadeUpSource made_up{act};
    StreamPlan impatient = plan(made_up, kind);
    if (act.opening == Act::hangs || act.then == Act::hangs) impatient.opening = 5ms;
    try {
      start_stream(std::move(impatient));
    } catch (const std::exception& error) {
      return error.what();
    }
    return {};
  };
  EXPECT_EQ(message({.opening = Act::fails}, StreamKind::live), "made-up: is not there");
  EXPECT_EQ(message({.opening = Act::hangs}, StreamKind::live), "belt: no frame within 0.005 s");
  EXPECT_EQ(message({.frames = 0}, StreamKind::live), "belt: not one frame can be read");
  EXPECT_EQ(message({.frames = 0, .then = Act::hangs}, StreamKind::live), "belt: no frame within 0.005 s");
  EXPECT_EQ(message({.frames = 0}, StreamKind::stills), "belt: none of its images can be read");
}

TEST_F(StreamSourceTest, AFileIsPlayedAgain) {
  MadeUpSource made_up{{.frames = 3}};
  made_up.total = 3;
  StreamPlan twice = plan(made_up, StreamKind::recording);
  twice.loop = 2;
  const auto source = start_stream(std::move(twice));
  EXPECT_EQ(source->total(), 6);
  const auto frames = all_of(*source);
  ASSERT_EQ(frames.size(), 6u);
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(frames[static_cast<std::size_t>(i)].index, i);
    EXPECT_NEAR(frames[static_cast<std::size_t>(i)].seconds, i * 0.01, 1e-9);
  }

  StreamPlan for_ever = plan(made_up, StreamKind::recording);
  for_ever.loop = 0;
  const auto endless = start_stream(std::move(for_ever));
  EXPECT_EQ(endless->total(), 0);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(endless->next().value().index, i);
  endless->stop();
  EXPECT_FALSE(endless->next());

  MadeUpSource empty_later{{.frames = 3}, {.frames = 0}};
  StreamPlan hopeful = plan(empty_later, StreamKind::recording);
  hopeful.loop = 0;
  EXPECT_EQ(all_of(*start_stream(std::move(hopeful))).size(), 3u);
}

TEST_F(StreamSourceTest, AFileThatIsCutOffGivesWhatItHas) {
  MadeUpSource ends_early{{.frames = 3}};
  ends_early.total = 5;
  EXPECT_EQ(all_of(*start_stream(plan(ends_early, StreamKind::recording))).size(), 3u);
  EXPECT_THAT(notes_, ElementsAre("belt: 5 frames are expected, and only 3 can be read"));
  notes_.clear();
  MadeUpSource broken{{.frames = 5}};
  broken.unreadable = 2;
  EXPECT_EQ(all_of(*start_stream(plan(broken, StreamKind::recording))).size(), 2u);
  EXPECT_THAT(notes_, ElementsAre("made-up: frame is broken"));
  MadeUpSource fails{{.frames = 2, .then = Act::fails}};
  const auto source = start_stream(plan(fails, StreamKind::recording));
  EXPECT_TRUE(source->next());
  EXPECT_TRUE(source->next());
  EXPECT_THROW(source->next(), std::runtime_error);
  EXPECT_FALSE(source->next());
}

TEST_F(StreamSourceTest, StillImagesThatCannotBeReadAreSkipped) {
  MadeUpSource made_up{{.frames = 5}};
  made_up.unreadable = 1;
  const auto source = start_stream(plan(made_up, StreamKind::stills));
  const auto frames = all_of(*source);
  ASSERT_EQ(frames.size(), 4u);
  EXPECT_EQ(frames[1].index, 2);
  EXPECT_EQ(frames[1].name, "picture 2");
  EXPECT_EQ(source->counts().skipped, 1);
  EXPECT_THAT(notes_, ElementsAre("skipped: made-up: frame is broken"));
}

TEST_F(StreamSourceTest, PicturesThatDoNotFitAreTold) {
  const auto adjust = [](media::Image& image) {
    if (image.width != 8) throw UsageError("the region reaches outside");
  };
  MadeUpSource wrong_from_the_beginning{{.frames = 2, .width = 4}};
  StreamPlan strict = plan(wrong_from_the_beginning, StreamKind::recording);
  strict.adjust = adjust;
  EXPECT_THROW(start_stream(std::move(strict)), UsageError);
  // A camera may come back as it was.
  MadeUpSource changes{{.frames = 2}, {.frames = 2, .width = 4}, {.frames = 1, .then = Act::hangs}};
  strict = plan(changes, StreamKind::live);
  strict.adjust = adjust;
  const auto source = start_stream(std::move(strict));
  while (changes.openings < 3) ASSERT_TRUE(source->next());
  MadeUpSource stills{{.frames = 2, .width = 4}};
  strict = plan(stills, StreamKind::stills);
  strict.adjust = adjust;
  EXPECT_THROW(start_stream(std::move(strict)), FileError);
  EXPECT_THAT(notes_, Contains("picture 0: skipped: the region reaches outside"));
}

TEST_F(StreamSourceTest, APacedFileIsNeverEarly) {
  MadeUpSource made_up{{.frames = 20}};
  made_up.total = 20;
  StreamPlan paced = plan(made_up, StreamKind::recording);
  paced.pace = true;
  const auto begin = std::chrono::steady_clock::now();
  const auto source = start_stream(std::move(paced));
  EXPECT_TRUE(source->live());
  const auto frames = all_of(*source);
  for (const Frame& frame : frames) {
    EXPECT_NEAR(frame.seconds, static_cast<double>(frame.index) * 0.01, 1e-9);
    EXPECT_GE(std::chrono::duration<double>(frame.arrived - begin).count(), frame.seconds - 1e-6);
  }
  EXPECT_EQ(static_cast<std::int64_t>(frames.size()) + source->counts().dropped, 20);
}

TEST_F(StreamSourceTest, APacedFileDropsWhatIsNotTakenInTime) {
  MadeUpSource made_up{{.frames = 20}};
  made_up.total = 20;
  StreamPlan paced = plan(made_up, StreamKind::recording);
  paced.pace = true;
  const auto source = start_stream(std::move(paced));
  made_up.wait_until([&] { return made_up.grabs > 20; });
  EXPECT_TRUE(source->next());
  EXPECT_EQ(source->counts().dropped, 19);
  EXPECT_FALSE(source->next());
}

TEST_F(StreamSourceTest, AClockThatIsNotSaneIsReplaced) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  MadeUpSource made_up{{.frames = 7}};
  made_up.clock = {1.5, 1.75, 1.75, 0, nan, 1e9, 1.9};
  const auto frames = all_of(*start_stream(plan(made_up, StreamKind::recording)));
  std::vector<double> seconds;
  for (const Frame& frame : frames) seconds.push_back(frame.seconds);
  using testing::DoubleNear;
  const auto near = [](double value) { return DoubleNear(value, 1e-9); };
  EXPECT_THAT(seconds,
              ElementsAre(near(0), near(0.25), near(0.26), near(0.27), near(0.28), near(0.29), near(0.4)));
}

TEST_F(StreamSourceTest, AThreadThatComesBackTooLateFindsNobody) {
  MadeUpSource made_up{{.frames = 1, .then = Act::hangs}};
  start_stream(plan(made_up, StreamKind::live)).reset();
  made_up.wait_for_those_that_hang(1);
  made_up.release();
  made_up.wait_for_those_that_hang(0);
  EXPECT_EQ(made_up.openings, 1);
}

}  // namespace
}  // namespace pila
