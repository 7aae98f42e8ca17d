// Items on a learned belt: one verdict for each thing that goes by, whatever belt, light and camera do.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "apps/items/decider.h"
#include "tests/apps/items/belt_film.h"

namespace pila {
namespace {

using test::BeltFilm;
using test::FilmOptions;
using Change = std::function<void(Frame&, Sighting&)>;

std::vector<Item> decide(BeltFilm& film, const DecisionOptions& options = {}, const Change& change = {}) {
  const auto decider = make_decider(options, nullptr);
  std::vector<Item> items;
  const auto keep = [&](std::vector<Item> some) {
    for (Item& item : some) items.push_back(std::move(item));
  };
  Frame frame;
  Sighting sighting;
  while (film.next(frame, sighting)) {
    if (change) change(frame, sighting);
    keep(decider->take(frame, sighting));
  }
  keep(decider->finish());
  return items;
}

// Every thing has its item, in order, with its time: to a share of the picture for those that were seen
// whole.
void expect_truth(const FilmOptions& options, const Change& change = {}) {
  SCOPED_TRACE(testing::Message() << "seed " << options.seed << ", " << options.frames_in_view
                                  << " frames in view, vertical " << options.vertical << ", backwards "
                                  << options.backwards);
  BeltFilm film(options);
  const auto items = decide(film, {}, change);
  const auto& things = film.things();
  ASSERT_EQ(items.size(), things.size());
  const double side = options.vertical ? options.height : options.width;
  const double last = options.frames / options.fps;
  const double in_picture = side / film.speed();  // seconds from rim to rim
  for (std::size_t i = 0; i < items.size(); ++i) {
    EXPECT_EQ(items[i].number, static_cast<std::int64_t>(i) + 1);
    EXPECT_LE(items[i].entered, items[i].left);
    EXPECT_LE(items[i].first_frame, items[i].last_frame);
    EXPECT_GE(items[i].frames, 1);
    EXPECT_EQ(items[i].picture.width, options.width);
    EXPECT_GE(items[i].picture_frame, items[i].first_frame);
    EXPECT_LE(items[i].picture_frame, items[i].last_frame);
    const bool cut = things[i].passed < in_picture || things[i].passed > last - in_picture;
    if (cut) continue;
    EXPECT_NEAR(items[i].passed, things[i].passed, 0.04 * in_picture) << "item " << i + 1;
  }
}

FilmOptions film(std::uint64_t seed, double frames_in_view, int way = 0) {
  FilmOptions options;
  options.seed = seed;
  options.frames_in_view = frames_in_view;
  options.frames = frames_in_view > 10 ? 120 : 60;
  options.vertical = (way & 1) != 0;
  options.backwards = (way & 2) != 0;
  return options;
}

TEST(BeltItems, AreCountedAtAnySpeedAndInAnyDirection) {
  for (const double in_view : {2.0, 2.5, 4.0, 8.0, 25.0}) {
    for (int way = 0; way < 4; ++way) expect_truth(film(static_cast<std::uint64_t>(way), in_view, way));
  }
}

TEST(BeltItems, AreCountedInSmallAndLargeGaps) {
  for (const double gap : {0.06, 0.5, 1.7}) {
    for (const double in_view : {3.0, 9.0}) {
      FilmOptions options = film(11, in_view);
      options.least_gap = options.most_gap = gap;
      expect_truth(options);
    }
  }
}

TEST(BeltItems, AreCountedAfterAnEmptyBelt) {
  for (const double in_view : {2.0, 6.0}) {
    FilmOptions options = film(21, in_view);
    options.frames = 90;
    options.empty_start = 30 / in_view;
    expect_truth(options);
  }
}

TEST(BeltItems, AreCountedWhereFramesAreDroppedAndTimesJitter) {
  for (const double in_view : {4.0, 12.0}) {
    FilmOptions options = film(31, in_view);
    options.dropped = 0.15;
    options.jitter = 0.2;
    options.frames = 100;
    BeltFilm belt(options);
    EXPECT_EQ(decide(belt).size(), belt.things().size()) << in_view;
  }
}

TEST(BeltItems, AreCountedWhileTheLightDrifts) {
  for (const double drift : {-0.4, 0.6}) {
    FilmOptions options = film(41, 6);
    options.light_drift = drift;
    options.frames = 150;
    expect_truth(options);
  }
}

TEST(BeltItems, AreCountedWhereTheyLookAlike) {
  FilmOptions options = film(51, 5);
  options.grey = true;
  expect_truth(options);
}

// On a belt that is plain enough to tell other light on it.
FilmOptions plain_film(std::uint64_t seed, int way) {
  FilmOptions options = film(seed, 12, way);
  options.belt_texture = options.noise = 4;
  return options;
}

// A dark battery on a dark belt shows its ends alone.
TEST(BeltItems, AreOneWhereTheirMiddleIsHardlyDarkerThanTheBelt) {
  for (int way = 0; way < 4; ++way) {
    FilmOptions options = plain_film(71, way);
    options.middle = 0.85;
    expect_truth(options);
  }
}

TEST(BeltItems, AreCountedWithoutTheirShadows) {
  for (int way = 0; way < 4; ++way) {
    FilmOptions options = plain_film(81, way);
    options.shadow = 0.8;
    expect_truth(options);
    options.least_gap = options.most_gap = options.shadow_width = 0.4;  // from each to the next
    expect_truth(options);
  }
}

TEST(BeltItems, AnEmptyBeltHasNone) {
  for (const double drift : {0.0, 0.5}) {
    FilmOptions options = film(61, 8);
    options.empty_start = 1000;
    options.light_drift = drift;
    expect_truth(options);
  }
}

void paint(media::Image& image, double left, double right, const std::function<double(double)>& light) {
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = static_cast<std::int64_t>(left * static_cast<double>(image.width));
         x < static_cast<std::int64_t>(right * static_cast<double>(image.width)); ++x) {
      for (int i = 0; i < 3; ++i) {
        auto& value = image.pixels[static_cast<std::size_t>(3 * (y * image.width + x) + i)];
        value = static_cast<std::uint8_t>(std::clamp(light(value), 0.0, 255.0));
      }
    }
  }
}

