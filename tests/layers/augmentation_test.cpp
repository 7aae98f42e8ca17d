// What augmentation draws, and what it does to a batch. Its arithmetic is tested with the kernels and against
// Keras.
#include "layers/augmentation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila::augmentation_test {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::uint64_t kSeed = 20;
constexpr std::int64_t kDraws = 4000;
constexpr PictureSize kSize = {60, 80};
constexpr double kPi = 3.14159265358979323846;

const Context& context() {
  static const Context ctx(Device::cpu(1));
  return ctx;
}

Tensor pixels(const Shape& shape, std::uint64_t seed = 3) {
  return Tensor::from(
      context(), shape,
      test::integer_data<std::uint8_t>(static_cast<std::size_t>(shape.elements()), seed, 0, 255));
}

Preprocessing preprocessing_of(std::int64_t height, std::int64_t width) {
  Preprocessing preprocessing;
  preprocessing.height = height;
  preprocessing.width = width;
  return preprocessing;
}

Augmentation everything() {
  Augmentation augmentation;
  augmentation.flip_horizontal = augmentation.flip_vertical = true;
  augmentation.rotation = 0.05;
  augmentation.zoom = {-0.2, 0.3};
  augmentation.translation_height = augmentation.translation_width = 0.1;
  augmentation.hue = 0.1;
  augmentation.saturation = augmentation.contrast = 0.4;
  augmentation.brightness = 0.2;
  augmentation.erase_probability = 0.5;
  augmentation.pixel_dropout = 0.2;
  return augmentation;
}

std::vector<AugmentPicture> drawn(const Augmentation& augmentation, std::int64_t count = kDraws) {
  return draw_pictures(augmentation, kSize, kSize, kSeed, 7, 0, count);
}

// A quantity of every picture drawn with one setting: uniform in [low, high], to the ends. The mean of n such
// draws has deviation (high - low) / sqrt(12 n); the farthest draws lie within 8 / n of the ends in all but
// exp(-8) of cases. The seed is fixed, so that this holds always or never.
void expect_uniform(const Augmentation& augmentation, double low, double high,
                    const std::function<double(const AugmentPicture&)>& quantity) {
  std::vector<double> values;
  double mean = 0;
  for (const AugmentPicture& picture : drawn(augmentation)) {
    values.push_back(quantity(picture));
    mean += values.back() / static_cast<double>(kDraws);
  }
  const double range = high - low, rounding = 1e-6 * std::max(1.0, range);
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  EXPECT_GE(*least, low - rounding);
  EXPECT_LE(*most, high + rounding);
  EXPECT_LE(*least, low + range * 8 / static_cast<double>(kDraws));
  EXPECT_GE(*most, high - range * 8 / static_cast<double>(kDraws));
  EXPECT_NEAR(mean, (low + high) / 2, 4 * range / std::sqrt(12.0 * static_cast<double>(kDraws)));
}

TEST(Augmentation, OffIsPreprocessing) {
  for (const auto& [height, width] : {std::pair<int, int>{31, 45}, {31, 44}, {64, 17}, {9, 100}}) {
    const Tensor images = pixels({3, 31, 45, 3});
    Preprocessing preprocessing = preprocessing_of(height, width);
    preprocessing.scale = {1 / 58.0f, 1 / 57.0f, 1 / 56.0f};
    preprocessing.offset = {-2, -1.5f, -1};
    const auto expected = preprocess(context(), images, preprocessing).to_vector<float>(context());
    const auto actual = augment(context(), images, {}, preprocessing, kSeed, 0).to_vector<float>(context());
    // Positions up to 45 in float32, on noise: 255 / 56 times 2 * 3e-6 for both axes.
    EXPECT_TRUE(test::close_each(actual, expected, 3e-5)) << height << " x " << width;
  }
}

TEST(Augmentation, SameBitsAtAnyNumberOfThreads) {
  const auto images = test::integer_data<std::uint8_t>(9 * 40 * 50 * 3, 3, 0, 255);
  std::vector<float> first;
  for (const int threads : {1, 2, 5}) {
    const Context ctx(Device::cpu(threads));
    const Tensor y = augment(ctx, Tensor::from(ctx, {9, 40, 50, 3}, images), everything(),
                             preprocessing_of(33, 47), kSeed, 12);
    if (first.empty()) first = y.to_vector<float>(ctx);
    EXPECT_TRUE(test::same_bits(y.to_vector<float>(ctx), first)) << threads << " threads";
  }
}

