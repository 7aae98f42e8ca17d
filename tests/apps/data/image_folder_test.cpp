// Folders as people have them: parts of any spelling, strange names, broken links, files that are no images.
#include "apps/data/image_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "apps/data/groups.h"
#include "apps/media/image_writer.h"
#include "engine/core/error.h"
#include "tests/apps/data/photographs.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class ImageFolderTest : public testing::Test {
 protected:
  // An image at a path below the folder, whose folders are made.
  void add(const fs::path& relative) {
    fs::create_directories((root() / relative).parent_path());
    media::save_png(test::photograph(1, 4, 4), root() / relative);
  }
  fs::path root() const { return temporary_.path(); }

  std::string problem(const std::vector<std::string>& exclude = {}) const {
    try {
      list_image_folders({root()}, exclude);
    } catch (const FileError& error) {
      return error.what();
    }
    return "no error";
  }

 private:
  test::TemporaryFolder temporary_;
};

std::vector<std::string> names(const ImageFolder& folder, Part part) {
  std::vector<std::string> result;
  for (const auto& image : folder.images) {
    if (image.part != part) continue;
    result.push_back(folder.classes[static_cast<std::size_t>(image.label)] + "/" + image.group + "/" +
                     image.file.filename().string());
  }
  return result;
}

TEST_F(ImageFolderTest, ClassesAndImagesAreSortedByBytes) {
  for (const char* file : {"b/2.png", "b/10.png", "a/x.png", "Z/y.png", "\xC3\xA4/z.png"}) add(file);
  const ImageFolder folder = list_image_folders({root()}, {});
  EXPECT_THAT(folder.classes, ElementsAre("Z", "a", "b", "\xC3\xA4"));
  EXPECT_THAT(names(folder, Part::whole),
              ElementsAre("Z//y.png", "a//x.png", "b//10.png", "b//2.png", "\xC3\xA4//z.png"));
  EXPECT_THAT(folder.warnings, IsEmpty());
}

TEST_F(ImageFolderTest, TakesPartsInAnySpelling) {
  for (const char* train : {"train", "Train", "TRAINING"}) {
    for (const char* validation : {"val", "Valid", "Validation"}) {
      const test::TemporaryFolder temporary;
      for (const std::string part : {train, validation, "Test"}) {
        for (const std::string name : {"a", "b"}) {
          fs::create_directories(temporary.path() / part / name);
          media::save_png(test::photograph(1, 4, 4), temporary.path() / part / name / (part + ".png"));
        }
      }
      const ImageFolder folder = list_image_folders({temporary.path()}, {});
      EXPECT_THAT(folder.classes, ElementsAre("a", "b"));
      EXPECT_THAT(names(folder, Part::train),
                  ElementsAre("a//" + std::string(train) + ".png", "b//" + std::string(train) + ".png"));
      EXPECT_EQ(names(folder, Part::validation).size(), 2u);
      EXPECT_EQ(names(folder, Part::test).size(), 2u);
    }
  }
}

TEST_F(ImageFolderTest, AClassMayBeCalledTrain) {
  add("train/1.png");
  add("car/1.png");
  EXPECT_THAT(list_image_folders({root()}, {}).classes, ElementsAre("car", "train"));
}

TEST_F(ImageFolderTest, SeveralFoldersAreOne) {
  for (const char* file : {"z/b/1.png", "z/c/1.png", "y/b/2.png", "y/a/3.png"}) add(file);
  const std::vector<fs::path> both = {root() / "z", root() / "y"};
  const ImageFolder folder = list_image_folders(both, {"c"});
  EXPECT_THAT(folder.classes, ElementsAre("a", "b"));
  // In the order of the folders, wherever they lie.
  EXPECT_THAT(names(folder, Part::whole), ElementsAre("a//3.png", "b//1.png", "b//2.png"));

  // Beside a folder that is divided, the other is trained on: c need not be in both.
  for (const char* file : {"x/train/a/4.png", "x/train/b/4.png", "x/test/a/5.png", "x/test/b/5.png"})
    add(file);
  const ImageFolder divided = list_image_folders({root() / "x", root() / "z"}, {});
  EXPECT_THAT(names(divided, Part::train), ElementsAre("a//4.png", "b//1.png", "b//4.png", "c//1.png"));
  EXPECT_THAT(names(divided, Part::test), ElementsAre("a//5.png", "b//5.png"));
  EXPECT_THAT(names(divided, Part::whole), IsEmpty());
  EXPECT_THROW(list_image_folders({root() / "z", root() / "absent"}, {}), FileError);
}

