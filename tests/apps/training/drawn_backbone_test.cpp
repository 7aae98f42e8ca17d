// The backbone of weights/drawn, which the demo starts from.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/apps/process.h"

namespace pila {
namespace {

// Of makes that it has not seen, on a belt that it has not seen, by a head on its features as they are.
TEST(DrawnBackbone, KnowsBatteriesOfOtherMakes) {
  const test::TemporaryFolder folder;
  const auto drawn =
      test::run_program(PILA_DATASET,
                        {"synth", "--belt", "--out", "belt", "--items", "1", "--series", "6", "--stills",
                         "30", "--specimen-images", "2", "--size", "160x90", "--seed", "7"},
                        folder.path());
  ASSERT_EQ(drawn.exit_code, 0) << drawn.err;
  const auto learned = test::run_program(PILA_FINETUNE,
                                         {"--data",
                                          "belt/stills",
                                          "--weights",
                                          PILA_SOURCE_DIR "/weights/drawn/mobilenet_v2_0.35_160.h5",
                                          "--out",
                                          "run",
                                          "--size",
                                          "96",
                                          "--stage",
                                          "epochs=20,lr=0.003,trainable-last=0",
                                          "--augment",
                                          "none",
                                          "--group-by",
                                          "folder",
                                          "--validation",
                                          "0.3",
                                          "--folds",
                                          "1",
                                          "--no-refit",
                                          "--gradcam",
                                          "0"},
                                         folder.path());
  ASSERT_EQ(learned.exit_code, 0) << learned.err;
  const auto report = nlohmann::json::parse(test::read_text(folder.path() / "run/report.json"));
  EXPECT_EQ(report.at("images"), 48);
  // Random weights come to chance, one in six.
  EXPECT_GT(report.at("accuracy"), 0.5);
}

}  // namespace
}  // namespace pila
