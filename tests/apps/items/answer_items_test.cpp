// Items told by the network's answers alone, or by a signal; where they go, and how long all that takes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/items/decider.h"
#include "apps/items/dispatch.h"
#include "apps/items/stage_statistics.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using testing::ElementsAre;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A frame every tenth of a second. The label's share is the answer's probability; class 0 is for nothing.
std::vector<Item> decide(Decider& decider, const std::vector<int>& labels, double sure = 0.9) {
  std::vector<Item> items;
  const auto keep = [&](std::vector<Item> some) {
    for (Item& item : some) items.push_back(std::move(item));
  };
  for (std::size_t i = 0; i < labels.size(); ++i) {
    Frame frame;
    frame.index = static_cast<std::int64_t>(i);
    frame.seconds = 0.1 * static_cast<double>(i);
    frame.image = {4, 3, std::vector<std::uint8_t>(36, static_cast<std::uint8_t>(i)), {}};
    Sighting sighting;
    sighting.familiarity = static_cast<double>(i);
    sighting.log_probabilities.assign(3, static_cast<float>(std::log((1 - sure) / 2)));
    if (labels[i] < 0) {
      sighting.log_probabilities[1] = static_cast<float>(kNaN);
    } else {
      sighting.log_probabilities[static_cast<std::size_t>(labels[i])] = static_cast<float>(std::log(sure));
    }
    keep(decider.take(frame, sighting));
  }
  keep(decider.finish());
  return items;
}

std::vector<Item> decide(const DecisionOptions& options, const std::vector<int>& labels,
                         Recognise recognise = {}) {
  const auto decider = make_decider(options, std::move(recognise));
  return decide(*decider, labels);
}

std::vector<std::size_t> labels_of(const std::vector<Item>& items) {
  std::vector<std::size_t> labels;
  for (const Item& item : items) labels.push_back(item.label);
  return labels;
}

DecisionOptions mode(DecisionMode which) {
  DecisionOptions options;
  options.mode = which;
  return options;
}

DecisionOptions with_empty_class() {
  DecisionOptions options;
  options.empty_class = 0;
  return options;
}

TEST(EmptyClassItems, LieBetweenTwoStretchesOfNothing) {
  const auto items = decide(with_empty_class(), {0, 0, 1, 1, 1, 0, 0, 2, 2, 0, 0, 1, 1});
  EXPECT_THAT(labels_of(items), ElementsAre(1, 2, 1));
  EXPECT_EQ(items[0].first_frame, 2);
  EXPECT_EQ(items[0].last_frame, 4);
  EXPECT_EQ(items[0].frames, 3);
  EXPECT_NEAR(items[0].passed, 0.3, 1e-9);
  EXPECT_NEAR(items[0].familiarity, 3, 1e-6);
  EXPECT_EQ(items[2].number, 3);
  EXPECT_EQ(items[2].picture.pixels[0], items[2].picture_frame);
}

TEST(EmptyClassItems, NeitherBeginNorEndWithOneOddFrame) {
  EXPECT_THAT(labels_of(decide(with_empty_class(), {0, 1, 0, 0, 2, 2, 0, 2, 2, 0, 0, 1, 0})), ElementsAre(2));
  EXPECT_THAT(decide(with_empty_class(), {0, 0, 0, 0}), testing::IsEmpty());
  EXPECT_THAT(decide(with_empty_class(), {}), testing::IsEmpty());
  // Frames without an answer change nothing.
  const auto items = decide(with_empty_class(), {0, 1, -1, 1, -1, -1, 1, 0, -1, 0});
  ASSERT_THAT(labels_of(items), ElementsAre(1));
  EXPECT_EQ(items[0].frames, 3);
}

TEST(EmptyClassItems, HaveTheMeanOfTheirLogarithms) {
  const auto items = decide(with_empty_class(), {0, 0, 1, 1, 2, 0, 0});
  ASSERT_EQ(items.size(), 1u);
  // Two to one between 0.9 and 0.05, of equally sharp pictures.
  const double one = std::cbrt(0.9 * 0.9 * 0.05), other = std::cbrt(0.9 * 0.05 * 0.05);
  EXPECT_NEAR(items[0].probabilities[1], one / (one + other + 0.05), 1e-4);
  EXPECT_TRUE(items[0].recognised);
  const auto strict = decide(with_empty_class(), {0, 0, 1, 1, 2, 0, 0},
                             [](std::span<const float> p, double) { return p[1] > 0.9f; });
  EXPECT_FALSE(strict.at(0).recognised);
}

