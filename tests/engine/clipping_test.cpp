// Histograms counted by hand, and ranges of known distributions.
#include "engine/plan/clipping.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "engine/core/error.h"
#include "engine/core/random.h"

namespace pila {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::size_t kZero = Histogram::kZero;

Histogram histogram_of(const std::vector<float>& values) {
  Histogram histogram;
  histogram.add(values);
  return histogram;
}

TEST(Histogram, CountsByBinsAroundZero) {
  // 7.5 needs bins of 8 / 4096.
  const Histogram histogram = histogram_of({0, -0.0f, 0.001f, 0.002f, -0.0001f, 7.5f, -7.5f});
  EXPECT_EQ(histogram.edge(kZero), 0);
  EXPECT_EQ(histogram.edge(kZero + 1), 0x1p-9);
  EXPECT_EQ(histogram.count(kZero), 3u);
  EXPECT_EQ(histogram.count(kZero + 1), 1u);
  EXPECT_EQ(histogram.count(kZero - 1), 1u);
  EXPECT_EQ(histogram.count(kZero + 3840), 1u);
  EXPECT_EQ(histogram.count(kZero - 3840), 1u);
  EXPECT_EQ(histogram.total(), 7u);
  EXPECT_EQ(histogram.zeros(), 2u);
  EXPECT_EQ(histogram.extremes(), (ValueRange{-7.5f, 7.5f}));
}

TEST(Histogram, HasRoomForPowersOfTwoOfBothSigns) {
  for (const float value : {1.0f, -1.0f, 1024.0f, std::numeric_limits<float>::max(), 1e-38f}) {
    const Histogram histogram = histogram_of({value});
    std::uint64_t counted = 0;
    for (std::size_t i = 0; i < Histogram::kBins; ++i) {
      counted += histogram.count(i);
      if (histogram.count(i) > 0) {
        EXPECT_LE(histogram.edge(i), value);
        EXPECT_GT(histogram.edge(i + 1), value);
      }
    }
    EXPECT_EQ(counted, 1u) << value;
  }
}

TEST(Histogram, IsTheSameInWhateverOrderNumbersCome) {
  std::vector<float> values;
  Random random(1);
  for (int i = 0; i < 2000; ++i) {
    values.push_back(static_cast<float>(random.normal() * std::exp(random.normal() * 3)));
  }
  const Histogram at_once = histogram_of(values);
  Histogram one_by_one;
  for (std::size_t i = 0; i < values.size(); ++i) one_by_one.add({&values[values.size() - 1 - i], 1});
  EXPECT_EQ(one_by_one.extremes(), at_once.extremes());
  EXPECT_EQ(one_by_one.edge(0), at_once.edge(0));
  for (std::size_t i = 0; i < Histogram::kBins; ++i) ASSERT_EQ(one_by_one.count(i), at_once.count(i)) << i;
}

TEST(Histogram, RefusesWhatIsNotFinite) {
  Histogram histogram = histogram_of({1});
  for (const float bad : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    EXPECT_THAT(
        [&] {
          histogram.add(std::vector{2.0f, bad});
        },
        ThrowsMessage<Error>(HasSubstr("expected finite numbers")));
  }
  EXPECT_EQ(histogram.total(), 1u);
  EXPECT_EQ(histogram.extremes(), (ValueRange{1, 1}));
}

// 1 to 10000 and their negatives.
Histogram steps() {
  std::vector<float> values;
  for (int i = 1; i <= 10000; ++i) {
    values.push_back(static_cast<float>(i));
    values.push_back(static_cast<float>(-i));
  }
  return histogram_of(values);
}

TEST(ClippedRange, OfMinMaxIsTheExtremes) {
  EXPECT_EQ(clipped_range(steps(), Clipping::min_max), (ValueRange{-10000, 10000}));
}

TEST(ClippedRange, OfPercentilesCutsAShareOffAtBothEnds) {
  // Of 20000 numbers, 2 and 20 lie outside at each end; bins are 4 wide and never cut in two.
  const ValueRange little = clipped_range(steps(), Clipping::percentile_99_99);
  EXPECT_GE(little.high, 9998);
  EXPECT_LE(little.high, 9998 + 4);
  EXPECT_NEAR(little.low, -little.high, 4);
  const ValueRange more = clipped_range(steps(), Clipping::percentile_99_9);
  EXPECT_GE(more.high, 9980);
  EXPECT_LE(more.high, 9980 + 4);
  EXPECT_NEAR(more.low, -more.high, 4);
}

TEST(ClippedRange, OfPercentilesStaysWithinTheExtremes) {
  for (const Clipping clipping : {Clipping::percentile_99_99, Clipping::percentile_99_9}) {
    EXPECT_EQ(clipped_range(histogram_of({3, 5}), clipping), (ValueRange{3, 5}));
    EXPECT_EQ(clipped_range(histogram_of({0, 0}), clipping), (ValueRange{0, 0}));
    EXPECT_EQ(clipped_range(histogram_of({-2}), clipping), (ValueRange{-2, -2}));
  }
}

TEST(ClippedRange, OfLeastLossCutsLongTailsAndNotShortOnes) {
  std::vector<float> uniform, laplace;
  Random random(2);
  for (int i = 0; i < 200000; ++i) {
    const float u = random.uniform(), sign = random.below(2) == 0 ? -1.0f : 1.0f;
    uniform.push_back(sign * u);
    laplace.push_back(sign * -std::log(1 - u));
  }
  for (const Clipping clipping : {Clipping::least_squares, Clipping::entropy}) {
    const ValueRange whole = clipped_range(histogram_of(uniform), clipping);
    EXPECT_GT(whole.high, 0.95f) << name_of(clipping);
    EXPECT_LT(whole.low, -0.95f) << name_of(clipping);
  }
  // For 256 levels the sum of squares is least at 9.9 (Banner et al., 2019), but flat there: two of the
  // limits that are tried lie 9% apart, and the sample's tail is random.
  const ValueRange squares = clipped_range(histogram_of(laplace), Clipping::least_squares);
  EXPECT_NEAR(squares.high, 9.9, 1.3);
  EXPECT_NEAR(squares.low, -9.9, 1.3);
  // Entropy should not lie far from that, and does not mind a single number.
  laplace.push_back(-100);
  const ValueRange cut = clipped_range(histogram_of(laplace), Clipping::entropy);
  EXPECT_GT(cut.high, 7);
  EXPECT_LT(cut.high, 12);
  EXPECT_EQ(cut.low, -cut.high);
}

TEST(ClippedRange, OfEntropyCutsTheLongerTailFirst) {
  std::vector<float> values;
  Random random(3);
  for (int i = 0; i < 100000; ++i) values.push_back(random.uniform() * 3 - 1);
  values.push_back(-20);
  const ValueRange range = clipped_range(histogram_of(values), Clipping::entropy);
  EXPECT_GT(range.low, -4);
  EXPECT_LT(range.low, -1);
  EXPECT_GT(range.high, 1.9f);
}

TEST(ClippedRange, OfLeastLossLeavesZerosOut) {
  std::vector<float> values(1);
  Random random(4);
  for (int i = 0; i < 50000; ++i) values.push_back(random.uniform() * 6);
  std::vector<float> more = values;
  more.resize(500000);  // zeros, as ReLU6 makes them
  for (const Clipping clipping : {Clipping::least_squares, Clipping::entropy}) {
    EXPECT_EQ(clipped_range(histogram_of(more), clipping), clipped_range(histogram_of(values), clipping));
    EXPECT_EQ(clipped_range(histogram_of({0, 0}), clipping), (ValueRange{0, 0}));
  }
}

TEST(ClippedRange, RefusesHistogramsOfNothing) {
  for (const Clipping clipping : kClippings) EXPECT_THROW(clipped_range({}, clipping), UsageError);
}

}  // namespace
}  // namespace pila
