// Recipes: what is in the presets, and what their texts may say.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <regex>

#include "apps/training/options.h"
#include "apps/training/recipe.h"
#include "engine/core/error.h"
#include "tests/apps/process.h"

namespace pila {
namespace {

using testing::HasSubstr;

// The message of what `call` throws.
template <class Exception, class Call>
std::string thrown(Call&& call) {
  try {
    call();
  } catch (const Exception& error) {
    return error.what();
  }
  ADD_FAILURE() << "nothing was thrown";
  return {};
}

TEST(Recipe, EveryNamedOneComesBackFromItsText) {
  for (const std::string& name : recipe_names()) {
    const Recipe recipe = named_recipe(name);
    EXPECT_EQ(recipe.name, name);
    EXPECT_NO_THROW(check(recipe)) << name;
    EXPECT_EQ(parse_recipe(format_recipe(recipe)), recipe) << name;
  }
}

TEST(Recipe, BatteryPaper) {
  const Recipe recipe = named_recipe("battery-mobilenetv2");
  ASSERT_EQ(recipe.stages.size(), 1u);
  EXPECT_EQ(recipe.stages[0].epochs, 40);
  EXPECT_EQ(recipe.stages[0].rate, 1e-4);
  EXPECT_EQ(recipe.weight_decay, 0.01);
  EXPECT_EQ(recipe.dropout, 0.2);
  EXPECT_EQ(recipe.monitor, Monitor::accuracy);
  EXPECT_EQ(recipe.pixels, PixelRange::zero_to_one);
  EXPECT_EQ(recipe.augmentation.rotation, 0.05);
  EXPECT_EQ(recipe.augmentation.contrast, 0.4);
  EXPECT_EQ(recipe.augmentation.brightness, 0.4);
  EXPECT_EQ(recipe.augmentation.pixel_dropout, 0.2);
}

TEST(Recipe, BatSortHasTwoStages) {
  const Recipe recipe = named_recipe("batsort");
  ASSERT_EQ(recipe.stages.size(), 2u);
  EXPECT_EQ(recipe.stages[0], parse_stage("epochs=300,lr=0.005,trainable-last=2"));
  EXPECT_EQ(recipe.stages[1], parse_stage("epochs=100,lr=5e-5,trainable-last=4,patience=10"));
}

TEST(Recipe, EwasteFreezesAHundredLayers) {
  const Recipe recipe = named_recipe("ewaste");
  ASSERT_EQ(recipe.stages.size(), 1u);
  EXPECT_EQ(recipe.stages[0], parse_stage("epochs=15,lr=1e-4,freeze=100,patience=3"));
  EXPECT_EQ(recipe.batch, 100);
  EXPECT_EQ(recipe.monitor, Monitor::loss);
}

TEST(Recipe, UnknownNameListsThoseThereAre) {
  EXPECT_THAT(thrown<UsageError>([] { load_recipe("bets"); }), HasSubstr("battery-mobilenetv2"));
}

TEST(Stage, TakesEveryKey) {
  const Stage stage = parse_stage(
      "epochs=7,lr=0.25,schedule=cosine,warmup=1.5,final=0.1,freeze=3,layer-decay=0.9,patience=2,blend=0.7");
  EXPECT_EQ(stage.epochs, 7);
  EXPECT_EQ(stage.rate, 0.25);
  EXPECT_EQ(stage.schedule, ScheduleKind::cosine);
  EXPECT_EQ(stage.warmup, 1.5);
  EXPECT_EQ(stage.final_fraction, 0.1);
  EXPECT_EQ(stage.freeze, 3);
  EXPECT_FALSE(stage.trainable_last);
  EXPECT_EQ(stage.layer_decay, 0.9);
  EXPECT_EQ(stage.patience, 2);
  EXPECT_EQ(stage.blend, 0.7);
}

TEST(Stage, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(thrown<UsageError>([] { parse_stage("epocs=3"); }), HasSubstr("trainable-last"));
  EXPECT_THAT(thrown<UsageError>([] { parse_stage("epochs"); }), HasSubstr("key=value"));
  EXPECT_THAT(thrown<UsageError>([] { parse_stage("epochs=3x"); }), HasSubstr("'3x'"));
  EXPECT_THAT(thrown<UsageError>([] { parse_stage("epochs="); }), HasSubstr("number"));
  EXPECT_THAT(thrown<UsageError>([] { parse_stage("epochs=99999999999"); }), HasSubstr("number"));
  EXPECT_THAT(thrown<UsageError>([] { parse_stage("schedule=linear"); }), HasSubstr("constant or cosine"));
}

struct BadRecipe {
  const char* name;
  const char* text;
  const char* message;
};

class BadRecipes : public testing::TestWithParam<BadRecipe> {};

TEST_P(BadRecipes, AreRefused) {
  EXPECT_THAT(thrown<FileError>([] { parse_recipe(GetParam().text); }), HasSubstr(GetParam().message));
}

INSTANTIATE_TEST_SUITE_P(
    Texts, BadRecipes,
    testing::Values(BadRecipe{"Empty", "", "no recipe"}, BadRecipe{"List", "[]", "JSON object"},
                    BadRecipe{"NoStage", "{}", "a stage"},
                    BadRecipe{"EmptyStages", R"({"stages": []})", "a stage"},
                    BadRecipe{"StageNoObject", R"({"stages": [3]})", "JSON object"},
                    BadRecipe{"StagesNoList", R"({"stages": 3})", "list"},
                    BadRecipe{"UnknownKey", R"({"stages": [{}], "bach": 3})", "'bach'"},
                    BadRecipe{"UnknownStageKey", R"({"stages": [{"epoch": 3}]})", "'epoch'"},
                    BadRecipe{"Text", R"({"stages": [{"epochs": "3"}]})", "'epochs'"},
                    BadRecipe{"Fraction", R"({"stages": [{"epochs": 3.5}]})", "'epochs'"},
                    BadRecipe{"Huge", R"({"stages": [{"epochs": 4294967297}]})", "'epochs'"},
                    BadRecipe{"NoEpochs", R"({"stages": [{"epochs": 0}]})", "epochs"},
                    BadRecipe{"NegativeRate", R"({"stages": [{"lr": -1}]})", "rate"},
                    BadRecipe{"BothFreezes", R"({"stages": [{"freeze": 1, "trainable-last": 1}]})", "both"},
                    BadRecipe{"Patience", R"({"stages": [{"patience": 1}]})", "monitored"},
                    BadRecipe{"Blend", R"({"stages": [{"blend": 1.1}]})", "a blend"},
                    BadRecipe{"Monitor", R"({"stages": [{}], "monitor": "f1"})", "accuracy"},
                    BadRecipe{"Batch", R"({"stages": [{}], "batch": 0})", "batch"},
                    BadRecipe{"Augmentation", R"({"stages": [{}], "augmentation": {"rotation": 7}})",
                              "rotation"},
                    BadRecipe{"Augmentations", R"({"stages": [{}], "augmentation": 7})", ""}),
    [](const auto& test) { return test.param.name; });

TEST(Recipe, EndlessNestingIsRefused) {
  const std::string deep(500'000, '[');
  EXPECT_THAT(thrown<FileError>([&] { parse_recipe(deep); }), HasSubstr("nested"));
  EXPECT_THAT(thrown<FileError>([&] { parse_recipe("{\"stages\": " + deep); }), HasSubstr("nested"));
}

TEST(Options, ComeBackFromTheirText) {
  FineTuneOptions options;
  options.data = {"/photographs", "/store.sqlite"};
  options.store_verdicts = 0.9;
  options.exclude = {"Other", "a \"quoted\" one"};
  options.recipe = named_recipe("batsort");
  options.width = 0.35;
  options.precision = Precision::bf16;
  options.seed = 7;
  options.refit = false;
  const FineTuneOptions back = parse_options(format_options(options));
  EXPECT_EQ(format_options(back), format_options(options));
  EXPECT_EQ(back.data, options.data);
  EXPECT_EQ(back.exclude, options.exclude);
  EXPECT_EQ(back.recipe, options.recipe);
  EXPECT_EQ(back.width, 0.35);
  EXPECT_EQ(back.precision, Precision::bf16);
  EXPECT_FALSE(back.size);
  EXPECT_EQ(back.refit, false);
  EXPECT_EQ(back.split_seed(), 7u);
  // A checkpoint of before there were stores and precisions.
  std::string earlier = std::regex_replace(format_options(options), std::regex(R"("data": \[[^\]]*\])"),
                                           R"("data": "/photographs")");
  earlier = std::regex_replace(earlier, std::regex(R"re("(store_verdicts|precision)": [^,]*,)re"), "");
  EXPECT_EQ(parse_options(earlier).data, (std::vector<std::filesystem::path>{"/photographs"}));
  EXPECT_FALSE(parse_options(earlier).store_verdicts);
  EXPECT_EQ(parse_options(earlier).precision, Precision::f32);
  const std::string unknown = std::regex_replace(format_options(options), std::regex("bfloat16"), "float7");
  EXPECT_THAT(thrown<FileError>([&] { parse_options(unknown); }), HasSubstr("float7"));
  EXPECT_THROW(parse_options("{}"), FileError);
  EXPECT_THROW(parse_options("nonsense"), FileError);
}

}  // namespace
}  // namespace pila
