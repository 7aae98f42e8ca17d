// What must hold of every split, over many seeds, sizes and groups.
#include "apps/data/split.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "engine/core/random.h"

namespace pila {
namespace {

using Indices = std::vector<std::size_t>;

std::vector<std::int32_t> labels_of(const std::vector<int>& class_sizes) {
  std::vector<std::int32_t> labels;
  for (std::size_t label = 0; label < class_sizes.size(); ++label) {
    labels.insert(labels.end(), static_cast<std::size_t>(class_sizes[label]),
                  static_cast<std::int32_t>(label));
  }
  return labels;
}

std::map<std::int32_t, int> counts(const Indices& images, const std::vector<std::int32_t>& labels) {
  std::map<std::int32_t, int> result;
  for (const std::size_t i : images) ++result[labels[i]];
  return result;
}

void expect_partition(const std::vector<Indices>& sides, std::size_t images) {
  std::vector<int> seen(images);
  for (const auto& side : sides) {
    EXPECT_TRUE(std::is_sorted(side.begin(), side.end()));
    for (const std::size_t i : side) ++seen.at(i);
  }
  EXPECT_THAT(seen, testing::Each(1));
}

void expect_whole_groups(const std::vector<Indices>& sides, const std::vector<std::int64_t>& groups) {
  std::map<std::int64_t, std::size_t> side_of;
  for (std::size_t side = 0; side < sides.size(); ++side) {
    for (const std::size_t i : sides[side]) {
      EXPECT_EQ(side_of.emplace(groups[i], side).first->second, side)
          << "group " << groups[i] << " straddles";
    }
  }
}

TEST(Split, EveryClassIsSplitAtTheRatio) {
  const std::vector<int> sizes = {41, 15, 240, 10, 5};
  const auto labels = labels_of(sizes);
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    const Split split = split_images(labels, {}, 0.2, 0.1, seed);
    expect_partition({split.train, split.validation, split.test}, labels.size());
    const auto validation = counts(split.validation, labels), test = counts(split.test, labels);
    for (std::size_t label = 0; label < sizes.size(); ++label) {
      const auto key = static_cast<std::int32_t>(label);
      EXPECT_EQ(validation.at(key), std::max(1.0, std::round(0.2 * sizes[label])));
      EXPECT_EQ(test.at(key), std::max(1.0, std::round(0.1 * sizes[label])));
    }
  }
}

TEST(Split, SmallClassesKeepATrainingImageFirst) {
  const auto labels = labels_of({1, 2, 3});
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const Split split = split_images(labels, {}, 0.4, 0.4, seed);
    EXPECT_EQ(counts(split.train, labels), (std::map<std::int32_t, int>{{0, 1}, {1, 1}, {2, 1}}));
    EXPECT_EQ(counts(split.test, labels), (std::map<std::int32_t, int>{{1, 1}, {2, 1}}));
    EXPECT_EQ(counts(split.validation, labels), (std::map<std::int32_t, int>{{2, 1}}));
  }
}

TEST(Split, SeedsDifferAndRepeat) {
  const auto labels = labels_of({30, 30});
  std::set<Indices> tests;
  std::vector<int> times_tested(labels.size());
  constexpr int kSeeds = 200;
  for (std::uint64_t seed = 0; seed < kSeeds; ++seed) {
    const Split split = split_images(labels, {}, 0, 0.2, seed);
    EXPECT_EQ(split.test, split_images(labels, {}, 0, 0.2, seed).test);
    EXPECT_TRUE(split.validation.empty());
    tests.insert(split.test);
    for (const std::size_t i : split.test) ++times_tested[i];
  }
  EXPECT_EQ(tests.size(), static_cast<std::size_t>(kSeeds));
  // Binomial with mean 40 and deviation 5.7: five deviations for each of the 60 images.
  EXPECT_THAT(times_tested, testing::Each(testing::AllOf(testing::Gt(11), testing::Lt(69))));
}