TEST(BeltItems, ShadowsAndFlashesAreNone) {
  FilmOptions options = film(71, 8);
  options.frames = 120;
  const auto shadow = [](Frame& frame, Sighting&) {
    if (frame.index > 40) paint(frame.image, 0.3, 0.6, [](double value) { return 0.83 * value; });
    if (frame.index > 70) paint(frame.image, 0.7, 0.8, [](double value) { return 1.2 * value; });
  };
  expect_truth(options, shadow);

  FilmOptions empty = options;
  empty.empty_start = 1000;
  const auto flash = [](Frame& frame, Sighting&) {
    if (frame.index == 50 || frame.index == 80) paint(frame.image, 0.4, 0.6, [](double) { return 250.0; });
  };
  BeltFilm film(empty);
  const auto items = decide(film, {}, flash);
  EXPECT_LE(items.size(), 0u);
}

TEST(BeltItems, AFrameWithoutOrWithTwoHalvesDoesNotSplitThem) {
  // A grey belt over everything now and then, or over a part of the picture.
  for (const bool whole : {true, false}) {
    FilmOptions options = film(81, 15);
    options.frames = 150;
    const auto hide = [&](Frame& frame, Sighting&) {
      if (frame.index < 40 || frame.index % 7 != 0) return;
      paint(frame.image, whole ? 0 : 0.45, whole ? 1 : 0.55, [](double) { return 84.0; });
    };
    BeltFilm film(options);
    EXPECT_EQ(decide(film, {}, hide).size(), film.things().size());
  }
}

TEST(BeltItems, AreOneEachWhereTheBeltStops) {
  // The film is held for 40 frames, twice.
  for (const double in_view : {6.0, 14.0}) {
    FilmOptions options = film(91, in_view);
    options.frames = 90;
    BeltFilm film(options);
    const auto decider = make_decider({}, nullptr);
    std::size_t count = 0;
    Frame frame;
    Sighting sighting;
    double held = 0;
    while (film.next(frame, sighting)) {
      const bool stop = frame.index == 45 || frame.index == 70;
      for (int i = 0; i < (stop ? 40 : 1); ++i) {
        Frame shown = frame;
        shown.seconds = frame.seconds + held;
        count += decider->take(shown, sighting).size();
        if (stop) held += 1 / options.fps;
      }
    }
    count += decider->finish().size();
    EXPECT_EQ(count, film.things().size()) << in_view;
  }
}

TEST(BeltItems, PassTheLineThatIsAskedFor) {
  const FilmOptions options = film(101, 10);
  BeltFilm early(options), late(options);
  DecisionOptions first, second;
  first.line = 0.2;
  second.line = 0.9;
  second.direction = BeltDirection::right;
  const auto before = decide(early, first), after = decide(late, second);
  ASSERT_EQ(before.size(), early.things().size());
  ASSERT_EQ(after.size(), before.size());
  for (std::size_t i = 2; i + 2 < before.size(); ++i) {
    EXPECT_NEAR(after[i].passed - before[i].passed, 0.7 * options.width / early.speed(), 0.004);
  }
}

