// What int8 costs, by hand, and which pictures it is measured on.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

#include "apps/export/compare_answers.h"
#include "apps/export/folder_pictures.h"
#include "apps/media/canvas.h"
#include "apps/media/image_writer.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Pictures of three classes, by their logits.
Predictions predictions(std::vector<float> logits, std::vector<std::int32_t> labels) {
  Predictions result;
  result.classes = {"copper", "tin", "zinc"};
  result.files.resize(labels.size(), "picture.png");
  result.labels = std::move(labels);
  result.logits = std::move(logits);
  result.check();
  return result;
}

float log_of(double x) { return static_cast<float>(std::log(x)); }

TEST(MeanLoss, IsCrossEntropyWithALabelAndDivergenceWithout) {
  const auto exact = predictions({log_of(0.5), log_of(0.25), log_of(0.25)}, {1});
  const auto rounded = predictions({log_of(0.25), log_of(0.5), log_of(0.25)}, {1});
  EXPECT_NEAR(mean_loss(exact, rounded, 1), std::log(2), 1e-6);
  const auto unlabelled = predictions(exact.logits, {kUnknownLabel});
  EXPECT_NEAR(mean_loss(unlabelled, rounded, 1), 0.5 * std::log(2) - 0.25 * std::log(2), 1e-6);
  EXPECT_NEAR(mean_loss(unlabelled, unlabelled, 1), 0, 1e-12);
  // At temperature 1/2, 0.5 : 0.25 : 0.25 is 4/6 : 1/6 : 1/6.
  EXPECT_NEAR(mean_loss(exact, rounded, 0.5), std::log(6.0 / 4), 1e-6);
  EXPECT_NEAR(mean_loss(unlabelled, rounded, 0.5), 3.0 / 6 * std::log(4), 1e-6);
}

TEST(MeanLoss, IsFiniteForWhatIsCertainlyWrong) {
  const auto exact = predictions({5000, 0, 0}, {kUnknownLabel});
  EXPECT_LT(mean_loss(exact, predictions({0, 5000, 0}, {kUnknownLabel}), 1), 1e4);
}

TEST(CompareAnswers, CountsTheLabelledOnes) {
  const auto exact = predictions({1, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0, 1}, {0, 1, 1, kUnknownLabel});
  const auto rounded = predictions({1, 0, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0}, exact.labels);
  EXPECT_EQ(same_answers(exact, rounded), 0.5);
  const AnswerComparison comparison = compare_answers(exact, rounded);
  EXPECT_TRUE(comparison.labelled);
  EXPECT_EQ(comparison.all.pictures, 3);
  EXPECT_EQ(comparison.all.exact, 3);
  EXPECT_EQ(comparison.all.rounded, 2);
  EXPECT_DOUBLE_EQ(comparison.all.drop(), 100.0 / 3);
  EXPECT_EQ(comparison_text(comparison, exact.classes),
            "pictures   float32      int8\n"
            "       3   100.00%    66.67%   all\n"
            "       1   100.00%   100.00%   copper\n"
            "       2   100.00%    50.00%   tin\n");
  EXPECT_EQ(compare_answers(rounded, exact).all.drop(), -100.0 / 3) << "a gain";
}

TEST(CompareAnswers, TakesFloat32sWordWhereNothingIsLabelled) {
  const auto exact = predictions({1, 0, 0, 0, 1, 0}, {kUnknownLabel, kUnknownLabel});
  const auto rounded = predictions({1, 0, 0, 0, 0, 1}, exact.labels);
  const AnswerComparison comparison = compare_answers(exact, rounded);
  EXPECT_FALSE(comparison.labelled);
  EXPECT_EQ(comparison.all.exact, 2);
  EXPECT_EQ(comparison.all.drop(), 50);
  EXPECT_EQ(comparison.classes[1].rounded, 0);
}

class FolderPicturesTest : public testing::Test {
 protected:
  FolderPicturesTest() {
    for (const char* name :
         {"train/tin/a.png", "train/tin/deep/b.png", "val/copper/c.png", "val/lead/d.png", "e.png"}) {
      const fs::path file = folder_.path() / name;
      fs::create_directories(file.parent_path());
      media::Canvas canvas(8, 6);
      canvas.fill({0, 0, 8, 6}, media::Color{name[0] == 'e' ? std::uint8_t{200} : std::uint8_t{10}, 30, 60});
      media::save_png(canvas.finish(), file);
    }
    std::ofstream(folder_.path() / "broken.png") << "no picture";
  }

  FolderPictures pictures(const Wanted& wanted) const {
    return {folder_.path(), {"copper", "tin"}, size_, wanted};
  }
  std::vector<std::string> names(const FolderPictures& of) const {
    std::vector<std::string> names;
    for (const std::string& file : of.files()) names.push_back(fs::path(file).filename().string());
    return names;
  }

  test::TemporaryFolder folder_;
  const Preprocessing size_{.height = 4, .width = 3};
};

TEST_F(FolderPicturesTest, AreLabelledByTheFoldersOnTheirWay) {
  const FolderPictures all = pictures({});
  EXPECT_THAT(names(all), ElementsAre("e.png", "a.png", "b.png", "c.png", "d.png"));
  EXPECT_THAT(all.labels(), ElementsAre(kUnknownLabel, 1, 1, 0, kUnknownLabel));
  const FolderPictures labelled = pictures({.labelled = true});
  EXPECT_THAT(names(labelled), ElementsAre("a.png", "b.png", "c.png"));
  EXPECT_THAT(names(pictures({.labelled = true, .most = 2})), ElementsAre("a.png", "b.png"));
}

TEST_F(FolderPicturesTest, AreStretchedToTheNetworksSize) {
  const Context ctx(Device::cpu(1));
  const Tensor pixels = pictures({}).pixels(ctx, 0, 2);
  EXPECT_EQ(pixels.spec(), (TensorSpec{{2, 4, 3, 3}, DType::u8}));
  const auto values = pixels.to_vector<std::uint8_t>(ctx);
  EXPECT_EQ(values[0], 200);
  EXPECT_EQ(values[36], 10) << "the second picture";
}

TEST_F(FolderPicturesTest, SayWhatIsMissing) {
  fs::create_directory(folder_.path() / "nothing");
  EXPECT_THAT([&] { FolderPictures(folder_.path() / "nothing", {}, size_, {}); },
              ThrowsMessage<FileError>(HasSubstr("nothing: pictures are expected, and there are none")));
  EXPECT_THAT([&] { FolderPictures(folder_.path(), {"zinc"}, size_, {.labelled = true}); },
              ThrowsMessage<FileError>(HasSubstr("in folders named after the model's classes (zinc)")));
  EXPECT_THROW(FolderPictures(folder_.path() / "absent", {}, size_, {}), FileError);
}

}  // namespace
}  // namespace pila
