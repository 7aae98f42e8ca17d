// The data set that the program draws itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "apps/media/image.h"
#include "apps/synth/synth.h"
#include "apps/synth/thing.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila::synth {
namespace {

using test::TemporaryFolder;

DataSetOptions small(std::uint64_t seed) {
  DataSetOptions options;
  options.images = 3;
  options.images_per_specimen = 2;
  options.size = 48;
  options.seed = seed;
  return options;
}

// Contents by path below the folder.
std::map<std::string, std::string> write(const DataSetOptions& options) {
  const TemporaryFolder folder;
  write_data_set(folder.path(), options, [] { return true; });
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(folder.path())) {
    if (!entry.is_regular_file()) continue;
    files[fs::relative(entry.path(), folder.path()).string()] = test::read_text(entry.path());
  }
  return files;
}

TEST(SynthTest, GivesEachSpecimenAFolderOfItsClass) {
  DataSetOptions options = small(0);
  options.classes = 2;
  std::set<std::string> names;
  for (const auto& [name, bytes] : write(options)) names.insert(name);
  const std::string first = kinds()[0].name, second = kinds()[1].name;
  EXPECT_THAT(names, testing::UnorderedElementsAre(
                         first + "/specimen-01/0001.jpg", first + "/specimen-01/0002.jpg",
                         first + "/specimen-02/0003.jpg", second + "/specimen-01/0001.jpg",
                         second + "/specimen-01/0002.jpg", second + "/specimen-02/0003.jpg"));
}

TEST(SynthTest, GivesTheSameBytesForASeedAtAnyNumberOfThreads) {
  DataSetOptions options = small(7);
  options.threads = 1;
  const auto one = write(options);
  options.threads = 3;
  EXPECT_EQ(write(options), one);
  EXPECT_EQ(one.size(), static_cast<std::size_t>(most_classes() * options.images));

  std::set<std::string> contents;
  for (const auto& [name, bytes] : one) contents.insert(bytes);
  for (const auto& [name, bytes] : write(small(8))) contents.insert(bytes);
  EXPECT_EQ(contents.size(), 2 * one.size()) << "every picture is another one";
}

TEST(SynthTest, DrawsPicturesOfTheSizeThatAreNotFlat) {
  const TemporaryFolder folder;
  write_data_set(folder.path(), small(3), [] { return true; });
  for (const Kind& kind : kinds()) {
    const media::Image image = media::load_image(folder.path() / kind.name / "specimen-01" / "0001.jpg");
    EXPECT_EQ(image.width, 48) << kind.name;
    EXPECT_EQ(image.height, 48) << kind.name;
    double sum = 0, squares = 0;
    for (const std::uint8_t value : image.pixels) {
      sum += value;
      squares += value * value;
    }
    const auto count = static_cast<double>(image.pixels.size());
    const double mean = sum / count, deviation = std::sqrt(squares / count - mean * mean);
    // Neither over- nor underexposed, and far above the noise (5 at most) that an empty belt would have.
    EXPECT_GT(mean, 20) << kind.name;
    EXPECT_LT(mean, 235) << kind.name;
    EXPECT_GT(deviation, 12) << kind.name;
  }
}

TEST(SynthTest, MakesThingsWithinTheirBounds) {
  for (const Kind& kind : kinds()) {
    for (std::uint64_t seed = 0; seed < 4; ++seed) {
      const auto thing = kind.make(Random(seed), Random(seed, 1));
      Surface surface;
      EXPECT_TRUE(thing->surface(0, 0, surface)) << kind.name;
      const double reach = 0.75 * thing->length(), step = reach / 60;
      for (double y = -reach; y < reach; y += step) {
        for (double x = -reach; x < reach; x += step) {
          if (!thing->surface(x, y, surface)) continue;
          ASSERT_LE(std::abs(x), thing->length() / 2) << kind.name;
          ASSERT_LE(std::abs(y), thing->width() / 2) << kind.name;
          const auto& [red, green, blue] = surface.colour;
          for (const double part : {red, green, blue}) {
            ASSERT_GE(part, 0) << kind.name;
            ASSERT_LE(part, 1) << kind.name;
          }
          ASSERT_GE(surface.normal.z, 0) << kind.name << ": what is seen from above faces up";
        }
      }
    }
  }
}

TEST(SynthTest, ShowsASpecimenAlikeWhereverItLies) {
  // A board has one side: its surface depends on the specimen alone.
  const Kind& board = kinds().back();
  ASSERT_STREQ(board.name, "circuit_board");
  const auto here = board.make(Random(5), Random(1)), there = board.make(Random(5), Random(2));
  const auto other = board.make(Random(6), Random(1));
  EXPECT_EQ(here->length(), there->length());
  EXPECT_NE(here->length(), other->length());
  Surface a, b;
  for (double x = -8; x < 8; x += 0.5) {
    ASSERT_TRUE(here->surface(x, 1, a) && there->surface(x, 1, b));
    EXPECT_EQ(a.colour.x, b.colour.x);
  }
}

TEST(SynthTest, RefusesOptionsOutOfRange) {
  const TemporaryFolder folder;
  const auto refused = [&](DataSetOptions options) {
    EXPECT_THROW(write_data_set(folder.path(), options, [] { return true; }), UsageError);
  };
  DataSetOptions options = small(0);
  options.classes = 1;
  refused(options);
  options.classes = most_classes() + 1;
  refused(options);
  options = small(0);
  options.images = 0;
  refused(options);
  options = small(0);
  options.size = 31;
  refused(options);
  options = small(0);
  options.images_per_specimen = 0;
  refused(options);
  EXPECT_TRUE(fs::is_empty(folder.path()));
}

TEST(SynthTest, LeavesAFolderAloneThatHoldsSomething) {
  const TemporaryFolder folder;
  std::ofstream(folder.path() / "mine.txt") << "mine";
  EXPECT_THROW(write_data_set(folder.path(), small(0), [] { return true; }), FileError);
  EXPECT_THROW(write_data_set(folder.path() / "mine.txt", small(0), [] { return true; }), FileError);
}

TEST(SynthTest, StopsWhenItIsTold) {
  const TemporaryFolder folder;
  DataSetOptions options = small(0);
  options.threads = 1;
  int told = 0;
  EXPECT_THROW(write_data_set(folder.path(), options, [&] { return ++told < 2; }), Error);
  EXPECT_EQ(told, 2);
}

}  // namespace
}  // namespace pila::synth
