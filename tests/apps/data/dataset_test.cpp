// pila-dataset as its users run it, and the pictures that it writes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <opencv2/videoio.hpp>
#include <set>

#include "apps/media/contact_sheet.h"
#include "apps/media/image_writer.h"
#include "apps/store/store.h"
#include "engine/core/error.h"
#include "tests/apps/data/photographs.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using nlohmann::json;
using test::Finished;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class DatasetTest : public testing::Test {
 protected:
  void add(const fs::path& relative, std::uint64_t seed, std::int64_t width = 60, std::int64_t height = 40) {
    fs::create_directories((root() / relative).parent_path());
    media::save_png(test::photograph(seed, width, height), root() / relative);
  }

  // A video whose frame i shows the scene scenes[i].
  fs::path add_video(const std::vector<std::uint64_t>& scenes) const {
    const fs::path file = root() / "belt.avi";
    cv::VideoWriter writer(file.string(), cv::CAP_OPENCV_MJPEG, cv::VideoWriter::fourcc('M', 'J', 'P', 'G'),
                           25, cv::Size(64, 48));
    for (const auto scene : scenes) {
      media::Image frame = test::photograph(scene, 64, 48);
      for (std::size_t i = 0; i < frame.pixels.size(); i += 3)
        std::swap(frame.pixels[i], frame.pixels[i + 2]);
      writer.write(cv::Mat(48, 64, CV_8UC3, frame.pixels.data()));
    }
    return file;
  }

  Finished run(const std::vector<std::string>& arguments) const {
    return test::run_program(PILA_DATASET, arguments, root());
  }
  std::set<std::string> files_in(const fs::path& relative) const {
    std::set<std::string> names;
    if (!fs::exists(root() / relative)) return names;
    for (const auto& entry : fs::directory_iterator(root() / relative)) {
      names.insert(entry.path().filename().string());
    }
    return names;
  }
  fs::path root() const { return temporary_.path(); }

 private:
  test::TemporaryFolder temporary_;
};