TEST(ChangeItems, AreWhatLiesBetweenTwoAnswers) {
  const auto options = mode(DecisionMode::change);
  EXPECT_THAT(labels_of(decide(options, {1, 1, 1, 1, 2, 2, 2, 2, 2, 1, 1, 1, 1, 1})), ElementsAre(1, 2, 1));
  EXPECT_THAT(labels_of(decide(options, {1, 1, 1, 2, 1, 1, 0, 1, 1})), ElementsAre(1)) << "odd frames";
  const auto items = decide(options, {1, 1, 1, 1, 2, 2, 2, 2, 2});
  EXPECT_EQ(items.at(0).last_frame, 3);
  EXPECT_EQ(items.at(1).first_frame, 4);
  auto gaps = options;
  gaps.empty_class = 0;
  EXPECT_THAT(labels_of(decide(gaps, {1, 1, 1, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2})), ElementsAre(1, 2));
}

TEST(FrameItems, AreTheFrames) {
  const auto items = decide(mode(DecisionMode::frames), {0, 2, -1, 1});
  EXPECT_THAT(labels_of(items), ElementsAre(0, 2, 1));
  EXPECT_EQ(items[2].number, 3);
  EXPECT_NEAR(items[2].passed, 0.3, 1e-9);
  EXPECT_EQ(items[2].picture.pixels[0], 3);
}

TEST(TriggerItems, ComeEverySoManyMillimetres) {
  auto options = mode(DecisionMode::trigger);
  options.belt_mm_per_s = 100;
  options.trigger_mm = 40;  // four frames
  options.window_s = 0.22;
  const auto items = decide(options, {0, 1, 1, 1, 0, 2, 2, 2, 0, 1, 1, 1, 0});
  ASSERT_THAT(labels_of(items), ElementsAre(1, 2, 1));
  EXPECT_NEAR(items[1].passed, 0.6, 1e-9);
  EXPECT_EQ(items[1].frames, 3);
  EXPECT_EQ(items[1].picture_frame, 6);
}

TEST(TriggerItems, ComeWithSignalsFromOutside) {
  auto options = mode(DecisionMode::trigger);
  options.window_s = 0.12;
  const auto decider = make_decider(options, nullptr);
  // Out of order, twice, bouncing, and not at all.
  for (const double signal : {0.71, 0.3, 0.3, 0.305, 1.1, kNaN, kInfinity}) decider->trigger(signal);
  const auto items = decide(*decider, {0, 0, 1, 1, 0, 0, 0, 2, 0, 0, 0, 1, 1});
  ASSERT_THAT(labels_of(items), ElementsAre(1, 2, 1));
  EXPECT_EQ(items[0].frames, 1);
  EXPECT_NEAR(items[1].passed, 0.71, 1e-9);
  EXPECT_THAT(decide(*decider, {0, 1}), testing::IsEmpty()) << "no signal";

  // A signal without frames near it still has its verdict; thousands of them are no use of memory.
  const auto lonely = make_decider(options, nullptr);
  for (int i = 0; i < 5000; ++i) lonely->trigger(i);
  EXPECT_LE(lonely->finish().size(), 1024u);
  lonely->trigger(1e6);
  const auto late = lonely->finish();
  ASSERT_EQ(late.size(), 1u);
  EXPECT_FALSE(late[0].recognised);
}

TEST(Deciders, RefuseOptionsThatDoNotFit) {
  const auto refused = [](auto change) {
    DecisionOptions options;
    change(options);
    EXPECT_THROW(make_decider(options, nullptr), UsageError);
  };
  refused([](auto& o) { o.line = 1.5; });
  refused([](auto& o) { o.line = kNaN; });
  refused([](auto& o) { o.smoothing = 1; });
  refused([](auto& o) { o.window_s = 0; });
  refused([](auto& o) { o.belt_mm_per_s = -1; });
  refused([](auto& o) { o.trigger_mm = 10; });
  refused([](auto& o) { o.mode = DecisionMode::trigger, o.trigger_mm = 10; });
  refused([](auto& o) { o.mode = DecisionMode::trigger, o.trigger_mm = 1, o.belt_mm_per_s = 1e6; });
  refused([](auto& o) { o.empty_class = 0, o.direction = BeltDirection::left; });
}

