// Frames of real files, and what is no source.
#include "apps/capture/frame_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "apps/media/image_writer.h"
#include "apps/media/video.h"
#include "apps/media/video_writer.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// One level of grey: compression leaves it alone.
media::Image grey(int level, std::int64_t width = 64, std::int64_t height = 48) {
  media::Image image{.width = width, .height = height, .pixels = {}, .warning = {}};
  image.pixels.assign(static_cast<std::size_t>(width * height * 3), static_cast<std::uint8_t>(level));
  return image;
}

class FrameSourceTest : public testing::Test {
 protected:
  fs::path at(const std::string& name) const { return folder_.path() / name; }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream(at(name), std::ios::binary) << text;
  }
  // Frame i has the level 10 i.
  void write_video(const std::string& name, int frames) const {
    const auto writer = media::create_video(at(name), 64, 48, 25);
    for (int i = 0; i < frames; ++i) writer->write(grey(10 * i));
    writer->finish();
  }
  SourceOptions options(const std::string& uri) {
    SourceOptions options;
    options.uri = uri;
    options.note = [this](const std::string& line) { notes_.push_back(line); };
    return options;
  }
  std::unique_ptr<FrameSource> open(const std::string& name) {
    return open_frame_source(options(at(name).string()));
  }
  static std::vector<Frame> all_of(FrameSource& source) {
    std::vector<Frame> frames;
    while (auto frame = source.next()) frames.push_back(std::move(*frame));
    return frames;
  }
  // What opening it fails with.
  std::string error_of(const std::string& uri) {
    try {
      open_frame_source(options(uri));
    } catch (const FileError& error) {
      return error.what();
    }
    return "it opens";
  }
  std::vector<std::string> names_in_folder() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(folder_.path())) names.push_back(entry.path().filename());
    return names;
  }

  test::TemporaryFolder folder_;
  std::vector<std::string> notes_;
};

TEST_F(FrameSourceTest, VideosGiveEveryFrameInOrder) {
  for (const char* const name : {"belt.avi", "belt.mp4"}) {
    write_video(name, 20);
    const auto source = open(name);
    EXPECT_FALSE(source->live());
    EXPECT_EQ(source->fps(), 25);
    EXPECT_EQ(source->total(), 20);
    EXPECT_THAT(source->describe(), HasSubstr("64 x 48 pixels, 25 frames a second, 20 frames"));
    const auto frames = all_of(*source);
    ASSERT_EQ(frames.size(), 20u) << name;
    for (std::size_t i = 0; i < frames.size(); ++i) {
      const Frame& frame = frames[i];
      EXPECT_EQ(frame.index, static_cast<std::int64_t>(i));
      EXPECT_NEAR(frame.seconds, static_cast<double>(i) / 25, 1e-6) << name;
      ASSERT_EQ(frame.image.pixels.size(), 64u * 48 * 3);
      EXPECT_NEAR(frame.image.pixels[4000], 10 * static_cast<int>(i), 4) << name;
    }
    EXPECT_THAT(notes_, IsEmpty());
  }
}

TEST_F(FrameSourceTest, ColoursKeepTheirOrder) {
  media::Image red = grey(0);
  for (std::size_t i = 0; i < red.pixels.size(); i += 3) red.pixels[i] = 250;
  const auto writer = media::create_video(at("red.avi"), 64, 48, 25);
  writer->write(red);
  writer->finish();
  const auto frame = open("red.avi")->next();
  ASSERT_TRUE(frame);
  EXPECT_GT(frame->image.pixels[3000], 200);
  EXPECT_LT(frame->image.pixels[3002], 50);
}

TEST_F(FrameSourceTest, VideosAreTurnedCutAndPlayedAgain) {
  write_video("belt.avi", 3);
  SourceOptions turned = options(at("belt.avi").string());
  turned.rotate = 90;
  turned.region = {10, 20, 30, 40};
  turned.loop = 2;
  const auto frames = all_of(*open_frame_source(turned));
  ASSERT_EQ(frames.size(), 6u);
  EXPECT_EQ(frames[0].image.width, 30);
  EXPECT_EQ(frames[0].image.height, 40);
  EXPECT_NEAR(frames[5].seconds, 5 / 25.0, 1e-6);
  turned.region = {10, 20, 39, 40};
  EXPECT_THROW(open_frame_source(turned), UsageError);
}

TEST_F(FrameSourceTest, DamagedVideosGiveWhatTheyHave) {
  write_video("cut.avi", 20);
  fs::resize_file(at("cut.avi"), fs::file_size(at("cut.avi")) * 4 / 5);  // half of it is a header
  const auto frames = all_of(*open("cut.avi"));
  EXPECT_GT(frames.size(), 2u);
  EXPECT_LT(frames.size(), 20u);
  EXPECT_NEAR(frames[2].image.pixels[4000], 20, 4);

  write_video("cut.mp4", 20);  // its table of contents stands at the end
  fs::resize_file(at("cut.mp4"), fs::file_size(at("cut.mp4")) / 2);
  write("text.mp4", "This is no video.");
  write("empty.avi", "");
  std::string garbage;
  for (unsigned i = 0, state = 1; i < 20000; ++i, state = state * 1664525 + 1013904223)
    garbage += static_cast<char>(state >> 24);
  write("garbage.avi", garbage);
  write("garbage_later.avi", test::read_text(at("cut.avi")).substr(0, 200) + garbage);
  for (const char* const name : {"cut.mp4", "text.mp4", "empty.avi", "garbage.avi", "garbage_later.avi"}) {
    EXPECT_THAT(error_of(at(name).string()), HasSubstr(std::string(name) + ": ")) << name;
  }
  EXPECT_THAT(error_of(at("absent.mp4").string()), HasSubstr("absent.mp4: no such file"));
}