TEST(Augmentation, APictureIsTheSameAloneAndInABatch) {
  const std::size_t size = 20 * 30 * 3;
  const std::vector<std::uint8_t> images = pixels({5, 20, 30, 3}).to_vector<std::uint8_t>(context());
  const Preprocessing preprocessing = preprocessing_of(24, 24);
  const auto batch = augment(context(), pixels({5, 20, 30, 3}), everything(), preprocessing, kSeed, 3, 100)
                         .to_vector<float>(context());
  for (std::size_t i = 0; i < 5; ++i) {
    const Tensor image = Tensor::from(context(), {1, 20, 30, 3}, std::span(images).subspan(i * size, size));
    const auto alone =
        augment(context(), image, everything(), preprocessing, kSeed, 3, 100 + static_cast<std::int64_t>(i))
            .to_vector<float>(context());
    EXPECT_TRUE(test::same_bits(alone, std::span(batch).subspan(i * alone.size(), alone.size()))) << i;
  }
}

TEST(Augmentation, EverySeedStepAndPictureDrawsItsOwn) {
  std::set<float> turns;
  for (const std::uint64_t seed : {0ull, 1ull, 1ull << 32, ~0ull}) {
    for (const std::int64_t step : {std::int64_t{0}, std::int64_t{1}, std::int64_t{1} << 33}) {
      for (const std::int64_t first : {std::int64_t{0}, std::int64_t{1}, (std::int64_t{1} << 32) - 1}) {
        turns.insert(draw_pictures(everything(), kSize, kSize, seed, step, first, 1)[0].warp[1]);
      }
    }
  }
  EXPECT_EQ(turns.size(), 4u * 3 * 3);
}

TEST(Augmentation, SwitchingOneThingOnChangesNoOther) {
  Augmentation fewer = everything();
  fewer.flip_horizontal = false;
  fewer.translation_width = fewer.saturation = fewer.erase_probability = 0;
  const auto all = drawn(everything(), 50), some = drawn(fewer, 50);
  for (std::size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(std::abs(all[i].warp[3]), std::abs(some[i].warp[3]));
    EXPECT_EQ(all[i].brightness, some[i].brightness);
    EXPECT_EQ(all[i].key[1], some[i].key[1]);
    EXPECT_EQ(some[i].saturation, 1);
    EXPECT_EQ(some[i].erase_bottom, 0);
  }
}

TEST(Augmentation, FlipsByTwoCoinsOrOne) {
  Augmentation flips;
  flips.flip_horizontal = flips.flip_vertical = true;
  for (const bool together : {false, true}) {
    flips.flip_together = together;
    double counts[2][2] = {};
    for (const AugmentPicture& picture : drawn(flips)) ++counts[picture.warp[0] < 0][picture.warp[4] < 0];
    // 4 deviations of a count of n draws with probability p: 4 sqrt(n p (1 - p)).
    const double expected = static_cast<double>(kDraws) / (together ? 2 : 4);
    EXPECT_NEAR(counts[0][0], expected, 127);
    EXPECT_NEAR(counts[1][1], expected, 127);
    EXPECT_NEAR(counts[0][1], together ? 0 : expected, together ? 0 : 127);
    EXPECT_NEAR(counts[1][0], together ? 0 : expected, together ? 0 : 127);
  }
  flips.flip_horizontal = false;
  for (const AugmentPicture& picture : drawn(flips, 100)) EXPECT_EQ(picture.warp[0], 1);
}

TEST(Augmentation, MovesWithinItsRanges) {
  Augmentation rotation;
  rotation.rotation = 0.05;
  expect_uniform(rotation, -18, 18, [](const AugmentPicture& picture) {
    return std::atan2(picture.warp[3], picture.warp[4]) * 180 / kPi;
  });
  Augmentation zoom;
  zoom.zoom = {-0.2, 0.3};
  expect_uniform(zoom, 0.8, 1.3, [](const AugmentPicture& picture) {
    EXPECT_EQ(picture.warp[0], picture.warp[4]);
    return picture.warp[4];
  });
  zoom.zoom_width = {0.4, 0.6};
  expect_uniform(zoom, 0.8, 1.3, [](const AugmentPicture& picture) { return picture.warp[4]; });
  expect_uniform(zoom, 1.4, 1.6, [](const AugmentPicture& picture) { return picture.warp[0]; });
  Augmentation translation;
  translation.translation_height = 0.1;
  translation.translation_width = 0.05;
  expect_uniform(translation, -6, 6, [](const AugmentPicture& picture) { return picture.warp[5]; });
  expect_uniform(translation, -4, 4, [](const AugmentPicture& picture) { return picture.warp[2]; });
}

