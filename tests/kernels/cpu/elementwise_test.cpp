#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include "kernels/args/half.h"
#include "tests/kernels/cpu/against_reference.h"

namespace pila::test {
namespace {

using namespace kernels;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

constexpr BinaryKind kBinaryKinds[] = {BinaryKind::add, BinaryKind::subtract, BinaryKind::multiply};

// A binary operation of dense operands that have one element along the axes they repeat.
struct BinaryCase {
  std::vector<std::int64_t> shape;
  std::vector<bool> a_repeats, b_repeats;

  std::int64_t fill_strides(const std::vector<bool>& repeats, std::int64_t* strides) const {
    std::int64_t count = 1;
    for (std::size_t axis = shape.size(); axis-- > 0;) {
      strides[axis] = repeats[axis] ? 0 : count;
      if (!repeats[axis]) count *= shape[axis];
    }
    return count;
  }
  std::string text() const {
    std::string text;
    for (std::size_t axis = 0; axis < shape.size(); ++axis) {
      text += std::to_string(shape[axis]) + (a_repeats[axis] ? "a " : b_repeats[axis] ? "b " : " ");
    }
    return text;
  }
};

// Products and sums of float32 numbers rounded to float64 and then to float32 have one right value: bits must
// be equal.
void expect_same_binary(const BinaryCase& test) {
  SCOPED_TRACE(test.text());
  Binary args;
  args.rank = static_cast<int>(test.shape.size());
  std::size_t count = 1;
  for (std::size_t axis = 0; axis < test.shape.size(); ++axis) {
    args.shape[axis] = test.shape[axis];
    count *= static_cast<std::size_t>(test.shape[axis]);
  }
  const auto a_count = static_cast<std::size_t>(test.fill_strides(test.a_repeats, args.a_strides));
  const auto b_count = static_cast<std::size_t>(test.fill_strides(test.b_repeats, args.b_strides));
  const GuardedBuffer<float> a(uniform_data<float>(a_count, 1)), b(uniform_data<float>(b_count, 2));
  args.a = a.data();
  args.b = b.data();
  for (const BinaryKind kind : kBinaryKinds) {
    args.kind = kind;
    EXPECT_TRUE(same_bits(run_fast<float>(args, "binary_f32", &Binary::y, count),
                          run_reference<float>(args, &Binary::y, count)));
  }
}

TEST(CpuBinary, SameShape) {
  for (const auto length : kLengths) expect_same_binary({{length}, {false}, {false}});
}

TEST(CpuBinary, OneNumberForAll) {
  for (const auto length : kLengths) {
    expect_same_binary({{length}, {false}, {true}});
    expect_same_binary({{length}, {true}, {false}});
  }
  expect_same_binary({{}, {}, {}});
}

TEST(CpuBinary, ChannelsOfImages) {
  for (const std::int64_t channels : {1, 3, 8, 15, 16, 17, 24, 1280}) {
    expect_same_binary({{2, 7, 5, channels}, {false, false, false, false}, {true, true, true, false}});
    expect_same_binary({{2, 7, 5, channels}, {false, false, false, false}, {false, true, true, false}});
    expect_same_binary({{2, 7, 5, channels}, {false, true, true, false}, {false, false, false, false}});
    expect_same_binary({{2, 7, 5, channels}, {false, false, false, false}, {false, false, false, true}});
  }
  expect_same_binary({{4, 56, 56, 24}, {false, false, false, false}, {false, true, true, false}});
}

TEST(CpuBinary, RandomShapes) {
  constexpr std::int64_t sizes[] = {1, 1, 2, 3, 4, 5, 16, 17, 20};
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    std::size_t draw = 0;
    const auto random = [&](std::size_t below) {
      return static_cast<std::size_t>(random_unit(seed, draw++) * static_cast<double>(below));
    };
    BinaryCase test;
    const std::size_t rank = random(kMaxRank + 1);
    std::int64_t count = 1;
    for (std::size_t axis = 0; axis < rank; ++axis) {
      const std::int64_t size = sizes[random(std::size(sizes))];
      test.shape.push_back(count * size <= 60000 ? size : 1);
      count *= test.shape.back();
      const std::size_t who = random(4);
      test.a_repeats.push_back(who == 0);
      test.b_repeats.push_back(who == 1);
    }
    expect_same_binary(test);
  }
}

TEST(CpuBinary, WritesOverAnOperand) {
  const auto a = uniform_data<float>(1017, 1), b = uniform_data<float>(1017, 2);
  for (const bool over_a : {true, false}) {
    GuardedBuffer<float> left(a), right(b);
    Binary args;
    args.kind = BinaryKind::subtract;
    args.rank = 1;
    args.shape[0] = 1017;
    args.a_strides[0] = args.b_strides[0] = 1;
    args.a = left.data();
    args.b = right.data();
    const auto expected = run_reference<float>(args, &Binary::y, 1017);
    args.y = over_a ? left.data() : right.data();
    run_entry(cpu::table(), args, streams()[1], "binary_f32");
    EXPECT_TRUE(same_bits(over_a ? left.values() : right.values(), expected));
  }
}

TEST(CpuBinary, NanAndInfinity) {
  const std::vector<float> a = {kNan, kInfinity, kInfinity, -kInfinity, 0, 1, 3e38f, -0.0f};
  const std::vector<float> b = {1, kInfinity, -kInfinity, -kInfinity, kInfinity, kNan, 3e38f, 0.0f};
  Binary args;
  args.rank = 1;
  args.shape[0] = 8;
  args.a_strides[0] = args.b_strides[0] = 1;
  args.a = a.data();
  args.b = b.data();
  for (const BinaryKind kind : kBinaryKinds) {
    args.kind = kind;
    EXPECT_TRUE(same_specials(run_fast<float>(args, "binary_f32", &Binary::y, 8),
                              run_reference<float>(args, &Binary::y, 8)));
  }
}

// Leaves strides that are neither 0 nor 1 to the reference.
TEST(CpuBinary, TransposedOperandIsLeftToTheReference) {
  const auto a = uniform_data<float>(12, 1), b = uniform_data<float>(12, 2);
  GuardedBuffer<float> y(12);
  Binary args;
  args.rank = 2;
  args.shape[0] = 3;
  args.shape[1] = args.a_strides[0] = 4;
  args.a_strides[1] = args.b_strides[0] = 1;
  args.b_strides[1] = 3;
  args.a = a.data();
  args.b = b.data();
  args.y = y.data();
  run_entry(cpu::table(), args, streams()[0]);
  for (std::size_t i = 0; i < 12; ++i) EXPECT_EQ(y[i], a[i] + b[i / 4 + i % 4 * 3]);
}

TEST(CpuAffine, EveryLength) {
  for (const auto length : kLengths) {
    const auto count = static_cast<std::size_t>(length);
    const GuardedBuffer<float> x(uniform_data<float>(count, 3));
    Affine args;
    args.count = length;
    args.factor = 1.25;
    args.offset = -0.7;
    args.x = x.data();
    // |y| < 2: factor and offset rounded to float32, and one rounding more.
    EXPECT_TRUE(close_each(run_fast<float>(args, "affine_f32", &Affine::y, count),
                           run_reference<float>(args, &Affine::y, count), 3e-7));
  }
}

TEST(CpuAffine, InPlaceAndSpecials) {
  std::vector<float> values = uniform_data<float>(37, 4);
  values[0] = kNan;
  values[5] = kInfinity;
  values[36] = -kInfinity;
  GuardedBuffer<float> x(values);
  Affine args;
  args.count = 37;
  args.factor = -2;
  args.offset = 1;
  args.x = x.data();
  const auto expected = run_reference<float>(args, &Affine::y, 37);
  args.y = x.data();
  run_entry(cpu::table(), args, streams()[1], "affine_f32");
  EXPECT_TRUE(same_specials(x.values(), expected));
  EXPECT_FLOAT_EQ(x[1], 1 - 2 * values[1]);
}

TEST(CpuFill, TypesAndValues) {
  for (const auto length : kLengths) {
    const auto count = static_cast<std::size_t>(length);
    Fill args;
    args.count = length;
    for (const double value : {0.0, -0.0, 1.5, -1e-3}) {
      args.value = value;
      for (const float y :
           run_fast<float>(args, value == 0 && std::signbit(value) ? nullptr : "fill", &Fill::y, count)) {
        ASSERT_EQ(y, static_cast<float>(value));
        ASSERT_EQ(std::signbit(y), std::signbit(value));
      }
    }
    args.type = DType::i64;
    args.value = 0;
    for (const auto y : run_fast<std::int64_t>(args, "fill", &Fill::y, count)) ASSERT_EQ(y, 0);
  }
}

TEST(CpuDropout, SameBitsAsReference) {
  const std::int64_t step = 0x123456789;
  Dropout args;
  args.seed = 0xFEDCBA9876543210;
  args.place = 7;
  args.step = &step;
  for (const auto length : kLengths) {
    const auto count = static_cast<std::size_t>(length);
    const GuardedBuffer<float> x(uniform_data<float>(count, 5));
    args.x = x.data();
    args.count = length;
    for (const std::int64_t group :
         {std::int64_t{1}, std::int64_t{3}, std::int64_t{48}, std::int64_t{20000}}) {
      args.group = group;
      for (const double rate : {0.0, 0.2, 0.7}) {
        for (const std::int64_t first : {0, 1, 3, 1284, 70003}) {
          args.rate = rate;
          args.first = first;
          ASSERT_TRUE(same_bits(run_fast<float>(args, "dropout_f32", &Dropout::y, count),
                                run_reference<float>(args, &Dropout::y, count)))
              << count << " elements in groups of " << group << " from " << first << " on at rate " << rate;
        }
      }
    }
  }
}

TEST(CpuDropout, DropsTheRateAndDropsNan) {
  const std::int64_t step = 3;
  std::vector<float> values(100000, 1.0f);
  values[0] = kNan;
  GuardedBuffer<float> x(values);
  Dropout args;
  args.rate = 1;
  args.step = &step;
  args.count = 100000;
  args.x = x.data();
  for (const float y : run_fast<float>(args, "dropout_f32", &Dropout::y, values.size())) ASSERT_EQ(y, 0.0f);
  args.rate = 0.3;
  args.y = x.data();
  run_entry(cpu::table(), args, streams()[1], "dropout_f32");
  const auto dropped = std::count(x.begin(), x.end(), 0.0f);
  // Binomial: a standard deviation of 145.
  EXPECT_NEAR(static_cast<double>(dropped), 30000, 800);
}

template <class From, class To>
void expect_same_cast(DType from, DType to, const std::vector<From>& values) {
  const GuardedBuffer<From> x(values);
  Cast args;
  args.from = from;
  args.to = to;
  args.count = static_cast<std::int64_t>(values.size());
  args.x = x.data();
  const auto actual = run_fast<To>(args, "cast_f32", &Cast::y, values.size());
  const auto expected = run_reference<To>(args, &Cast::y, values.size());
  for (std::size_t i = 0; i < values.size(); ++i) {
    ASSERT_EQ(std::memcmp(&actual[i], &expected[i], sizeof(To)), 0)
        << testing::PrintToString(values[i]) << " became " << testing::PrintToString(actual[i])
        << ", expected " << testing::PrintToString(expected[i]);
  }
}

TEST(CpuCast, EveryLength) {
  for (const auto length : kLengths) {
    const auto count = static_cast<std::size_t>(length);
    expect_same_cast<float, std::uint16_t>(DType::f32, DType::f16, uniform_data<float>(count, 6));
    expect_same_cast<std::uint8_t, float>(DType::u8, DType::f32,
                                          integer_data<std::uint8_t>(count, 6, 0, 255));
    expect_same_cast<float, std::uint8_t>(DType::f32, DType::u8, uniform_data<float>(count, 7, -20, 280));
  }
}

std::vector<std::uint16_t> all_16_bits() {
  std::vector<std::uint16_t> values(65536);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint16_t>(i);
  return values;
}

TEST(CpuCast, EveryFloat16) { expect_same_cast<std::uint16_t, float>(DType::f16, DType::f32, all_16_bits()); }

TEST(CpuCast, EveryBFloat16) {
  expect_same_cast<std::uint16_t, float>(DType::bf16, DType::f32, all_16_bits());
}

// Every sign, exponent and upper fraction, with lower bits at, below and above the places where rounding to
// 16 bits turns over.
TEST(CpuCast, FloatTo16Bits) {
  std::vector<float> values;
  for (std::uint32_t high = 0; high < 65536; ++high) {
    for (const std::uint32_t low :
         {0x0000u, 0x0001u, 0x0FFFu, 0x1000u, 0x1001u, 0x3000u, 0x7FFFu, 0x8000u, 0x8001u, 0xFFFFu}) {
      values.push_back(float_of(high << 16 | low));
    }
  }
  expect_same_cast<float, std::uint16_t>(DType::f32, DType::f16, values);
  expect_same_cast<float, std::uint16_t>(DType::f32, DType::bf16, values);
}

TEST(CpuCast, FloatToIntegers) {
  std::vector<float> values = {kNan,           -kNan,         kInfinity,  -kInfinity,  0.0f,
                               -0.0f,          0.5f,          1.5f,       2.5f,        -0.5f,
                               -1.5f,          254.5f,        255.49f,    255.5f,      256.0f,
                               2147483520.0f,  2147483648.0f, 3e9f,       1e30f,       -2147483648.0f,
                               -2147483904.0f, -3e9f,         8388607.5f, 16777217.0f, 1e-30f};
  for (int i = -40; i < 1100; ++i) values.push_back(static_cast<float>(i) / 4);
  expect_same_cast<float, std::uint8_t>(DType::f32, DType::u8, values);
  expect_same_cast<float, std::int32_t>(DType::f32, DType::i32, values);
}

TEST(CpuCast, IntegersToFloat) {
  std::vector<std::int32_t> values = {
      0, 1, -1, 16777217, -16777217, 16777219, 2147483647, std::numeric_limits<std::int32_t>::min()};
  for (std::int64_t i = 0; i < 1000; ++i) {
    values.push_back(static_cast<std::int32_t>(i * 4294967 - 2147483647));
  }
  expect_same_cast<std::int32_t, float>(DType::i32, DType::f32, values);
  std::vector<std::uint8_t> bytes(256);
  for (std::size_t i = 0; i < 256; ++i) bytes[i] = static_cast<std::uint8_t>(i);
  expect_same_cast<std::uint8_t, float>(DType::u8, DType::f32, bytes);
}

}  // namespace
}  // namespace pila::test
