// The loader's thread: order, errors in their place, an end at any time, and its silence about decoders.
#include "apps/data/image_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "apps/core/progress.h"
#include "apps/media/image.h"
#include "apps/media/stderr_capture.h"
#include "tests/apps/pictures.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

class Loader : public testing::Test {
 protected:
  static constexpr Preprocessing kSmall{.height = 4, .width = 6};

  // Pictures of one grey each: picture i has the value 10 i. The one at kBad cannot be read.
  Loader() {
    for (int i = 0; i < kCount; ++i) {
      files_.push_back(folder_.path() / (std::to_string(i) + ".png"));
      const auto bytes = test::encode(".png", cv::Mat(9, 7, CV_8UC1, cv::Scalar(10 * i)));
      if (i != kBad) {
        std::ofstream(files_.back(), std::ios::binary)
            .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
      }
    }
  }

  static constexpr int kCount = 12, kBad = 5;
  test::TemporaryFolder folder_;
  std::vector<fs::path> files_;
};

TEST_F(Loader, KeepsTheOrderAndTheErrors) {
  for (const std::size_t ahead : {1u, 3u, 100u}) {
    ImageLoader loader(files_, kSmall, media::kDefaultMaxPixels, ahead);
    LoadedImage image;
    for (int i = 0; i < kCount; ++i) {
      ASSERT_TRUE(loader.next(image));
      EXPECT_EQ(image.index, i);
      if (i == kBad) {
        EXPECT_THAT(image.error, testing::HasSubstr("5.png: no such file"));
        EXPECT_TRUE(image.pixels.empty());
        continue;
      }
      EXPECT_EQ(image.error, "");
      ASSERT_EQ(image.pixels.size(), 4u * 6 * 3);
      // One grey stays that grey, scaled to [-1, 1]; a rounding of float32 is let by.
      for (const float value : image.pixels) ASSERT_NEAR(value, 10 * i / 127.5 - 1, 1e-6);
    }
    EXPECT_FALSE(loader.next(image));
    EXPECT_FALSE(loader.next(image));
  }
}

TEST_F(Loader, EndsBeforeItsWorkIsDone) {
  for (int taken = 0; taken < 4; ++taken) {
    ImageLoader loader(files_, kSmall, media::kDefaultMaxPixels, 2);
    LoadedImage image;
    for (int i = 0; i < taken; ++i) EXPECT_TRUE(loader.next(image));
  }
}

TEST_F(Loader, HasNothingWithoutFiles) {
  ImageLoader loader({}, kSmall, media::kDefaultMaxPixels, 2);
  LoadedImage image;
  EXPECT_FALSE(loader.next(image));
}

TEST(Progress, IsHeardWhileADecoderIsKeptQuiet) {
  testing::internal::CaptureStderr();
  {
    Progress progress("images", 1, false);
    media::StderrCapture capture;
    progress.note("skipped");
    EXPECT_EQ(capture.finish(), "");
  }
  EXPECT_EQ(testing::internal::GetCapturedStderr(), "skipped\n");
}

}  // namespace
}  // namespace pila