TEST(Augmentation, ColoursWithinItsRanges) {
  Augmentation colours;
  colours.hue = 0.2;
  colours.saturation = 0.3;
  colours.contrast = 0.4;
  colours.brightness = 0.4;
  expect_uniform(colours, -0.1, 0.1, [](const AugmentPicture& picture) { return picture.hue; });
  expect_uniform(colours, 0.7, 1.3, [](const AugmentPicture& picture) { return picture.saturation; });
  expect_uniform(colours, 0.6, 1.4, [](const AugmentPicture& picture) { return picture.contrast; });
  expect_uniform(colours, -102, 102, [](const AugmentPicture& picture) { return picture.brightness; });
}

TEST(Augmentation, ErasesRectanglesOfItsAreaAndShape) {
  Augmentation erasing;
  erasing.erase_probability = 0.3;
  erasing.erase_area = {0.1, 0.2};
  erasing.erase_aspect = {0.5, 2};
  double erased = 0, tall = 0;
  for (const AugmentPicture& picture : drawn(erasing)) {
    const double height = picture.erase_bottom - picture.erase_top,
                 width = picture.erase_right - picture.erase_left;
    EXPECT_EQ(height > 0, width > 0);
    if (height <= 0) continue;
    ++erased;
    tall += height > width ? 1 : 0;
    EXPECT_GE(picture.erase_top, 0);
    EXPECT_GE(picture.erase_left, 0);
    EXPECT_LE(picture.erase_bottom, kSize.height);
    EXPECT_LE(picture.erase_right, kSize.width);
    // Sides of 15 pixels at least, rounded by up to half a one.
    EXPECT_NEAR(height * width / (60 * 80), 0.15, 0.05 * 1.07 + 0.005);
    EXPECT_GT(width / height, 0.5 * 0.93);
    EXPECT_LT(width / height, 2 * 1.07);
    for (const float channel : picture.erase_colour) EXPECT_TRUE(channel >= 0 && channel < 255);
  }
  EXPECT_NEAR(erased, 1200, 116);         // 4 deviations
  EXPECT_NEAR(tall / erased, 0.5, 0.06);  // wide and tall alike
}

TEST(Augmentation, ErasesAsMuchWhereTheShapeDoesNotFit) {
  Augmentation erasing;
  erasing.erase_probability = 1;
  erasing.erase_area = {0.5, 1};
  erasing.erase_aspect = {0.01, 100};
  for (const PictureSize size : {PictureSize{1, 1}, {1, 50}, {50, 1}, {3, 2}, {40, 50}}) {
    for (const AugmentPicture& picture : draw_pictures(erasing, size, size, kSeed, 0, 0, 300)) {
      EXPECT_TRUE(picture.erase_top >= 0 && picture.erase_top < picture.erase_bottom);
      EXPECT_TRUE(picture.erase_left >= 0 && picture.erase_left < picture.erase_right);
      EXPECT_LE(picture.erase_bottom, size.height);
      EXPECT_LE(picture.erase_right, size.width);
    }
  }
}

TEST(Augmentation, PaintsTheRectangleItDrew) {
  Augmentation erasing;
  erasing.erase_probability = 1;
  const AugmentPicture picture = draw_pictures(erasing, {30, 40}, {30, 40}, kSeed, 5, 9, 1)[0];
  const Tensor images = pixels({1, 30, 40, 3});
  Preprocessing plain = preprocessing_of(30, 40);
  plain.scale = {1, 1, 1};
  plain.offset = {};
  const auto before = images.to_vector<std::uint8_t>(context());
  const auto after = augment(context(), images, erasing, plain, kSeed, 5, 9).to_vector<float>(context());
  for (std::int32_t row = 0; row < 30; ++row) {
    for (std::int32_t column = 0; column < 40; ++column) {
      const bool inside = row >= picture.erase_top && row < picture.erase_bottom &&
                          column >= picture.erase_left && column < picture.erase_right;
      for (std::int32_t c = 0; c < 3; ++c) {
        const auto at = static_cast<std::size_t>((row * 40 + column) * 3 + c);
        ASSERT_EQ(after[at], inside ? picture.erase_colour[c] : static_cast<float>(before[at]));
      }
    }
  }
}

TEST(Augmentation, DropsElementsAndScalesTheOthers) {
  Augmentation dropping;
  dropping.pixel_dropout = 0.2;
  const std::vector<std::uint8_t> white(4 * 50 * 60 * 3, 200);
  const Tensor images = Tensor::from(context(), {4, 50, 60, 3}, white);
  const auto y =
      augment(context(), images, dropping, preprocessing_of(50, 60), kSeed, 1).to_vector<float>(context());
  const std::size_t size = y.size() / 4;
  std::size_t dropped = 0, whole_pixels = 0, as_the_first = 0;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const bool is_dropped = y[i] == -1;
    ASSERT_NEAR(y[i], is_dropped ? -1 : 200 / 0.8 / 127.5 - 1, 1e-6);
    dropped += is_dropped ? 1 : 0;
    whole_pixels += i % 3 == 0 && is_dropped && y[i + 1] == -1 && y[i + 2] == -1 ? 1 : 0;
    as_the_first += i >= size && i < 2 * size && y[i] == y[i - size] ? 1 : 0;
  }
  // 4 deviations each: 36000 draws of 0.2; 12000 pixels of 0.2^3; 9000 pairs of 0.2^2 + 0.8^2.
  EXPECT_NEAR(static_cast<double>(dropped), 7200, 304);
  EXPECT_NEAR(static_cast<double>(whole_pixels), 96, 40);
  EXPECT_NEAR(static_cast<double>(as_the_first), 6120, 177);
}

