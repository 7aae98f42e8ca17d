// How pictures are turned, and what sources' names and options mean.
#include "apps/capture/geometry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/capture/source_uri.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using testing::HasSubstr;

// Each pixel says where it was.
media::Image grid(std::int64_t width, std::int64_t height) {
  media::Image image{.width = width, .height = height, .pixels = {}, .warning = {}};
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      for (const std::int64_t value : {x, y, x + y}) image.pixels.push_back(static_cast<std::uint8_t>(value));
    }
  }
  return image;
}

using Place = std::pair<int, int>;
Place at(const media::Image& image, std::int64_t x, std::int64_t y) {
  const std::uint8_t* pixel = &image.pixels.at(static_cast<std::size_t>((y * image.width + x) * 3));
  EXPECT_EQ(pixel[2], pixel[0] + pixel[1]);
  return {pixel[0], pixel[1]};
}

TEST(Geometry, TurnsThenFlipsThenCuts) {
  const std::int64_t width = 7, height = 5;
  for (const int rotate : {0, 90, 180, 270}) {
    for (const int flips : {0, 1, 2, 3}) {
      media::Image image = grid(width, height);
      const bool flip_x = (flips & 1) != 0, flip_y = (flips & 2) != 0;
      apply({.rotate = rotate,
             .flip_x = flip_x,
             .flip_y = flip_y,
             .region = {.x = 1, .y = 2, .width = 4, .height = 3}},
            image);
      ASSERT_EQ(image.width, 4);
      ASSERT_EQ(image.height, 3);
      ASSERT_EQ(image.pixels.size(), 36u);
      // A pixel's way, step by step.
      for (int y = 0; y < height; ++y) {
        for (int x = 0; x < width; ++x) {
          std::int64_t to_x = x, to_y = y, turned_width = width, turned_height = height;
          for (int turn = 0; turn < rotate; turn += 90) {
            to_x = std::exchange(to_y, to_x);
            std::swap(turned_width, turned_height);
            to_x = turned_width - 1 - to_x;
          }
          if (flip_x) to_x = turned_width - 1 - to_x;
          if (flip_y) to_y = turned_height - 1 - to_y;
          to_x -= 1;
          to_y -= 2;
          if (to_x < 0 || to_x >= 4 || to_y < 0 || to_y >= 3) continue;
          EXPECT_EQ(at(image, to_x, to_y), Place(x, y)) << rotate << " " << flip_x << flip_y;
        }
      }
    }
  }
}

TEST(Geometry, WholePicturesKeepAllPixels) {
  media::Image same = grid(6, 4), turned = grid(6, 4);
  apply({}, same);
  EXPECT_EQ(same.pixels, grid(6, 4).pixels);
  apply({.rotate = 90}, turned);
  EXPECT_EQ(turned.width, 4);
  EXPECT_EQ(turned.height, 6);
  EXPECT_EQ(at(turned, 3, 0), Place(0, 0));
  apply({.rotate = 270}, turned);
  EXPECT_EQ(turned.pixels, same.pixels);
}

TEST(Geometry, RefusesARegionThatReachesOutside) {
  constexpr std::int64_t kHuge = std::int64_t{1} << 62;
  for (const Region& region : {Region{3, 0, 4, 4}, Region{0, 1, 6, 4}, Region{0, 0, 7, 1},
                               Region{kHuge, 0, 1, 1}, Region{0, 0, kHuge, kHuge}}) {
    media::Image image = grid(6, 4);
    EXPECT_THROW(apply({.region = region}, image), UsageError) << region.x << " " << region.width;
  }
  media::Image image = grid(6, 4);
  EXPECT_NO_THROW(apply({.region = {2, 0, 4, 4}}, image));
  EXPECT_THROW(apply({.rotate = 90, .region = {0, 0, 6, 4}}, image), UsageError);
}

TEST(SourceUri, SaysTheKind) {
  const auto expect = [](const std::string& uri, SourceKind kind, const std::string& place) {
    const SourceUri source = parse_source(uri);
    EXPECT_EQ(source.kind, kind) << uri;
    EXPECT_EQ(source.place, place);
  };
  expect("camera:3", SourceKind::camera, "/dev/video3");
  expect("/dev/video12", SourceKind::camera, "/dev/video12");
  expect("csi://0", SourceKind::csi, "0");
  expect("rtsp://host/a", SourceKind::address, "rtsp://host/a");
  expect("https://host/a", SourceKind::address, "https://host/a");
  expect("gst:fakesrc ! appsink", SourceKind::pipeline, "fakesrc ! appsink");
  for (const char* const wrong : {"", "camera:", "camera:x", "camera:-1", "camera:99999", "csi://",
                                  "csi://0/1", "http://", "gst:", "gst:  ", "ftp://host/a", "file:///a"}) {
    EXPECT_THROW(parse_source(wrong), UsageError) << wrong;
  }
  EXPECT_THROW(parse_source("no such file.mp4"), FileError);
  EXPECT_THROW(parse_source("camera"), FileError);
}

