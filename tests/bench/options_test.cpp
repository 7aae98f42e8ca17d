#include "bench/profile/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>

#include "engine/core/error.h"

namespace pila::bench {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

ProfileOptions parsed(const std::string& arguments) {
  CLI::App app;
  ProfileOptions options;
  add_options(app, options);
  app.parse(arguments);
  check(options);
  return options;
}

TEST(ProfileOptions, MeasureAPlanByDefault) {
  const ProfileOptions options = parsed("--width 0.35 --json --rounds 7");
  EXPECT_EQ(options.network, "");
  EXPECT_TRUE(options.json);
  EXPECT_EQ(options.json_file, "");
  EXPECT_EQ(options.rounds, 7);
  EXPECT_THAT(options.batches, ElementsAre(1));
  EXPECT_THAT(options.precisions, IsEmpty());
}

TEST(ProfileOptions, ListsOfLayersAreSplitAtCommas) {
  const ProfileOptions options = parsed(
      "--network mobilenet_v2 --batch 1,32,128 --precision fp32,float16 --direction both --threads 1,2 "
      "--against cudnn-tf32 --device cuda:1 --json a.json --csv a.csv --plot a.svg");
  EXPECT_THAT(options.batches, ElementsAre(1, 32, 128));
  EXPECT_THAT(options.precisions, ElementsAre(Precision::f32, Precision::f16));
  EXPECT_THAT(options.threads, ElementsAre(1, 2));
  EXPECT_THAT(directions_of(options),
              ElementsAre(Direction::forward, Direction::data_gradient, Direction::filter_gradient));
  EXPECT_EQ(options.device, "cuda:1");
  EXPECT_FALSE(options.json);
  EXPECT_EQ(options.json_file, "a.json");
}

TEST(ProfileOptions, StorageAndProductsFollowFromThePrecision) {
  const ProfileOptions options =
      parsed("--network mobilenet_v2 --device cuda --precision tf32,bf16 --tune cuts.inc");
  EXPECT_EQ(options.tune_file, "cuts.inc");
  ASSERT_THAT(options.precisions, ElementsAre(Precision::tf32, Precision::bf16));
  EXPECT_EQ(storage_of(Precision::tf32), DType::f32);
  EXPECT_EQ(products_in(Precision::tf32), Precision::tf32);
  EXPECT_EQ(storage_of(Precision::bf16), DType::bf16);
  EXPECT_EQ(products_in(Precision::bf16), Precision::f32);
}

TEST(ProfileOptions, BackwardIsBothGradients) {
  EXPECT_THAT(directions_of(parsed("--network mobilenet_v2 --direction backward")),
              ElementsAre(Direction::data_gradient, Direction::filter_gradient));
}

TEST(ProfileOptions, NoThreadsAreAllCores) {
  EXPECT_EQ(resolved_threads(3), 3);
  EXPECT_GE(resolved_threads(0), 1);
}

TEST(ProfileOptions, ThatDoNotGoTogetherAreRefused) {
  for (const char* arguments :
       {"--batch 1,2", "--threads 1,2", "--precision float32,float16", "--against onednn", "--direction both",
        "--csv a.csv", "--json a.json", "--tune cuts.inc", "--network mobilenet_v2 --model m.h5",
        "--network mobilenet_v2 --pixels", "--network mobilenet_v2 --precision int8"}) {
    EXPECT_THROW(parsed(arguments), UsageError) << arguments;
  }
  for (const char* arguments : {"--network resnet", "--batch 0", "--batch 1,x", "--against mkl",
                                "--precision float8", "--device gpu", "--size 8"}) {
    EXPECT_THROW(parsed(arguments), CLI::ParseError) << arguments;
  }
}

}  // namespace
}  // namespace pila::bench