TEST(Split, GroupsNeverStraddleAndKeepTheRatio) {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Random random(seed, 1);
    std::vector<std::int32_t> labels;
    std::vector<std::int64_t> groups;
    std::map<std::int32_t, int> largest, sizes, group_counts;
    std::int64_t number = 1000;
    for (std::int32_t label = 0; label < 6; ++label) {
      group_counts[label] = 1 + static_cast<int>(random.below(12));
      for (int group = 0; group < group_counts[label]; ++group, number -= 3) {
        const int size = 1 + static_cast<int>(random.below(5));
        largest[label] = std::max(largest[label], size);
        sizes[label] += size;
        labels.insert(labels.end(), static_cast<std::size_t>(size), label);
        groups.insert(groups.end(), static_cast<std::size_t>(size), number);
      }
    }
    const Split split = split_images(labels, groups, 0, 0.25, seed);
    expect_partition({split.train, split.test}, labels.size());
    expect_whole_groups({split.train, split.test}, groups);
    const auto train = counts(split.train, labels), test = counts(split.test, labels);
    for (std::int32_t label = 0; label < 6; ++label) {
      EXPECT_GE(train.count(label), 1u);
      EXPECT_EQ(test.count(label), group_counts[label] > 1 ? 1u : 0u);
      if (test.count(label) == 0) continue;
      // A group more or less than wanted, at most.
      EXPECT_LE(std::abs(test.at(label) - 0.25 * sizes[label]), largest[label] + 0.5);
    }
  }
}

TEST(Split, GroupsAcrossClassesStayTogether) {
  // Groups of one image of each class, as specimens photographed with a reference beside them.
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> groups;
  for (std::int64_t group = 0; group < 20; ++group) {
    for (const std::int32_t label : {0, 1, 2}) {
      labels.push_back(label);
      groups.push_back(group);
    }
  }
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Split split = split_images(labels, groups, 0.1, 0.2, seed);
    expect_whole_groups({split.train, split.validation, split.test}, groups);
    EXPECT_EQ(split.test.size(), 12u);
    EXPECT_EQ(split.validation.size(), 6u);
  }
}

TEST(Split, RefusesWhatMakesNoSense) {
  const std::vector<std::int32_t> labels = {0, 1}, negative = {0, -1};
  const std::vector<std::int64_t> one_group = {0};
  EXPECT_THROW(split_images(labels, {}, -0.1, 0, 1), UsageError);
  EXPECT_THROW(split_images(labels, {}, 0.5, 0.5, 1), UsageError);
  EXPECT_THROW(split_images(labels, {}, std::nan(""), 0, 1), UsageError);
  EXPECT_THROW(split_images(labels, one_group, 0, 0.2, 1), UsageError);
  EXPECT_THROW(split_images(negative, {}, 0, 0.2, 1), UsageError);
  EXPECT_THROW(fold_images(labels, {}, 1, 1), UsageError);
  EXPECT_THROW(fold_images(labels, {}, 3, 1), UsageError);
  EXPECT_TRUE(split_images({}, {}, 0, 0.2, 1).train.empty());
}

TEST(Folds, HoldOutEveryImageOnceAndEveryClassEvenly) {
  const std::vector<int> sizes = {41, 15, 7, 3};
  const auto labels = labels_of(sizes);
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    const auto folds = fold_images(labels, {}, 5, seed);
    expect_partition(folds, labels.size());
    for (const auto& fold : folds) {
      const auto held_out = counts(fold, labels);
      for (std::size_t label = 0; label < sizes.size(); ++label) {
        const auto found = held_out.find(static_cast<std::int32_t>(label));
        const int count = found == held_out.end() ? 0 : found->second;
        EXPECT_GE(count, sizes[label] / 5);
        EXPECT_LE(count, sizes[label] / 5 + 1);
      }
      EXPECT_NEAR(static_cast<double>(fold.size()), static_cast<double>(labels.size()) / 5, 1);
    }
  }
  EXPECT_NE(fold_images(labels, {}, 5, 1), fold_images(labels, {}, 5, 2));
  EXPECT_EQ(fold_images(labels, {}, 5, 1), fold_images(labels, {}, 5, 1));
}

TEST(Folds, KeepGroupsTogether) {
  const auto labels = labels_of({40, 40});
  for (std::uint64_t seed = 0; seed < 50; ++seed) {
    Random random(seed, 2);
    std::vector<std::int64_t> groups;
    for (std::size_t i = 0; i < labels.size(); ++i) groups.push_back(labels[i] * 100 + random.below(15));
    const auto folds = fold_images(labels, groups, 4, seed);
    expect_partition(folds, labels.size());
    expect_whole_groups(folds, groups);
    for (const auto& fold : folds) EXPECT_EQ(counts(fold, labels).size(), 2u);
  }
}

}  // namespace
}  // namespace pila
