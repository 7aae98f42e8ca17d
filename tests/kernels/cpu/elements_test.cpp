#include "kernels/cpu/elements.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "tests/support/guarded_buffer.h"
#include "tests/support/needs_bfloat16.h"
#include "tests/support/random_data.h"

namespace pila::kernels::cpu {
namespace {

// Value number `i` of a row of pairs, as bits.
std::uint16_t value_of(const BFloat16Pair* row, std::size_t i) {
  return static_cast<std::uint16_t>(row[i / 2].bits >> (i % 2 * 16));
}

TEST(BFloat16, RoundsRowsAndPutsZerosBehindThem) {
  PILA_NEEDS_BFLOAT16();
  constexpr std::size_t kRows = 3;
  for (const std::size_t size : {1, 2, 5, 15, 16, 17, 31, 32, 33, 100}) {
    for (const std::size_t more : {0, 1, 20}) {
      const std::size_t pairs = (size + 1) / 2 + more;
      const test::GuardedBuffer<float> from(test::uniform_data<float>(kRows * size, size));
      test::GuardedBuffer<std::uint32_t> to(kRows * pairs);
      auto* rounded = reinterpret_cast<BFloat16Pair*>(to.data());
      round_rows(from.data(), kRows, static_cast<std::int64_t>(size), {}, rounded,
                 static_cast<std::int64_t>(pairs), static_cast<std::int64_t>(pairs));
      EXPECT_TRUE(to.check(test::Written::all)) << size << " to " << pairs << " pairs";
      for (std::size_t r = 0; r < kRows; ++r) {
        for (std::size_t i = 0; i < 2 * pairs; ++i) {
          const std::uint16_t expected = i < size ? to_bfloat16(from[r * size + i]).bits : std::uint16_t{0};
          ASSERT_EQ(value_of(rounded + r * pairs, i), expected) << size << " to " << pairs << ", value " << i;
        }
      }
    }
  }
}

TEST(BFloat16, RoundsTiesToEvenAndKeepsSpecialNumbers) {
  PILA_NEEDS_BFLOAT16();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> from = {0x1.01p0f, 0x1.03p0f, 3.4e38f, -infinity, -0.0f, 0x1p-126f};
  std::vector<BFloat16Pair> to(3);
  round_rows(from.data(), 1, 6, {}, to.data(), 3, 3);
  for (std::size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(value_of(to.data(), i), to_bfloat16(from[i]).bits) << from[i];
  }
  const float others[] = {std::nanf(""), 0x1p-127f};
  round_rows(others, 1, 2, {}, to.data(), 1, 1);
  EXPECT_TRUE(std::isnan(to_float(BFloat16{value_of(to.data(), 0)})));
  EXPECT_EQ(value_of(to.data(), 1), 0) << "subnormal";
}

// Integers of 8 bits, four or two to an element.
template <class Integers>
class Int8 : public testing::Test {
 protected:
  static constexpr std::int64_t kValues = kElement<Integers>.values, kBits = 32 / kValues;

