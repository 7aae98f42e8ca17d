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

TEST(Int8, QuantizesRowsAndPutsZerosBehindThem) {
  constexpr std::size_t kRows = 3;
  for (const Quantization by :
       {Quantization{0.011f, 100}, Quantization{0.004f, 0}, Quantization{0.5f, 200}}) {
    for (const std::size_t size : {1, 3, 4, 15, 16, 17, 33, 100}) {
      for (const std::size_t more : {0, 1, 20}) {
        const std::size_t quads = (size + 3) / 4 + more;
        const test::GuardedBuffer<float> from(test::uniform_data<float>(kRows * size, size));
        test::GuardedBuffer<std::uint32_t> to(kRows * quads);
        round_rows(from.data(), kRows, static_cast<std::int64_t>(size), by,
                   reinterpret_cast<Int8Quad*>(to.data()), static_cast<std::int64_t>(quads),
                   static_cast<std::int64_t>(quads));
        EXPECT_TRUE(to.check(test::Written::all)) << size << " to " << quads << " quads";
        for (std::size_t i = 0; i < kRows * size; ++i) {
          const std::size_t r = i / size, p = i % size;
          const auto value = static_cast<std::uint8_t>(to[r * quads + p / 4] >> (p % 4 * 8));
          ASSERT_EQ(value ^ kQuadShift, quantize(from[i], by)) << from[i];
        }
        for (std::size_t r = 0; r < kRows; ++r) {
          for (std::size_t q = (size + 3) / 4; q < quads; ++q) ASSERT_EQ(to[r * quads + q], 0u);
        }
      }
    }
  }
}

TEST(Int8, QuantizesRowsIntoPlacesAndPlanes) {
  constexpr std::int64_t kRows = 5, kStep = 9, kCount = 6;
  const Quantization by{0.011f, 100};
  for (const std::int64_t size : {16, 20, 64, 72}) {
    const auto from = test::uniform_data<float>(static_cast<std::size_t>(kRows * size), 1);
    const auto value_at = [&](std::int64_t row, std::int64_t i) {
      return i < size ? quantize(from[static_cast<std::size_t>(row * size + i)], by) ^ kQuadShift : 0;
    };
    if (size <= 4 * kCount) {
      std::vector<Int8Quad> to(kRows * kStep, Int8Quad{0xABABABAB});
      round_rows(from.data(), kRows, size, by, to.data(), kCount, kStep);
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t i = 0; i < 4 * kStep; ++i) {
          const std::uint32_t quad = to[static_cast<std::size_t>(r * kStep + i / 4)].bits;
          ASSERT_EQ(quad >> i % 4 * 8 & 0xFF, i < 4 * kCount ? value_at(r, i) : 0xAB) << size << ", " << i;
        }
      }
    }
    // Planes of 16 values, of 64, as a matrix unit reads them.
    for (const std::int64_t count : {4, 16}) {
      const std::int64_t planes = (size + 4 * count - 1) / (4 * count), plane = kRows * count;
      std::vector<Int8Quad> to(static_cast<std::size_t>(planes * plane), Int8Quad{0xABABABAB});
      round_planes(from.data(), kRows, size, by, to.data(), plane, count);
      for (std::int64_t r = 0; r < kRows; ++r) {
        for (std::int64_t i = 0; i < planes * 4 * count; ++i) {
          const std::int64_t at = i / (4 * count) * plane + r * count + i % (4 * count) / 4;
          const std::uint32_t quad = to[static_cast<std::size_t>(at)].bits;
          ASSERT_EQ(quad >> i % 4 * 8 & 0xFF, value_at(r, i)) << size << " in " << count << ", " << i;
        }
      }
    }
  }
}

TEST(Int8, CutsOffWhatItCannotReachAndRoundsTiesToEven) {
  const Quantization by{0.5f, 10};
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> from = {-5,    -5.5f, -1e30f, -infinity, 122.5f,        123,
                                   1e30f, 0.25f, 0.75f,  infinity,  std::nanf(""), 0};
  const std::vector<int> expected = {0, 0, 0, 0, 255, 255, 255, 10, 12, 255, 0, 10};
  std::vector<Int8Quad> to(3);
  round_rows(from.data(), 1, static_cast<std::int64_t>(from.size()), by, to.data(), 3, 3);
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto value = static_cast<int>(to[i / 4].bits >> (i % 4 * 8) & 0xFF);
    EXPECT_EQ(value ^ kQuadShift, expected[i]) << from[i];
    EXPECT_EQ(quantize(from[i], by), expected[i]) << from[i];
  }
}

}  // namespace
}  // namespace pila::kernels::cpu