TEST(Augmentation, MixesWithWeightsFromTheBetaDistribution) {
  Augmentation mixing;
  EXPECT_EQ(draw_mixup(mixing, kSeed, 0).weight, 1);
  for (const double alpha : {0.2, 1.0, 4.0}) {
    mixing.mixup = alpha;
    double mean = 0, variance = 0;
    for (std::int64_t step = 0; step < kDraws; ++step) {
      const double weight = draw_mixup(mixing, kSeed, step).weight;
      ASSERT_TRUE(weight >= 0 && weight <= 1);
      mean += weight / static_cast<double>(kDraws);
      variance += (weight - 0.5) * (weight - 0.5) / static_cast<double>(kDraws);
    }
    const double expected = 1 / (4 * (2 * alpha + 1));
    EXPECT_NEAR(mean, 0.5, 4 * std::sqrt(expected / static_cast<double>(kDraws))) << alpha;
    // The squared distance from the middle is 1/4 at most: its deviation is below sqrt(expected) / 2.
    EXPECT_NEAR(variance, expected, 2 * std::sqrt(expected / static_cast<double>(kDraws))) << alpha;
  }
  mixing.mixup = 1e-320;
  for (std::int64_t step = 0; step < 20; ++step) {
    const float weight = draw_mixup(mixing, kSeed, step).weight;
    EXPECT_TRUE(weight == 0 || weight == 1) << weight;
  }
}

TEST(Augmentation, SaysWhatIsOutOfItsBounds) {
  const auto problem = [](auto change) {
    Augmentation augmentation;
    change(augmentation);
    return problem_of(augmentation);
  };
  EXPECT_EQ(problem([](Augmentation&) {}), "");
  EXPECT_EQ(problem([](Augmentation& a) { a.rotation = 3; }), "expected rotation in [0, 1], got 3");
  EXPECT_EQ(problem([](Augmentation& a) { a.pixel_dropout = 1; }), "expected pixel_dropout in [0, 1), got 1");
  EXPECT_EQ(problem([](Augmentation& a) { a.hue = std::nan(""); }), "expected hue in [0, 1], got nan");
  EXPECT_EQ(problem([](Augmentation& a) {
              a.zoom_width = {0.1, 0};
            }),
            "expected zoom_width in (-1, 1], the lower end first, got 0.1 to 0");
  EXPECT_NE(problem([](Augmentation& a) { a.zoom = {-1, 0}; }), "");
  Augmentation wrong;
  wrong.contrast = -0.1;
  const auto images = pixels({1, 4, 4, 3});
  EXPECT_THAT([&] { augment(context(), images, wrong, preprocessing_of(4, 4), 0, 0); },
              ThrowsMessage<UsageError>(HasSubstr("[augment] expected contrast in [0, 1], got -0.1")));
  EXPECT_THAT([&] { draw_mixup(wrong, 0, 0); }, ThrowsMessage<UsageError>(HasSubstr("contrast")));
}

TEST(Augmentation, RefusesWhatIsNoImage) {
  const Preprocessing preprocessing = preprocessing_of(4, 4);
  const auto refuses = [&](const Tensor& images, std::int64_t first = 0) {
    EXPECT_THROW(augment(context(), images, everything(), preprocessing, kSeed, 0, first), ShapeError);
  };
  refuses(pixels({1, 8, 8, 4}));
  refuses(pixels({8, 8, 3}));
  refuses(pixels({1, 0, 8, 3}));
  refuses(Tensor::zeros(context(), {{1, 8, 8, 3}, DType::f32}));
  refuses(pixels({1, 8, 8, 3}), -1);
  refuses(pixels({2, 8, 8, 3}), (std::int64_t{1} << 32) - 1);
  EXPECT_THROW(augment(context(), pixels({1, 8, 8, 3}), {}, preprocessing_of(0, 4), kSeed, 0), ShapeError);
  EXPECT_EQ(augment(context(), pixels({0, 8, 8, 3}), everything(), preprocessing, kSeed, 0).shape(),
            (Shape{0, 4, 4, 3}));
}

}  // namespace
}  // namespace pila::augmentation_test