TEST(SourceUri, OptionsFitTheKind) {
  const auto refused = [](SourceKind kind, auto&& change) {
    SourceOptions options;
    options.uri = "belt";
    change(options);
    try {
      check_source_options(kind, options);
      return false;
    } catch (const UsageError& error) {
      EXPECT_THAT(error.what(), HasSubstr("belt: "));
      return true;
    }
  };
  using Options = SourceOptions&;
  const auto size = [](Options o) { o.width = 640, o.height = 480; };
  const auto loop = [](Options o) { o.loop = 0; };
  const auto pace = [](Options o) { o.pace = true; };
  const auto focus = [](Options o) { o.focus = 10; };
  EXPECT_FALSE(refused(SourceKind::camera, size));
  EXPECT_FALSE(refused(SourceKind::csi, size));
  EXPECT_TRUE(refused(SourceKind::video, size));
  EXPECT_FALSE(refused(SourceKind::video, loop));
  EXPECT_FALSE(refused(SourceKind::stills, loop));
  EXPECT_TRUE(refused(SourceKind::address, loop));
  EXPECT_FALSE(refused(SourceKind::video, pace));
  EXPECT_TRUE(refused(SourceKind::stills, pace));
  EXPECT_TRUE(refused(SourceKind::camera, pace));
  EXPECT_FALSE(refused(SourceKind::camera, focus));
  EXPECT_TRUE(refused(SourceKind::csi, focus));
  EXPECT_TRUE(refused(SourceKind::camera, [](Options o) { o.width = 640; }));
  EXPECT_TRUE(refused(SourceKind::camera, [](Options o) { o.width = o.height = -1; }));
  EXPECT_TRUE(refused(SourceKind::camera, [](Options o) { o.fps = -1; }));
  EXPECT_TRUE(refused(SourceKind::camera, [](Options o) { o.timeout_s = 0; }));
  EXPECT_TRUE(refused(SourceKind::camera, [](Options o) { o.timeout_s = std::nan(""); }));
  EXPECT_TRUE(refused(SourceKind::video, [](Options o) { o.loop = -1; }));
  EXPECT_TRUE(refused(SourceKind::video, [](Options o) { o.rotate = 45; }));
  EXPECT_TRUE(refused(SourceKind::video, [](Options o) { o.region = {-1, 0, 5, 5}; }));
  EXPECT_TRUE(refused(SourceKind::video, [](Options o) { o.region = {0, 0, 5, 0}; }));
  EXPECT_TRUE(refused(SourceKind::video, [](Options o) { o.region = {3, 0, 0, 0}; }));
}

TEST(SourceUri, AJetsonTurnsThePictureItself) {
  SourceOptions options;
  EXPECT_THAT(csi_pipeline("1", options),
              testing::AllOf(HasSubstr("sensor-id=1 ! video/x-raw(memory:NVMM) !"),
                             HasSubstr("flip-method=0 "), HasSubstr("appsink")));
  options.width = 1280;
  options.height = 720;
  options.fps = 29.97;
  EXPECT_THAT(csi_pipeline("0", options),
              HasSubstr("(memory:NVMM), width=1280, height=720, framerate=29970/1000 !"));
  // GStreamer's words: 3 a quarter clockwise, 4 left to right, 6 top to bottom, 7 and 5 along a diagonal.
  struct Turn {
    int rotate;
    bool flip_x, flip_y;
    int method;
  };
  for (const Turn& turn : {Turn{90, false, false, 3}, Turn{180, false, false, 2}, Turn{270, false, false, 1},
                           Turn{0, true, false, 4}, Turn{0, false, true, 6}, Turn{0, true, true, 2},
                           Turn{90, true, false, 7}, Turn{90, false, true, 5}, Turn{270, true, true, 3}}) {
    options.rotate = turn.rotate;
    options.flip_x = turn.flip_x;
    options.flip_y = turn.flip_y;
    EXPECT_THAT(csi_pipeline("0", options), HasSubstr("flip-method=" + std::to_string(turn.method) + " "));
  }
}

}  // namespace
}  // namespace pila
