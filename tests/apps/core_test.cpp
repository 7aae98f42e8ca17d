// The glue that commands share: class names, verdicts, output files, progress.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "apps/core/class_names.h"
#include "apps/core/device.h"
#include "apps/core/output.h"
#include "apps/core/precision.h"
#include "apps/core/progress.h"
#include "apps/core/verdict.h"
#include "engine/core/error.h"
#include "kernels/cpu/cpu.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(ClassNames, RepeatedOnesGetTheirIndex) {
  EXPECT_THAT(distinct_names({"crane", "wren", "crane"}), ElementsAre("crane (0)", "wren", "crane (2)"));
  EXPECT_THAT(distinct_names({"a", "a (0)", "a"}), ElementsAre("a (0) (0)", "a (0)", "a (2)"));
  EXPECT_THAT(index_names(3), ElementsAre("0", "1", "2"));
}

TEST(Verdict, TopClassesAreSortedAndTiesKeepOrder) {
  const std::vector<float> p = {0.1f, 0.3f, 0.2f, 0.3f, 0.1f};
  EXPECT_THAT(top_classes(p, 4), ElementsAre(1u, 3u, 2u, 0u));
  EXPECT_EQ(top_classes(p, 99).size(), 5u);
}

TEST(Verdict, JsonHasItsKeysInOrder) {
  const Verdict verdict{"a \"b\".jpg", 7, {0.125f, 0.5f, 0.375f}, true, 1.2344, 0.5, 2};
  const std::vector<std::string> classes = {"zinc", "alkaline", "lithium"};
  EXPECT_EQ(to_json(verdict, classes, 1),
            R"({"source":"a \"b\".jpg","index":7,"label":"alkaline","recognised":true,"probability":0.5,)"
            R"("probabilities":{"zinc":0.125,"alkaline":0.5,"lithium":0.375},)"
            R"("latency_ms":{"decode":1.234,"preprocess":0.5,"network":2.0}})");
}

TEST(Verdict, JsonListsTheBestOfManyInClassOrder) {
  for (const std::size_t classes : {kMaxListedClasses, kMaxListedClasses + 1}) {
    Verdict verdict;
    verdict.probabilities.assign(classes, 0.001f);
    verdict.probabilities[40] = 0.3f;
    verdict.probabilities[3] = 0.2f;
    const auto line =
        nlohmann::ordered_json::parse(to_json(verdict, index_names(static_cast<std::int64_t>(classes)), 2));
    std::vector<std::string> keys;
    for (const auto& [key, value] : line["probabilities"].items()) keys.push_back(key);
    if (classes > kMaxListedClasses) {
      EXPECT_THAT(keys, ElementsAre("3", "40"));
    } else {
      EXPECT_EQ(keys, index_names(static_cast<std::int64_t>(classes)));
    }
  }
}

TEST(Verdict, JsonSurvivesNamesThatAreNotUtf8) {
  const std::vector<std::string> classes = {"\xFF"};
  const auto line = nlohmann::json::parse(to_json({"caf\xE9.jpg", 0, {1.0f}}, classes, 1));
  EXPECT_EQ(line["source"], "caf\xEF\xBF\xBD.jpg");
}

TEST(Verdict, TextNamesTheBest) {
  const std::vector<std::string> classes = {"zinc", "alkaline"};
  EXPECT_EQ(to_text({"a.jpg", 0, {0.25f, 0.75f}}, classes, 2), "a.jpg: alkaline 75.0% | zinc 25.0%");
}

TEST(Verdict, WhatIsNotRecognisedIsOthers) {
  const Verdict verdict{.source = "a.jpg", .probabilities = {0.25f, 0.75f}, .recognised = false};
  const std::vector<std::string> classes = {"zinc", "alkaline"};
  EXPECT_EQ(to_text(verdict, classes, 2), "a.jpg: others; alkaline 75.0% | zinc 25.0%");
  const auto line = nlohmann::json::parse(to_json(verdict, classes, 2));
  EXPECT_EQ(line["label"], "others");
  EXPECT_EQ(line["recognised"], false);
  EXPECT_EQ(line["probability"], 0.75);
}

