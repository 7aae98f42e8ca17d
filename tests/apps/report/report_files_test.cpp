// Report files and their pictures: that they are there, of the right size, and show what they should.
#include "apps/report/report_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "apps/media/canvas.h"
#include "apps/media/charts.h"
#include "apps/media/heat_map.h"
#include "apps/media/image_writer.h"
#include "apps/media/plot.h"
#include "apps/report/mistakes.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"
#include "tests/apps/report/predictions_maker.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using test::predicted_as;
using testing::HasSubstr;

std::array<int, 3> pixel(const media::Image& image, std::int64_t x, std::int64_t y) {
  const auto* p = &image.pixels[static_cast<std::size_t>(3 * (y * image.width + x))];
  return {p[0], p[1], p[2]};
}

// Pixels of that colour.
std::int64_t count_color(const media::Image& image, const media::Color& color) {
  std::int64_t count = 0;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3) {
    count +=
        image.pixels[i] == color[0] && image.pixels[i + 1] == color[1] && image.pixels[i + 2] == color[2];
  }
  return count;
}

media::Image plain_image(int width, int height, const media::Color& color) {
  media::Canvas canvas(width, height);
  canvas.fill({0, 0, static_cast<double>(width), static_cast<double>(height)}, color);
  return canvas.finish();
}

TEST(ReportText, IsThePapersTable) {
  Predictions predictions = predicted_as({0, 0, 1}, {0, 1, 1}, 2);
  predictions.classes = {"Gerät", "a class with a long name"};
  const std::string text = report_text(evaluate(predictions));
  EXPECT_EQ(text.substr(0, text.find("\n\n") + 1),
            "                          Precision   Recall  F1-Score  #Images\n"
            "Gerät                        1.0000   0.5000    0.6667        2\n"
            "a class with a long name     0.5000   1.0000    0.6667        1\n"
            "Accuracy                                        0.6667        3\n"
            "AVG                          0.7500   0.7500    0.6667        3\n"
            "Weighted AVG                 0.8333   0.6667    0.6667        3\n");
  EXPECT_THAT(text, HasSubstr("Accuracy 66.67% of 3 pictures (95% interval 20.77% to 93.85%)"));
}

TEST(ReportJson, HasItsKeys) {
  Predictions predictions = predicted_as({0, 0, 1}, {0, 1, 1}, 3);
  predictions.classes = {"one", "two", "\xFF broken"};
  Evaluation evaluation = evaluate(predictions);
  auto json = nlohmann::ordered_json::parse(report_json(evaluation));
  EXPECT_DOUBLE_EQ(json["accuracy"], 2.0 / 3);
  EXPECT_DOUBLE_EQ(json["loss"], evaluation.loss);
  EXPECT_DOUBLE_EQ(json["classes"]["one"]["recall"], 0.5);
  EXPECT_DOUBLE_EQ(json["classes"]["two"]["precision"], 0.5);
  EXPECT_EQ(json["classes"]["one"]["images"], 2);
  EXPECT_EQ(json["classes"].size(), 3u);
  EXPECT_DOUBLE_EQ(json["macro"]["f1"], evaluation.macro.f1);
  EXPECT_DOUBLE_EQ(json["weighted"]["precision"], evaluation.weighted.precision);
  EXPECT_EQ(json["confusion"], (nlohmann::json{{1, 1, 0}, {0, 1, 0}, {0, 0, 0}}));
  EXPECT_DOUBLE_EQ(json["calibration_error"], evaluation.calibration_error);
  EXPECT_TRUE(json["unknown"].is_null());

  evaluation.unknown = evaluate_unknown(predictions, predicted_as({-1}, {0}, 3, 0.1f), {});
  json = nlohmann::ordered_json::parse(report_json(evaluation));
  EXPECT_EQ(json["unknown"]["images"], 1);
  EXPECT_EQ(json["unknown"]["score"], "energy");
  EXPECT_EQ(json["unknown"]["area"], 1);
  EXPECT_EQ(json["unknown"]["rejected_at_95"], 1);
  EXPECT_EQ(json["unknown"]["scores"].size(), 3u);
}

TEST(Mistakes, AreSortedByConfidence) {
  Predictions predictions = predicted_as({0, 1, 2, 0, -1}, {1, 1, 0, 2, 0}, 3, 1);
  predictions.logits[6] = 5;  // the third picture is very sure
  const auto mistakes = find_mistakes(predictions, 1);
  ASSERT_EQ(mistakes.size(), 3u);
  EXPECT_EQ(mistakes[0].image, 2);
  EXPECT_EQ(mistakes[0].label, 2);
  EXPECT_EQ(mistakes[0].predicted, 0);
  EXPECT_EQ(mistakes[1].image, 0) << "of equals the earlier one";
  EXPECT_EQ(mistakes[2].image, 3);
  EXPECT_GT(mistakes[0].probability, mistakes[1].probability);
}