TEST_F(FrameSourceTest, FoldersSkipWhatCannotBeRead) {
  fs::create_directory(at("pictures"));
  media::save_png(grey(50), at("pictures/b.png"));
  media::save_png(grey(10, 20, 10), at("pictures/a.png"));
  write("pictures/broken.jpg", "no picture");
  write("pictures/notes.txt", "no picture");
  const auto source = open("pictures");
  const auto frames = all_of(*source);
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0].name, at("pictures/a.png"));
  EXPECT_EQ(frames[0].image.width, 20);
  EXPECT_EQ(frames[1].name, at("pictures/b.png"));
  EXPECT_EQ(frames[1].image.pixels, grey(50).pixels);
  EXPECT_EQ(source->counts().skipped, 1);
  ASSERT_EQ(notes_.size(), 1u);
  EXPECT_THAT(notes_[0], HasSubstr("broken.jpg"));

  EXPECT_EQ(all_of(*open("pictures/a.png")).size(), 1u);
  EXPECT_THAT(error_of(at("pictures/broken.jpg").string()),
              HasSubstr("broken.jpg: none of its images can be read"));
  fs::create_directory(at("nothing"));
  EXPECT_THAT(error_of(at("nothing").string()), HasSubstr("nothing: no images in this folder"));
}

TEST_F(FrameSourceTest, CamerasAndAddressesThatAreNotThere) {
  EXPECT_THAT(error_of("camera:9999"), HasSubstr("/dev/video9999: no camera that can be used: No such file"));
  EXPECT_THAT(error_of("/dev/video"), HasSubstr("/dev/video: "));
  EXPECT_THAT(error_of("http://127.0.0.1:1/video"),
              HasSubstr("http://127.0.0.1:1/video: no video comes from there"));
  EXPECT_THAT(error_of("rtsp://127.0.0.1:1/video"),
              HasSubstr("rtsp://127.0.0.1:1/video: no video comes from there"));
  EXPECT_THAT(error_of("gst:no_such_element ! appsink"), HasSubstr("GStreamer cannot run this pipeline"));
}

TEST_F(FrameSourceTest, PipelinesOfGStreamer) {
  const std::string pipeline =
      "videotestsrc num-buffers=20 ! video/x-raw, width=64, height=48 ! videoconvert ! appsink";
  try {
    media::VideoReader::pipeline(pipeline);
  } catch (const FileError&) {
    GTEST_SKIP() << "OpenCV has no GStreamer here, or GStreamer has no videotestsrc";
  }
  const auto source = open_frame_source(options("gst:" + pipeline));
  EXPECT_TRUE(source->live());
  const auto frame = source->next();
  ASSERT_TRUE(frame);
  EXPECT_EQ(frame->image.width, 64);
}

TEST_F(FrameSourceTest, AVideoIsWholeOrNotThere) {
  write("old.mp4", "old");
  {
    const auto writer = media::create_video(at("old.mp4"), 64, 48, 25);
    writer->write(grey(1));
    EXPECT_THROW(writer->write(grey(1, 48, 64)), ShapeError);
  }
  EXPECT_EQ(test::read_text(at("old.mp4")), "old");
  {
    const auto writer = media::create_video(at("old.mp4"), 64, 48, 25);
    EXPECT_THROW(writer->finish(), FileError);  // without a frame
  }
  EXPECT_THAT(names_in_folder(), ElementsAre("old.mp4"));
  const auto writer = media::create_video(at("old.mp4"), 63, 47, 12.5);
  for (int i = 0; i < 70; ++i) writer->write(grey(i, 63, 47));
  writer->finish();
  writer->finish();
  EXPECT_THROW(writer->write(grey(1, 63, 47)), UsageError);
  const auto source = open("old.mp4");
  EXPECT_EQ(source->fps(), 12.5);
  EXPECT_EQ(all_of(*source).size(), 70u);
  EXPECT_THAT(names_in_folder(), ElementsAre("old.mp4"));
}

TEST_F(FrameSourceTest, AVideoThatCannotBeWritten) {
  EXPECT_THROW(media::create_video(at("absent/a.mp4"), 64, 48, 25), FileError);
  EXPECT_THROW(media::create_video(at("a.mkv"), 64, 48, 25), UsageError);
  EXPECT_THROW(media::create_video(at("a.mp4"), 0, 48, 25), UsageError);
  EXPECT_THROW(media::create_video(at("a.mp4"), 64, 1 << 20, 25), UsageError);
  EXPECT_THROW(media::create_video(at("a.mp4"), 64, 48, 0), UsageError);
  EXPECT_THROW(media::create_video(at("a.mp4"), 64, 48, std::nan("")), UsageError);
  // Cut short behind the encoder's back, as a full disk does.
  const auto writer = media::create_video(at("a.avi"), 64, 48, 25);
  for (int i = 0; i < 40; ++i) writer->write(grey(i));
  for (const std::string& name : names_in_folder()) fs::remove(at(name));
  EXPECT_THROW(writer->finish(), FileError);
  EXPECT_FALSE(fs::exists(at("a.avi")));
}

}  // namespace
}  // namespace pila