TEST(Output, FileAppearsWhenItIsComplete) {
  const test::TemporaryFolder folder;
  const fs::path file = folder.path() / "result.jsonl";
  std::ofstream(file) << "old";
  {
    Output output(file);
    output.write_line("new");
    EXPECT_EQ(test::read_text(file), "old");
    output.finish();
  }
  EXPECT_EQ(test::read_text(file), "new\n");
  { Output(file).write_line("half"); }
  EXPECT_EQ(test::read_text(file), "new\n");
  EXPECT_EQ(std::distance(fs::directory_iterator(folder.path()), {}), 1) << "something was left behind";
}

TEST(Output, LinksStayLinks) {
  const test::TemporaryFolder folder;
  std::ofstream(folder.path() / "real") << "old";
  fs::create_symlink("real", folder.path() / "link");
  Output output(folder.path() / "link");
  output.write_line("new");
  output.finish();
  EXPECT_TRUE(fs::is_symlink(folder.path() / "link"));
  EXPECT_EQ(test::read_text(folder.path() / "real"), "new\n");
}

TEST(Output, SaysAtOnceWhatCannotBeWritten) {
  const auto error = [](const fs::path& target) {
    try {
      Output output(target);
    } catch (const FileError& reason) {
      return std::string(reason.what());
    }
    return std::string("no error");
  };
  const test::TemporaryFolder folder;
  EXPECT_THAT(error(folder.path()), HasSubstr("this is a folder"));
  EXPECT_THAT(error(folder.path() / "no" / "file"),
              HasSubstr("cannot be written: No such file or directory"));
}

TEST(Output, DevicesAreWrittenDirectly) {
  Output null("/dev/null");
  null.write_line("text");
  null.finish();
  EXPECT_TRUE(fs::is_character_file("/dev/null"));
  Output full("/dev/full");
  EXPECT_THROW(full.write_line("text"), FileError);
}

TEST(PlanOptions, TakeThePrecisionAskedForOrTheModels) {
  ModelDescription plain, calibrated;
  calibrated.ranges = {{"Conv_1", {-1, 1}}};
  const auto device = Device::cpu(1);
  EXPECT_EQ(plan_options(*device, plain, {}).precision, Precision::f32);
  EXPECT_EQ(plan_options(*device, plain, Precision::bf16).precision, Precision::bf16);
  EXPECT_THAT([&] { plan_options(*device, plain, Precision::i8); },
              testing::ThrowsMessage<UsageError>(HasSubstr("pila-export --model MODEL --precision int8")));
  for (const auto& asked : {std::optional<Precision>(), std::optional(Precision::i8)}) {
    EXPECT_EQ(plan_options(*device, calibrated, asked).precision, Precision::i8);
    EXPECT_EQ(plan_options(*device, calibrated, asked).ranges, calibrated.ranges);
  }
  EXPECT_EQ(plan_options(*device, calibrated, Precision::f32).precision, Precision::f32);

  kernels::KernelTable table;
  table.stores_16_bits = true;
  const Device gpu("gpu", kernels::cpu::create_device_api(), table, 1);
  EXPECT_EQ(plan_options(gpu, calibrated, {}).precision, Precision::f16);
  EXPECT_EQ(plan_options(gpu, plain, Precision::f32).precision, Precision::f32);
}

TEST(OpenDevice, TakesTheProcessorInPlaceOfAGpuOnlyIfToldTo) {
  EXPECT_EQ(open_device("cpu", 1)->name(), "cpu");
  for (const char* name : {"cuda", "cuda:7"}) {
    try {
      EXPECT_THAT(open_device(name, 1)->name(), testing::StartsWith("cuda:"));
    } catch (const DeviceError& error) {
      EXPECT_THAT(error.what(),
                  testing::AllOf(testing::StartsWith(std::string("--device ") + name + ": [cuda] "),
                                 HasSubstr("--device auto takes the processor")));
    }
  }
  testing::internal::CaptureStderr();
  const auto chosen = open_device("auto", 1);
  EXPECT_THAT(
      testing::internal::GetCapturedStderr(),
      HasSubstr(chosen->name() == "cpu" ? "computing on the processor: [cuda] " : "computing on cuda:0"));
}

TEST(Progress, TellsRateAndTimeLeft) {
  EXPECT_EQ(Progress::describe("images", 50, 200, 10),
            "50/200 images [#######-----------------------] 5.0/s, 0:30 left");
  EXPECT_EQ(Progress::describe("images", 0, 10, 0),
            "0/10 images [------------------------------] 0.0/s, 0:00 left");
}

}  // namespace
}  // namespace pila