TEST_F(DatasetTest, InspectCountsAndWarns) {
  add("data/train/a/1.png", 1);
  add("data/train/a/2.png", 2, 80, 80);
  add("data/train/b/1.png", 3);
  add("data/train/b/2.png", 4);
  add("data/val/a/3.png", 5);
  add("data/val/b/twin.png", 3, 90, 70);
  test::write_text(root() / "data/train/b/broken.jpg", "no picture");
  test::write_text(root() / "data/train/b/Thumbs.db", "no picture");
  const Finished finished = run({"inspect", "data", "--json", "found.json", "--sheet", "sheet.png"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("1 pairs of near-duplicates, 1 of them across parts"));
  EXPECT_THAT(finished.out, HasSubstr("twin.png  (train and validation)"));
  EXPECT_THAT(finished.out, HasSubstr("1 unreadable\n  data/train/b/broken.jpg: "));

  const json found = json::parse(test::read_text(root() / "found.json"));
  EXPECT_EQ(found["images"], 7);
  EXPECT_EQ(found["classes"], json::parse(R"([{"name": "a", "images": {"train": 2, "validation": 1}},
                                              {"name": "b", "images": {"train": 3, "validation": 1}}])"));
  EXPECT_EQ(found["width"], json::parse(R"({"min": 60, "median": 60, "max": 90})"));
  EXPECT_EQ(found["height"], json::parse(R"({"min": 40, "median": 40, "max": 80})"));
  EXPECT_EQ(found["formats"], json::parse(R"({"PNG": 6})"));
  ASSERT_EQ(found["unreadable"].size(), 1u);
  EXPECT_EQ(found["unreadable"][0]["file"], "data/train/b/broken.jpg");
  ASSERT_EQ(found["duplicates"].size(), 1u);
  EXPECT_EQ(found["duplicates"][0]["across_parts"], true);
  EXPECT_EQ(found["warnings"].size(), 1u);
  EXPECT_THAT(found["problems"], IsEmpty());
  EXPECT_GT(media::load_image(root() / "sheet.png").width, 500);
  EXPECT_THAT(files_in("."), ElementsAre("data", "found.json", "sheet.png"));
}

TEST_F(DatasetTest, InspectShowsAFolderThatCannotBeTrainedOn) {
  add("data/a/1.png", 1);
  fs::create_directory(root() / "data/b");
  const Finished finished = run({"inspect", "data"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.out, HasSubstr("problem: data: class b has no images"));
  const Finished excluded = run({"inspect", "data", "--exclude", "b", "--exclude", "a", "--json", "-"});
  EXPECT_EQ(excluded.exit_code, 0) << excluded.err;
  EXPECT_EQ(json::parse(excluded.out)["images"], 0);
  EXPECT_THAT(json::parse(excluded.out)["problems"][0], HasSubstr("a folder for each class is expected"));
}

TEST_F(DatasetTest, NamesThatAreNoTextAreWrittenAsJson) {
  add(fs::path("data") / "a\xFF" / "1.png", 1);
  add("data/b/1.png", 2);
  const Finished finished = run({"inspect", "data", "--json", "-"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_EQ(json::parse(finished.out)["classes"].size(), 2u);
}

TEST_F(DatasetTest, MistakesAreOneLine) {
  const auto expect_error = [&](const std::vector<std::string>& arguments, int code, const char* text) {
    const Finished finished = run(arguments);
    EXPECT_EQ(finished.exit_code, code) << text;
    EXPECT_THAT(finished.err, HasSubstr(text));
    EXPECT_EQ(std::count(finished.err.begin(), finished.err.end(), '\n'), 1) << finished.err;
  };
  expect_error({}, 2, "subcommand");
  expect_error({"inspect"}, 2, "folder");
  expect_error({"inspect", "absent"}, 1, "absent: no such folder");
  expect_error({"frames", "absent.mp4", "--out", "frames"}, 1, "absent.mp4: no such file");
  expect_error({"frames", "absent.mp4", "--out", "frames", "--every", "0"}, 2, "--every");
  test::write_text(root() / "text01.mp4", "this is no video");
  expect_error({"frames", "text01.mp4", "--out", "frames"}, 1, "cannot be read as a video");
  test::write_text(root() / "empty.avi", "");
  expect_error({"frames", "empty.avi", "--out", "frames"}, 1, "cannot be read as a video");
  expect_error({"frames", ".", "--out", "frames"}, 1, "a video file is expected");
  EXPECT_THAT(files_in("frames"), IsEmpty());
}

TEST_F(DatasetTest, FramesAreNamedByTheirPlace) {
  add_video({1, 2, 3, 4, 5, 6, 7});
  const Finished finished =
      run({"frames", "belt.avi", "--every", "3", "--out", "out/frames", "--format", "png"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(files_in("out/frames"), ElementsAre("belt_000000.png", "belt_000003.png", "belt_000006.png"));
  const media::Image frame = media::load_image(root() / "out/frames/belt_000003.png");
  ASSERT_EQ(frame.width, 64);
  const media::Image scene = test::photograph(4, 64, 48);
  double difference = 0;
  for (std::size_t i = 0; i < scene.pixels.size(); ++i)
    difference += std::abs(frame.pixels[i] - scene.pixels[i]);
  // JPEG in the video: a few levels on average, where another frame would be dozens away.
  EXPECT_LT(difference / static_cast<double>(scene.pixels.size()), 6);
}

TEST_F(DatasetTest, SimilarFramesAreDroppedOnRequest) {
  add_video({1, 1, 1, 2, 2, 1, 1});
  EXPECT_EQ(run({"frames", "belt.avi", "--out", "all"}).exit_code, 0);
  EXPECT_EQ(files_in("all").size(), 7u);
  const Finished finished = run({"frames", "belt.avi", "--out", "some", "--drop-similar"});
  EXPECT_EQ(finished.exit_code, 0) << finished.err;
  EXPECT_THAT(finished.err, HasSubstr("7 frames seen, 3 written to some, 4 dropped as similar"));
  EXPECT_THAT(files_in("some"), ElementsAre("belt_000000.jpg", "belt_000003.jpg", "belt_000005.jpg"));
  EXPECT_EQ(run({"frames", "belt.avi", "--out", "one", "--drop-similar=5.5"}).exit_code, 0);
  EXPECT_EQ(files_in("one").size(), 1u);
  EXPECT_EQ(run({"frames", "belt.avi", "--out", "none", "--drop-similar=much"}).exit_code, 2);
}

TEST_F(DatasetTest, AVideoThatEndsEarlyGivesTheFramesThatItHas) {
  const fs::path video = add_video(std::vector<std::uint64_t>(20, 3));
  fs::resize_file(video, fs::file_size(video) / 2);
  const Finished finished = run({"frames", "belt.avi", "--out", "frames"});
  const auto frames = files_in("frames");
  EXPECT_LT(frames.size(), 20u);
  EXPECT_EQ(finished.exit_code, frames.empty() ? 1 : 0) << finished.err;
  for (const auto& frame : frames) EXPECT_EQ(media::load_image(root() / "frames" / frame).width, 64);
}

TEST_F(DatasetTest, WritersLeaveAFileWholeOrNotThere) {
  const media::Image image = test::photograph(1, 20, 10);
  media::save_png(image, root() / "image.png");
  EXPECT_EQ(media::load_image(root() / "image.png").pixels, image.pixels);
  media::save_jpeg(image, root() / "image.jpg", 90);
  EXPECT_EQ(media::load_image(root() / "image.jpg").width, 20);
  EXPECT_THROW(media::save_png(image, root() / "absent/image.png"), FileError);
  EXPECT_THROW(media::save_png(media::Image{}, root() / "nothing.png"), FileError);
  EXPECT_THAT(files_in("."), ElementsAre("image.jpg", "image.png"));
}

TEST_F(DatasetTest, ExportWritesWhatPeopleLabelled) {
  {
    const auto store = Store::open({.file = root() / "belt.sqlite", .pictures = KeepPictures::all});
    StoredItem item;
    item.label = "nimh";
    for (const std::uint64_t seed : {1, 2, 3}) store->add(item, test::photograph(seed, 60, 40));
    store->correct(2, "alkaline");
  }
  const Finished labelled = run({"export", "belt.sqlite", "--out", "labelled"});
  EXPECT_EQ(labelled.exit_code, 0) << labelled.err;
  EXPECT_THAT(labelled.err, HasSubstr("1 pictures"));
  EXPECT_THAT(files_in("labelled"), ElementsAre("alkaline"));
  EXPECT_THAT(files_in("labelled/alkaline"), ElementsAre("2.jpg"));
  EXPECT_EQ(run({"export", "belt.sqlite", "--out", "all", "--all"}).exit_code, 0);
  EXPECT_THAT(files_in("all/nimh"), ElementsAre("1.jpg", "3.jpg"));
  EXPECT_EQ(run({"inspect", "all"}).exit_code, 0);

  const Finished full = run({"export", "belt.sqlite", "--out", "all"});
  EXPECT_EQ(full.exit_code, 1);
  EXPECT_THAT(full.err, HasSubstr("empty or new"));
  test::write_text(root() / "text.sqlite", "no store");
  const Finished text = run({"export", "text.sqlite", "--out", "out"});
  EXPECT_EQ(text.exit_code, 1);
  EXPECT_THAT(text.err, HasSubstr("text.sqlite: "));
  EXPECT_EQ(run({"export", "belt.sqlite"}).exit_code, 2);
  EXPECT_THAT(files_in("."), ElementsAre("all", "belt.sqlite", "labelled", "text.sqlite"));
}

TEST(ContactSheet, ShowsEveryTileInItsPlace) {
  const auto plain = [](std::int64_t width, std::int64_t height, std::uint8_t red) {
    media::Image image{.width = width, .height = height, .pixels = {}, .warning = {}};
    image.pixels.resize(static_cast<std::size_t>(width * height * 3));
    for (std::size_t i = 0; i < image.pixels.size(); i += 3) image.pixels[i] = red;
    return image;
  };
  const std::vector<media::Tile> tiles = {
      {plain(10, 10, 200), "a name that is far too long to fit below so small a picture, by any means", {}},
      {plain(300, 100, 100), "\xC3\xA4\xE7\x94\xB5\nsecond line", media::Color{0, 255, 0}},
      {media::Image{}, "", {}},
      {plain(1, 1, 50), "last", {}}};
  const media::Image sheet = media::contact_sheet(tiles, 3, 60);
  const std::int64_t cell_width = sheet.width / 3, cell_height = sheet.height / 2;
  EXPECT_GE(cell_width, 60);
  EXPECT_GE(cell_height, 60 + 2 * 10);  // two lines of caption
  const auto red_at = [&](std::int64_t row, std::int64_t column) {
    const std::int64_t x = column * cell_width + cell_width / 2, y = row * cell_height + 6 + 30;
    return static_cast<int>(sheet.pixels[static_cast<std::size_t>((y * sheet.width + x) * 3)]);
  };
  EXPECT_EQ(red_at(0, 0), 200);
  EXPECT_EQ(red_at(0, 1), 100);
  EXPECT_EQ(red_at(0, 2), 255);  // nothing there
  EXPECT_EQ(red_at(1, 0), 50);
  // The frame is green, and there is one only.
  std::int64_t green = 0;
  for (std::size_t i = 0; i < sheet.pixels.size(); i += 3) {
    green += sheet.pixels[i] == 0 && sheet.pixels[i + 1] == 255 && sheet.pixels[i + 2] == 0;
  }
  EXPECT_GE(green, 4 * 60);
  EXPECT_LE(green, 4 * 60 * 6);
  EXPECT_THROW(media::contact_sheet({}, 3, 60), UsageError);
  EXPECT_THROW(media::contact_sheet(tiles, 0, 60), UsageError);
}

}  // namespace
}  // namespace pila