TEST(WriteReport, WritesFilesThatDecode) {
  const test::TemporaryFolder folder;
  Predictions predictions = predicted_as({0, 0, 1, 1}, {0, 1, 1, 0}, 2, 3);
  media::save_png(plain_image(30, 20, media::kRed), folder.path() / "seen.png");
  predictions.files[1] = (folder.path() / "seen.png").string();  // the other mistake's file is gone
  Evaluation evaluation = evaluate(predictions);
  evaluation.unknown = evaluate_unknown(predictions, predicted_as({-1}, {0}, 2), {});
  const fs::path out = folder.path() / "new" / "run";
  write_report(out, evaluation, predictions);
  EXPECT_EQ(test::read_text(out / "report.json"), report_json(evaluation, predictions));
  const auto listed = nlohmann::json::parse(report_json(evaluation, predictions)).at("predictions");
  ASSERT_EQ(listed.size(), 4u);
  EXPECT_EQ(listed[1], (nlohmann::json{{"file", predictions.files[1]}, {"label", 0}, {"predicted", 1}}));
  EXPECT_EQ(test::read_text(out / "report.txt"), report_text(evaluation));
  for (const char* name : {"confusion.png", "calibration.png", "roc.png", "misclassified.png"}) {
    const auto image = media::load_image(out / name);
    EXPECT_GT(image.width, 300) << name;
    EXPECT_GT(image.height, 200) << name;
  }
  EXPECT_GT(count_color(media::load_image(out / "misclassified.png"), media::kRed), 200 * 100)
      << "the photograph fills its tile's width";

  write_report(out, evaluate(predicted_as({0, 1}, {0, 1}, 2)), predicted_as({0, 1}, {0, 1}, 2));
  EXPECT_FALSE(fs::exists(out / "misclassified.png")) << "nothing is wrong any more";

  std::ofstream(folder.path() / "file") << "";
  EXPECT_THROW(write_report(folder.path() / "file" / "out", evaluation, predictions), FileError);
}

TEST(Confusion, ColoursTheDiagonalAndTheMistakes) {
  const auto white = media::confusion_color(0, true);
  EXPECT_EQ(white, media::confusion_color(0, false));
  const auto right = media::confusion_color(1, true), wrong = media::confusion_color(0.3, false);
  EXPECT_GT(right[2], right[0] + 60) << "blue";
  EXPECT_GT(wrong[0], wrong[2] + 60) << "orange";

  const std::vector<std::string> classes = {"a", "b"};
  const std::vector<std::int64_t> perfect = {10, 0, 0, 10}, mixed = {10, 0, 3, 7};
  const auto good = media::confusion_chart(classes, perfect, "Title");
  const auto bad = media::confusion_chart(classes, mixed, "Title");
  // A cell has 83 x 83 pixels, less what its number covers.
  EXPECT_GT(count_color(good, right), 2 * 83 * 83 * 8 / 10);
  EXPECT_GT(count_color(bad, wrong), 83 * 83 * 8 / 10);
  EXPECT_EQ(count_color(good, wrong), 0);
}

TEST(Confusion, TakesTwoToSixtyClasses) {
  for (const std::size_t n : {std::size_t{1}, std::size_t{2}, std::size_t{10}, std::size_t{60}}) {
    std::vector<std::string> classes;
    std::vector<std::int64_t> counts(n * n, 12345);
    for (std::size_t k = 0; k < n; ++k)
      classes.push_back("A class of a long, long name that fits nowhere " + std::to_string(k));
    const auto image = media::confusion_chart(classes, counts, "Title");
    EXPECT_GE(image.width, 400) << n;
    EXPECT_LE(image.width, 1500) << n;
    EXPECT_LE(image.height, 1600) << n;
    EXPECT_EQ(image.pixels.size(), static_cast<std::size_t>(image.width * image.height * 3));
  }
}

