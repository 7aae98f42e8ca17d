// Presets and JSON files of augmentation, hostile ones included.
#include "apps/core/augmentation_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string error_of(const std::string& text) {
  try {
    parse_augmentation(text);
  } catch (const FileError& error) {
    return error.what();
  }
  return "no error";
}

TEST(AugmentationFile, PresetsAreWhatThePapersSay) {
  EXPECT_EQ(augmentation_preset("none"), Augmentation());
  const Augmentation battery = augmentation_preset("battery");
  EXPECT_TRUE(battery.flip_horizontal && battery.flip_vertical);
  EXPECT_EQ(battery.rotation * 360, 18);
  EXPECT_EQ(battery.contrast, 0.4);
  EXPECT_EQ(battery.brightness, 0.4);
  EXPECT_EQ(battery.pixel_dropout, 0.2);
  EXPECT_THROW(augmentation_preset("Battery"), UsageError);
}

TEST(AugmentationFile, PresetsSurviveTheirOwnText) {
  for (const std::string& name : augmentation_presets()) {
    const Augmentation preset = augmentation_preset(name);
    EXPECT_EQ(problem_of(preset), "") << name;
    EXPECT_EQ(parse_augmentation(format_augmentation(preset)), preset) << name;
    EXPECT_EQ(load_augmentation(name), preset) << name;
    EXPECT_EQ(parse_augmentation("{\"preset\": \"" + name + "\"}"), preset);
  }
}

TEST(AugmentationFile, EveryMemberSurvives) {
  Augmentation augmentation;
  augmentation.fill = FillMode::nearest;
  augmentation.zoom_width = {-0.3, 0.1};
  for (const auto& known : augmentation_flags()) augmentation.*known.member = true;
  double value = 0.01;
  for (const auto& known : augmentation_numbers()) augmentation.*known.member = value += 1.0 / 30;
  for (const auto& known : augmentation_ranges())
    augmentation.*known.member = {value += 1.0 / 30, value + 0.1};
  EXPECT_EQ(parse_augmentation(format_augmentation(augmentation)), augmentation);
}

TEST(AugmentationFile, KeysChangeThePresetWhereverItStands) {
  Augmentation expected = augmentation_preset("battery");
  expected.pixel_dropout = 0;
  expected.zoom = {-0.2, 0.2};
  expected.zoom_width = {0, 0.25};
  expected.fill = FillMode::constant;
  EXPECT_EQ(parse_augmentation(R"({"pixel_dropout": 0, "zoom": 0.2, "zoom_width": [0, 0.25],
                                   "fill": "constant", "preset": "battery"})"),
            expected);
}

TEST(AugmentationFile, SaysWhichKeyIsWrong) {
  EXPECT_THAT(error_of(R"({"rotate": 0.1})"), AllOf(HasSubstr("'rotate'"), HasSubstr("rotation, ")));
  EXPECT_THAT(error_of(R"({"rotation": "0.1"})"), HasSubstr("expected a number for rotation, got '\"0.1\"'"));
  EXPECT_THAT(error_of(R"({"rotation": true})"), HasSubstr("expected a number for rotation"));
  EXPECT_THAT(error_of(R"({"rotation": null})"), HasSubstr("expected a number for rotation"));
  EXPECT_THAT(error_of(R"({"rotation": 1.5})"), HasSubstr("expected rotation in [0, 1], got 1.5"));
  EXPECT_THAT(error_of(R"({"rotation": -0.1})"), HasSubstr("expected rotation in [0, 1], got -0.1"));
  EXPECT_THAT(error_of(R"({"pixel_dropout": 1})"), HasSubstr("expected pixel_dropout in [0, 1), got 1"));
  EXPECT_THAT(error_of(R"({"zoom": -1.01})"), HasSubstr("expected zoom in (-1, 1]"));
  EXPECT_THAT(error_of(R"({"zoom": [0.2, -0.2]})"), HasSubstr("the lower end first, got 0.2 to -0.2"));
  EXPECT_THAT(error_of(R"({"zoom": [1]})"), HasSubstr("a number or [low, high] for zoom"));
  EXPECT_THAT(error_of(R"({"zoom_width": 2})"), HasSubstr("expected zoom_width in (-1, 1]"));
  EXPECT_THAT(error_of(R"({"erase_area": 0.2})"), HasSubstr("expected [low, high] for erase_area"));
  EXPECT_THAT(error_of(R"({"erase_area": [0, 0.2]})"), HasSubstr("expected erase_area in (0, 1]"));
  EXPECT_THAT(error_of(R"({"erase_aspect": [1, 1e9]})"), HasSubstr("expected erase_aspect in [0.01, 100]"));
  EXPECT_THAT(error_of(R"({"mixup": 11})"), HasSubstr("expected mixup in [0, 10], got 11"));
  EXPECT_THAT(error_of(R"({"fill": "wrap"})"), HasSubstr("for fill, got '\"wrap\"'"));
  EXPECT_THAT(error_of(R"({"flip_vertical": 1})"), HasSubstr("expected true or false for flip_vertical"));
  EXPECT_THAT(error_of(R"({"preset": "worst"})"), HasSubstr("none, battery, ewaste, best for preset"));
  EXPECT_THAT(error_of(R"({"preset": 7})"), HasSubstr("for preset, got '7'"));
}

TEST(AugmentationFile, RefusesWhatIsNoObject) {
  for (const char* text :
       {"", "{", "[]", "7", "null", "\"none\"", "{\"rotation\": 0.1} x", "{'rotation': 1}",
        "{\"rotation\": 1e999}", "{\"rotation\": NaN}", "\xFF\xFE{}", "{\"rot\xC3\": 1}"}) {
    EXPECT_NE(error_of(text), "no error") << text;
  }
  EXPECT_NE(error_of(std::string("{\"rotation\": \0 0.1}", 19)), "no error");
  EXPECT_NE(error_of(std::string(50000, '[')), "no error");
  const std::string nested = std::string(30000, '[') + std::string(30000, ']');
  EXPECT_THAT(error_of("{\"rotation\": " + nested + "}"), HasSubstr("for rotation, got 'an array'"));
  EXPECT_THAT(error_of(nested), HasSubstr("a JSON object for an augmentation"));
  EXPECT_LT(error_of("{\"" + std::string(50000, 'k') + "\": 1}").size(), 1000u);
}

TEST(AugmentationFile, LoadsFilesAndNamesThem) {
  const fs::path file = fs::path(testing::TempDir()) / "pila_augmentation_file_test.json";
  const auto error_of_file = [&](const std::string& text) -> std::string {
    std::ofstream(file, std::ios::binary) << text;
    try {
      load_augmentation(file.string());
    } catch (const FileError& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(error_of_file(R"({"preset": "ewaste", "rotation": 0.25})"), "no error");
  EXPECT_EQ(load_augmentation(file.string()).rotation, 0.25);
  EXPECT_THAT(error_of_file(R"({"rotation": 2})"),
              AllOf(HasSubstr(file.string() + ": "), HasSubstr("[0, 1]")));
  EXPECT_THAT(error_of_file("{}" + std::string(70000, ' ')), HasSubstr(file.string() + ": "));
  fs::remove(file);
  EXPECT_THROW(load_augmentation(file.string()), UsageError);
  EXPECT_THROW(load_augmentation(testing::TempDir()), FileError);
}

}  // namespace
}  // namespace pila
