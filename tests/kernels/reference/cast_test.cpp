#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/args/elementwise.h"
#include "kernels/args/half.h"
#include "kernels/reference/reference.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::cast_test {
namespace {

using test::GuardedBuffer;
using test::run_entry;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr DType kTypes[] = {DType::f32, DType::f64, DType::f16, DType::bf16,
                            DType::u8,  DType::i32, DType::i64};

template <class T>
struct TypeOf;
template <>
struct TypeOf<float> {
  static constexpr DType kValue = DType::f32;
};
template <>
struct TypeOf<double> {
  static constexpr DType kValue = DType::f64;
};
template <>
struct TypeOf<Float16> {
  static constexpr DType kValue = DType::f16;
};
template <>
struct TypeOf<BFloat16> {
  static constexpr DType kValue = DType::bf16;
};
template <>
struct TypeOf<std::uint8_t> {
  static constexpr DType kValue = DType::u8;
};
template <>
struct TypeOf<std::int32_t> {
  static constexpr DType kValue = DType::i32;
};
template <>
struct TypeOf<std::int64_t> {
  static constexpr DType kValue = DType::i64;
};

template <class To, class From>
To cast_one(From value) {
  GuardedBuffer<To> y(1);
  run_entry(reference::table(), Cast{TypeOf<From>::kValue, TypeOf<To>::kValue, 1, &value, y.data()});
  EXPECT_TRUE(y.check());
  return y[0];
}

TEST(ReferenceCast, SmallWholeNumbersSurviveEveryPairOfTypes) {
  constexpr std::int64_t kCount = 256;
  std::vector<std::int64_t> numbers(kCount);
  for (std::int64_t i = 0; i < kCount; ++i) numbers[static_cast<std::size_t>(i)] = i;
  for (const auto from : kTypes) {
    for (const auto to : kTypes) {
      SCOPED_TRACE(testing::Message() << static_cast<int>(from) << " to " << static_cast<int>(to));
      GuardedBuffer<std::byte> source(kCount * size_of(from)), target(kCount * size_of(to));
      GuardedBuffer<std::int64_t> back(kCount);
      run_entry(reference::table(), Cast{DType::i64, from, kCount, numbers.data(), source.data()});
      run_entry(reference::table(), Cast{from, to, kCount, source.data(), target.data()});
      run_entry(reference::table(), Cast{to, DType::i64, kCount, target.data(), back.data()});
      EXPECT_TRUE(source.check() && target.check());
      EXPECT_EQ(back.values(), numbers);
    }
  }
}

TEST(ReferenceCast, FloatsRoundToIntegersToNearestEven) {
  EXPECT_EQ(cast_one<std::int32_t>(2.5f), 2);
  EXPECT_EQ(cast_one<std::int32_t>(3.5f), 4);
  EXPECT_EQ(cast_one<std::int32_t>(-2.5), -2);
  EXPECT_EQ(cast_one<std::int64_t>(-3.5), -4);
  EXPECT_EQ(cast_one<std::uint8_t>(0.5), 0);
  EXPECT_EQ(cast_one<std::uint8_t>(254.5), 254);
  EXPECT_EQ(cast_one<std::uint8_t>(to_float16(1.5f)), 2);
}

TEST(ReferenceCast, IntegersSaturateAndNaNBecomesZero) {
  constexpr auto kMax32 = std::numeric_limits<std::int32_t>::max(),
                 kMin32 = std::numeric_limits<std::int32_t>::min();
  constexpr auto kMax64 = std::numeric_limits<std::int64_t>::max(),
                 kMin64 = std::numeric_limits<std::int64_t>::min();
  EXPECT_EQ(cast_one<std::uint8_t>(255.5), 255);
  EXPECT_EQ(cast_one<std::uint8_t>(-0.75), 0);
  EXPECT_EQ(cast_one<std::uint8_t>(1e9f), 255);
  EXPECT_EQ(cast_one<std::uint8_t>(std::int32_t{-7}), 0);
  EXPECT_EQ(cast_one<std::uint8_t>(std::int64_t{300}), 255);
  EXPECT_EQ(cast_one<std::int32_t>(2147483647.0f), kMax32);  // 2^31 as a float
  EXPECT_EQ(cast_one<std::int32_t>(2147483646.0), kMax32 - 1);
  EXPECT_EQ(cast_one<std::int32_t>(-2147483648.0), kMin32);
  EXPECT_EQ(cast_one<std::int32_t>(kMin64), kMin32);
  EXPECT_EQ(cast_one<std::int32_t>(kMax64), kMax32);
  EXPECT_EQ(cast_one<std::int64_t>(0x1p63), kMax64);
  EXPECT_EQ(cast_one<std::int64_t>(std::nextafter(0x1p63, 0)), kMax64 - 1023);
  EXPECT_EQ(cast_one<std::int64_t>(-0x1p63), kMin64);
  EXPECT_EQ(cast_one<std::int64_t>(kInfinity), kMax64);
  EXPECT_EQ(cast_one<std::int64_t>(-kInfinity), kMin64);
  EXPECT_EQ(cast_one<std::uint8_t>(kNaN), 0);
  EXPECT_EQ(cast_one<std::int32_t>(static_cast<float>(kNaN)), 0);
  EXPECT_EQ(cast_one<std::int64_t>(Float16{0x7E00}), 0);
  EXPECT_EQ(cast_one<std::int32_t>(BFloat16{0x7FC0}), 0);
}

TEST(ReferenceCast, SixteenBitsAreRoundedOnce) {
  // Just above the middle of two neighbours: rounding to float32 on the way would land on the middle.
  EXPECT_EQ(cast_one<Float16>(1 + 0x1p-11 + 0x1p-40).bits, 0x3C01);
  EXPECT_EQ(cast_one<Float16>(1 + 0x1p-11).bits, 0x3C00);
  EXPECT_EQ(cast_one<Float16>(1 + 0x1p-11 - 0x1p-40).bits, 0x3C00);
  EXPECT_EQ(cast_one<Float16>(-(1 + 3 * 0x1p-11 - 0x1p-40)).bits, 0xBC01);
  EXPECT_EQ(cast_one<BFloat16>(1 + 0x1p-8 + 0x1p-50).bits, 0x3F81);
  EXPECT_EQ(cast_one<BFloat16>((std::int64_t{1} << 62) + (std::int64_t{1} << 54)).bits, 0x5E80);
  EXPECT_EQ(cast_one<BFloat16>((std::int64_t{1} << 62) + (std::int64_t{1} << 54) + 1).bits, 0x5E81);
  EXPECT_EQ(cast_one<BFloat16>(-(std::int64_t{1} << 62) - (std::int64_t{1} << 54) - 1).bits, 0xDE81);
  EXPECT_EQ(cast_one<Float16>(0x1p-25 + 0x1p-70).bits, 1);  // above half of the smallest subnormal
  EXPECT_EQ(cast_one<Float16>(0x1p-25).bits, 0);
  EXPECT_EQ(cast_one<BFloat16>(-1e-300).bits, 0x8000);
}

TEST(ReferenceCast, SixteenBitsOverflowToInfinityAndKeepNaN) {
  EXPECT_EQ(cast_one<Float16>(65519.99).bits, 0x7BFF);
  EXPECT_EQ(cast_one<Float16>(65520.0).bits, 0x7C00);
  EXPECT_EQ(cast_one<Float16>(-1e300).bits, 0xFC00);
  EXPECT_EQ(cast_one<Float16>(std::int32_t{70000}).bits, 0x7C00);
  EXPECT_EQ(cast_one<BFloat16>(1e300).bits, 0x7F80);
  EXPECT_TRUE(std::isnan(to_float(cast_one<Float16>(kNaN))));
  EXPECT_TRUE(std::isnan(to_float(cast_one<BFloat16>(kNaN))));
  EXPECT_TRUE(std::isnan(cast_one<float>(kNaN)));
  EXPECT_EQ(cast_one<double>(Float16{0xFC00}), -kInfinity);
}

TEST(ReferenceCast, WideNumbersRoundToFloatToNearestEven) {
  EXPECT_EQ(cast_one<float>(std::int64_t{16777217}), 16777216.0f);
  EXPECT_EQ(cast_one<float>(std::int32_t{16777219}), 16777220.0f);
  EXPECT_EQ(cast_one<double>((std::int64_t{1} << 53) + 1), 0x1p53);
  EXPECT_EQ(cast_one<float>(0.1), 0.1f);
  EXPECT_EQ(cast_one<float>(1e300), static_cast<float>(kInfinity));
}

template <class T>
void check_fill(double value, T expected) {
  GuardedBuffer<T> y(37);
  run_entry(reference::table(), Fill{TypeOf<T>::kValue, 37, value, y.data()});
  EXPECT_TRUE(y.check());
  for (const auto& element : y) EXPECT_EQ(std::memcmp(&element, &expected, sizeof(T)), 0);
}

TEST(ReferenceFill, WritesTheValueInEveryType) {
  check_fill<float>(0.1, 0.1f);
  check_fill<double>(0.1, 0.1);
  check_fill<Float16>(1.5, Float16{0x3E00});
  check_fill<BFloat16>(-1.5, BFloat16{0xBFC0});
  check_fill<std::uint8_t>(255, 255);
  check_fill<std::int32_t>(-3, -3);
  check_fill<std::int64_t>(1e6, 1000000);
}

TEST(ReferenceCast, OfNothingWritesNothing) {
  for (const auto from : kTypes) {
    for (const auto to : kTypes) run_entry(reference::table(), Cast{from, to, 0, nullptr, nullptr});
    run_entry(reference::table(), Fill{from, 0, 1, nullptr});
  }
}

}  // namespace
}  // namespace pila::kernels::cast_test
