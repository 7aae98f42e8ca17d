// The measure that parity tests rest on: a digest must notice one wrong element among many.
#include "tests/parity/golden_file.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/core/error.h"

namespace pila::test {
namespace {

constexpr const char* kFile = "mobilenet_v2_generated_0.35_96.golden";
constexpr const char* kTensor = "training/gradient/Conv_1/kernel";  // digest and float32 elements

TEST(GoldenFile, FindsEveryElementWhereItShouldBe) {
  const GoldenFile golden(kFile);
  const std::vector<double> rounded = golden.values(kTensor);
  ASSERT_EQ(rounded.size(), 112u * 1280u);
  const auto [difference, norm] = golden.distance(kTensor, rounded);
  EXPECT_GT(norm, 0);
  EXPECT_LT(difference, norm * 0x1p-23);  // the elements were rounded to float32, the digest was not
}

TEST(GoldenFile, NoticesOneWrongElement) {
  const GoldenFile golden(kFile);
  const std::vector<double> rounded = golden.values(kTensor);
  const double norm = golden.distance(kTensor, rounded).norm_of_expected;
  for (const std::size_t wrong : {std::size_t{0}, std::size_t{77777}, rounded.size() - 1}) {
    std::vector<double> values = rounded;
    values[wrong] += 1e-4 * norm;
    EXPECT_GT(golden.distance(kTensor, values).norm_of_difference, 0.99e-4 * norm);
    values[wrong] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_TRUE(std::isinf(golden.distance(kTensor, values).norm_of_difference));
  }
}

TEST(GoldenFile, NoticesExchangedElements) {
  const GoldenFile golden(kFile);
  std::vector<double> values = golden.values(kTensor);
  const double norm = golden.distance(kTensor, values).norm_of_expected;
  std::swap_ranges(values.begin(), values.begin() + 1280, values.begin() + 1280);  // norm and sum stay
  EXPECT_GT(golden.distance(kTensor, values).norm_of_difference, 1e-3 * norm);
}

TEST(GoldenFile, RefusesUnknownNamesAndWrongSizes) {
  const GoldenFile golden(kFile);
  const std::vector<double> one(1);
  EXPECT_THROW(golden.distance("training/nothing", one), FileError);
  EXPECT_THROW(golden.distance(kTensor, one), FileError);
  EXPECT_THROW(golden.values("training/nothing"), FileError);
  EXPECT_THROW(GoldenFile("nothing.golden"), FileError);
}

TEST(Generated, AreTheGeneratorsNumbers) {
  // golden_file.py: seed_of("Conv1/kernel"), uniform("noise", (2,)).
  EXPECT_EQ(seed_of("Conv1/kernel"), 0xe9b460cffe05c32eu);
  const std::vector<double> noise = generated("noise", 2);
  EXPECT_EQ(noise[0], 0.14429186284542084);
  EXPECT_EQ(noise[1], -0.6458996534347534);
}

}  // namespace
}  // namespace pila::test
