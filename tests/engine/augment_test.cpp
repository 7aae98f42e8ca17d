#include "engine/ops/augment.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/core/error.h"
#include "tests/support/gradcheck.h"

namespace pila {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

class AugmentOps : public testing::Test {
 protected:
  Tensor images(const Shape& shape) const {
    return Tensor::from(
        ctx_, shape, test::integer_data<std::uint8_t>(static_cast<std::size_t>(shape.elements()), 1, 0, 255));
  }
  Tensor augmented(const Tensor& x, const std::vector<AugmentPicture>& pictures,
                   DType type = DType::f32) const {
    return ops::augment(ctx_, x, pictures, options_, type);
  }
  void expect_error(const Tensor& x, const std::vector<AugmentPicture>& pictures, const char* expected,
                    const char* got) const {
    EXPECT_THAT(
        [&] { augmented(x, pictures); },
        ThrowsMessage<ShapeError>(AllOf(HasSubstr("[augment]"), HasSubstr(expected), HasSubstr(got))));
  }

  const Context ctx_{Device::cpu(1)};
  ops::AugmentOptions options_{.height = 2, .width = 2};
};

TEST_F(AugmentOps, DoesToEachPictureWhatItIsTold) {
  const Tensor x =
      Tensor::from(ctx_, {2, 1, 2, 3}, std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12});
  options_.height = 1;
  std::vector<AugmentPicture> pictures(2);
  pictures[0].warp[0] = -1;  // mirrored
  pictures[0].warp[2] = 1;
  pictures[1].brightness = 100;
  options_.scale[1] = 2;
  options_.offset[2] = -1;
  EXPECT_THAT(augmented(x, pictures).to_vector<float>(ctx_),
              ElementsAre(4, 10, 5, 1, 4, 2, 107, 216, 108, 110, 222, 111));
  const Context reference(Device::reference());
  const Tensor y =
      ops::augment(reference, Tensor::from(reference, x.shape(), x.to_vector<std::uint8_t>(ctx_)), pictures,
                   options_, DType::f64);
  EXPECT_THAT(y.to_vector<double>(reference), ElementsAre(4, 10, 5, 1, 4, 2, 107, 216, 108, 110, 222, 111));
}

TEST_F(AugmentOps, RefusesWhatDoesNotFit) {
  const std::vector<AugmentPicture> one(1);
  expect_error(images({1, 4, 4, 1}), one, "uint8[n, h, w, 3]", "uint8[1, 4, 4, 1]");
  expect_error(images({1, 0, 4, 3}), one, "uint8[n, h, w, 3]", "uint8[1, 0, 4, 3]");
  expect_error(Tensor::zeros(ctx_, {{1, 4, 4, 3}, DType::f32}), one, "uint8[n, h, w, 3]", "float32");
  expect_error(images({2, 4, 4, 3}), one, "parameters for 2 pictures", "got 1");
  std::vector<AugmentPicture> endless(1);
  endless[0].warp[5] = std::numeric_limits<float>::infinity();
  expect_error(images({1, 4, 4, 3}), endless, "a finite warp", "inf");
  for (const float dropout : {1.0f, -0.1f, std::numeric_limits<float>::quiet_NaN()}) {
    options_.dropout = dropout;
    expect_error(images({1, 4, 4, 3}), one, "a dropout in [0, 1)", "got");
  }
  options_.dropout = 0;
  options_.width = 0;
  expect_error(images({1, 4, 4, 3}), one, "a size of at least 1 x 1", "2 x 0");
}

TEST_F(AugmentOps, AnEmptyBatchStaysEmpty) {
  EXPECT_EQ(augmented(images({0, 4, 4, 3}), {}).shape(), (Shape{0, 2, 2, 3}));
  EXPECT_EQ(ops::mix_with_reversed(ctx_, Tensor::zeros(ctx_, {{0, 5}, DType::f32}), 0.5).shape(),
            (Shape{0, 5}));
}

TEST_F(AugmentOps, MixesRowsFromBothEnds) {
  const Tensor x = Tensor::from(ctx_, {3, 2}, std::vector<float>{0, 10, 20, 30, 40, 50});
  EXPECT_THAT(ops::mix_with_reversed(ctx_, x, 0.75).to_vector<float>(ctx_),
              ElementsAre(10, 20, 20, 30, 30, 40));
  EXPECT_THAT(ops::mix_with_reversed(ctx_, x, 1).to_vector<float>(ctx_), ElementsAre(0, 10, 20, 30, 40, 50));
  EXPECT_THAT(ops::mix_with_reversed(ctx_, x, 0).to_vector<float>(ctx_), ElementsAre(40, 50, 20, 30, 0, 10));
}

TEST_F(AugmentOps, MixingHasItsGradient) {
  const Context reference = test::reference_context();
  for (const std::int64_t rows : {1, 4, 5}) {
    test::check_gradients(reference,
                          [](const Context& ctx, std::span<const Tensor> in) {
                            return ops::mix_with_reversed(ctx, in[0], 0.3);
                          },
                          {test::random_tensor(reference, {rows, 2, 3}, 5)});
  }
}

TEST_F(AugmentOps, MixingRefusesWhatDoesNotFit) {
  const Tensor x = Tensor::zeros(ctx_, {{2, 3}, DType::f32});
  for (const double weight : {-0.1, 1.1, std::numeric_limits<double>::quiet_NaN()}) {
    EXPECT_THAT([&] { ops::mix_with_reversed(ctx_, x, weight); },
                ThrowsMessage<ShapeError>(HasSubstr("[mix_with_reversed] expected a weight in [0, 1]")));
  }
  EXPECT_THROW(ops::mix_with_reversed(ctx_, Tensor::zeros(ctx_, {{}, DType::f32}), 0.5), ShapeError);
  EXPECT_THROW(ops::mix_with_reversed(ctx_, images({1, 2, 2, 3}), 0.5), ShapeError);
}

}  // namespace
}  // namespace pila
