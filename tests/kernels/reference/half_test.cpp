#include "kernels/args/half.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace pila::kernels::half_test {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

Float16 half_of(unsigned bits) { return {static_cast<std::uint16_t>(bits)}; }
BFloat16 brain_of(unsigned bits) { return {static_cast<std::uint16_t>(bits)}; }

// The value by the definition of the format.
double half_value(unsigned bits) {
  const double sign = (bits & 0x8000u) != 0 ? -1 : 1;
  const int exponent = static_cast<int>(bits >> 10 & 31), fraction = static_cast<int>(bits & 1023);
  if (exponent == 31) return fraction == 0 ? sign * kInfinity : std::numeric_limits<double>::quiet_NaN();
  return sign * (exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(1024 + fraction, exponent - 25));
}

TEST(Half, EveryPatternHasItsValueAndComesBack) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const double expected = half_value(bits);
    const float value = to_float(half_of(bits));
    ASSERT_EQ(std::isnan(value), std::isnan(expected)) << bits;
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(to_float(to_float16(value)))) << bits;
      continue;
    }
    ASSERT_EQ(value, expected) << bits;
    ASSERT_EQ(std::signbit(value), bits >= 0x8000u) << bits;
    ASSERT_EQ(to_float16(value).bits, bits);
  }
}

TEST(BFloat16Conversion, EveryPatternIsTheUpperHalfOfAFloatAndComesBack) {
  for (unsigned bits = 0; bits < 65536; ++bits) {
    const float value = to_float(brain_of(bits));
    ASSERT_EQ(bits_of(value), bits << 16);
    const auto back = to_bfloat16(value);
    if (std::isnan(value)) {
      ASSERT_TRUE(std::isnan(to_float(back))) << bits;
    } else {
      ASSERT_EQ(back.bits, bits);
    }
  }
}

// Between any two neighbours lies one point where rounding turns: it is tried with the floats on both sides
// of it, which settles every float in between. The last pair is the largest finite number and what would be
// 2^16 (2^128), whose place infinity takes.
TEST(Half, RoundsToNearestEvenBetweenAllNeighbours) {
  for (unsigned bits = 0; bits < 0x7C00u; ++bits) {
    const double below = half_value(bits), above = bits == 0x7BFFu ? 65536 : half_value(bits + 1);
    const auto middle = static_cast<float>((below + above) / 2);  // exact
    const unsigned even = (bits & 1) == 0 ? bits : bits + 1;
    ASSERT_EQ(to_float16(middle).bits, even);
    ASSERT_EQ(to_float16(-middle).bits, even | 0x8000u);
    ASSERT_EQ(to_float16(std::nextafter(middle, 0.0f)).bits, bits);
    ASSERT_EQ(to_float16(std::nextafter(middle, kInfinity)).bits, bits + 1);
  }
}

TEST(BFloat16Conversion, RoundsToNearestEvenBetweenAllNeighbours) {
  for (unsigned bits = 0; bits < 0x7F80u; ++bits) {
    const float middle = float_of((bits << 16) + 0x8000u);
    const unsigned even = (bits & 1) == 0 ? bits : bits + 1;
    ASSERT_EQ(to_bfloat16(middle).bits, even);
    ASSERT_EQ(to_bfloat16(-middle).bits, even | 0x8000u);
    ASSERT_EQ(to_bfloat16(std::nextafter(middle, 0.0f)).bits, bits);
    ASSERT_EQ(to_bfloat16(std::nextafter(middle, kInfinity)).bits, bits + 1);
  }
}

TEST(Half, HugeValuesBecomeInfinityAndTinyOnesSignedZero) {
  EXPECT_EQ(to_float16(3e38f).bits, 0x7C00u);
  EXPECT_EQ(to_float16(-kInfinity).bits, 0xFC00u);
  EXPECT_EQ(to_float16(-1e-30f).bits, 0x8000u);
  EXPECT_EQ(to_bfloat16(std::numeric_limits<float>::max()).bits, 0x7F80u);
}

}  // namespace
}  // namespace pila::kernels::half_test
