// Ranges of a small network, and its plan in int8 by them.
#include "engine/plan/calibration.h"

#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "tests/engine/plan_net.h"
#include "tests/support/compare.h"

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Key;
using testing::ThrowsMessage;

class CalibrationTest : public testing::Test {
 protected:
  Calibration calibrated() {
    Calibration calibration(ctx_, net_.trace());
    for (const std::uint64_t seed : {11u, 12u, 13u, 14u}) calibration.add(net_.pixels(seed));
    return calibration;
  }

  const Context ctx_{Device::reference()};
  test::PlanNet net_{ctx_};
};

TEST_F(CalibrationTest, FindsTheProductsOfImages) {
  const Ranges ranges = calibrated().ranges(Clipping::min_max);
  EXPECT_THAT(ranges, ElementsAre(Key("expand"), Key("last"), Key("project")));
  // Those behind ReLU6 read no less than 0 and no more than 6.
  for (const char* product : {"expand", "project"}) {
    EXPECT_EQ(ranges.at(product).low, 0) << product;
    EXPECT_GT(ranges.at(product).high, 0) << product;
    EXPECT_LE(ranges.at(product).high, 6) << product;
  }
  EXPECT_LT(ranges.at("last").low, 0);
}

TEST_F(CalibrationTest, SeesWhatAnIdentityReads) {
  const Tensor kernel = Tensor::full(ctx_, {{1, 1, 1, 1}, DType::f32}, 1);
  const TensorSpec input{{1, 2, 2, 1}, DType::f32};
  const Computation identity = [&](const Context& ctx, std::span<const Tensor> inputs) {
    return std::vector{ops::conv2d(ctx, inputs[0], kernel, {}, {})};
  };
  Calibration calibration(ctx_, trace(ctx_, {&input, 1}, identity, {{kernel.id(), "identity"}}));
  calibration.add(Tensor::from(ctx_, {1, 2, 2, 1}, std::vector<float>{-1, 0, 1, 2}));
  calibration.add(Tensor::from(ctx_, {1, 2, 2, 1}, std::vector<float>{-3, 0, 1, 1}));
  EXPECT_EQ(calibration.ranges(Clipping::min_max), (Ranges{{"identity", {-3, 2}}}));
  const Tensor bad = Tensor::full(ctx_, input, std::numeric_limits<double>::quiet_NaN());
  EXPECT_THAT([&] { calibration.add(bad); },
              ThrowsMessage<Error>(HasSubstr("expected finite numbers, got nan before identity")));
}

// Factors in steps of 1/255 of their range, sums a few dozen long: as in bfloat16, whose steps are as large,
// probabilities move by about 1%.
constexpr double kRoundedTolerance = 2e-2;

TEST_F(CalibrationTest, MakesPlansInInt8ThatAgreeWithFloat32) {
  const Tensor pixels = net_.pixels();
  const auto exact = test::run_once(ctx_, Session(Plan::build(ctx_, net_.trace())), pixels);
  const Calibration calibration = calibrated();
  for (const Clipping clipping : kClippings) {
    const PlanOptions options{.precision = Precision::i8, .ranges = calibration.ranges(clipping)};
    const auto rounded = test::run_once(ctx_, Session(Plan::build(ctx_, net_.trace(), options)), pixels);
    EXPECT_TRUE(test::close_each(rounded, exact, kRoundedTolerance)) << name_of(clipping);
    EXPECT_GT(test::max_abs_error(rounded, exact), 1e-5) << name_of(clipping) << ": nothing was rounded";
  }
}

TEST_F(CalibrationTest, GivesTheSameRangesAgain) {
  for (const Clipping clipping : kClippings) {
    EXPECT_EQ(calibrated().ranges(clipping), calibrated().ranges(clipping)) << name_of(clipping);
  }
  const auto on_threads = [](int threads) {
    const Context ctx(Device::cpu(threads));
    test::PlanNet net(ctx);
    Calibration calibration(ctx, net.trace());
    calibration.add(net.pixels());
    return calibration.ranges(Clipping::entropy);
  };
  EXPECT_EQ(on_threads(1), on_threads(3));
}

TEST_F(CalibrationTest, SaysWhatIsMissing) {
  Calibration calibration(ctx_, net_.trace());
  EXPECT_THAT([&] { calibration.ranges(Clipping::min_max); },
              ThrowsMessage<UsageError>(HasSubstr("expected images, got none")));
  EXPECT_THROW(calibration.add(Tensor::zeros(ctx_, {{1, 9, 9, 3}, DType::u8})), ShapeError);
  const TensorSpec input{{2, 3}, DType::f32};
  Graph none = trace(ctx_, {&input, 1}, [&](const Context& ctx, std::span<const Tensor> inputs) {
    return std::vector{ops::affine(ctx, inputs[0], 2, 1)};
  });
  EXPECT_THAT([&] { Calibration(ctx_, std::move(none)); },
              ThrowsMessage<UsageError>(HasSubstr("expected a network with products of images")));
}

}  // namespace
}  // namespace pila
