#include "engine/core/random.h"

#include <gmock/gmock.h>

#include <array>
#include <cmath>
#include <vector>

#include "engine/core/error.h"

namespace pila {
namespace {

using kernels::philox;
using kernels::Philox4;
using testing::ElementsAre;

// The known answers that Random123, the authors' own library, publishes for Philox4x32-10.
TEST(Philox, GivesThePublishedAnswers) {
  EXPECT_THAT(philox(Philox4{{0, 0, 0, 0}}, 0).word,
              ElementsAre(0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u));
  EXPECT_THAT(philox(Philox4{{~0u, ~0u, ~0u, ~0u}}, ~0ull).word,
              ElementsAre(0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu));
  EXPECT_THAT(
      philox(Philox4{{0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u}}, 0x299f31d0a4093822ull).word,
      ElementsAre(0xd16cfe09u, 0x94fdcceb, 0x5001e420u, 0x24126ea1u));
}

TEST(Random, WalksThroughTheBlocksOfItsStepAndPlace) {
  Random zero(0);
  EXPECT_EQ(zero.next(), 0x6627e8d5u);
  EXPECT_EQ(zero.next(), 0xe169c58du);

  Random random(7, 11, 13);
  for (std::uint32_t block = 0; block < 3; ++block) {
    for (const std::uint32_t word : kernels::random_block(7, 11, 13, block).word) {
      EXPECT_EQ(random.next(), word);
    }
  }
}

TEST(Random, DiffersBySeedStepAndPlace) {
  const std::uint32_t draw = Random(1, 2, 3).next();
  EXPECT_EQ(Random(1, 2, 3).next(), draw);
  EXPECT_NE(Random(2, 2, 3).next(), draw);
  EXPECT_NE(Random(1, 3, 3).next(), draw);
  EXPECT_NE(Random(1, 2, 4).next(), draw);
}

struct Moments {
  double mean = 0, variance = 0, fourth = 0;
};

template <class Draw>
Moments moments(int count, Draw&& draw) {
  std::vector<double> values;
  for (int i = 0; i < count; ++i) values.push_back(draw());
  Moments m;
  for (const double v : values) m.mean += v / count;
  for (const double v : values) {
    m.variance += std::pow(v - m.mean, 2) / count;
    m.fourth += std::pow(v - m.mean, 4) / count;
  }
  return m;
}

// Tolerances: five standard errors at 100,000 draws; the stream is fixed, so a pass stays a pass.
TEST(Random, IsUniform) {
  Random random(42);
  const Moments m = moments(100'000, [&] {
    const float value = random.uniform();
    EXPECT_GE(value, 0.0f);
    EXPECT_LT(value, 1.0f);
    return static_cast<double>(value);
  });
  EXPECT_NEAR(m.mean, 0.5, 0.0046);
  EXPECT_NEAR(m.variance, 1.0 / 12, 0.0012);
}

TEST(Random, IsNormal) {
  Random random(42, 1);
  const Moments m = moments(100'000, [&] { return random.normal(); });
  EXPECT_NEAR(m.mean, 0, 0.016);
  EXPECT_NEAR(m.variance, 1, 0.023);
  EXPECT_NEAR(m.fourth, 3, 0.16);
}

TEST(Random, ChoosesEvenlyBelowABound) {
  Random random(42, 2);
  std::array<int, 7> counts{};
  for (int i = 0; i < 70'000; ++i) ++counts.at(random.below(7));
  double chi_squared = 0;
  for (const int count : counts) chi_squared += std::pow(count - 10'000, 2) / 10'000.0;
  EXPECT_LT(chi_squared, 22.5);  // six degrees of freedom, p = 0.001

  EXPECT_EQ(random.below(1), 0u);
  // Three quarters of 2^32: without rejection, multiples of three would come twice as often as the others.
  constexpr std::uint32_t kBound = 3u << 30;
  int multiples = 0;
  for (int i = 0; i < 30'000; ++i) multiples += random.below(kBound) % 3 == 0;
  EXPECT_NEAR(multiples, 10'000, 5 * std::sqrt(30'000 * (1.0 / 3) * (2.0 / 3)));
  EXPECT_THROW(random.below(0), UsageError);
}

}  // namespace
}  // namespace pila
