// Decoded once, by several threads, into the same bits whatever the memory and the number of threads.
#include "apps/data/image_cache.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "apps/data/batch_loader.h"
#include "apps/media/image_writer.h"
#include "engine/core/error.h"
#include "layers/preprocessing.h"
#include "tests/apps/data/photographs.h"
#include "tests/apps/pictures.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using test::write_bytes;
using test::write_text;
using testing::ElementsAre;
using testing::HasSubstr;

using Pixels = std::vector<std::uint8_t>;
constexpr std::int64_t kHeight = 24, kWidth = 32;
constexpr std::size_t kAll = std::size_t{1} << 30;

Pixels read_image(const ImageCache& cache, std::size_t index) {
  Pixels pixels(cache.image_bytes());
  cache.read(index, pixels.data());
  return pixels;
}

class ImageCacheTest : public testing::Test {
 protected:
  // `count` readable images of different sizes, one of them of the cache's own.
  std::vector<fs::path> photographs(std::size_t count) const {
    std::vector<fs::path> files;
    for (std::size_t i = 0; i < count; ++i) {
      files.push_back(root() / ("photograph " + std::to_string(i) + (i % 2 == 0 ? ".png" : ".jpg")));
      const auto side = static_cast<std::int64_t>(i);
      const auto image =
          i == 2 ? test::photograph(i, kWidth, kHeight) : test::photograph(i, 40 + side, 30 + side);
      i % 2 == 0 ? media::save_png(image, files.back()) : media::save_jpeg(image, files.back());
    }
    return files;
  }
  fs::path root() const { return temporary_.path(); }

 private:
  test::TemporaryFolder temporary_;
};

TEST_F(ImageCacheTest, StretchesAsPreprocessingDoes) {
  const auto files = photographs(4);
  const ImageCache cache(files, kHeight, kWidth, kAll, 2);
  const Context ctx(Device::cpu(1));
  for (std::size_t i = 0; i < files.size(); ++i) {
    const media::Image image = media::load_image(files[i]);
    const Preprocessing unscaled = {kHeight, kWidth, {1, 1, 1}, {0, 0, 0}};
    const auto expected =
        preprocess(ctx, Tensor::from(ctx, {1, image.height, image.width, 3}, image.pixels), unscaled)
            .to_vector<float>(ctx);
    const Pixels pixels = read_image(cache, i);
    for (std::size_t j = 0; j < pixels.size(); ++j) ASSERT_EQ(pixels[j], std::nearbyint(expected[j]));
    EXPECT_EQ(cache.info(i).width, image.width);
    EXPECT_EQ(cache.info(i).height, image.height);
    EXPECT_EQ(cache.info(i).format, i % 2 == 0 ? "PNG" : "JPEG");
    EXPECT_EQ(perceptual_distance(cache.info(i).hash, perceptual_hash(image)), 0);
  }
}

TEST_F(ImageCacheTest, GivesTheSameBitsWithAnyMemoryAndThreads) {
  const auto files = photographs(9);
  const ImageCache whole(files, kHeight, kWidth, kAll, 1);
  EXPECT_EQ(whole.kept(), files.size());
  for (const std::size_t images : {0, 1, 4}) {
    for (const int threads : {1, 3, 16}) {
      const ImageCache bounded(files, kHeight, kWidth, images * whole.image_bytes() + 5, threads);
      EXPECT_EQ(bounded.kept(), images);
      for (std::size_t i = 0; i < files.size(); ++i) EXPECT_EQ(read_image(whole, i), read_image(bounded, i));
    }
  }
}

TEST_F(ImageCacheTest, NamesWhatCannotBeReadAndGoesOn) {
  auto files = photographs(2);
  const auto add = [&](const char* name, const test::FileBytes& bytes) {
    files.push_back(root() / name);
    write_bytes(files.back(), bytes);
  };
  test::FileBytes cut = test::encode(".jpg", test::quadrants(40, 40));
  cut.resize(cut.size() / 2);
  add("cut.jpg", cut);
  add("text.jpg", {'h', 'e', 'l', 'l', 'o'});
  add("empty.jpg", {});
  add("huge.png", test::png_header_only(40000, 40000));
  files.push_back(root() / "folder.jpg");
  fs::create_directory(files.back());
  files.push_back(root() / "absent.jpg");
  const ImageCache cache(files, kHeight, kWidth, kAll, 3);
  std::vector<std::string> reasons;
  for (const auto& failure : cache.failures()) {
    EXPECT_FALSE(cache.readable(failure.index));
    EXPECT_THAT(failure.reason, testing::StartsWith(files[failure.index].string() + ": "));
    reasons.push_back(failure.reason);
  }
  EXPECT_THAT(reasons, ElementsAre(HasSubstr("is cut off"), HasSubstr("not a picture"),
                                   HasSubstr("an empty file"), HasSubstr("40000 x 40000 pixels"),
                                   HasSubstr("a picture file is expected"), HasSubstr("no such file")));
  EXPECT_TRUE(cache.readable(0) && cache.readable(1));
  Pixels pixels(cache.image_bytes());
  EXPECT_THROW(cache.read(2, pixels.data()), UsageError);
}

