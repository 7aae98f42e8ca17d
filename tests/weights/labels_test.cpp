#include "weights/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/shared_files.h"
#include "tests/weights/support.h"
#include "weights/load_model.h"

namespace pila::labels_test {
namespace {

using test::file_error;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Labels, AreOneALine) {
  EXPECT_THAT(parse_labels("tench, Tinca tinca\ncrane\ncrane"),
              ElementsAre("tench, Tinca tinca", "crane", "crane"));
}

TEST(Labels, DropWhatEditorsAdd) {
  EXPECT_THAT(parse_labels("\xEF\xBB\xBF"
                           "a\r\n b c \t\r\n\r\n\n"),
              ElementsAre("a", "b c"));
  EXPECT_THAT(parse_labels("\xC3\xA4\n"), ElementsAre("\xC3\xA4"));
}

TEST(Labels, DropNumbersThatAreTheIndices) {
  EXPECT_THAT(parse_labels("0 card board\n1\tplastic"), ElementsAre("card board", "plastic"));
  EXPECT_THAT(parse_labels("1 plastic\n0 glass"), ElementsAre("glass", "plastic"))
      << "the number says which class";
  EXPECT_THAT(parse_labels("0 a"), ElementsAre("a"));
}

TEST(Labels, KeepNumbersThatAreNot) {
  EXPECT_THAT(parse_labels("7 up\n1 cola"), ElementsAre("7 up", "1 cola"));
  EXPECT_THAT(parse_labels("0 a\n0 b"), ElementsAre("0 a", "0 b"));
  EXPECT_THAT(parse_labels("0 a\nb"), ElementsAre("0 a", "b"));
  EXPECT_THAT(parse_labels("0\n1"), ElementsAre("0", "1"));
  EXPECT_THAT(parse_labels("99999999999999999999 a"), ElementsAre("99999999999999999999 a"));
}

TEST(Labels, SayWhatIsWrong) {
  const auto error = [](std::string_view text) { return file_error([&] { parse_labels(text); }); };
  EXPECT_EQ(error(""), "is empty, expected class names, one a line");
  EXPECT_EQ(error("\n\r\n  \n"), "is empty, expected class names, one a line");
  EXPECT_EQ(error("a\n\nb"), "line 2 is empty, expected a class name");
  EXPECT_EQ(error(std::string(5000, 'x')), "line 1 has 5000 bytes, expected a class name of at most 1000");
  EXPECT_EQ(error(std::string_view("a\nb\0c", 5)), "line 2 is not text: byte 0x00");
  EXPECT_EQ(error("a\n\xFF\xD8\xFF"), "line 2 is not text: byte 0xFF");
  EXPECT_EQ(error("\xC3"), "line 1 is not text: byte 0xC3") << "UTF-8 that is cut off";
  EXPECT_THAT(error(std::string(300'000, 'a').replace(1, 0, "\n")), HasSubstr("line 2 has 299999 bytes"));
  std::string many;
  for (int i = 0; i < 100'001; ++i) many += "a\n";
  EXPECT_EQ(error(many), "has 100001 lines, expected at most 100000");
}

TEST(Labels, NameTheFile) {
  const test::TemporaryFolder folder;
  EXPECT_EQ(file_error([&] { read_labels(folder / "none.txt"); }),
            (folder / "none.txt").string() + ": cannot be opened: there is no such file");
  EXPECT_THAT(file_error([&] { read_labels(folder.path()); }), HasSubstr("is not a regular file"));
  test::write_bytes(folder / "a.txt", "a\n\nb");
  EXPECT_THAT(file_error([&] { read_labels(folder / "a.txt"); }), HasSubstr("a.txt: line 2 is empty"));
  std::filesystem::resize_file(folder / "a.txt", 17 << 20);
  EXPECT_THAT(file_error([&] { read_labels(folder / "a.txt"); }), HasSubstr("has 17825792 bytes"));
}

TEST(Labels, ReadTheFilesOfOthers) {
  const auto imagenet = test::weights_file("imagenet_labels.txt");
  const auto teachable = test::weights_file("teachable_machine_labels.txt");
  if (!imagenet || !teachable) GTEST_SKIP() << "shared weights absent";
  const auto classes = read_labels(*imagenet);
  ASSERT_EQ(classes.size(), 1000u);
  EXPECT_EQ(classes[0], "tench, Tinca tinca");
  EXPECT_EQ(std::count(classes.begin(), classes.end(), "crane"), 2);
  EXPECT_THAT(read_labels(*teachable), ElementsAre("cardboard", "plastic", "glass", "metal"));
}

}  // namespace
}  // namespace pila::labels_test
