#include "engine/plan/memory.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/core/random.h"

namespace pila {
namespace {

bool alive_together(const Lifetime& a, const Lifetime& b) { return a.first <= b.last && b.first <= a.last; }

void expect_valid(const std::vector<Lifetime>& values, const MemoryLayout& layout) {
  ASSERT_EQ(layout.offsets.size(), values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    EXPECT_EQ(layout.offsets[i] % 64, 0u);
    EXPECT_LE(layout.offsets[i] + values[i].bytes, layout.bytes);
    for (std::size_t j = 0; j < i; ++j) {
      if (!alive_together(values[i], values[j])) continue;
      const bool apart = layout.offsets[i] + values[i].bytes <= layout.offsets[j] ||
                         layout.offsets[j] + values[j].bytes <= layout.offsets[i];
      EXPECT_TRUE(apart) << i << " and " << j;
    }
  }
}

TEST(PlanMemoryTest, ReusesWhatIsNoLongerRead) {
  const std::vector<Lifetime> chain = {{1000, 0, 1}, {1000, 1, 2}, {1000, 2, 3}, {1000, 3, 4}};
  const MemoryLayout layout = plan_memory(chain);
  expect_valid(chain, layout);
  EXPECT_EQ(layout.bytes, 1024u + 1000u) << "two at a time, the second on a new line of 64 bytes";
}

TEST(PlanMemoryTest, KeepsApartWhatLivesTogether) {
  const std::vector<Lifetime> values = {{64, 0, 9}, {640, 1, 2}, {64, 2, 3}, {320, 3, 4}, {320, 3, 5}};
  const MemoryLayout layout = plan_memory(values);
  expect_valid(values, layout);
  EXPECT_EQ(layout.bytes, 64u + 640u + 64u) << "what step 2 needs";
}

TEST(PlanMemoryTest, TakesNothingForNothing) {
  EXPECT_EQ(plan_memory({}).bytes, 0u);
  const std::vector<Lifetime> values = {{0, 0, 3}, {0, 0, 3}};
  EXPECT_EQ(plan_memory(values).bytes, 0u);
}

TEST(PlanMemoryTest, IsValidForAnyLifetimes) {
  Random random(7);
  for (int round = 0; round < 50; ++round) {
    std::vector<Lifetime> values(30);
    for (Lifetime& value : values) {
      value.bytes = random.below(5000);
      value.first = random.below(20);
      value.last = value.first + random.below(6);
    }
    expect_valid(values, plan_memory(values));
  }
}

}  // namespace
}  // namespace pila
