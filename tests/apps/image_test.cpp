// Pictures come out upright, opaque and RGB, or as one line of error.
#include "apps/media/image.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <fstream>
#include <opencv2/imgproc.hpp>

#include "apps/media/image_header.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "tests/apps/pictures.h"
#include "tests/support/shared_files.h"

namespace pila::media {
namespace {

using test::FileBytes;
using testing::HasSubstr;

using Color = std::array<int, 3>;
constexpr Color kRed = {255, 0, 0}, kGreen = {0, 255, 0}, kBlue = {0, 0, 255}, kYellow = {255, 255, 0};
constexpr Color kWhite = {255, 255, 255}, kBlack = {0, 0, 0};

Color pixel(const Image& image, std::int64_t x, std::int64_t y) {
  const std::uint8_t* at = image.pixels.data() + (y * image.width + x) * 3;
  return {at[0], at[1], at[2]};
}

testing::AssertionResult near(const Color& expected, const Color& actual, int tolerance) {
  for (int c = 0; c < 3; ++c) {
    if (std::abs(expected[c] - actual[c]) > tolerance) {
      return testing::AssertionFailure() << "expected " << testing::PrintToString(expected) << " within "
                                         << tolerance << ", got " << testing::PrintToString(actual);
    }
  }
  return testing::AssertionSuccess();
}

// The colours in the middle of the four quadrants, row by row.
void expect_quadrants(const Image& image, const std::array<Color, 4>& colors, int tolerance = 0) {
  for (int i = 0; i < 4; ++i) {
    const std::int64_t x = image.width * (i % 2 == 0 ? 1 : 3) / 4, y = image.height * (i < 2 ? 1 : 3) / 4;
    EXPECT_TRUE(near(colors[i], pixel(image, x, y), tolerance)) << "quadrant " << i;
  }
}

std::string error_of(const FileBytes& bytes, std::int64_t max_pixels = kDefaultMaxPixels) {
  try {
    decode_image(bytes, max_pixels);
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

constexpr int kJpegTolerance = 6;  // quality 98 on plain colours: rounding in YCbCr and DCT

class EachFormat : public testing::TestWithParam<const char*> {};

TEST_P(EachFormat, GivesRgb) {
  const std::string ending = GetParam();
  const Image image = decode_image(test::encode(ending, test::quadrants(16, 8)));
  EXPECT_EQ(image.width, 32);
  EXPECT_EQ(image.height, 16);
  EXPECT_EQ(image.pixels.size(), 32u * 16 * 3);
  expect_quadrants(image, {kRed, kGreen, kBlue, kYellow}, ending == ".jpg" ? kJpegTolerance : 0);
  EXPECT_EQ(image.warning, "");
}

TEST_P(EachFormat, TakesOnePixel) {
  const Image image = decode_image(test::encode(GetParam(), cv::Mat(1, 1, CV_8UC3, cv::Scalar(0, 0, 255))));
  EXPECT_EQ(image.width * image.height, 1);
  EXPECT_TRUE(near(kRed, pixel(image, 0, 0), kJpegTolerance));
}

TEST_P(EachFormat, HeaderTellsTheSize) {
  const auto header = read_image_header(test::encode(GetParam(), test::quadrants(150, 40)));
  EXPECT_EQ(header.width, 300);
  EXPECT_EQ(header.height, 80);
  EXPECT_TRUE(header.complete);
}

TEST_P(EachFormat, IsRefusedBeyondTheLimit) {
  const auto bytes = test::encode(GetParam(), test::quadrants(150, 40));
  EXPECT_EQ(error_of(bytes, 300 * 80), "no error");
  EXPECT_THAT(error_of(bytes, 300 * 80 - 1), HasSubstr("300 x 80 pixels, at most 23999 are taken"));
}

TEST_P(EachFormat, IsRefusedWhenCutOff) {
  const auto whole = test::encode(GetParam(), test::quadrants(150, 40));
  for (const std::size_t size : {std::size_t{12}, whole.size() / 2, whole.size() - 3}) {
    const FileBytes bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
    // A BMP or TIFF that lacks its last three bytes may still be whole to its decoder.
    if (size == whole.size() - 3 && std::string(GetParam()) != ".jpg" && std::string(GetParam()) != ".png")
      continue;
    EXPECT_THAT(error_of(bytes),
                testing::AnyOf(HasSubstr("cut off"), HasSubstr("damaged"), HasSubstr("not a picture")))
        << size << " of " << whole.size() << " bytes";
  }
}

INSTANTIATE_TEST_SUITE_P(Image, EachFormat, testing::Values(".jpg", ".png", ".webp", ".bmp", ".tiff"));

TEST(Image, TurnsGreyIntoRgb) {
  const cv::Mat grey(4, 4, CV_8UC1, cv::Scalar(77));
  EXPECT_EQ(pixel(decode_image(test::encode(".png", grey)), 1, 1), (Color{77, 77, 77}));
  EXPECT_TRUE(near({77, 77, 77}, pixel(decode_image(test::encode(".jpg", grey)), 1, 1), 1));
}

TEST(Image, ScalesSixteenBits) {
  const cv::Mat color(4, 4, CV_16UC3, cv::Scalar(0, 128 * 257, 65535));
  EXPECT_EQ(pixel(decode_image(test::encode(".png", color)), 1, 1), (Color{255, 128, 0}));
  const cv::Mat grey(4, 4, CV_16UC1, cv::Scalar(3 * 257 + 128));  // 3.498: rounds to 3
  EXPECT_EQ(pixel(decode_image(test::encode(".png", grey)), 1, 1), (Color{3, 3, 3}));
}

TEST(Image, ShowsWhiteThroughTransparency) {
  cv::Mat pixels(2, 2, CV_8UC4, cv::Scalar(255, 0, 0, 255));
  pixels.at<cv::Vec4b>(0, 0) = {0, 0, 0, 0};
  pixels.at<cv::Vec4b>(0, 1) = {0, 0, 255, 51};  // a fifth of red on white
  for (const char* ending : {".png", ".webp"}) {
    const Image image = decode_image(test::encode(ending, pixels));
    EXPECT_EQ(pixel(image, 0, 0), kWhite) << ending;
    EXPECT_EQ(pixel(image, 1, 0), (Color{255, 204, 204})) << ending;
    EXPECT_EQ(pixel(image, 0, 1), kBlue) << ending;
  }
  const cv::Mat deep(1, 1, CV_16UC4, cv::Scalar(0, 0, 65535, 13107));
  EXPECT_EQ(pixel(decode_image(test::encode(".png", deep)), 0, 0), (Color{255, 204, 204}));
}

TEST(Image, ReadsPalettes) {
  const FileBytes indices = {0, 1, 2, 3}, palette = {255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0};
  const Image opaque = decode_image(test::palette_png(2, 2, indices, palette, {}));
  expect_quadrants(opaque, {kRed, kGreen, kBlue, kBlack});
  const Image transparent = decode_image(test::palette_png(2, 2, indices, palette, {255, 0, 51}));
  expect_quadrants(transparent, {kRed, kWhite, Color{204, 204, 255}, kBlack});
}

TEST(Image, ReadsCmyk) {
  const Image image = decode_image(test::red_cmyk_jpeg());
  EXPECT_TRUE(near(kRed, pixel(image, 4, 4), kJpegTolerance));
}

struct Turn {
  int orientation;
  std::array<Color, 4> colors;  // as people should see it
  bool swaps_sides;
};

void PrintTo(const Turn& turn, std::ostream* stream) { *stream << "orientation " << turn.orientation; }

class Exif : public testing::TestWithParam<Turn> {};

TEST_P(Exif, TurnsPicturesUpright) {
  const auto& [orientation, colors, swaps_sides] = GetParam();
  const cv::Mat stored = test::quadrants(16, 8);
  const auto expect = [&](const FileBytes& bytes, int tolerance, const char* what) {
    SCOPED_TRACE(what);
    const Image image = decode_image(bytes);
    EXPECT_EQ(image.width, swaps_sides ? 16 : 32);
    EXPECT_EQ(image.height, swaps_sides ? 32 : 16);
    expect_quadrants(image, colors, tolerance);
  };
  for (const bool big_endian : {false, true}) {
    const FileBytes exif = test::exif_block(orientation, big_endian);
    expect(test::jpeg_with_exif(test::encode(".jpg", stored), exif), kJpegTolerance, "JPEG");
    expect(test::png_with_chunk(test::encode(".png", stored), "eXIf", exif), 0, "PNG");
    expect(test::webp_with_exif(test::encode(".webp", stored), 32, 16, exif), 0, "WebP");
  }
}

// Stored: red, green / blue, yellow.
INSTANTIATE_TEST_SUITE_P(Image, Exif,
                         testing::Values(Turn{1, {kRed, kGreen, kBlue, kYellow}, false},
                                         Turn{2, {kGreen, kRed, kYellow, kBlue}, false},
                                         Turn{3, {kYellow, kBlue, kGreen, kRed}, false},
                                         Turn{4, {kBlue, kYellow, kRed, kGreen}, false},
                                         Turn{5, {kRed, kBlue, kGreen, kYellow}, true},
                                         Turn{6, {kBlue, kRed, kYellow, kGreen}, true},
                                         Turn{7, {kYellow, kGreen, kBlue, kRed}, true},
                                         Turn{8, {kGreen, kYellow, kRed, kBlue}, true},
                                         Turn{0, {kRed, kGreen, kBlue, kYellow}, false},
                                         Turn{9, {kRed, kGreen, kBlue, kYellow}, false}));

TEST(Gif, DrawsTheFirstPicture) {
  const Image image = decode_image(test::gif(2, 2, 0, 0, 2, 2, {1, 2, 3, 0}, -1, false));
  expect_quadrants(image, {kRed, kGreen, kBlue, kBlack});
}

TEST(Gif, ShowsWhiteThroughTransparency) {
  const Image image = decode_image(test::gif(2, 2, 0, 0, 2, 2, {1, 2, 3, 0}, 2, false));
  expect_quadrants(image, {kRed, kWhite, kBlue, kBlack});
}

TEST(Gif, PlacesAPictureOnItsScreen) {
  const Image inside = decode_image(test::gif(3, 3, 1, 1, 1, 1, {1}, -1, false));
  EXPECT_EQ(pixel(inside, 1, 1), kRed);
  EXPECT_EQ(pixel(inside, 0, 0), kWhite);
  const Image across = decode_image(test::gif(2, 2, 1, 1, 2, 2, {1, 2, 3, 0}, -1, false));
  EXPECT_EQ(pixel(across, 1, 1), kRed);
  const Image outside = decode_image(test::gif(2, 2, 5, 5, 1, 1, {1}, -1, false));
  EXPECT_EQ(pixel(outside, 1, 1), kWhite);
}

TEST(Gif, PutsInterlacedRowsInOrder) {
  FileBytes rows(11);
  for (std::size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<std::uint8_t>(i % 4);
  const Image image = decode_image(test::gif(1, 11, 0, 0, 1, 11, rows, -1, true));
  const Color colors[] = {kBlack, kRed, kGreen, kBlue};
  for (int y = 0; y < 11; ++y) EXPECT_EQ(pixel(image, 0, y), colors[y % 4]) << "row " << y;
}

TEST(Gif, IsRefusedWhenCutOff) {
  auto bytes = test::gif(20, 20, 0, 0, 20, 20, FileBytes(400, 1), -1, false);
  bytes.resize(bytes.size() - 8);
  EXPECT_THAT(error_of(bytes), HasSubstr("GIF: the file is damaged or cut off"));
}

TEST(BadImage, SaysWhatItSeemsToBe) {
  const auto bytes = [](std::string_view text) { return FileBytes(text.begin(), text.end()); };
  EXPECT_EQ(error_of({}), "an empty file");
  EXPECT_THAT(error_of(bytes("<!DOCTYPE html><html>")), HasSubstr("an HTML page"));
  EXPECT_THAT(error_of(bytes("%PDF-1.7")), HasSubstr("a PDF document"));
  EXPECT_THAT(error_of(bytes(std::string_view("\0\0\0\x18"
                                              "ftypheic",
                                              12))),
              HasSubstr("HEIC"));
  EXPECT_THAT(error_of(bytes("BM is how this text begins")), HasSubstr("not a picture"));
  EXPECT_THAT(error_of(FileBytes(1000, 0)), HasSubstr("not a picture"));
}

TEST(BadImage, HugeOnesAreRefusedByTheirHeader) {
  EXPECT_THAT(error_of(test::png_header_only(20000, 20000)), HasSubstr("20000 x 20000 pixels"));
  EXPECT_THAT(error_of(test::png_header_only(0xFFFFFFFF, 0xFFFFFFFF)), HasSubstr("4294967295 x 4294967295"));
  EXPECT_THAT(error_of(test::png_header_only(0, 10)), HasSubstr("no size"));
  auto jpeg = test::encode(".jpg", test::quadrants(4, 4));
  const std::array<std::uint8_t, 2> frame = {0xFF, 0xC0};
  const auto at = std::search(jpeg.begin(), jpeg.end(), frame.begin(), frame.end());
  ASSERT_NE(at, jpeg.end());
  std::fill(at + 5, at + 9, std::uint8_t{0xFF});
  EXPECT_THAT(error_of(jpeg), HasSubstr("65535 x 65535 pixels"));
}

TEST(BadImage, DamagedDataIsReported) {
  auto bytes = test::encode(".jpg", test::quadrants(64, 64));
  const auto middle = bytes.begin() + static_cast<std::ptrdiff_t>(bytes.size()) - 60;
  std::fill(middle, middle + 40, std::uint8_t{0x3C});
  EXPECT_THAT(decode_image(bytes).warning, HasSubstr("damaged"));
}

// What is not a picture any more is an error, and nothing else: no crash, no other exception.
TEST(BadImage, MutationsNeverCrash) {
  const cv::Mat pixels = test::quadrants(12, 7);
  const std::vector<FileBytes> samples = {
      test::jpeg_with_exif(test::encode(".jpg", pixels), test::exif_block(6, true)),
      test::png_with_chunk(test::encode(".png", pixels), "eXIf", test::exif_block(3, false)),
      test::webp_with_exif(test::encode(".webp", pixels), 24, 14, test::exif_block(8, false)),
      test::encode(".bmp", pixels),
      test::encode(".tiff", pixels),
      test::gif(9, 9, 1, 1, 8, 8, FileBytes(64, 2), 1, true),
      test::palette_png(2, 2, {0, 1, 2, 3}, {255, 0, 0, 0, 255, 0, 0, 0, 255, 0, 0, 0}, {255, 0, 51}),
      test::red_cmyk_jpeg()};
  constexpr int kMutations = 250;
  constexpr std::int64_t kMaxPixels = 100000;
  int decoded = 0, refused = 0;
  for (std::size_t s = 0; s < samples.size(); ++s) {
    for (int m = 0; m < kMutations; ++m) {
      Random random(7, m, static_cast<std::uint32_t>(s));
      FileBytes bytes = samples[s];
      const std::uint32_t changes = 1 + random.below(8);
      for (std::uint32_t c = 0; c < changes; ++c) {
        const std::uint32_t at = random.below(static_cast<std::uint32_t>(bytes.size()));
        bytes[at] = static_cast<std::uint8_t>(random.below(4) == 0 ? 0xFF : random.below(256));
      }
      if (random.below(4) == 0) bytes.resize(random.below(static_cast<std::uint32_t>(bytes.size()) + 1));
      try {
        const Image image = decode_image(bytes, kMaxPixels);
        EXPECT_EQ(image.pixels.size(), static_cast<std::size_t>(image.width * image.height * 3));
        ++decoded;
      } catch (const FileError&) {
        ++refused;
      }
    }
  }
  // Both happen, or the mutations prove nothing.
  EXPECT_GT(decoded, 100);
  EXPECT_GT(refused, 100);
}

TEST(LoadImage, NamesTheFile) {
  const auto error = [](const std::filesystem::path& file) {
    try {
      load_image(file);
    } catch (const FileError& reason) {
      return std::string(reason.what());
    }
    return std::string("no error");
  };
  EXPECT_EQ(error("no/such/picture.jpg"), "no/such/picture.jpg: no such file");
  EXPECT_THAT(error("/dev/null"), HasSubstr("/dev/null: a picture file is expected"));
  EXPECT_THAT(error(PILA_SOURCE_DIR), HasSubstr("a picture file is expected"));
}

TEST(LoadImage, ReadsEveryPhotographThatIsThere) {
  const auto folder = test::shared_file("data/batsort/Other");
  if (!folder) GTEST_SKIP() << "shared data/batsort absent";
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(*folder)) {
    const Image image = load_image(entry.path());
    EXPECT_GE(image.width, 100) << entry.path();
    EXPECT_EQ(image.warning, "") << entry.path();
    ++count;
  }
  EXPECT_GT(count, 10);
}

}  // namespace
}  // namespace pila::media