TEST(BinRules, AreRead) {
  const BinRule rule = parse_bin_rule("size=aa@home=left bin@450.5");
  EXPECT_EQ(rule.label, "size=aa@home");
  EXPECT_EQ(rule.bin, "left bin");
  EXPECT_EQ(rule.distance_mm, 450.5);
  for (const char* bad : {"", "=", "@", "aa", "aa=left", "aa@3", "=left@3", "aa=@3", "aa=left@", "aa=left@x",
                          "aa=left@3mm", "aa=left@-1", "aa=left@nan", "aa=left@inf", "aa=left@ 3"}) {
    EXPECT_THROW(parse_bin_rule(bad), UsageError) << bad;
  }
}

TEST(Dispatch, SaysBinAndTime) {
  const std::vector<BinRule> rules = {{"aa", "left", 450}, {"others", "reject", 0}, {"*", "rest", 600}};
  const Dispatch dispatch(rules, {"aa", "c"}, 300, 0.05);
  Item item;
  item.passed = 10;
  auto shot = dispatch(item, 11);
  EXPECT_EQ(shot.bin, "left");
  EXPECT_DOUBLE_EQ(shot.fire_at.value(), 11.5);
  EXPECT_FALSE(shot.missed);
  EXPECT_TRUE(dispatch(item, 11.46).missed);
  item.label = 1;
  EXPECT_EQ(dispatch(item, 11).bin, "rest");
  item.label = 7;
  EXPECT_EQ(dispatch(item, 11).label, "others");
  item.label = 0;
  item.recognised = false;
  shot = dispatch(item, 11);
  EXPECT_EQ(shot.bin, "reject");
  EXPECT_TRUE(shot.missed);
  item.passed = kNaN;
  EXPECT_TRUE(dispatch(item, 0).missed) << "never at no time";

  item = {};
  item.label = 1;
  const Dispatch still({rules[0]}, {"aa", "c"}, 0);
  EXPECT_EQ(still(item, 0).bin, "");
  item.label = 0;
  EXPECT_EQ(still(item, 0).bin, "left");
  EXPECT_FALSE(still(item, 0).fire_at.has_value());

  EXPECT_THROW(Dispatch({{"b", "left", 1}}, {"aa"}, 1), UsageError);
  EXPECT_THROW(Dispatch({{"aa", "left", 1}, {"aa", "right", 1}}, {"aa"}, 1), UsageError);
  EXPECT_THROW(Dispatch({{"aa", "left", -1}}, {"aa"}, 1), UsageError);
  EXPECT_THROW(Dispatch({}, {"aa"}, -1), UsageError);
}

TEST(StageStatistics, KnowQuantilesToAPercent) {
  StageStatistics statistics;
  for (int i = 1; i <= 1000; ++i) statistics.add("network", 0.1 * i);
  for (const double odd : {-1.0, kNaN, kInfinity, 1e9}) statistics.add("decode", odd);
  const auto all = statistics.summaries();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].stage, "network");
  EXPECT_EQ(all[0].count, 1000);
  EXPECT_NEAR(all[0].median, 50, 0.5);
  EXPECT_NEAR(all[0].p95, 95, 0.95);
  EXPECT_NEAR(all[0].p99, 99, 0.99);
  EXPECT_DOUBLE_EQ(all[0].maximum, 100);
  EXPECT_EQ(all[1].count, 2);
  EXPECT_DOUBLE_EQ(all[1].maximum, 1e9);
  EXPECT_EQ(statistics.json()["network"]["count"], 1000);
  EXPECT_THAT(statistics.text(), testing::HasSubstr("network        1000"));
  EXPECT_EQ(StageStatistics().json().dump(), "{}");
}

TEST(StageStatistics, ServeManyThreads) {
  StageStatistics statistics;
  std::vector<std::jthread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) statistics.add(i % 2 == 0 ? "a" : "b", 1);
    });
  }
  threads.clear();
  for (const StageSummary& one : statistics.summaries()) EXPECT_EQ(one.count, 2000);
}

}  // namespace
}  // namespace pila