// Decoders that run at once share stderr, and still each complaint finds its picture.
TEST_F(ImageCacheTest, OnlyTheDamagedPictureIsCalledDamaged) {
  auto files = photographs(8);
  test::FileBytes jpeg = test::encode(".jpg", test::quadrants(60, 60));
  std::fill(jpeg.end() - 40, jpeg.end() - 2, std::uint8_t{0x55});  // the picture's end, and its marker stays
  files.insert(files.begin() + 3, root() / "damaged.jpg");
  write_bytes(files[3], jpeg);
  const ImageCache cache(files, kHeight, kWidth, kAll, 4);
  ASSERT_TRUE(cache.failures().empty());
  for (std::size_t i = 0; i < files.size(); ++i) EXPECT_EQ(cache.info(i).warning.empty(), i != 3) << files[i];
}

TEST_F(ImageCacheTest, NoticesThatAFileHasChanged) {
  const auto files = photographs(2);
  const ImageCache cache(files, kHeight, kWidth, 0, 1);
  media::save_png(test::photograph(77, 40, 30), files[0]);
  fs::remove(files[1]);
  Pixels pixels(cache.image_bytes());
  EXPECT_THROW(cache.read(0, pixels.data()), FileError);
  EXPECT_THROW(cache.read(1, pixels.data()), FileError);
}

TEST_F(ImageCacheTest, TellsHowFarItIsAndStops) {
  const auto files = photographs(6);
  std::vector<std::size_t> told;
  const ImageCache cache(files, kHeight, kWidth, kAll, 3,
                         {.progress = [&](std::size_t done) { told.push_back(done); }, .stop = {}});
  EXPECT_THAT(told, ElementsAre(1, 2, 3, 4, 5, 6));
  std::atomic<int> asked{0};
  EXPECT_THROW(
      ImageCache(files, kHeight, kWidth, kAll, 2, {.progress = {}, .stop = [&] { return ++asked > 2; }}),
      Error);
  EXPECT_THROW(ImageCache(files, 0, kWidth, kAll, 1), UsageError);
  EXPECT_EQ(ImageCache({}, kHeight, kWidth, kAll, 2).kept(), 0u);
}

TEST_F(ImageCacheTest, FingerprintTellsDataApart) {
  const auto files = photographs(3);
  const std::vector<std::int32_t> labels = {0, 1, 1}, others = {0, 0, 1};
  const auto fingerprint = [&](const std::vector<fs::path>& of, const std::vector<std::int32_t>& with) {
    return data_fingerprint(ImageCache(of, 1, 1, 0, 2), with);
  };
  const std::string original = fingerprint(files, labels);
  EXPECT_EQ(original.size(), 32u);
  EXPECT_NE(fingerprint(files, others), original);
  EXPECT_NE(fingerprint({files[1], files[0], files[2]}, labels), original);
  fs::rename(files[0], root() / "renamed.png");
  EXPECT_EQ(fingerprint({root() / "renamed.png", files[1], files[2]}, labels), original);
  media::save_png(test::photograph(9, 40, 30), root() / "renamed.png");
  EXPECT_NE(fingerprint({root() / "renamed.png", files[1], files[2]}, labels), original);
  EXPECT_THROW(fingerprint(files, {0}), UsageError);
}

TEST_F(ImageCacheTest, BatchesComeInOrder) {
  const auto files = photographs(7);
  const std::vector<std::vector<std::size_t>> batches = {{3, 1, 4}, {0}, {},  {6, 6, 5, 2},
                                                         {1},       {2}, {3}, {4}};
  for (const std::size_t memory : {std::size_t{0}, kAll}) {
    const ImageCache cache(files, kHeight, kWidth, memory, 2);
    for (const int threads : {1, 4}) {
      for (const std::size_t ahead : {1, 3, 100}) {
        BatchLoader loader(cache, batches, threads, ahead);
        Batch batch;
        for (const auto& expected : batches) {
          ASSERT_TRUE(loader.next(batch));
          EXPECT_EQ(batch.images, expected);
          Pixels pixels;
          for (const std::size_t image : expected) {
            const Pixels one = read_image(cache, image);
            pixels.insert(pixels.end(), one.begin(), one.end());
          }
          EXPECT_EQ(batch.pixels, pixels);
        }
        EXPECT_FALSE(loader.next(batch));
        EXPECT_FALSE(loader.next(batch));
      }
    }
  }
}

TEST_F(ImageCacheTest, BatchLoaderRethrowsInItsPlaceAndGoesOn) {
  const auto files = photographs(3);
  const ImageCache cache(files, kHeight, kWidth, 0, 1);
  fs::remove(files[1]);
  BatchLoader loader(cache, {{0}, {1}, {2}}, 2, 3);
  Batch batch;
  EXPECT_TRUE(loader.next(batch));
  EXPECT_THROW(loader.next(batch), FileError);
  EXPECT_TRUE(loader.next(batch));
  EXPECT_THAT(batch.images, ElementsAre(2));
  EXPECT_FALSE(loader.next(batch));
}

TEST_F(ImageCacheTest, BatchLoaderStopsHalfway) {
  const auto files = photographs(3);
  const ImageCache cache(files, kHeight, kWidth, 0, 1);
  const std::vector<std::vector<std::size_t>> batches(1000, {0, 1, 2});
  for (int round = 0; round < 20; ++round) {
    BatchLoader loader(cache, batches, 3, 4);
    Batch batch;
    for (int i = 0; i < round % 3; ++i) EXPECT_TRUE(loader.next(batch));
  }
  EXPECT_THROW(BatchLoader(cache, batches, 0, 1), UsageError);
  EXPECT_THROW(BatchLoader(cache, batches, 1, 0), UsageError);
}

}  // namespace
}  // namespace pila