TEST(BeltItems, GoByTheFramesThatShowThemWhole) {
  // The network is right where a thing is whole in view and by itself, and surely wrong elsewhere.
  FilmOptions options = film(111, 12);
  options.least_gap = options.most_gap = 1.1;
  options.frames = 150;
  BeltFilm film(options);
  const double side = options.width;
  const auto answer = [&](Frame& frame, Sighting& sighting) {
    sighting.log_probabilities.assign(BeltFilm::kClasses, -9);
    const double entry = film.speed() * frame.seconds;
    std::size_t label = 0;
    for (const auto& thing : film.things()) {
      if (entry > thing.end && entry - side < thing.begin) label = 1 + (thing.label & 1);
    }
    sighting.log_probabilities[label] = -0.01f;
  };
  const auto items = decide(film, {}, answer);
  ASSERT_EQ(items.size(), film.things().size());
  for (std::size_t i = 1; i + 1 < items.size(); ++i) {
    EXPECT_EQ(items[i].label, 1 + (film.things()[i].label & 1)) << i;
    EXPECT_GT(items[i].probabilities[items[i].label], 0.99) << i;
    EXPECT_GT(items[i].frames, 4) << i;
    EXPECT_NEAR((items[i].first_frame + items[i].last_frame) / 2.0,
                static_cast<double>(items[i].picture_frame), 3);
  }
}

TEST(BeltItems, AreShownWhereTheyAre) {
  FilmOptions options = film(121, 10);
  options.least_gap = options.most_gap = 1.2;
  BeltFilm film(options);
  const auto decider = make_decider({}, nullptr);
  Frame frame;
  Sighting sighting;
  std::int64_t told = 0;
  int shown = 0;
  while (film.next(frame, sighting)) {
    told += static_cast<std::int64_t>(decider->take(frame, sighting).size());
    const Presence presence = decider->presence();
    if (frame.index < 25 || !presence.something) continue;
    EXPECT_EQ(presence.item, told + 1);
    const double entry = film.speed() * frame.seconds;
    for (const auto& thing : film.things()) {
      if (entry < thing.end || entry - options.width > thing.begin) continue;
      ++shown;
      EXPECT_NEAR(presence.left, (entry - thing.end) / options.width, 0.03);
      EXPECT_NEAR(presence.right, (entry - thing.begin) / options.width, 0.03);
      EXPECT_NEAR(presence.top, thing.low / options.height, 0.05);
      EXPECT_NEAR(presence.bottom, thing.high / options.height, 0.05);
    }
  }
  EXPECT_GT(shown, 5);
}

TEST(BeltItems, SurviveOddInput) {
  const FilmOptions options = film(131, 6);
  BeltFilm film(options);
  const auto decider = make_decider({}, nullptr);
  Frame frame;
  Sighting sighting;
  std::int64_t last = 0;
  const auto check = [&](const std::vector<Item>& items) {
    for (const Item& item : items) {
      EXPECT_EQ(item.number, ++last);
      for (const float p : item.probabilities) EXPECT_TRUE(p >= 0 && p <= 1);
    }
  };
  for (int i = 0; film.next(frame, sighting); ++i) {
    if (i % 9 == 4) sighting.log_probabilities[0] = std::numeric_limits<float>::quiet_NaN();
    if (i % 9 == 5) sighting.log_probabilities.clear();
    if (i % 9 == 6) sighting.log_probabilities.assign(3, -std::numeric_limits<float>::infinity());
    if (i % 9 == 7) frame.seconds = std::numeric_limits<double>::quiet_NaN();
    if (i % 9 == 8) frame.seconds = -5;
    if (i == 30) frame.image = {1, 1, {1, 2, 3}, {}};
    if (i == 31) frame.image = {0, 0, {}, {}};
    if (i == 32) frame.image = {100, 100, {1, 2, 3}, {}};
    if (i > 45) {  // half the height
      frame.image.height /= 2;
      frame.image.pixels.resize(static_cast<std::size_t>(3 * frame.image.width * frame.image.height));
    }
    check(decider->take(frame, sighting));
  }
  check(decider->finish());
  EXPECT_GT(last, 3);
  check(decider->finish());
  check(make_decider({}, nullptr)->finish());
}

TEST(BeltItems, ThatNobodyCouldReadAreOthers) {
  BeltFilm film(pila::film(141, 6));
  const auto items = decide(film, {}, [](Frame&, Sighting& sighting) {
    for (float& log : sighting.log_probabilities) log = std::numeric_limits<float>::quiet_NaN();
  });
  ASSERT_EQ(items.size(), film.things().size());
  for (const Item& item : items) EXPECT_FALSE(item.recognised);
}

}  // namespace
}  // namespace pila