TEST(Curves, TakeShortAndOddTrainings) {
  const test::TemporaryFolder folder;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  const std::vector<std::vector<MetricRow>> trainings = {
      {},
      {{0, {{"loss", 1}}}},
      {{0, {{"loss", 0}, {"accuracy", 0}}}, {1, {{"loss", 0}, {"accuracy", 0}}}},
      {{0, {{"loss", nan}}}, {1, {{"loss", infinity}}}, {2, {{"loss", -1e30}}}, {3, {{"learning_rate", 0}}}},
      {{5, {{"loss", 2}, {"val_loss", 3}, {"learning_rate", 1e-3}, {"stage", 1}}},
       {6, {{"loss", 1}, {"val_loss", 2}, {"learning_rate", 1e-5}, {"stage", 2}}}},
  };
  for (const auto& rows : trainings) {
    write_curves(folder.path() / "curves.png", rows);
    const auto image = media::load_image(folder.path() / "curves.png");
    EXPECT_EQ(image.width, 920);
  }
  const auto image = media::load_image(folder.path() / "curves.png");
  EXPECT_GT(count_color(image, media::kBlue), 100) << "validation";
  EXPECT_GT(count_color(image, media::kOrange), 100) << "training";
  EXPECT_GT(count_color(image, media::kGreen), 50) << "learning rate";
}

TEST(Plot, TicksAreRoundNumbers) {
  const auto of = [](double low, double high, int count) { return media::ticks({low, high}, count); };
  EXPECT_EQ(of(0, 1, 5), (std::vector<double>{0, 0.2, 0.4, 0.6000000000000001, 0.8, 1}));
  EXPECT_EQ(of(-3, 42, 5), (std::vector<double>{0, 10, 20, 30, 40}));
  EXPECT_EQ(of(0, 59, 12), (std::vector<double>{0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55}));
  EXPECT_TRUE(of(1, 1, 5).empty());
}

TEST(Canvas, DrawsWhatItIsAskedTo) {
  media::Canvas canvas(60, 40);
  canvas.fill({10, 10, 20, 5}, media::kRed);
  media::Image photograph = plain_image(4, 2, media::kGreen);
  canvas.picture(photograph, {40, 0, 20, 20});
  canvas.text("turned", {5, 39}, {.size = 6, .upwards = true});
  canvas.text("beyond the edge, \xC3\xA4 and \xFF", {50, 30});
  canvas.picture({}, {0, 0, 10, 10});
  const media::Image image = canvas.finish();
  EXPECT_EQ(image.width, 60);
  EXPECT_EQ(image.height, 40);
  EXPECT_EQ(count_color(image, media::kRed), 20 * 5);
  EXPECT_EQ(pixel(image, 10, 10), (std::array<int, 3>{media::kRed[0], media::kRed[1], media::kRed[2]}));
  EXPECT_EQ(count_color(image, media::kGreen), 20 * 10) << "its shape is kept";
  EXPECT_EQ(pixel(image, 50, 2), (std::array<int, 3>{255, 255, 255}));
  EXPECT_THROW(media::Canvas(0, 5), UsageError);
  EXPECT_THROW(media::Canvas(5, 20001), UsageError);
  const media::TextStyle style;
  const std::string name = media::shortened("a_name_that_is_much_too_long.jpg", 100, style);
  EXPECT_LE(media::text_width(name, style), 100);
  EXPECT_THAT(name, HasSubstr("..."));
  EXPECT_THAT(name, testing::EndsWith("jpg"));
}

TEST(HeatMap, ColoursThePhotograph) {
  const auto cold = media::heat_color(0), middle = media::heat_color(0.5), hot = media::heat_color(1);
  EXPECT_GT(cold[2], cold[0]);
  EXPECT_GT(middle[1], middle[0]);
  EXPECT_GT(hot[0], hot[2] + 60);
  const media::Image grey = plain_image(64, 32, {100, 100, 100});
  const std::vector<float> values = {0, 1};  // cold on the left, hot on the right
  const auto image = media::with_heat_map(grey, values, 1, 2, 0.5);
  EXPECT_EQ(image.width, 64);
  EXPECT_EQ(image.height, 32);
  for (int c = 0; c < 3; ++c) {
    const auto at = static_cast<std::size_t>(c);
    EXPECT_EQ(pixel(image, 2, 5)[at], 100) << "what is cold is left as it is";
    EXPECT_NEAR(pixel(image, 61, 30)[at], (100 + hot[at]) / 2, 1);
  }
  EXPECT_EQ(media::with_heat_map(grey, values, 2, 1, 0).pixels, grey.pixels);
  EXPECT_THROW(media::with_heat_map(grey, values, 2, 2), UsageError);
  EXPECT_THROW(media::with_heat_map({}, values, 1, 2), UsageError);
}

}  // namespace
}  // namespace pila