TEST_F(ImageFolderTest, FoldersBelowAClassAreGroups) {
  for (const char* file :
       {"a/1.png", "a/s1/1.png", "a/s1/deep/2.png", "a/s2/1.png", "b/s1/1.png", "b/2.png"}) {
    add(file);
  }
  const ImageFolder folder = list_image_folders({root()}, {});
  EXPECT_THAT(names(folder, Part::whole),
              ElementsAre("a//1.png", "a/s1/1.png", "a/s1/2.png", "a/s2/1.png", "b//2.png", "b/s1/1.png"));
  // b's s1 is another folder than a's.
  EXPECT_THAT(group_by_folder(folder.images), ElementsAre(0, 1, 1, 2, 3, 4));
}

TEST_F(ImageFolderTest, PassesOverWhatIsNoImageAndSaysSo) {
  for (const char* file : {"a/1.png", "b/1.png", "stray.png"}) add(file);
  for (const char* file : {"a/Thumbs.db", "a/notes.txt", "a/.hidden.png", "b/.DS_Store", "README"}) {
    test::write_text(root() / file, "text");
  }
  fs::create_directory(root() / ".git");
  const ImageFolder folder = list_image_folders({root()}, {});
  EXPECT_EQ(folder.images.size(), 2u);
  ASSERT_EQ(folder.warnings.size(), 2u);
  EXPECT_THAT(folder.warnings[0], HasSubstr("1 image lies outside"));
  EXPECT_THAT(folder.warnings[1], HasSubstr("6 files"));
}

TEST_F(ImageFolderTest, TakesImagesByContentAndWhatClaimsToBeOne) {
  add("a/1.png");
  add("b/1.png");
  fs::rename(root() / "a/1.png", root() / "a/photograph");
  test::write_text(root() / "b/text.jpg", "no picture, but it should be named as broken");
  fs::create_directory(root() / "b/folder.jpg");
  EXPECT_THAT(names(list_image_folders({root()}, {}), Part::whole),
              ElementsAre("a//photograph", "b//1.png", "b//text.jpg"));
}

TEST_F(ImageFolderTest, StrangeNamesWork) {
  const std::string name = "new\nline \xE7\x94\xB5\xE6\xB1\xA0 'quoted' -x";
  add(name + "/" + name + ".png");
  add("b/1.png");
  const ImageFolder folder = list_image_folders({root()}, {});
  EXPECT_THAT(folder.classes, ElementsAre("b", name));
  EXPECT_TRUE(fs::exists(folder.images[1].file));
}

TEST_F(ImageFolderTest, FollowsLinksAndEndsInLoops) {
  add("a/1.png");
  add("elsewhere/inner/2.png");
  fs::create_directory_symlink(root() / "elsewhere", root() / "b");
  fs::create_directory_symlink(root() / "elsewhere", root() / "elsewhere/inner/loop");
  fs::create_symlink(root() / "nothing", root() / "a/broken.jpg");
  EXPECT_THAT(names(list_image_folders({root()}, {"elsewhere"}), Part::whole),
              ElementsAre("a//1.png", "a//broken.jpg", "b/inner/2.png"));
}

TEST_F(ImageFolderTest, AFifoIsNotOpened) {
  add("a/1.png");
  add("b/1.png");
  ASSERT_EQ(mkfifo((root() / "a/pipe.jpg").c_str(), 0600), 0);
  EXPECT_EQ(list_image_folders({root()}, {}).images.size(), 2u);
}

