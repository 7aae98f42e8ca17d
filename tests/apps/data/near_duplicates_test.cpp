// The same photograph is recognised however it was saved, and no other is taken for it.
#include "apps/data/near_duplicates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <opencv2/imgcodecs.hpp>

#include "apps/data/split.h"
#include "engine/core/error.h"
#include "tests/apps/data/photographs.h"

namespace pila {
namespace {

using media::Image;
using testing::ElementsAre;

Image recompressed(const Image& image, int quality) {
  const cv::Mat pixels(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                       const_cast<std::uint8_t*>(image.pixels.data()));
  std::vector<std::uint8_t> bytes;
  cv::imencode(".jpg", pixels, bytes, {cv::IMWRITE_JPEG_QUALITY, quality});
  const cv::Mat decoded = cv::imdecode(bytes, cv::IMREAD_COLOR);  // BGR on both ways: unchanged
  Image result = image;
  result.pixels.assign(decoded.datastart, decoded.dataend);
  return result;
}

Image mirrored(const Image& image) {
  Image result = image;
  for (std::int64_t y = 0; y < image.height; ++y) {
    for (std::int64_t x = 0; x < image.width; ++x) {
      std::copy_n(image.pixels.begin() + (y * image.width + image.width - 1 - x) * 3, 3,
                  result.pixels.begin() + (y * image.width + x) * 3);
    }
  }
  return result;
}

Image plain(std::int64_t width, std::int64_t height, int level) {
  Image image{.width = width, .height = height, .pixels = {}, .warning = {}};
  image.pixels.assign(static_cast<std::size_t>(width * height * 3), static_cast<std::uint8_t>(level));
  return image;
}

Image with_margin(const Image& image, std::int64_t margin, int level) {
  Image result = plain(image.width + 2 * margin, image.height + 2 * margin, level);
  for (std::int64_t y = 0; y < image.height; ++y) {
    std::copy_n(image.pixels.begin() + y * image.width * 3, image.width * 3,
                result.pixels.begin() + ((y + margin) * result.width + margin) * 3);
  }
  return result;
}

std::vector<DuplicatePair> pairs_of(const std::vector<Image>& images) {
  std::vector<PerceptualHash> hashes;
  for (const auto& image : images) hashes.push_back(perceptual_hash(image));
  return find_near_duplicates(hashes);
}

class NearDuplicates : public testing::TestWithParam<std::uint64_t> {};

TEST_P(NearDuplicates, AreFoundHoweverThePhotographWasSaved) {
  const Image original = test::photograph(GetParam(), 300, 200);
  const std::vector<std::pair<const char*, Image>> others = {
      {"the same", original},
      {"resized", test::photograph(GetParam(), 111, 97)},
      {"larger", test::photograph(GetParam(), 640, 427)},
      {"recompressed", recompressed(original, 30)},
      {"mirrored", mirrored(original)},
      {"with a margin", with_margin(original, 80, 255)},
      {"mirrored with a margin", with_margin(mirrored(original), 80, 0)},
  };
  for (const auto& [name, other] : others) {
    EXPECT_EQ(pairs_of({original, other}).size(), 1u) << name;
  }
}

INSTANTIATE_TEST_SUITE_P(Scenes, NearDuplicates, testing::Range<std::uint64_t>(1, 11));

TEST(NearDuplicatesTest, OtherPhotographsAreNone) {
  std::vector<Image> images;
  for (std::uint64_t seed = 0; seed < 200; ++seed) images.push_back(test::photograph(seed, 40, 40));
  EXPECT_EQ(pairs_of(images).size(), 0u);
}

TEST(NearDuplicatesTest, PicturesWithoutTextureAreLikeNoOther) {
  std::vector<Image> images;
  for (const int level : {0, 1, 128, 254, 255, 255}) images.push_back(plain(50, 30, level));
  images.push_back(recompressed(plain(50, 30, 200), 50));
  EXPECT_EQ(pairs_of(images).size(), 0u);
}

TEST(NearDuplicatesTest, TakesTheSmallestAndTheNarrowest) {
  const std::vector<Image> images = {plain(1, 1, 7), plain(1, 500, 9), plain(500, 1, 9),
                                     test::photograph(1, 2, 2)};
  for (const auto& image : images)
    EXPECT_EQ(perceptual_distance(perceptual_hash(image), perceptual_hash(image)), 0);
}

// The search through block sums misses and adds nothing.
TEST(NearDuplicatesTest, FindsWhatComparingAllFinds) {
  std::vector<PerceptualHash> hashes;
  for (std::uint64_t seed = 0; seed < 30; ++seed) {
    Image image = test::photograph(seed / 3, 64, 64);
    for (std::size_t i = 0; i < image.pixels.size(); ++i) {  // noise of growing strength
      image.pixels[i] =
          static_cast<std::uint8_t>(image.pixels[i] / 2 + (i * 2654435761u >> 16) % (1 + 4 * (seed % 3)));
    }
    hashes.push_back(perceptual_hash(image));
    hashes.back().trimmed = hashes.back().whole;
  }
  for (const double limit : {0.1, 0.16, 0.5}) {
    std::vector<std::pair<std::size_t, std::size_t>> found, expected;
    for (const auto& pair : find_near_duplicates(hashes, limit)) {
      if (perceptual_distance(hashes[pair.a], hashes[pair.b]) <= limit) found.emplace_back(pair.a, pair.b);
    }
    for (std::size_t a = 0; a < hashes.size(); ++a) {
      for (std::size_t b = a + 1; b < hashes.size(); ++b) {
        if (perceptual_distance(hashes[a], hashes[b]) <= limit) expected.emplace_back(a, b);
      }
    }
    EXPECT_EQ(found, expected);
    EXPECT_FALSE(expected.empty());
  }
}

TEST(MergeGroups, JoinsTransitively) {
  const std::vector<std::int64_t> groups = {5, 5, 7, 8, 9, 9, 10};
  const std::vector<DuplicatePair> pairs = {{1, 4, 0}, {2, 3, 0}, {3, 5, 0}};
  const auto merged = merge_groups(groups, pairs);
  EXPECT_THAT(merged, ElementsAre(5, 5, 5, 5, 5, 5, 10));
  EXPECT_EQ(merge_groups(groups, {}), groups);
  const std::vector<DuplicatePair> outside = {{1, 7, 0}};
  EXPECT_THROW(merge_groups(groups, outside), UsageError);
}

TEST(MergeGroups, TwinsStayOnOneSide) {
  std::vector<std::int32_t> labels;
  std::vector<std::int64_t> groups;
  std::vector<PerceptualHash> hashes;
  for (std::uint64_t i = 0; i < 60; ++i) {
    labels.push_back(static_cast<std::int32_t>(i % 3));
    groups.push_back(static_cast<std::int64_t>(i));
    const std::int64_t size = i < 40 ? 60 : 90;  // the last twenty are twins of the first
    hashes.push_back(perceptual_hash(test::photograph(i < 40 ? i : i - 40, size, size)));
  }
  const auto pairs = find_near_duplicates(hashes);
  EXPECT_EQ(pairs.size(), 20u);
  const auto merged = merge_groups(groups, pairs);
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    const Split split = split_images(labels, merged, 0, 0.2, seed);
    for (const std::size_t image : split.test) {
      const std::size_t twin = image < 20 ? image + 40 : image >= 40 ? image - 40 : image;
      EXPECT_TRUE(std::binary_search(split.test.begin(), split.test.end(), twin));
    }
  }
}

}  // namespace
}  // namespace pila