  // Number i of an array.
  static int value(const Integers* array, std::int64_t i) {
    return static_cast<int>(array[i / kValues].bits >> (i % kValues * kBits) & ((1u << kBits) - 1));
  }
  // What stands there for a quantized number.
  static int stored(int quantized) {
    return std::is_same_v<Integers, Int8Quad> ? quantized ^ kQuadShift : quantized;
  }
  static std::int64_t elements(std::int64_t values) { return (values + kValues - 1) / kValues; }
};

using Kinds = testing::Types<Int8Quad, Int8Pair>;
TYPED_TEST_SUITE(Int8, Kinds);

TYPED_TEST(Int8, QuantizesRowsAndPutsZerosBehindThem) {
  constexpr std::int64_t kRows = 3;
  for (const Quantization by :
       {Quantization{0.011f, 100}, Quantization{0.004f, 0}, Quantization{0.5f, 200}}) {
    for (const std::int64_t size : {1, 3, 4, 15, 16, 17, 33, 100}) {
      for (const std::int64_t more : {0, 1, 20}) {
        const std::int64_t count = this->elements(size) + more;
        const test::GuardedBuffer<float> from(test::uniform_data<float>(
            static_cast<std::size_t>(kRows * size), static_cast<std::uint64_t>(size)));
        test::GuardedBuffer<std::uint32_t> to(static_cast<std::size_t>(kRows * count));
        auto* const array = reinterpret_cast<TypeParam*>(to.data());
        round_rows(from.data(), kRows, size, by, array, count, count);
        EXPECT_TRUE(to.check(test::Written::all)) << size << " to " << count << " elements";
        for (std::int64_t i = 0; i < kRows * count * this->kValues; ++i) {
          const std::int64_t row = i / (count * this->kValues), place = i % (count * this->kValues);
          if (place < size) {
            const float number = from[static_cast<std::size_t>(row * size + place)];
            ASSERT_EQ(this->value(array, i), this->stored(quantize(number, by))) << number;
          } else if (place >= this->elements(size) * this->kValues) {
            ASSERT_EQ(this->value(array, i), 0) << size << ", " << place;
          }
        }
      }
    }
  }
}

TYPED_TEST(Int8, QuantizesRowsIntoPlacesAndPlanes) {
  constexpr std::int64_t kRows = 5;
  const TypeParam unwritten{0xABABABAB};
  const int nothing = this->value(&unwritten, 0);
  const std::int64_t count = this->elements(24), step = count + 3;
  const Quantization by{0.011f, 100};
  for (const std::int64_t size : {16, 20, 64, 72}) {
    const auto from = test::uniform_data<float>(static_cast<std::size_t>(kRows * size), 1);
    const auto value_at = [&](std::int64_t row, std::int64_t i) {
      return i < size ? this->stored(quantize(from[static_cast<std::size_t>(row * size + i)], by)) : 0;
    };
    if (size <= 24) {
      std::vector<TypeParam> to(static_cast<std::size_t>(kRows * step), unwritten);
      round_rows(from.data(), kRows, size, by, to.data(), count, step);
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t i = 0; i < step * this->kValues; ++i) {
          ASSERT_EQ(this->value(to.data() + r * step, i), i < 24 ? value_at(r, i) : nothing)
              << size << ", " << i;
        }
      }
    }
    // Planes of 16 values, of 64, as a matrix unit reads them.
    for (const std::int64_t values : {16, 64}) {
      const std::int64_t width = this->elements(values), planes = (size + values - 1) / values;
      std::vector<TypeParam> to(static_cast<std::size_t>(planes * kRows * width), unwritten);
      round_planes(from.data(), kRows, size, by, to.data(), kRows * width, width);
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t i = 0; i < planes * values; ++i) {
          const TypeParam* row = to.data() + (i / values * kRows + r) * width;
          ASSERT_EQ(this->value(row, i % values), value_at(r, i)) << size << " in " << values << ", " << i;
        }
      }
    }
  }
}

TYPED_TEST(Int8, CutsOffWhatItCannotReachAndRoundsTiesToEven) {
  const Quantization by{0.5f, 10};
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> from = {-5,    -5.5f, -1e30f, -infinity, 122.5f,        123,
                                   1e30f, 0.25f, 0.75f,  infinity,  std::nanf(""), 0};
  const std::vector<int> expected = {0, 0, 0, 0, 255, 255, 255, 10, 12, 255, 0, 10};
  const std::int64_t count = this->elements(12);
  std::vector<TypeParam> to(static_cast<std::size_t>(count));
  round_rows(from.data(), 1, 12, by, to.data(), count, count);
  for (std::size_t i = 0; i < from.size(); ++i) {
    EXPECT_EQ(this->value(to.data(), static_cast<std::int64_t>(i)), this->stored(expected[i])) << from[i];
    EXPECT_EQ(quantize(from[i], by), expected[i]) << from[i];
  }
}

}  // namespace
}  // namespace pila::kernels::cpu