TEST_F(ImageFolderTest, NamesProblems) {
  EXPECT_THAT(problem(), HasSubstr("a folder for each class is expected"));
  add("a/1.png");
  EXPECT_THAT(problem(), HasSubstr("two classes or more are expected, and there is only a"));
  fs::create_directory(root() / "b");
  EXPECT_THAT(problem(), HasSubstr("class b has no images; fill its folder, or leave it out with --exclude"));
  add("c/1.png");
  EXPECT_EQ(problem({"b"}), "no error");
  EXPECT_THAT(problem({"b", "absent"}), HasSubstr("there is no class absent to exclude"));
  EXPECT_THAT(scan_image_folder(root(), {}).classes, ElementsAre("a", "b", "c"));
}

TEST_F(ImageFolderTest, AClassMustBeTrainedOn) {
  for (const char* file : {"train/a/1.png", "train/b/1.png", "val/a/1.png", "val/c/1.png"}) add(file);
  EXPECT_THAT(problem(), HasSubstr("class c has validation images, but none to train on"));
  const ImageFolder folder = list_image_folders({root()}, {"c"});
  EXPECT_THAT(folder.warnings, ElementsAre(HasSubstr("class b has no validation images")));
}

TEST_F(ImageFolderTest, TwoFoldersForOnePartAreAnError) {
  for (const char* file : {"train/a/1.png", "train/b/1.png", "val/a/1.png", "valid/a/1.png"}) add(file);
  EXPECT_THAT(problem(), HasSubstr("one folder for each part is expected"));
}

TEST_F(ImageFolderTest, NamesWhatCannotBeRead) {
  EXPECT_THROW(list_image_folders({root() / "absent"}, {}), FileError);
  add("a/1.png");
  add("b/1.png");
  EXPECT_THROW(list_image_folders({root() / "a/1.png"}, {}), FileError);
  // Root may read everything, so the test becomes nobody for a moment.
  const uid_t user = geteuid();
  constexpr uid_t kNobody = 65534;
  fs::permissions(root(), fs::perms::all);
  fs::permissions(root() / "b", fs::perms::none);
  ASSERT_EQ(seteuid(user == 0 ? kNobody : user), 0);
  const std::string message = problem();
  ASSERT_EQ(seteuid(user), 0);
  fs::permissions(root() / "b", fs::perms::owner_all);
  EXPECT_THAT(message, HasSubstr("b: cannot be read: Permission denied"));
}

TEST_F(ImageFolderTest, GroupsByNameAndByVideo) {
  for (const char* file : {"a/IMG_7_x.png", "a/IMG_7_y.png", "a/IMG_8_x.png", "b/IMG_7_z.png", "b/other.png",
                           "b/belt_000010.png", "b/belt_1234567.png", "a/belt_000020.png"}) {
    add(file);
  }
  const ImageFolder folder = list_image_folders({root()}, {});
  ASSERT_THAT(names(folder, Part::whole),
              ElementsAre("a//IMG_7_x.png", "a//IMG_7_y.png", "a//IMG_8_x.png", "a//belt_000020.png",
                          "b//IMG_7_z.png", "b//belt_000010.png", "b//belt_1234567.png", "b//other.png"));
  EXPECT_THAT(group_by_name(folder.images, R"(IMG_(\d+)_)"), ElementsAre(0, 0, 1, 2, 0, 3, 4, 5));
  EXPECT_THAT(group_by_video(folder.images), ElementsAre(0, 1, 2, 3, 4, 3, 3, 5));
  EXPECT_THROW(group_by_name(folder.images, "IMG_("), UsageError);
  EXPECT_THROW(group_by_name(folder.images, "IMG_"), UsageError);
  EXPECT_THROW(group_by_name(folder.images, "(a)(b)"), UsageError);
  EXPECT_THROW(group_by_name(folder.images, "(no such name)"), UsageError);
  EXPECT_THROW(group_by_video(std::span(folder.images).first(3)), UsageError);
}

}  // namespace
}  // namespace pila
