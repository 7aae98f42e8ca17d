#include "kernels/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>

namespace pila::kernels::random_test {
namespace {

std::array<std::uint32_t, 4> words(const Philox4& block) {
  return {block.word[0], block.word[1], block.word[2], block.word[3]};
}

using Words = std::array<std::uint32_t, 4>;

// The known answers that Random123 publishes for philox4x32-10.
TEST(Philox, GivesTheKnownAnswers) {
  EXPECT_EQ(words(philox({{0, 0, 0, 0}}, 0)), (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(words(philox({{~0u, ~0u, ~0u, ~0u}}, ~0ull)),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words(philox({{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}}, 0x299f31d0a4093822ull)),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Philox, RandomBlockPutsEveryPartIntoTheCounter) {
  EXPECT_EQ(words(random_block(7, 0x1122334455667788, 9, 11)),
            words(philox({{11, 9, 0x55667788, 0x11223344}}, 7)));
  EXPECT_EQ(words(random_block(7, -1, 0, 0)), words(philox({{0, 0, ~0u, ~0u}}, 7)));
  const std::set<Words> different{words(random_block(1, 2, 3, 4)), words(random_block(9, 2, 3, 4)),
                                  words(random_block(1, 9, 3, 4)), words(random_block(1, 2, 9, 4)),
                                  words(random_block(1, 2, 3, 9))};
  EXPECT_EQ(different.size(), 5u);
}

TEST(Philox, UniformCoversZeroToOne) {
  EXPECT_EQ(uniform(0), 0.0f);
  EXPECT_EQ(uniform(0xFF), 0.0f);
  EXPECT_EQ(uniform(0x100), 0x1p-24f);
  EXPECT_EQ(uniform(0x80000000u), 0.5f);
  EXPECT_LT(uniform(~0u), 1.0f);
}

TEST(Philox, UniformHasTheRightMoments) {
  constexpr int kBlocks = 25000, kDraws = 4 * kBlocks;
  double sum = 0, squares = 0;
  std::array<int, 10> tenths{};
  for (int block = 0; block < kBlocks; ++block) {
    for (const auto word : words(random_block(42, 0, 0, static_cast<std::uint32_t>(block)))) {
      const double value = uniform(word);
      sum += value;
      squares += value * value;
      ++tenths.at(static_cast<std::size_t>(value * 10));
    }
  }
  // Five standard errors: sqrt(1/12/n) of the mean, sqrt(4/45/n) of the mean square, sqrt(0.09 n) of a count.
  EXPECT_NEAR(sum / kDraws, 0.5, 5 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kDraws));
  for (const int count : tenths) EXPECT_NEAR(count, kDraws / 10, 5 * std::sqrt(0.09 * kDraws));
}

}  // namespace
}  // namespace pila::kernels::random_test
